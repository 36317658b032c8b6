"""Every check of an argument: one place, one line for each mistake."""

import copy
import threading
import warnings

import numpy as np

from npgrad.errors import InputError, TargetError, level_outside


def is_whole(value):
    """Whether `value` is a whole number of Python or NumPy; True and False do not count."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))


def all_finite(array):
    """Whether no value is NaN or infinite; compared in parts, as each comparison takes memory."""
    flat, part = array.reshape(-1), 1 << 20
    return all(np.isfinite(flat[at : at + part]).all() for at in range(0, flat.size, part))


def is_number(value):
    """Whether `value` is a real number of Python or NumPy; True and False do not count."""
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(
        value, (bool, np.bool_)
    )


def whole_number(value, name, smallest=1):
    """`value` as an int, if it is a whole number >= `smallest`; otherwise an InputError that names the argument."""
    if not is_whole(value) or value < smallest:
        raise InputError(f"{name}: expected a whole number >= {smallest}, found {value!r}")
    return int(value)


def not_negative(value, name):
    """`value` as a float, if it is a finite number >= 0; otherwise an InputError that names the argument."""
    if not is_number(value) or not 0 <= value < np.inf:
        raise InputError(f"{name}: expected a number >= 0, found {value!r}")
    return float(value)


def positive_number(value, name):
    """`value` as a float, if it is a finite number > 0; otherwise an InputError that names the argument."""
    if not is_number(value) or not 0 < value < np.inf:
        raise InputError(f"{name}: expected a number > 0, found {value!r}")
    return float(value)


def share(value, name, zero=False):
    """`value` as a float, if it is a number above 0 (`zero`: or 0) and at most 1; otherwise an InputError."""
    if not is_number(value) or not 0 <= value <= 1 or (value == 0 and not zero):
        raise InputError(f"{name}: expected a number {'>=' if zero else '>'} 0 and <= 1, found {value!r}")
    return float(value)


def finite_number(value, name):
    """`value` as a float, if it is a finite number; otherwise an InputError that names the argument."""
    if not is_number(value) or not np.isfinite(value):
        raise InputError(f"{name}: expected a finite number, found {value!r}")
    return float(value)


def one_of(value, name, choices):
    """`value`, if it is one of the strings in `choices`; otherwise an InputError that lists them."""
    if not isinstance(value, str) or value not in choices:
        raise InputError(f"{name}: expected one of {', '.join(choices)}; found {value!r}")
    return value


def generator(rng):
    """The Generator for an `rng` argument: itself, or one made from a seed."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError):
        raise InputError(f"rng: expected a Generator or a whole number >= 0, found {rng!r}") from None


def generators(rng, n):
    """n Generators in the same state, one per image: what an image draws does not depend on the others in its batch.

    The first is the Generator that was given, if one was.
    """
    first = generator(rng)
    return [first, *(copy.deepcopy(first) for _ in range(n - 1))]


def one_image(x, name="x"):
    """x as a single image (1, C, H, W); InputError for anything else."""
    x = check_input(x)
    if x.ndim != 4 or len(x) != 1:
        raise InputError(f"{name}: expected one image (1, C, H, W), found shape {x.shape}")
    return x


def full_baseline(baseline, shape, dtype):
    """A baseline (None: 0, a number, or an array that broadcasts to `shape`) as an array of that shape."""
    array = np.asarray(0 if baseline is None else baseline)
    if array.dtype.kind not in "fiub" or not np.isfinite(array).all():
        raise InputError(f"baseline: expected finite numbers, found {array.dtype} of shape {array.shape}")
    try:
        return np.broadcast_to(array.astype(dtype), shape)
    except ValueError:
        raise InputError(
            f"baseline: expected a number or an array that broadcasts to {shape}, found shape {array.shape}"
        ) from None


def baseline_set(baseline, x):
    """The `baseline` argument as a set (M, C, H, W)."""
    count = len(baseline) if np.ndim(baseline) == x.ndim else 1
    if count == 0:
        raise InputError("baseline: expected a set (M, C, H, W) of at least one baseline, found none")
    return full_baseline(baseline, (count, *x.shape[1:]), x.dtype)


def expect_indices(target, classes, name="target"):
    """Raise a TargetError if one of an array's class indices is out of range."""
    if not 0 <= target.min() <= target.max() < classes:
        raise TargetError(f"{name}: expected 0 to {classes - 1}, found {target.min()} to {target.max()}")


def feature_mask(mask, shape):
    """A map of features (integers that broadcast to `shape`) as an array of that shape."""
    mask = np.asarray(mask)
    if mask.dtype.kind not in "iub":
        raise InputError(f"mask: expected integers, found {mask.dtype}")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise InputError(
            f"mask: expected an array that broadcasts to {shape}, found shape {mask.shape}"
        ) from None


def pair(value, name, smallest=1):
    """3 -> (3, 3), (3, 5) -> (3, 5): height and width of a kernel, stride or padding."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or not all(is_whole(v) and v >= smallest for v in values):
        raise InputError(f"{name}: expected one or two whole numbers >= {smallest}, found {value!r}")
    return tuple(int(v) for v in values)


def border(value, name):
    """A border of pixels: (height, width) if it is the same on opposite sides, otherwise (top, bottom, left, right)."""
    if not isinstance(value, (tuple, list)) or len(value) != 4:
        return pair(value, name, smallest=0)
    if not all(is_whole(v) and v >= 0 for v in value):
        raise InputError(f"{name}: expected whole numbers >= 0 (top, bottom, left, right), found {value!r}")
    top, bottom, left, right = map(int, value)
    return (top, left) if (top, left) == (bottom, right) else (top, bottom, left, right)


def float_array(values, name, ndim):
    """`values` as a floating (or complex) array of `ndim` dimensions; an InputError names what is not."""
    array = np.asarray(values)
    if array.ndim != ndim or array.dtype.kind not in "fc":
        raise InputError(f"{name}: expected {ndim} dimensions of floats, found {array.ndim} of {array.dtype}")
    return array


def expect_ndim(layer, x, *ndims):
    """Refuse an input that has the wrong number of dimensions, or is not an array of floats."""
    if x.dtype.kind not in "fc":
        raise InputError(f"{type(layer).__name__} expects floats, found {x.dtype}")
    if x.ndim not in ndims:
        wanted = "(N, C, H, W)" if ndims == (4,) else f"{' or '.join(map(str, ndims))} dimensions"
        raise InputError(f"{type(layer).__name__} expects {wanted}, found an array of shape {x.shape}")


def check_groups(groups, channels):
    """Refuse a number of groups that does not divide the filters or channels."""
    if not is_whole(groups) or groups < 1 or channels % groups:
        raise InputError(f"Conv2d: groups={groups!r} does not divide {channels} filters or channels")


def check_bias(bias, layer, weight):
    """A layer's bias as an array with one value for each of the filters in `weight`."""
    bias = float_array(bias, f"{layer} bias (F,)", 1)
    if bias.shape != weight.shape[:1]:
        raise InputError(f"{layer} bias: expected shape {weight.shape[:1]}, found {bias.shape}")
    return bias.copy()


def check_channels(layer, x, channels):
    """Refuse an input that is not (N, C, H, W), or not of the layer's number of channels (None: any)."""
    expect_ndim(layer, x, 4)
    if channels is not None and x.shape[1] != channels:
        hint = "; is it (N, H, W, C)? transpose(0, 3, 1, 2) it" if x.shape[3] == channels else ""
        name = type(layer).__name__
        raise InputError(f"{name} expects {channels} channels, found an array of shape {x.shape}{hint}")


def check_input(x, largest=None):
    """x as an array that the layers can process; otherwise an InputError that says why not.

    largest: the network's input for white; warn of an input that seems to be pixels if that is a small number.
    """
    try:
        x = np.asarray(x)
    except ValueError:
        raise InputError("input: expected an array of floats, found rows of different lengths") from None
    if x.dtype.kind not in "fc":
        raise InputError(
            f"input: expected floats, found {x.dtype} of shape {x.shape}; model.preprocess makes them from images"
        )
    if x.ndim == 0 or x.size == 0:
        raise InputError(f"input: expected at least one image, found shape {x.shape}")
    if not np.isfinite(x).all():
        raise InputError(f"input: expected finite numbers, found {np.sum(~np.isfinite(x))} NaN or Inf")
    ours = threading.current_thread().name.startswith("npgrad")  # the caller of this part has warned
    each = tuple(range(1, x.ndim))  # image by image: another one beside it changes nothing
    small = largest is not None and largest <= 20
    if (
        small
        and x.dtype.kind == "f"
        and not ours
        and ((x.min(axis=each) >= 0) & (x.max(axis=each) > 20)).any()
    ):
        # always in the same words: Python shows a warning of a line only once
        warnings.warn(
            "the input goes up from 0 to over 20, as pixels do; the network expects what model.preprocess gives",
            stacklevel=level_outside(),
        )
    return x.astype(x.dtype.newbyteorder("="), copy=False)


def warn_of_unit_range(images, largest):
    """Warn of images with values from 0 to 1 for a network whose input goes up to `largest`, over 20."""
    if images.size and 0 <= images.min() < images.max() <= 1 and largest > 20:
        warnings.warn(
            "the images have values from 0 to 1, but this network takes what model.preprocess gives, up to "
            f"{largest:.4g}",
            stacklevel=level_outside(),
        )
