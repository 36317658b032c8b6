"""Attributions as images for people: reduced to one value per pixel, scaled, colored, and blended with the photo.

Smoothing, scaling and clipping are for display only: compute with the raw array that a method returns.
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from npgrad._typing import Array, ImageLike
from npgrad._validate import one_of
from npgrad.errors import InputError, level_outside
from npgrad.images.reading import open_image

if TYPE_CHECKING:
    from PIL import Image

# Colors from the lowest value to the highest, evenly spaced, with linear interpolation between them.
COLOR_MAPS = {
    # Dark to bright, with lightness rising evenly: black, violet, red, orange, yellow.
    "glow": ((0, 0, 4), (40, 11, 84), (101, 21, 110), (159, 42, 99), (212, 72, 66), (245, 125, 21),
             (250, 193, 39), (252, 255, 164)),
    # Blue is negative, light gray is zero, red is positive; equally dark at both ends.
    "blue_red": ((33, 72, 172), (92, 138, 214), (163, 192, 232), (228, 228, 228), (236, 170, 148),
                 (214, 96, 77), (165, 20, 38)),
}  # fmt: skip
_MAP_OF_SIGN = {"absolute": "glow", "positive": "glow", "signed": "blue_red"}


def to_map(attribution: Array, sign: str = "absolute") -> Array:
    """Reduce an attribution to one value per pixel: the sum over channels.

    Parameters
    ----------
    attribution : ndarray (C, H, W) or (H, W)
        The attribution of one image.
    sign : {"absolute", "positive", "signed"}, default "absolute"
        "absolute" sums absolute values over the channels, the others signed values.

    Returns
    -------
    ndarray (H, W), float64

    Raises
    ------
    InputError
        If the attribution is not a finite array of real numbers with such a shape, or `sign` is unknown.

    Examples
    --------
    >>> to_map(np.array([[[1.0]], [[-3.0]]])), to_map(np.array([[[1.0]], [[-3.0]]]), "signed")
    (array([[4.]]), array([[-2.]]))
    """
    attribution = np.asarray(attribution)
    one_of(sign, "sign", _MAP_OF_SIGN)
    if attribution.dtype.kind not in "fiu" or attribution.ndim not in (2, 3) or attribution.size == 0:
        found = f"{attribution.dtype} of shape {attribution.shape}"
        hint = "; for one image of a batch pass attribution[0]" if attribution.ndim == 4 else ""
        raise InputError(f"attribution: expected real numbers (C, H, W) or (H, W); found {found}{hint}")
    if _channels_are_last(attribution.shape):
        raise InputError(
            f"attribution: expected (C, H, W) or (H, W), found shape {attribution.shape}; is it (H, W, C)? "
            "transpose(2, 0, 1) it, or sum its channels"
        )
    values = attribution.astype(np.float64)
    if sign == "absolute":
        values = np.abs(values)
    if values.ndim == 3:
        with np.errstate(over="ignore", invalid="ignore"):  # refused below
            values = values.sum(axis=0)
    bad = np.sum(~np.isfinite(values))
    if bad:
        raise InputError(f"attribution: expected finite values; {bad} of {values.size} are NaN or infinite")
    return values


def normalize(map2d: Array, sign: str = "absolute", outliers: float = 2.0) -> Array:
    """Scale a map to 0..1, or for the sign "signed" to -1..1, as Captum's visualize_image_attr does.

    Values are divided by a threshold and clipped. Absolute values up to the threshold make up 100 - `outliers` percent
    of the sum of all absolute values, so a single extreme pixel does not leave the rest dark.

    Parameters
    ----------
    map2d : ndarray (H, W) or (C, H, W)
        The map; channels are reduced by `to_map`.
    sign : {"absolute", "positive", "signed"}, default "absolute"
        "absolute" shows magnitudes, "positive" only values above zero, "signed" both signs.
    outliers : float, default 2.0
        The percentage of the sum of absolute values that is clipped, 0 <= outliers < 100.

    Returns
    -------
    ndarray (H, W), float64
        Without NaN. A constant map has nothing to show and becomes zeros, with a warning.

    Raises
    ------
    InputError
        If the map is not a finite array of real numbers, or an option is invalid.

    Examples
    --------
    >>> normalize(np.array([[0.0, 1.0, 2.0]]), outliers=0)
    array([[0. , 0.5, 1. ]])
    """
    values = to_map(map2d, sign)
    if not 0 <= outliers < 100:
        raise InputError(f"outliers: expected a percentage, 0 <= outliers < 100; found {outliers}")
    if sign == "positive":
        values = np.maximum(values, 0)
    values = _at_most_one(values)
    if _is_constant(values):
        warnings.warn("nothing to show: the map is the same everywhere", stacklevel=level_outside())
        return np.zeros_like(values)
    sizes = np.sort(np.abs(values), axis=None)
    cumulative = np.cumsum(sizes)
    threshold = sizes[np.argmax(cumulative >= cumulative[-1] * (100 - outliers) / 100)]
    return np.clip(values / threshold, -1, 1)


def _channels_are_last(shape):
    """Whether a shape (C, H, W) is in fact that of an image, (H, W, C), and not that of a narrow map."""
    return (
        len(shape) == 3
        and shape[2] in (1, 3, 4)
        and min(shape[:2]) >= 8
        and max(shape[:2]) <= 4 * min(shape[:2])
    )


def _is_constant(values):
    """Whether values of at most 1 are the same up to the rounding of float32."""
    return np.ptp(values) <= 1e-6


def _at_most_one(values):
    """The values divided by their largest magnitude, so that nothing computed from them overflows."""
    return values / (np.abs(values).max() or 1)


def color(values: Array, sign: str = "absolute") -> Array:
    """Map normalized values to colors.

    Parameters
    ----------
    values : ndarray (H, W)
        Values from 0 to 1, or from -1 to 1 for "signed", as `normalize` returns them.
    sign : {"absolute", "positive", "signed"}, default "absolute"
        "absolute" and "positive" go from dark to bright, "signed" from blue through gray to red.

    Returns
    -------
    ndarray (H, W, 3), uint8

    Raises
    ------
    InputError
        If `sign` is unknown.

    Examples
    --------
    >>> color(np.array([[0.0, 1.0]])).tolist()
    [[[0, 0, 4], [252, 255, 164]]]
    """
    one_of(sign, "sign", _MAP_OF_SIGN)
    anchors = np.array(COLOR_MAPS[_MAP_OF_SIGN[sign]], np.float64)
    low = -1 if sign == "signed" else 0
    positions = np.linspace(low, 1, len(anchors))
    channels = [np.interp(values, positions, channel) for channel in anchors.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def heat_map(
    attribution: Array,
    image: ImageLike | None = None,
    sign: str = "absolute",
    outliers: float = 2.0,
    smooth: float = 0.015,
    alpha: float = 0.9,
) -> "Image.Image":
    """Draw an attribution as a heat map, by itself or blended with its photo.

    The photo is converted to gray and darkened (lightened for "signed"). The opacity of the colors is proportional to
    the magnitude of the value, so important regions stand out and the rest stays recognizable.

    Parameters
    ----------
    attribution : ndarray (C, H, W) or (H, W)
        The attribution of one image, of any size; it is resized to the photo's size (bilinear).
    image : ImageLike or None, default None
        The photo, as for `open_image`, usually uint8 (H, W, 3). None: the map by itself.
    sign : {"absolute", "positive", "signed"}, default "absolute"
        Which values are shown, see `normalize`.
    outliers : float, default 2.0
        The percentage that is clipped, see `normalize`.
    smooth : float, default 0.015
        Standard deviation of a Gaussian blur, as a fraction of the shorter side; 0 for none. In a raw gradient,
        neighboring pixels differ so much in sign and magnitude that no shapes are visible without it.
    alpha : float, default 0.9
        Opacity of the largest values, 0 to 1.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    InputError
        If the attribution or an option is invalid.
    ImageError
        If `image` cannot be read.

    Examples
    --------
    >>> heat_map(np.random.default_rng(0).normal(size=(3, 56, 56)), sign="signed").size
    (56, 56)
    """
    if not 0 <= smooth <= 0.5:
        raise InputError(f"smooth: expected a fraction of the shorter side, 0 to 0.5; found {smooth}")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha: expected 0 to 1; found {alpha}")
    from PIL import Image

    values = _at_most_one(to_map(attribution, sign))
    photo = None if image is None else open_image(image)
    if not _is_constant(
        values
    ):  # resizing and smoothing round, after which normalizing would find differences
        values = values if photo is None else _resized(values, photo.size)
        values = _smoothed(values, smooth)
    elif photo is not None:
        values = np.full(photo.size[::-1], values[0, 0])
    values = normalize(values, sign, outliers)
    colors = color(values, sign)
    if photo is None:
        return Image.fromarray(colors)
    under = 0.6 * np.asarray(photo.convert("L"), np.float64)[:, :, None]
    if sign == "signed":
        under += 0.4 * 255  # blue and red are dark and need a light photo
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
    """The matrix (side, side) that blurs a row of pixels with a Gaussian; at its ends the row is reflected.

    The same as scipy.ndimage.gaussian_filter1d, whose import takes longer than computing a saliency map.
    """
    away = np.arange(-int(4 * sigma + 0.5), int(4 * sigma + 0.5) + 1)
    weight = np.exp(-((away / sigma) ** 2) / 2)
    from_pixel = (np.arange(side)[:, None] + away) % (2 * side)
    from_pixel = np.minimum(from_pixel, 2 * side - 1 - from_pixel)
    matrix = np.zeros((side, side))
    np.add.at(matrix, (np.arange(side)[:, None], from_pixel), weight / weight.sum())
    return matrix
