"""Heat maps: scaled as Captum does, never NaN, and the bright spot where the large value is."""

import warnings

import numpy as np
import pytest
from PIL import Image

from npgrad.errors import ImageError, InputError, UnknownName
from npgrad.images import _smoothing, colormaps
from npgrad.images.colormaps import color, colormap
from npgrad.images.heat_maps import heat_map, limit_of, normalize, to_map
from npgrad.images.sheets import contact_sheet

SIGNS = ("absolute", "positive", "signed")


def luminance(colors):
    """Relative luminance (Rec. 709) of sRGB colors, which is what the eye orders grays by."""
    linear = (np.asarray(colors) / 255) ** 2.2
    return linear @ [0.2126, 0.7152, 0.0722]


def photo(height=60, width=80):
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def spot(height, width, y, x, value=1.0):
    values = np.zeros((height, width))
    values[y, x] = value
    return values


@pytest.mark.parametrize("outliers", [0, 2, 2.0, 10])
@pytest.mark.parametrize(
    ("sign", "captums"), [("absolute", "absolute_value"), ("positive", "positive"), ("signed", "all")]
)
def test_scaled_as_captum_does(rng, sign, captums, outliers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # matplotlib's, on import
        visualization = pytest.importorskip("captum.attr._utils.visualization")
    for values in (rng.normal(size=(20, 30)), rng.exponential(size=(7, 5)) * 1e-3, np.eye(9)):
        expected = visualization._normalize_attr(values, captums, outliers)
        assert np.allclose(normalize(values, sign, outliers), expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("sign", SIGNS)
def test_scale_is_full_and_does_not_depend_on_units(rng, sign):
    values = rng.normal(size=(40, 40))
    found = normalize(values, sign)
    assert found.max() == 1 and found.min() >= (-1 if sign == "signed" else 0)
    for factor in (1e-300, 1e300, 1e-320):
        assert np.isfinite(normalize(values * factor, sign)).all()
    assert np.allclose(normalize(values * 1e300, sign), found)
    assert np.allclose(normalize(values.astype(np.float32), sign), found, atol=1e-5)


@pytest.mark.parametrize("sign", SIGNS)
@pytest.mark.parametrize("value", [0.0, 0.1, -7.3, 1e308, 5e-324])
def test_a_constant_map_is_plain_with_one_warning(sign, value):
    values = np.full((13, 17), value)
    with pytest.warns(UserWarning, match="nothing to show") as caught:
        assert (normalize(values, sign) == 0).all()
    assert len(caught) == 1
    for image in (None, photo()):
        with pytest.warns(UserWarning, match="nothing to show") as caught:
            plain = np.asarray(heat_map(values, image, sign))
        assert len(caught) == 1
        if image is None:
            assert len(np.unique(plain.reshape(-1, 3), axis=0)) == 1
        else:
            assert (np.ptp(plain.astype(int), axis=2) == 0).all(), "the photo in gray, no color on it"


@pytest.mark.parametrize("sign", SIGNS)
def test_smoothing_and_resizing_find_no_differences_in_a_constant(rng, sign):
    for _ in range(20):
        shape = tuple(int(side) for side in rng.integers(1, 60, 2))
        value = float(rng.choice([-1, 1]) * 10 ** rng.uniform(-8, 8))
        noise = 1 + 1e-7 * rng.uniform(-1, 1, shape) * rng.integers(0, 2)  # the rounding of float32
        size, smooth = rng.integers(1, 90, 2), float(rng.uniform(0, 0.5))
        image = np.full((*size, 3), 100, np.uint8) if rng.random() < 0.7 else None
        with pytest.warns(UserWarning, match="nothing to show") as caught:
            found = np.asarray(heat_map(value * noise, image, sign, smooth=smooth))
        assert len(caught) == 1
        with pytest.warns(UserWarning, match="nothing to show"):
            zeros = np.asarray(heat_map(np.zeros(shape), image, sign, smooth=smooth))
        assert np.array_equal(found, zeros), (shape, value, size, smooth)


def test_channels_last_are_asked_about(rng):
    for shape in [(60, 90, 3), (28, 28, 1), (16, 60, 4), (224, 224, 3)]:
        for function in (to_map, normalize, heat_map):
            with pytest.raises(
                InputError, match=r"found shape .*; is it \(H, W, C\)\? transpose\(2, 0, 1\) it"
            ):
                function(rng.normal(size=shape))
    for shape in [
        (3, 60, 90),
        (1, 28, 28),
        (512, 13, 13),
        (64, 3, 3),
        (512, 7, 4),
        (4, 4, 3),
        (3, 60, 3),
        (16, 5, 4),
    ]:
        heat_map(rng.normal(size=shape))


def test_a_map_of_one_sign_only_has_nothing_positive():
    with pytest.warns(UserWarning, match="nothing to show"):
        assert (normalize(-np.eye(5), "positive") == 0).all()


def test_to_map_adds_channels():
    attribution = np.array([[[1.0, -2.0]], [[-3.0, 0.5]], [[1.0, 1.0]]])
    assert to_map(attribution, "absolute").tolist() == [[5.0, 3.5]]
    for sign in ("signed", "positive"):
        assert to_map(attribution, sign).tolist() == [[-1.0, -0.5]]
    assert to_map(attribution[0], "signed").tolist() == [[1.0, -2.0]]
    assert to_map(np.ones((3, 2, 2), np.float16)).dtype == np.float64


@pytest.mark.parametrize(
    ("attribution", "named"),
    [
        (np.zeros((1, 3, 4, 4)), r"shape \(1, 3, 4, 4\); for one image .* attribution\[0\]"),
        (np.zeros(4), "shape"), (np.zeros((0, 4)), "shape"), (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), object), "object"), (np.zeros((2, 2), bool), "bool"),
        (np.array([[np.nan, 1]]), "1 of 2 are NaN or infinite"), (np.full((3, 1, 2), np.inf), "2 of 2"),
        (np.full((3, 1, 1), 1e308), "1 of 1 are NaN or infinite"),
    ],
)  # fmt: skip
def test_what_is_no_attribution(attribution, named):
    for function in (to_map, normalize, heat_map):
        with pytest.raises(InputError, match=f"attribution: expected .*{named}"):
            function(attribution)


def test_arguments_are_checked():
    for keywords, named in [
        ({"sign": "all"}, "sign: expected one of absolute, positive, signed; found 'all'"),
        ({"outliers": 100}, "outliers"), ({"outliers": -1}, "outliers"),
        ({"outliers": float("nan")}, "outliers"),
        ({"smooth": -0.1}, "smooth"), ({"smooth": 2}, "smooth"), ({"alpha": 1.5}, "alpha"),
    ]:  # fmt: skip
        with pytest.raises(InputError, match=named):
            heat_map(np.eye(4), **keywords)
    with pytest.raises(ImageError, match="image array"):
        heat_map(np.eye(4), np.zeros((4, 4, 3)))


def test_sequential_colors_grow_brighter():
    for sign in ("absolute", "positive"):
        colors = color(np.linspace(0, 1, 200)[None], sign)
        assert colors.shape == (1, 200, 3) and colors.dtype == np.uint8
        light = luminance(colors)[0]
        assert (np.diff(light) > -1e-3).all() and light[0] < 0.01 and light[-1] > 0.8
    assert color(np.array([[0.0, 1.0]]))[0].tolist() == (255 * colormap("inferno", 2)).tolist()


def test_diverging_colors_are_blue_gray_and_red():
    negative, zero, positive = color(np.array([[-1.0, 0.0, 1.0]]), "signed")[0].astype(int)
    assert negative[2] > negative[0] + 100 and positive[0] > positive[2] + 100
    assert np.ptp(zero) == 0 and zero[0] > 200
    light = luminance(color(np.linspace(-1, 1, 201)[None], "signed"))[0]
    assert light.argmax() == 100
    assert abs(light[0] - light[-1]) < 0.05, "equally strong at both ends"


@pytest.mark.parametrize("smooth", [0, 0.015])
@pytest.mark.parametrize("gray", [None, 0, 255])
def test_the_large_value_is_the_brightest(smooth, gray):
    under = None if gray is None else np.full((60, 80, 3), gray, np.uint8)
    found = np.asarray(heat_map(spot(60, 80, 12, 51), under, smooth=smooth))
    assert found.shape == (60, 80, 3)
    light = luminance(found)
    y, x = np.unravel_index(light.argmax(), light.shape)
    assert max(abs(y - 12), abs(x - 51)) <= 1
    assert light[12, 51] > light[40, 10] + 0.25


def test_signs_show_as_colors_over_the_photo():
    values = spot(60, 80, 12, 51) - spot(60, 80, 40, 10)
    found = np.asarray(heat_map(values, photo(), sign="signed")).astype(int)
    assert found[12, 51, 0] > found[12, 51, 2] + 60, "red where it is positive"
    assert found[40, 10, 2] > found[40, 10, 0] + 60, "blue where it is negative"
    assert np.ptp(found[55, 75]) == 0, "gray where it is zero"
    dark = luminance(heat_map(values, np.zeros((60, 80, 3), np.uint8), sign="signed"))
    assert dark[55, 75] > 1.3 * dark[40, 10], "a dark photo is made paler than the colors on it"


def test_the_photo_stays_recognizable():
    """Away from the bright spot, what is seen follows the photo's own light and dark."""
    image = photo()
    for sign in SIGNS:
        found = np.asarray(heat_map(spot(60, 80, 5, 5), image, sign=sign)).mean(axis=2)[20:]
        gray = np.asarray(Image.fromarray(image).convert("L"), float)[20:]
        assert np.corrcoef(found.ravel(), gray.ravel())[0, 1] > 0.99
    hidden = heat_map(np.eye(60), image[:, :60], smooth=0, alpha=1)
    assert np.asarray(hidden)[30, 30].tolist() == [252, 255, 164]


def machado(kind):
    """What a person without one kind of cone sees: linear RGB to linear RGB (Machado et al. 2009, severity 1)."""
    rows = {
        "protanopia": (
            0.152286,
            1.052583,
            -0.204868,
            0.114503,
            0.786281,
            0.099216,
            -0.003882,
            -0.048116,
            1.051998,
        ),
        "deuteranopia": (
            0.367322,
            0.860646,
            -0.227968,
            0.280085,
            0.672501,
            0.047413,
            -0.01182,
            0.04294,
            0.968881,
        ),
        "tritanopia": (
            1.255528,
            -0.076749,
            -0.178779,
            -0.078411,
            0.930809,
            0.147602,
            0.004733,
            0.691367,
            0.3039,
        ),
    }
    return np.reshape(rows[kind], (3, 3))


def lab(colors, kind=None):
    """CIE L*a*b* of sRGB colors from 0 to 1."""
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    linear = linear if kind is None else np.clip(linear @ machado(kind).T, 0, 1)
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    x, y, z = np.cbrt(np.maximum(xyz / [0.9505, 1, 1.089], 1e-9)).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


KINDS = (None, "protanopia", "deuteranopia", "tritanopia")


@pytest.mark.parametrize("kind", KINDS)
def test_safe_colormaps_are_told_apart_by_all(kind):
    for name in colormaps.SAFE:
        colors = lab(colormap(name, 101), kind)
        light = colors[:, 0]
        if name in colormaps.SEQUENTIAL:
            assert (np.diff(light) > -0.15).all() and light[-1] - light[0] > 50, name
        else:  # opposite values differ, and the strong ones are darker than zero
            assert light.argmax() in range(45, 56), name
            apart = np.linalg.norm(colors - colors[::-1], axis=1)
            assert apart[:20].min() > 25 and apart[:35].min() > 12, (name, apart[:35].min())


def test_the_check_of_safety_can_fail():
    """The lightness of jet goes up and down for everyone."""
    light = lab(colormap("jet", 101))[:, 0]
    assert np.diff(light).min() < -1 and "jet" not in colormaps.SAFE


def test_colormaps_are_matplotlibs():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matplotlib = pytest.importorskip("matplotlib")
    for name in set(colormaps.NAMES) - {"blue_red"}:
        for suffix in ("", "_r"):
            expected = matplotlib.colormaps[name + suffix](np.linspace(0, 1, 256))[:, :3]
            assert np.abs(colormap(name + suffix) - expected).max() < (0.05 if name == "jet" else 0.025), name


def test_a_colormap_suits_its_sign():
    values = np.linspace(-1, 1, 9)[None]
    assert (color(values, "signed", "RdBu_r") == color(-values, "signed", "RdBu")[:, :]).all()
    assert (color(values[:, 4:], "positive", "viridis")[0, -1] == [253, 231, 37]).all()
    for sign, name in [("signed", "viridis"), ("absolute", "RdBu")]:
        with pytest.raises(
            InputError, match=f"colormap: expected one of .* for the sign '{sign}'; found '{name}'"
        ):
            heat_map(values, sign=sign, colormap=name)
    with pytest.raises(UnknownName, match="no colormap 'virdis'; nearest: viridis"):
        colormap("virdis")


@pytest.mark.parametrize("sign", SIGNS)
def test_a_limit_is_the_value_of_the_strongest_color(rng, sign):
    values = rng.normal(size=(20, 30))
    limit = limit_of(values, sign)
    np.testing.assert_allclose(normalize(values, sign, limit=limit), normalize(values, sign), rtol=1e-12)
    twice = normalize(values, sign, limit=2 * limit)
    inside = np.abs(normalize(values, sign)) < 1
    np.testing.assert_allclose(2 * twice[inside], normalize(values, sign)[inside], rtol=1e-12)
    assert limit_of(1e3 * values, sign) == pytest.approx(1e3 * limit)
    same = np.asarray(heat_map(values, sign=sign, smooth=0, limit=limit))
    assert np.abs(same.astype(int) - np.asarray(heat_map(values, sign=sign, smooth=0))).max() <= 1
    for wrong in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match="limit: expected a positive number; found"):
            normalize(values, sign, limit=wrong)
    assert limit_of(np.zeros((3, 3)), sign) == 0


def test_a_small_map_is_stretched_over_the_photo():
    found = luminance(heat_map(spot(13, 13, 2, 10), photo(130, 260), smooth=0))
    y, x = np.unravel_index(found.argmax(), found.shape)
    assert abs(y - 25) <= 5 and abs(x - 210) <= 10  # the middle of cell (2, 10), cells of 10 x 20 pixels
    assert heat_map(np.eye(200), photo()).size == (80, 60)
    assert heat_map(np.eye(13)).size == (13, 13)


def test_smoothing_is_for_the_eye_only(rng):
    """Speckle turns into one form, and the attribution itself is left as it was."""
    speckle = rng.normal(size=(3, 100, 100)) * (1 + 9 * (np.hypot(*np.mgrid[-50:50, -50:50]) < 15))
    before = speckle.copy()
    speckle.flags.writeable = False
    rough, smoothed = (luminance(heat_map(speckle, smooth=s)) for s in (0, 0.015))
    assert np.abs(np.diff(smoothed)).mean() < 0.5 * np.abs(np.diff(rough)).mean()
    assert smoothed[45:55, 45:55].mean() > 5 * smoothed[:20, :20].mean()
    assert np.array_equal(speckle, before)


def test_contact_sheet_places_every_tile_and_caption():
    colors = ["red", "lime", "blue", "yellow", "cyan"]
    tiles = [Image.new("RGB", (200, 100), name) for name in colors]
    for columns, rows in [(None, 2), (1, 5), (2, 3), (9, 1)]:
        sheet = np.asarray(contact_sheet(tiles, colors, columns))
        assert (sheet[0] == 255).all() and (sheet[:, -1] == 255).all(), "white margins"
        tops = []
        for tile in tiles:
            ys, xs = np.nonzero((sheet == tile.getpixel((0, 0))).all(axis=2))
            assert len(ys) == 200 * 100 and np.ptp(ys) == 99 and np.ptp(xs) == 199
            below = sheet[ys.max() + 1 : ys.max() + 22, xs.min() : xs.max()]
            assert (below < 100).all(axis=2).any(), "a caption in black right below"
            tops.append(int(ys.min()))
        assert len(set(tops)) == rows and tops == sorted(tops)


def test_captions_fit_and_differ():
    tile = np.full((60, 60, 3), 128, np.uint8)
    long = "integrated gradients, 50 steps, baseline 0 and_a_word_that_is_much_too_long_for_any_line_here"
    sheet = np.asarray(contact_sheet([tile, tile], [long, ""], columns=2))
    dark = (sheet < 100).all(axis=2)
    assert dark.any()
    assert not dark[:, sheet.shape[1] // 2 :].any(), "no caption runs into its neighbor's place"
    assert not dark[-4:].any() and not dark[:, :4].any(), "nor out of the sheet"
    for label in ("\udcff", "two\nlines", "\x00", 3):
        contact_sheet([tile], [label])


def test_contact_sheet_refuses():
    tile, other = np.zeros((4, 5, 3), np.uint8), np.zeros((5, 4, 3), np.uint8)
    with pytest.raises(InputError, match="found 1 images and 2 labels"):
        contact_sheet([tile], ["a", "b"])
    with pytest.raises(InputError, match="found 0 images"):
        contact_sheet([], [])
    with pytest.raises(ImageError, match=r"the first is \(5, 4\), number 2 is \(4, 5\)"):
        contact_sheet([tile, other], ["a", "b"])
    for columns in (0, -1, 1.5):
        with pytest.raises(InputError, match="columns: expected an integer of at least 1"):
            contact_sheet([tile], ["a"], columns)


@pytest.mark.parametrize(
    ("shape", "smooth"), [((40, 61), 0.02), ((9, 30), 0.5), ((1, 7), 0.3), ((5, 5), 0.01)]
)
def test_smoothing_is_scipys(shape, smooth):
    from scipy.ndimage import gaussian_filter

    values = np.random.default_rng(0).normal(size=shape)
    expected = gaussian_filter(values, smooth * min(shape))
    np.testing.assert_allclose(_smoothing.smoothed(values, smooth), expected, atol=1e-14)
