"""Attributions as images for people: one number a pixel, scaled, colored, laid over the photo.

A method's raw array is what to compute with; what is done here (smoothing, scaling, clipping) is for the
eye only.
"""

import warnings

import numpy as np

from npgrad.errors import InputError
from npgrad.images.reading import open_image

# Colors from the lowest value to the highest, evenly spaced; between them they are interpolated.
COLOR_MAPS = {
    # Dark to bright, with lightness rising evenly: black, violet, red, orange, yellow.
    "glow": ((0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21),
             (250, 193, 39), (252, 255, 164)),
    # Blue is negative, light gray is zero, red is positive; equally dark at both ends.
    "blue_red": ((33, 72, 172), (92, 138, 214), (163, 192, 232), (228, 228, 228), (236, 170, 148),
                 (214, 96, 77), (165, 20, 38)),
}  # fmt: skip
_MAP_OF_SIGN = {"absolute": "glow", "positive": "glow", "signed": "blue_red"}


def to_map(attribution, sign="absolute"):
    """An attribution (C, H, W) or (H, W) as one number a pixel: (H, W) float64.

    Channels are added up, for the sign "absolute" their absolute values.
    """
    attribution = np.asarray(attribution)
    _check_sign(sign)
    if attribution.dtype.kind not in "fiu" or attribution.ndim not in (2, 3) or attribution.size == 0:
        found = f"{attribution.dtype} of shape {attribution.shape}"
        hint = "; for one image of a batch pass attribution[0]" if attribution.ndim == 4 else ""
        raise InputError(f"attribution: expected real numbers (C, H, W) or (H, W); found {found}{hint}")
    values = attribution.astype(np.float64)
    if sign == "absolute":
        values = np.abs(values)
    if values.ndim == 3:
        with np.errstate(over="ignore", invalid="ignore"):  # seen below
            values = values.sum(axis=0)
    bad = np.sum(~np.isfinite(values))
    if bad:
        raise InputError(f"attribution: expected finite values; {bad} of {values.size} are NaN or infinite")
    return values


def normalize(map2d, sign="absolute", outliers=2.0):
    """Scale a map (H, W) to 0..1, or for the sign "signed" to -1..1, as Captum's visualize_image_attr does.

    sign       "absolute" shows sizes, "positive" what is above zero, "signed" both directions
    outliers   in percent: the values that become 1 are the largest ones, which make up this share of the
               sum of all; one glaring pixel then does not leave the rest dark

    A constant map has nothing to show: zeros, with one warning. The result is float64 and never NaN.
    """
    values = to_map(map2d, sign)
    if not 0 <= outliers < 100:
        raise InputError(f"outliers: expected a percentage, 0 <= outliers < 100; found {outliers}")
    if sign == "positive":
        values = np.maximum(values, 0)
    values = _at_most_one(values)
    if values.min() == values.max():
        warnings.warn("nothing to show: the map is the same everywhere", stacklevel=2)
        return np.zeros_like(values)
    sizes = np.sort(np.abs(values), axis=None)
    cumulative = np.cumsum(sizes)
    threshold = sizes[np.argmax(cumulative >= cumulative[-1] * (100 - outliers) / 100)]
    return np.clip(values / threshold, -1, 1)


def _at_most_one(values):
    """The values divided by the largest of their sizes, so that nothing computed with them overflows."""
    return values / (np.abs(values).max() or 1)


def color(values, sign="absolute"):
    """Colors uint8 (H, W, 3) for values (H, W): 0..1 dark to bright, "signed" -1..1 blue, gray, red."""
    _check_sign(sign)
    anchors = np.array(COLOR_MAPS[_MAP_OF_SIGN[sign]], np.float64)
    low = -1 if sign == "signed" else 0
    places = np.linspace(low, 1, len(anchors))
    channels = [np.interp(values, places, channel) for channel in anchors.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def heat_map(attribution, image=None, sign="absolute", outliers=2.0, smooth=0.015, alpha=0.9):
    """A PIL image of an attribution, alone or over its photo.

    attribution   (C, H, W) or (H, W), of any size; it is resized to the photo's (bilinear)
    image         anything open_image takes, usually uint8 (H, W, 3); None for the map alone
    sign          "absolute", "positive" or "signed", see normalize
    outliers      percent, see normalize
    smooth        standard deviation of a Gaussian blur, as a share of the shorter side; 0 for none.
                  A raw gradient is speckle: neighboring pixels differ in sign and size, and the eye finds
                  no form in it. The blur is for display and touches no saved number.
    alpha         how much of the photo the highest values hide, 0..1

    Over a photo, the photo is made gray and dark (pale for "signed"), and a color covers it the more the
    higher the value is: what matters glows, and the rest stays recognizable.
    """
    if not 0 <= smooth <= 0.5:
        raise InputError(f"smooth: expected a share of the shorter side, 0 to 0.5; found {smooth}")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: expected 0 to 1; found {alpha}")
    from PIL import Image

    values = _at_most_one(to_map(attribution, sign))
    photo = None if image is None else open_image(image)
    if photo is not None:
        values = _resized(values, photo.size)
    values = normalize(_smoothed(values, smooth), sign, outliers)
    colors = color(values, sign)
    if photo is None:
        return Image.fromarray(colors)
    under = 0.6 * np.asarray(photo.convert("L"), np.float64)[:, :, None]
    if sign == "signed":
        under += 0.4 * 255  # blue and red are dark, and show on a pale photo
    cover = alpha * np.abs(values)[:, :, None]
    return Image.fromarray(np.rint(under * (1 - cover) + colors * cover).astype(np.uint8))


def _resized(values, size):
    from PIL import Image

    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR), np.float64)


def _smoothed(values, smooth):
    sigma = smooth * min(values.shape)
    if sigma == 0:
        return values
    down, across = (_blurring(side, sigma) for side in values.shape)
    return down @ values @ across.T


def _blurring(side, sigma):
    """The matrix (side, side) that blurs a row of pixels by a Gaussian; beyond its ends the row is mirrored.

    As scipy.ndimage.gaussian_filter1d does; but that takes longer to import than a saliency map takes to make.
    """
    away = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    weight = np.exp(-((away / sigma) ** 2) / 2)
    from_pixel = (np.arange(side)[:, None] + away) % (2 * side)
    from_pixel = np.minimum(from_pixel, 2 * side - 1 - from_pixel)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], from_pixel), weight / weight.sum())
    return matrix


def _check_sign(sign):
    if sign not in _MAP_OF_SIGN:
        raise InputError(f"sign: expected one of {', '.join(_MAP_OF_SIGN)}; found {sign!r}")
