"""Broken, hostile and odd images: refused in one line that names the file, or converted as documented."""

import io
import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import IMAGE, RGB, SAMPLES, oriented, png_header
from PIL import Image

from npgrad.errors import ImageError
from npgrad.images import Preprocessing, open_image
from npgrad.images.reading import MAX_PIXELS


def refused(source, match):
    with pytest.raises(ImageError, match=match) as raised:
        open_image(source)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("kind", SAMPLES)
def test_truncated_files_are_refused(tmp_path, kind):
    path = tmp_path / "photo.bin"
    path.write_bytes(SAMPLES[kind])
    open_image(path)
    for keep in (0, 1, 10, len(SAMPLES[kind]) // 2, len(SAMPLES[kind]) * 3 // 4):
        path.write_bytes(SAMPLES[kind][:keep])
        refused(path, r"photo\.bin: (cannot be read as an image|not an image)")


@pytest.mark.exhaustive
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_files_open_or_are_refused(tmp_path_factory, data):
    content = bytearray(data.draw(st.sampled_from(list(SAMPLES.values()))))
    places = st.one_of(st.integers(0, 60), st.integers(0, len(content) - 1)).map(lambda i: i % len(content))
    for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=8)):
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        assert open_image(path).mode == "RGB"
    except ImageError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)


@pytest.mark.parametrize(
    ("width", "height"),
    [(8000, 8001), (9400, 9400), (13000, 13000), (16000, 16000), (2**31 - 1, 2**31 - 1)],
    ids=["just over", "below Pillow's warning", "warned of by Pillow", "refused by Pillow", "largest"],
)
def test_a_decompression_bomb_is_seen_in_the_header(tmp_path, width, height):
    assert width * height > MAX_PIXELS
    path = tmp_path / "bomb.png"
    path.write_bytes(png_header(width, height))
    refused(path, r"bomb\.png: .*64,000,000")  # and once more, now that Pillow is loaded
    tracemalloc.start()
    started = time.process_time()
    refused(path, "64,000,000")
    assert time.process_time() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 1e6
    tracemalloc.stop()


def test_the_limit_holds_for_pillows_own_images_and_arrays():
    lazy = Image.open(io.BytesIO(png_header(8000, 8001)))
    refused(lazy, "PIL image: expected at most 64,000,000 pixels; found 8000 x 8001")
    refused(
        np.broadcast_to(np.uint8(0), (8001, 8000)),
        "image array: expected at most 64,000,000 pixels; found 8000 x 8001",
    )


@pytest.mark.parametrize("size", [(1, 10000), (10000, 1), (21, 1), (100, 2001)])
def test_long_strips_are_refused(tmp_path, size):
    path = tmp_path / "strip.png"
    Image.new("RGB", size).save(path)
    refused(path, rf"strip\.png: .* at most 20 times the shorter; found {size[0]} x {size[1]} pixels")
    refused(np.zeros((size[1], size[0], 3), np.uint8), "image array: .* at most 20 times")


def test_small_and_just_allowed_shapes(tmp_path):
    path = tmp_path / "dot.png"
    Image.new("RGB", (1, 1), (10, 20, 30)).save(path)
    assert (Preprocessing().invert(Preprocessing().apply(path)) == (10, 20, 30)).all()
    assert open_image(np.zeros((1, 20, 3), np.uint8)).size == (20, 1)


def test_postscript_is_refused_before_ghostscript_could_run(tmp_path, monkeypatch):
    path = tmp_path / "photo.eps"
    IMAGE.save(path)
    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", lambda *a, **k: pytest.fail("Ghostscript was run"))
    refused(path, r"photo\.eps: not an image, or not in one of the formats JPEG, PNG")
    path.rename(tmp_path / "photo.jpg")
    refused(tmp_path / "photo.jpg", "not an image, or not in one of the formats")
    with Image.open(tmp_path / "photo.jpg") as opened:
        refused(opened, r"photo\.jpg: EPS images are not supported")


def test_what_is_no_image(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("<html>Not found</html>")
    refused(text, r"notes\.txt: not an image")
    refused(tmp_path, "expected an image; found a folder")
    refused(tmp_path / "no.jpg", r"no\.jpg: no such file")
    refused("x" * 5000, "cannot be read as an image: File name too long")
    refused("a\nb.jpg", r"'a\\nb\.jpg': no such file")
    for other in (b"bytes", None, 3, io.BytesIO()):
        refused(other, f"expected a path, a PIL image or a uint8 array; found {type(other).__name__}")


def test_arrays():
    gray, rgba = RGB[..., 0], np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    assert np.array_equal(open_image(RGB), RGB)
    assert np.array_equal(open_image(rgba), RGB)
    assert np.array_equal(open_image(gray), gray[..., None].repeat(3, axis=2))
    assert np.array_equal(open_image(RGB[::-1, ::2, ::-1]), RGB[::-1, ::2, ::-1])
    wrong = [RGB.astype(np.float32), RGB.astype(int), RGB.astype(object), RGB.transpose(2, 0, 1), RGB[None],
             RGB[:0], RGB[..., :2], np.array(3, np.uint8)]  # fmt: skip
    for array in wrong:
        refused(array, r"image array: expected uint8 of shape \(H, W, 3\), .*; found \w+ of shape")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_exif_turns_upright(tmp_path, orientation, kind, options):
    """What a viewer that knows EXIF shows, written as array operations on what is stored."""
    upright = {
        1: RGB, 2: RGB[:, ::-1], 3: RGB[::-1, ::-1], 4: RGB[::-1], 5: RGB.transpose(1, 0, 2),
        6: np.rot90(RGB, -1), 7: np.rot90(RGB, 2).transpose(1, 0, 2), 8: np.rot90(RGB),
    }[orientation]  # fmt: skip
    path = tmp_path / "photo"
    IMAGE.save(path, kind, exif=oriented(orientation), **options)
    assert np.array_equal(open_image(path), upright)
    with Image.open(path) as opened:
        assert np.array_equal(open_image(opened), upright)
    assert np.array_equal(open_image(open_image(path)), upright)  # it is turned once


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_an_animation_the_first_frame(tmp_path, kind):
    path = tmp_path / "film"
    frames = [Image.new("RGB", (8, 6), color) for color in ("red", "lime", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    frames[0].save(path, kind, save_all=True, append_images=frames[1:], **options)
    assert (np.asarray(open_image(path)) == (255, 0, 0)).all()


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.array([[0, 255, 128]], np.uint8)
    rgba = np.dstack([np.zeros((1, 3, 3), np.uint8), alpha])
    assert np.asarray(open_image(rgba))[0, :, 0].tolist() == [255, 0, 127]
    assert np.asarray(open_image(Image.fromarray(rgba).convert("LA")))[0, :, 2].tolist() == [255, 0, 127]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 200, 9, 9, 9])
    palette.putpixel((1, 0), 1)
    for options, expected in [({"transparency": 1}, 255), ({"transparency": b"\xff\x80"}, 132), ({}, 9)]:
        path = tmp_path / "palette.png"
        palette.save(path, **options)
        assert np.asarray(open_image(path)).tolist() == [[[0, 0, 200], [expected] * 3]]
    keyed = tmp_path / "keyed.png"
    Image.new("RGB", (2, 1), (1, 2, 3)).save(keyed, transparency=(1, 2, 3))
    assert (np.asarray(open_image(keyed)) == 255).all()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_gray_of_16_bits_keeps_its_high_byte(tmp_path, kind):
    deep = np.array([[0, 255, 256, 0x1234, 0xFFFF]], np.uint16)
    path = tmp_path / "deep"
    if kind == "PPM":  # written by hand: Pillow before 11 has no 16 bits there
        path.write_bytes(b"P5 5 1 65535\n" + deep.astype(">u2").tobytes())
    else:
        Image.fromarray(deep).save(path, kind)
    assert np.asarray(open_image(path))[0, :, 0].tolist() == [0, 0, 1, 0x12, 0xFF]


def test_other_modes(tmp_path):
    cmyk = Image.new("CMYK", (4, 4), (255, 0, 0, 0))
    path = tmp_path / "cmyk.tif"
    cmyk.save(path)
    assert (np.asarray(open_image(path)) == (0, 255, 255)).all()
    assert (np.asarray(open_image(Image.new("1", (4, 4), 1))) == 255).all()
    for mode in ("F", "I", "LAB"):
        path = tmp_path / f"{mode}.tif"
        Image.new(mode, (4, 4)).save(path)
        refused(path, rf"{mode}\.tif: expected 8-bit or 16-bit colors; found mode {mode}")


def test_pillows_warnings_stay_inside(tmp_path):
    """Pillow warns of palette transparency in bytes and of broken EXIF; in tests a warning is an error."""
    path = tmp_path / "palette.png"
    IMAGE.convert("P").save(path, transparency=bytes(range(256)))
    assert open_image(path).mode == "RGB"
    exif = bytearray(SAMPLES["jpeg"])
    place = exif.index(b"Exif\0\0") + 6
    exif[place + 8 : place + 10] = b"\xff\xff"  # far more EXIF entries than there are bytes for
    path.write_bytes(exif)
    assert open_image(path).mode == "RGB"
