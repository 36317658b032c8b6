"""Perturbation: cover a part of the image, and see how much of the score is lost."""

from itertools import product

import numpy as np

from npgrad._parallel import threads as parallel
from npgrad._parallel.batches import batches
from npgrad._validate import full_baseline, whole_number
from npgrad.attribution._copies import begin
from npgrad.attribution._maps import part_of
from npgrad.attribution._patches import Rescoring
from npgrad.errors import InputError


def occlusion(
    model,
    x,
    target=None,
    window=45,
    stride=16,
    baseline=0,
    batch_size=None,
    progress=None,
):
    """F(x) - F(x with a window covered), each pixel's mean over the windows that cover it: of the shape of x.

    Zeiler, Fergus 2014, section 4.2; window positions and mean as in Captum: windows start every `stride`
    pixels, ceil((size - window) / stride) + 1 of them a side, and the last one is cut off at the border.

    window: a number of pixels, (h, w), or (c, h, w) to cover c channels at a time; all channels otherwise.
    stride: likewise; at most the window, so that no pixel is left out.
    baseline: what covers it: None for 0, a number, or an array that broadcasts to x.
    batch_size: copies at once (None: as memory allows). progress: called with (copies done, copies in all).
    """
    x, targets, clean, size = begin(model, x, target, batch_size, backward=False)
    baseline = full_baseline(baseline, x.shape, x.dtype)
    places = _windows(x.shape[1:], window, stride)
    lost, cover = np.zeros(x.shape, clean.dtype), np.zeros(x.shape[1:], clean.dtype)
    for place in places:
        cover[place] += 1

    for i in range(len(x)):

        def covered(place, i=i):
            copy = np.copy(x[i : i + 1])
            copy[0][place] = baseline[i][place]
            return copy

        score = Rescoring(model, x[i : i + 1], targets[i])
        for place, loss in _losses(score, covered, places, size, part_of(progress, i, len(x))):
            lost[i][place] += loss
    return lost / cover


def feature_ablation(
    model,
    x,
    target=None,
    mask=None,
    baseline=0,
    batch_size=None,
    progress=None,
):
    """F(x) - F(x with a feature set to the baseline), given to every element of the feature.

    Of the shape of x. mask: whole numbers; the elements of an image with the same number are one feature.
    (H, W) serves all images and channels, (C, H, W) all images, (N, C, H, W) has one map an image.
    None: every element is a feature, which takes C*H*W forward passes an image.
    baseline, batch_size, progress: as for `occlusion`.
    """
    x, targets, clean, size = begin(model, x, target, batch_size, backward=False)
    baseline = full_baseline(baseline, x.shape, x.dtype)
    mask, lost = _feature_map(mask, x.shape), np.zeros(x.shape, clean.dtype)
    for i in range(len(x)):

        def without(feature, i=i):
            return np.where(mask[i] == feature, baseline[i], x[i])[None]

        score, features = Rescoring(model, x[i : i + 1], targets[i]), np.unique(mask[i])
        for feature, loss in _losses(score, without, features, size, part_of(progress, i, len(x))):
            lost[i][mask[i] == feature] = loss
    return lost


def _losses(score, change, items, size, progress):
    """(item, the score less that of the changed image `change(item)`), `size` of them at a time, on all cores."""
    for some in batches(len(items), size, progress):
        chosen = [items[k] for k in some]
        changed = parallel.thread_map(lambda item: score(change(item)), chosen)
        yield from zip(chosen, [score.clean - one for one in changed], strict=True)


def _windows(shape, window, stride):
    """Every place of the window in an image of `shape` (C, H, W), as a tuple of three slices."""
    window = _sides(window, "window", shape, channels=shape[0])
    stride = _sides(stride, "stride", shape, channels=window[0])
    starts = []
    for side, length, step in zip(shape, window, stride, strict=True):
        if length > side:
            raise InputError(f"window: expected at most the image {shape}, found {window}")
        if step > length < side:
            raise InputError(f"stride: expected at most the window {window}, found {stride}")
        starts.append([step * k for k in range(-(-(side - length) // step) + 1)])
    return [
        tuple(slice(begin, begin + length) for begin, length in zip(corner, window, strict=True))
        for corner in product(*starts)
    ]


def _sides(value, name, shape, channels):
    """A `window` or `stride` as (c, h, w)."""
    if len(shape) != 3:
        raise InputError(f"occlusion: expected images (N, C, H, W), found shape (N, {str(shape)[1:]}")
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(sides) not in (2, 3):
        raise InputError(f"{name}: expected a number, (h, w) or (c, h, w), found {value!r}")
    sides = tuple(whole_number(side, name) for side in sides)
    return sides if len(sides) == 3 else (channels, *sides)


def _feature_map(mask, shape):
    """The `mask` argument as an array of x's `shape`."""
    if mask is None:
        return np.broadcast_to(np.arange(np.prod(shape[1:])).reshape(shape[1:]), shape)
    mask = np.asarray(mask)
    if mask.dtype.kind not in "iub":
        raise InputError(f"mask: expected whole numbers, found {mask.dtype}")
    try:
        return np.broadcast_to(mask, shape)
    except ValueError:
        raise InputError(
            f"mask: expected an array that broadcasts to {shape}, found shape {mask.shape}"
        ) from None
