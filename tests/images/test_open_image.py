"""Values of another range are noticed; AVIF and JPEG 2000 are read; color profiles are applied when asked."""

import io
import struct
import zlib

import numpy as np
import pytest
from image_files import HAS_AVIF, IMAGE, encoded, oriented
from PIL import Image, ImageCms, features

from npgrad.errors import ImageError
from npgrad.images import open_image, reading

NEARLY_BLACK = "nearly black, no value is above"


def png16(pixels, color):
    """A PNG of 16 bits per value: gray (0), RGB (2), gray with alpha (4) or RGBA (6)."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    rows = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels))
    header = struct.pack(">IIBBBBB", width, height, 16, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [9, 10, 12, 14, 15, 16])
@pytest.mark.parametrize("color", [0, 2])
def test_fewer_bits_in_16_are_noticed(tmp_path, bits, color):
    pixels = np.random.default_rng(0).integers(0, 1 << bits, (6, 8, 3 if color else 1))
    pixels[0, 0] = (1 << bits) - 1
    path = tmp_path / "deep.png"
    path.write_bytes(png16(pixels, color))
    if bits > 14:
        assert np.asarray(open_image(path)).max() == (1 << bits) - 1 >> 8
        return
    with pytest.warns(UserWarning, match=rf"deep\.png: {NEARLY_BLACK} .* 12 bits by 16") as caught:
        image = open_image(path)
    assert len(caught) == 1 and np.array_equal(
        np.asarray(image), (pixels >> 8).repeat(1 if color else 3, axis=2)
    )
    with Image.open(path) as opened, pytest.warns(UserWarning, match=NEARLY_BLACK):
        open_image(opened)


def test_black_is_black_and_the_rest_is_as_bright_as_it_says(tmp_path):
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "black.png")
    Image.fromarray(np.full((4, 4), 15, np.uint8)).save(tmp_path / "dark.png")
    (tmp_path / "scaled.pgm").write_bytes(b"P5 2 1 4095 " + struct.pack(">HH", 4095, 0))  # says what white is
    assert np.asarray(open_image(tmp_path / "black.png")).max() == 0
    assert np.asarray(open_image(tmp_path / "dark.png")).max() == 15
    assert np.asarray(open_image(tmp_path / "scaled.pgm"))[0, :, 0].tolist() == [255, 0]


def test_zeros_and_ones_are_noticed(tmp_path):
    mask = np.eye(5, dtype=np.uint8)
    with pytest.warns(UserWarning, match=f"image array: {NEARLY_BLACK} 1 of 255: the values are 0 and 1"):
        open_image(mask)
    Image.fromarray(mask).save(tmp_path / "mask.png")
    with pytest.warns(UserWarning, match=f"mask.png: {NEARLY_BLACK} 1 of 255"):
        open_image(tmp_path / "mask.png")
    for other in (255 * mask, 2 * mask, 0 * mask, mask * 0 + 1):
        open_image(other)
    open_image(Image.fromarray(mask.astype(bool)))  # in which 1 is white


@pytest.mark.parametrize(
    ("array", "hint"),
    [
        (np.zeros((3, 20, 30), np.uint8), r"is it \(C, H, W\)\? transpose\(1, 2, 0\) it"),
        (np.zeros((20, 30, 1), np.uint8), r"pass array\[:, :, 0\]"),
        (np.random.default_rng(0).random((20, 30, 3)), r"np\.rint\(255 \* array\)"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(array, hint):
    with pytest.raises(ImageError, match=f"image array: expected uint8 .*; found .*{hint}"):
        open_image(array)


@pytest.mark.skipif(not HAS_AVIF, reason="this version of Pillow does not read AVIF")
def test_avif(tmp_path):
    path = tmp_path / "photo.avif"
    smooth = Image.fromarray(np.linspace(0, 255, 64 * 48 * 3).reshape(48, 64, 3).astype(np.uint8))
    smooth.save(path, quality=95)
    assert np.abs(np.asarray(open_image(path)).astype(int) - np.asarray(smooth)).max() <= 12
    for way in (1, 3, 6, 8):
        smooth.save(path, quality=95, exif=oriented(way))
        assert open_image(path).size == ((64, 48) if way in (1, 3) else (48, 64))


def test_without_avif_the_rest_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "find_spec", lambda name: None)
    IMAGE.save(tmp_path / "photo.png")
    assert open_image(tmp_path / "photo.png").size == IMAGE.size
    (tmp_path / "photo.avif").write_bytes(b"\0\0\0\x20ftypavif" + bytes(30))
    with pytest.raises(ImageError, match="not an image, or not in one of the formats"):
        open_image(tmp_path / "photo.avif")


@pytest.mark.skipif(not features.check("jpg_2000"), reason="this version of Pillow does not read JPEG 2000")
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_jpeg_2000(tmp_path, mode):
    for suffix in (".jp2", ".j2k"):
        image = IMAGE.convert(mode)
        image.save(tmp_path / f"photo{suffix}")
        assert np.array_equal(
            np.asarray(open_image(tmp_path / f"photo{suffix}")), np.asarray(image.convert("RGB"))
        )


def swapped():
    """A color profile that swaps red and blue."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    red, blue = profile.find(b"rXYZ", 128), profile.find(b"bXYZ", 128)
    profile[red : red + 4], profile[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(profile)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_color_profile_is_applied_when_asked(tmp_path, mode):
    path = tmp_path / "photo.png"
    Image.new("RGB", (8, 8), (200, 40, 60)).convert(mode).save(path, icc_profile=swapped())
    with Image.open(path) as image:
        plain = image.convert("RGB")
        managed = ImageCms.profileToProfile(plain, io.BytesIO(swapped()), ImageCms.createProfile("sRGB"))
        assert np.array_equal(open_image(path), plain)
        for source in (path, image):
            found = np.asarray(open_image(source, to_srgb=True))
            assert np.array_equal(found, managed) and found[0, 0, 2] > 190 > 80 > found[0, 0, 0]
    IMAGE.save(path)
    assert np.array_equal(open_image(path, to_srgb=True), IMAGE)


def test_a_damaged_color_profile_is_one_line(tmp_path):
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(IMAGE, "PNG", icc_profile=b"no profile" * 20))
    assert np.array_equal(open_image(path), IMAGE)
    with pytest.raises(ImageError, match=r"photo\.png: its color profile cannot be applied: ") as caught:
        open_image(path, to_srgb=True)
    assert "\n" not in str(caught.value)
    Image.new("L", (4, 4)).save(path, icc_profile=swapped())  # a profile for colors
    with pytest.raises(ImageError, match=r"photo\.png: its color profile cannot be applied: "):
        open_image(path, to_srgb=True)
