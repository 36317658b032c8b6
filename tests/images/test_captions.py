"""Captions and overlays: nothing is written over the image, and the map is where the network saw it."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from npgrad.errors import ImageError
from npgrad.images import Preprocessing, save_image
from npgrad.images.captions import NARROW, TEXT, Legend, captioned, duration, under
from npgrad.images.overlays import LONGEST, overlay, shown_values
from npgrad.images.sheets import sheet_of_rows

LINES = ("grad_cam: tiger cat (282), probability 48.12%", "frame: the part that the network sees")
SIGNS = ("absolute", "positive", "signed")


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("width", [28, 224, 300, 640, 1280])
@pytest.mark.parametrize("sign", SIGNS)
def test_a_caption_is_below_the_image_inside_the_canvas_and_large_enough(written, width, sign):
    image = noise(max(10, width // 2), width)
    canvas = captioned(image, [*LINES, "a" * 200], Legend(sign, 0.0123))
    assert canvas.width == max(NARROW, width)
    left = (canvas.width - width) // 2
    assert (np.asarray(canvas)[: len(image), left : left + width] == image).all(), "nothing covers the image"
    for line, (x0, y0, x1, y1) in written:
        assert y0 >= len(image) and x0 >= 0 and x1 <= canvas.width and y1 <= canvas.height, line
    assert " ".join(line for line, _ in written[:2]).startswith(LINES[0][:20])
    tall = min(y1 - y0 for line, (_, y0, _, y1) in written if line.startswith("grad_cam"))
    assert tall * NARROW / canvas.width >= 0.75 * TEXT  # shown at 300 px, letters and their tails
    below = np.asarray(canvas.convert("L"), float)[len(image) :]
    assert below.max() == 255 and below.min() < 60  # dark on white: a contrast of more than 7:1


def test_the_check_of_covering_can_fail(written):
    canvas = captioned(noise(40, 300), ["x"])
    ImageDraw.Draw(canvas).text((0, 10), "over it", font=ImageFont.load_default(12))
    assert written[-1][1][1] < 40


@pytest.mark.parametrize(
    ("legend", "ends"),
    [
        (Legend("absolute", 0.0123), ("0", "0.012 absolute")),
        (Legend("positive", 3.0), ("0", "3 positive")),
        (Legend("signed", 0.5), ("negative -0.5", "0.5 positive")),
        (Legend("signed", None), ("negative", "largest positive")),
        (Legend("absolute", None), ("0", "largest absolute")),
    ],
)
def test_a_legend_says_what_its_ends_are(legend, ends):
    assert legend.ends == ends
    colors = legend.colors(101).astype(int)
    if legend.sign == "signed":
        assert colors[0, 2] > colors[0, 0] + 60 and colors[-1, 0] > colors[-1, 2] + 60
        assert np.ptp(colors[50]) <= 1
    else:
        assert np.ptp(colors[0]) == 0 and colors[-1, 0] > 200


@pytest.mark.parametrize("sign", SIGNS)
def test_the_legend_has_the_colors_of_the_map(sign):
    """A ramp over a gray photo is the legend's bar."""
    ramp = np.linspace(-1 if sign == "signed" else 0, 1, 300)[None].repeat(300, axis=0)
    shown = shown_values(ramp, (300, 300), sign, outliers=0)
    gray = Image.new("RGB", (300, 300), (128, 128, 128))
    canvas = np.asarray(overlay(shown, gray, None, sign, limit=1.0).image)[150].astype(int)
    bar = Legend(sign, 1.0).colors(300).astype(int)
    assert np.abs(canvas - bar)[20:-20].max() <= 6


@pytest.mark.parametrize(
    "size", [(400, 266), (266, 400), (335, 500), (227, 227), (40, 50), (1887, 1059), (31, 400)]
)
@pytest.mark.parametrize(
    "how", [{"resize": 256, "crop": 227}, {"resize": None, "crop": (120, 200)}, {"pad": True}]
)
def test_the_map_is_where_the_network_sees(size, how):
    """A spot in one pixel of the network's input is where that pixel is in the photo."""
    seen = Preprocessing(**{"resize": 64, "crop": 64, **how})
    photo = np.zeros((size[1], size[0], 3), np.uint8)
    rows, columns = seen.size
    for row, column in ((rows // 4, columns // 4), (rows // 2, 3 * columns // 4)):
        values = np.zeros((rows, columns))
        values[row, column] = 1
        drawn = overlay(shown_values(values, seen.size, "absolute"), Image.fromarray(photo), seen, "absolute")
        bright = np.asarray(drawn.image.convert("L"), float)
        x0, y0, x1, y1 = drawn.box
        inside = bright[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8] if drawn.framed else bright
        y, x = np.unravel_index(inside.argmax(), inside.shape)
        y, x = (y + y0 + 8, x + x0 + 8) if drawn.framed else (y, x)
        (width, height), (left, top) = seen.layout(size)
        expected = (
            (column + 0.5 + left) / width * drawn.image.width,
            (row + 0.5 + top) / height * drawn.image.height,
        )
        if not (0 <= expected[0] < drawn.image.width and 0 <= expected[1] < drawn.image.height):
            continue  # in the padding
        within = 1.5 * max(drawn.image.width / width, drawn.image.height / height) + 2
        assert abs(x + 0.5 - expected[0]) <= within and abs(y + 0.5 - expected[1]) <= within


def test_the_photo_is_whole_and_at_its_own_resolution():
    seen = Preprocessing(resize=64, crop=64)
    values = shown_values(np.eye(64), (64, 64), "absolute")
    for size, expected in [((400, 266), (400, 266)), ((2560, 1280), (LONGEST, 640)), ((40, 20), (320, 160))]:
        photo = Image.fromarray(noise(size[1], size[0]))
        drawn = overlay(values, photo, seen, "absolute")
        assert drawn.image.size == expected and drawn.framed
        x0, y0, x1, y1 = drawn.box
        assert (y0, y1) == (0, expected[1]) and x1 - x0 == pytest.approx(expected[1], abs=1)
        if size == expected:  # outside of the frame: the photo, pixel for pixel
            gray = np.asarray(photo.convert("L"), float)
            assert (
                np.abs(np.asarray(drawn.image)[:, : x0 - 1, 0] - under(gray, "absolute")[:, : x0 - 1]).max()
                <= 0.5
            )
    whole = overlay(values, Image.fromarray(noise(64, 64)), seen, "absolute")
    assert not whole.framed and whole.image.size == (320, 320)
    alone = overlay(values, Image.fromarray(noise(266, 400)), seen, "absolute", alone=True)
    assert alone.image.size == (266, 266)


def test_why_a_map_is_blank():
    for array, sign, why in [
        (np.zeros((5, 5)), "absolute", "zero"), (-np.eye(5), "positive", "negative"),
        (np.full((5, 5), 2.0), "signed", "constant"), (np.eye(5), "positive", ""),
        (np.zeros((3, 5, 5)), "signed", "zero"),
    ]:  # fmt: skip
        shown = shown_values(array, (20, 20), sign)
        assert shown.blank == why and (shown.limit > 0) is (why == "")
        photo = Image.fromarray(noise(20, 20))
        drawn = np.asarray(overlay(shown, photo, None, sign).image).astype(int)
        assert bool(np.ptp(drawn, axis=2).max()) is (why == ""), "no color where nothing is shown"


def test_equal_values_have_equal_colors():
    photo = Image.new("RGB", (300, 300), (90, 90, 90))
    weak, strong = np.zeros((300, 300)), np.zeros((300, 300))
    weak[100:200, 100:200], strong[100:200, 100:200], strong[:50, :50] = 1, 1, 4
    canvases = [
        np.asarray(overlay(shown_values(v, (300, 300), "positive"), photo, None, "positive", limit=4.0).image)
        for v in (weak, strong)
    ]
    assert (canvases[0][150, 150] == canvases[1][150, 150]).all()
    own = np.asarray(overlay(shown_values(weak, (300, 300), "positive"), photo, None, "positive").image)
    assert (own[150, 150] != canvases[0][150, 150]).any()


def test_a_sheet_has_a_row_for_each_family(written):
    tile = noise(60, 60)
    rows = [("first", [(tile, f"m{i}, 0.1 s") for i in range(10)]), ("second", [(tile, "m10")])]
    sheet = sheet_of_rows(tile, ["tabby"], [Legend("signed", None)], rows)
    tops = {line.split(",")[0]: box[1] for line, box in written}
    assert (
        tops["tabby"] < tops["negative"] < tops["first"] < tops["m0"] == tops["m4"] < tops["m5"] == tops["m9"]
    )
    assert tops["m9"] < tops["second"] < tops["m10"] < sheet.height
    assert [line for line, _ in written].count("largest positive") == 1
    pixels = np.asarray(sheet)
    found = sum((pixels[y : y + 60, x : x + 60] == tile).all() for y in range(sheet.height - 59)
                for x in np.flatnonzero((pixels[y, :-59] == tile[0, 0]).all(axis=1)))  # fmt: skip
    assert found == 12


def test_text_chunks(tmp_path):
    save_image(noise(5, 5), tmp_path / "a.png", {"npgrad:target": "Löwe 猫", "Software": "npgrad"})
    with Image.open(tmp_path / "a.png") as image:
        assert image.text == {"npgrad:target": "Löwe 猫", "Software": "npgrad"}
    save_image(noise(5, 5), tmp_path / "a.jpg", {"Software": "npgrad"})
    for suffix in ("svg", "pdf", "eps"):
        with pytest.raises(
            ImageError, match=rf"a.{suffix}: expected an image's suffix \(.png, .jpg, .*; found"
        ):
            save_image(noise(5, 5), tmp_path / f"a.{suffix}")


def test_durations_as_people_write_them():
    assert [duration(s) for s in (0, 0.99, 9.96, 59.4, 60, 3599, 3600)] == [
        "under 0.01 s", "1.0 s", "10 s", "59 s", "1 min", "59 min 59 s", "1 h",
    ]  # fmt: skip
