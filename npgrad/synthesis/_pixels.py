"""What an image file can hold, in a network's normalized units."""

import numpy as np


def image_limits(model, x):
    """(lowest, highest) normalized value of each channel: two arrays (1, C, 1, 1)."""
    mean, std = _per_channel(model.preprocessing.mean, x), _per_channel(model.preprocessing.std, x)
    return (0 - mean) / std, (1 - mean) / std


def pixel_std(model, x):
    """Pixel values, on the scale 0 to 1, per normalized unit: (1, C, 1, 1)."""
    return _per_channel(model.preprocessing.std, x)


def as_saved(model, x):
    """x after being saved to a file and read again: clipped, and rounded to whole bytes."""
    return model.preprocess(list(model.deprocess(x)), resize=False).astype(x.dtype)


def _per_channel(values, like):
    return np.reshape(values, (1, -1, 1, 1)).astype(like.dtype)
