"""Occlusion: cover a window of the image by a baseline, and measure how much the score drops."""

from itertools import product

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._parallel.batches import batches
from npgrad._parallel.threads import thread_map
from npgrad._typing import Array, Progress, Target
from npgrad._validate import full_baseline, whole_number
from npgrad.attribution._copies import begin
from npgrad.attribution._maps import part_of
from npgrad.attribution._patches import Rescoring
from npgrad.errors import InputError
from npgrad.model import Model

WINDOW, STRIDE = 45, 16  # px, for images of 224 px


@explains_scores
def occlusion(
    model: Model,
    x: Array,
    target: Target = None,
    window: int | tuple[int, ...] | None = None,
    stride: int | tuple[int, ...] | None = None,
    baseline: float | Array | None = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Array:
    """Measure the drop of the score when a window is covered, averaged for each pixel over the windows that cover it.

    F(x) - F(x with the window covered), Zeiler, Fergus 2014, section 4.2. Window positions and the mean are those of
    Captum: windows start every `stride` pixels, ceil((size - window) / stride) + 1 of them per side, and the last one
    is clipped at the border.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W) or (N, ...)
        Preprocessed images, as ``model.preprocess`` returns them, or other inputs of a network.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    window : int, tuple of int or None
        Size of the window in pixels: the side of a square, (h, w), or (c, h, w) to cover c channels at a time. The
        first two cover all channels. None: 45, and a fifth of the shorter side of images below 225 px. For what is
        not an image: a number for all axes, or one for each; None: 1.
    stride : int, tuple of int or None
        Step between windows, in the same forms; at most the window, so that every pixel is covered. None: 16, and 16/45
        of the shorter side of windows below 45 px; 1 for what is not an image.
    baseline : None, float or ndarray, default 0
        The values that cover the window, broadcast to x. None: 0, the mean color.
    batch_size : int or None
        Number of copies of an image per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in copies.

    Returns
    -------
    ndarray (N, C, H, W) or (N, ...)
        The attributions.
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


def _losses(score, change, items, size, progress):
    """Yield (item, clean score - score of the changed image `change(item)`), `size` at a time, on all cores."""
    for some in batches(len(items), size, progress):
        chosen = [items[k] for k in some]
        changed = thread_map(lambda item: score(change(item)), chosen)
        yield from zip(chosen, [score.clean - one for one in changed], strict=True)


def _windows(shape, window, stride):
    """Every position of the window in an image of `shape` (C, H, W), or (...), as a tuple of slices."""
    if len(shape) == 3:
        window = min(WINDOW, max(1, round(min(shape[1:]) / 5))) if window is None else window
        window = _sides(window, "window", shape)
        stride = min(STRIDE, max(1, round(min(window[1:]) * STRIDE / WINDOW))) if stride is None else stride
        stride = _sides(stride, "stride", window)
    else:
        window = _sides(1 if window is None else window, "window", shape)
        stride = _sides(1 if stride is None else stride, "stride", window)
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


def _sides(value, name, largest):
    """A `window` or `stride` as (c, h, w), or with one number for each axis of what is not an image."""
    axes, spatial = len(largest), len(largest) - (len(largest) == 3)
    sides = tuple(value) if isinstance(value, (tuple, list)) else (value,) * spatial
    if len(sides) not in (spatial, axes):
        forms = "a number, (h, w) or (c, h, w)" if axes == 3 else f"a number, or a tuple of {axes}"
        raise InputError(f"{name}: expected {forms}, found {value!r}")
    sides = tuple(whole_number(side, name) for side in sides)
    return largest[: axes - len(sides)] + sides
