"""Attributions as images for people: reduced to one value per pixel, scaled, colored, and blended with the photo.

Smoothing, scaling and clipping are for display only: compute with the raw array that a method returns.
"""

import warnings
from typing import TYPE_CHECKING

import numpy as np

from npgrad._typing import Array, ImageLike
from npgrad._validate import one_of
from npgrad.errors import InputError, level_outside
from npgrad.images._smoothing import smoothed
from npgrad.images.colormaps import SIGNS, color
from npgrad.images.reading import open_image

if TYPE_CHECKING:
    from PIL import Image


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
    one_of(sign, "sign", SIGNS)
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


def normalize(
    map2d: Array, sign: str = "absolute", outliers: float = 2.0, limit: float | None = None
) -> Array:
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
    limit : float or None, default None
        The threshold. None: by `outliers`; see `limit_of`.

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
    values, largest = _ready(map2d, sign, outliers)
    if limit is not None and not (limit > 0 and np.isfinite(limit)):
        raise InputError(f"limit: expected a positive number; found {limit}")
    if _is_constant(values):
        warnings.warn("nothing to show: the map is the same everywhere", stacklevel=level_outside())
        return np.zeros_like(values)
    if limit is None:
        return np.clip(values / _threshold(values, outliers), -1, 1)
    with np.errstate(over="ignore"):
        return np.clip(values * (largest / limit), -1, 1)


def limit_of(map2d: Array, sign: str = "absolute", outliers: float = 2.0) -> float:
    """Return the value from which on a map has its strongest color: the threshold of `normalize`.

    Parameters
    ----------
    map2d, sign, outliers
        As for `normalize`.

    Returns
    -------
    float
        0 for a map with nothing to show.

    Raises
    ------
    InputError
        As for `normalize`.

    Examples
    --------
    >>> limit_of(np.array([[0.0, 1.0, 2.0]]), outliers=0)
    2.0
    """
    values, largest = _ready(map2d, sign, outliers)
    return 0.0 if _is_constant(values) else float(_threshold(values, outliers) * largest)


def _ready(map2d, sign, outliers):
    """A map's values divided by the largest magnitude, and that magnitude."""
    values = to_map(map2d, sign)
    if not 0 <= outliers < 100:
        raise InputError(f"outliers: expected a percentage, 0 <= outliers < 100; found {outliers}")
    if sign == "positive":
        values = np.maximum(values, 0)
    return _at_most_one(values), np.abs(values).max()


def _threshold(values, outliers):
    sizes = np.sort(np.abs(values), axis=None)
    cumulative = np.cumsum(sizes)
    return sizes[np.argmax(cumulative >= cumulative[-1] * (100 - outliers) / 100)]


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


def heat_map(
    attribution: Array,
    image: ImageLike | None = None,
    sign: str = "absolute",
    outliers: float = 2.0,
    smooth: float = 0.015,
    alpha: float = 0.9,
    colormap: str | None = None,
    limit: float | None = None,
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
    colormap : str or None, default None
        See `color`.
    limit : float or None, default None
        The value that has the strongest color. None: by `outliers`, see `normalize`.

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

    values = to_map(attribution, sign)
    largest = np.abs(values).max()
    values = _at_most_one(values)
    photo = None if image is None else open_image(image)
    if not _is_constant(
        values
    ):  # resizing and smoothing round, after which normalizing would find differences
        values = values if photo is None else _resized(values, photo.size)
        values = smoothed(values, smooth)
    elif photo is not None:
        values = np.full(photo.size[::-1], values[0, 0])
    values = normalize(values, sign, outliers, None if limit is None else limit / (largest or 1))
    colors = color(values, sign, colormap)
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
