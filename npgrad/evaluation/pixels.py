"""Deletion and insertion (Petsiuk, Das, Saenko 2018): take pixels away, or put them in, best first."""

import numpy as np

from npgrad._parallel.batches import batches
from npgrad._validate import full_baseline, whole_number
from npgrad.errors import InputError
from npgrad.evaluation._checks import begin, pixel_map, probabilities

BLUR = 5  # px, the standard deviation of the paper's blur, and where it is cut off


def deletion_auc(model, x, attribution, target=None, n_steps=50, baseline=0, **options):
    """The area under the target's probability while the most important pixels go: (N,), lower is better.

    At step k of 0..n_steps the round(k H W / n_steps) pixels of highest attribution are replaced by the
    baseline, all channels at once; equal pixels go row by row. The area is the trapezoid rule's over the
    fraction that is gone, from 0 to 1, under the target's softmax probability.

    attribution: (N, C, H, W), its channels summed, or (N, H, W). baseline: a number, an array that broadcasts
    to x, or "blur" for x blurred. options: batch_size, progress, and return_curve=True for
    (area (N,), fractions (n_steps + 1,), probabilities (N, n_steps + 1)).
    """
    return _area(model, x, attribution, target, n_steps, baseline, True, **options)


def insertion_auc(model, x, attribution, target=None, n_steps=50, baseline="blur", **options):
    """The area under the target's probability while the most important pixels come: (N,), higher is better.

    As `deletion_auc`, but beginning with the baseline, here the blurred image, which gives no sharp edges
    away, and putting in the pixels of x.
    """
    return _area(model, x, attribution, target, n_steps, baseline, False, **options)


def importance_order(attribution):
    """Each image's pixels from the most to the least important: indices (N, H*W); equal ones row by row."""
    return np.argsort(-attribution.reshape(len(attribution), -1), axis=1, kind="stable")


def blurred(x):
    """x blurred by a Gaussian of 5 px cut off at 5 px, its edges mirrored."""
    from scipy import ndimage

    return ndimage.gaussian_filter(x, (0, 0, BLUR, BLUR), truncate=1)


def _substitute(x, baseline):
    if isinstance(baseline, str):
        if baseline != "blur":
            raise InputError(f"baseline: expected a number, an array or 'blur'; found {baseline!r}")
        return blurred(x)
    return full_baseline(baseline, x.shape, x.dtype)


def _area(
    model,
    x,
    attribution,
    target,
    n_steps,
    baseline,
    deleting,
    batch_size=None,
    progress=None,
    return_curve=False,
):
    """The area under the probability while the foremost pixels change, from x to the baseline or back."""
    whole_number(n_steps, "n_steps")
    x, _, targets, size = begin(model, x, target, batch_size)
    n, _, height, width = x.shape
    order = importance_order(pixel_map(attribution, (n, height, width)))
    rank = order.argsort(axis=1).reshape(n, 1, height, width)
    substitute = _substitute(x, baseline)
    before, after = (x, substitute) if deleting else (substitute, x)
    counts = np.rint(np.arange(n_steps + 1) * height * width / n_steps).astype(int)
    curve = np.empty((n, n_steps + 1))
    for part in batches(curve.size, size, progress):
        i, k = np.unravel_index(part, curve.shape)
        changed = rank[i] < counts[k][:, None, None, None]
        curve[i, k] = probabilities(model(np.where(changed, after[i], before[i])), targets[i])
    fractions = counts / (height * width)
    area = ((curve[:, 1:] + curve[:, :-1]) / 2 * np.diff(fractions)).sum(axis=1)
    return (area, fractions, curve) if return_curve else area
