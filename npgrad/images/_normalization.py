"""Checks of the values of a Preprocessing, and their description."""

import numpy as np

from npgrad._validate import is_number, is_whole
from npgrad.errors import InputError
from npgrad.images._fitting import covered
from npgrad.images.resize import METHODS

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}  # of red, green, blue; values 0..1
NEUTRAL = {"mean": 0.0, "std": 1.0, "scale": 1 / 255}
CHANNELS = {"RGB": 3, "BGR": 3, "gray": 1}
MAX_SIDE = 4096
ASSUMED = "nothing says how images become this network's input; assumed"
HOW_TO_SAY = (
    "if not, use --mean, --std, --scale, --bgr, --gray or --size; in Python, Model.with_preprocessing"
)
LARGEST = 300  # of a network's input that is still plausible; without any normalization it is 255
SMALL = 128  # px; networks for smaller images, such as digits, are trained on whole ones


def checked(given):
    """The values of a Preprocessing in their final form, by name: defaults filled in, numbers as floats and tuples."""
    for name, choices in (("channels", CHANNELS), ("interpolation", METHODS)):
        value = getattr(given, name)
        expect(isinstance(value, str) and value in choices, name, f"one of {', '.join(choices)}", value)
    for name in ("pad", "assumed"):
        expect(isinstance(getattr(given, name), bool), name, "True or False", getattr(given, name))
    default, count = dict(NEUTRAL), CHANNELS[given.channels]
    if count == 3 and given.mean is None and given.std is None and given.scale is None:
        default |= {key: value[::-1] if given.channels == "BGR" else value for key, value in IMAGENET.items()}
    values = {
        key: value if getattr(given, key) is None else getattr(given, key) for key, value in default.items()
    }
    # Bounds that hold for any real network and rule out overflow and division by zero in float32.
    scale = values["scale"]
    expect(is_number(scale) and 1e-6 <= scale <= 1e6, "scale", "a number from 1e-06 to 1e+06", scale)
    final = {
        "mean": _numbers("mean", values["mean"], count, -1e6, 1e6),
        "std": _numbers("std", values["std"], count, 1e-6, 1e6),
        "scale": float(scale),
    }
    return final | _sizes(given.crop, given.resize)


def _sizes(crop, resize):
    height, width = crop if isinstance(crop, (list, tuple)) and len(crop) == 2 else (crop, crop)
    right = all(is_whole(side) and 1 <= side <= MAX_SIDE for side in (height, width))
    expect(right, "crop", f"one or two integers from 1 to {MAX_SIDE}", crop)
    if resize is None:
        resize = min(height, width)
        if resize >= SMALL:
            resize = round(resize / 0.875)
    largest = 2 * MAX_SIDE * min(height, width) // max(height, width)
    expect(is_whole(resize) and 1 <= resize <= largest, "resize", f"an integer from 1 to {largest}", resize)
    return {"resize": int(resize), "crop": int(height) if height == width else (int(height), int(width))}


def expect(right, name, expected, found):
    """An InputError that names a value of the preprocessing, unless it is right."""
    if not right:
        raise InputError(f"preprocessing: {name}: expected {expected}; found {str(found):.80}")


def _numbers(name, values, count, low, high):
    """Numbers from low to high, one for each channel, as a tuple of floats."""
    values = values.tolist() if isinstance(values, np.ndarray) else values
    values = [values] * count if is_number(values) else values
    right = isinstance(values, (list, tuple)) and len(values) == count
    right = right and all(is_number(value) and low <= value <= high for value in values)
    counted = "a finite number" if count == 1 else "three finite numbers"
    expect(right, name, f"{counted} from {low:g} to {high:g}", values)
    return tuple(float(value) for value in values)


def doubts(values):
    """What a user should know of a Preprocessing before its results are believed: lines, usually none."""
    found = [f"{ASSUMED}: {described(values)}; {HOW_TO_SAY}"] if values.assumed else []
    means, stds = values.pixel_mean, values.pixel_std
    black = [-mean / std for mean, std in zip(means, stds, strict=True)]
    white = [(1 - mean) / std for mean, std in zip(means, stds, strict=True)]
    low, high = min(black), max(white)
    if max(black) > 0 or min(white) < 0 or max(-low, high) > LARGEST:
        found.append(
            f"the network's input would go from {low:.4g} (black) to {high:.4g} (white) with mean and std in units of "
            f"v * scale, which is 0 to {255 * values.scale:g}; are they of another scale?"
        )
    return found


def described(values):
    """A Preprocessing as one line for people."""
    sides = "x".join(map(str, values.size))
    if values.pad:
        place = f"the whole image padded to {sides} px"
    else:
        of = covered(values.size, values.resize)
        whole = f"{of[0] if of[0] == of[1] else 'x'.join(map(str, of))} px"
        place = f"the middle resized to {whole}" if of == values.size else f"the middle {sides} of {whole}"
    how = "" if values.interpolation == "bilinear" else f" ({values.interpolation})"
    v = "v" if values.scale == 1 else f"v/{1 / values.scale:.6g}"
    mean, std = (
        ", ".join(f"{value:g}" for value in (several[:1] if len(set(several)) == 1 else several))
        for several in (values.mean, values.std)
    )
    return f"{values.channels}, {place}{how}, ({v} - mean)/std with mean {mean} and std {std}"
