"""Checks of the arguments of the measures, and how an attribution becomes one value per pixel."""

import numpy as np

from npgrad._outputs import probabilities
from npgrad._parallel.batches import batches, copies_at_once
from npgrad._targets import resolve_targets, scores
from npgrad._validate import check_input, is_number
from npgrad.errors import InputError


def begin(model, x, target, batch_size=None, images=True):
    """(x checked, its logits, its targets (N,), copies at once). Dead scores are allowed here, without a warning.

    images: whether x must be images.
    """
    x = check_input(x)
    if images and x.ndim != 4:
        raise InputError(f"input: expected (N, C, H, W), found shape {x.shape}")
    size = copies_at_once(model, x, batch_size, backward=False)
    logits = np.concatenate([model(x[rows]) for rows in batches(len(x), size)])
    return x, logits, resolve_targets(model, logits, target), size


def expect_function(method):
    """Raise an InputError if `method` cannot be called."""
    if not callable(method):
        raise InputError(f"method: expected a function (model, x, target), found {method!r:.60}")


def check_fractions(fractions):
    """Raise an InputError if these are not numbers between 0 and 1."""
    numbers = np.ndim(fractions) == 1 and all(map(is_number, fractions))
    if not numbers or not len(fractions) or not all(0 < f < 1 for f in fractions):
        raise InputError(f"fractions: expected numbers > 0 and < 1, found {fractions!r}")


def counts_of(fractions, total):
    """The fractions as numbers of pixels, at least one and not all of them."""
    return [min(max(round(f * total), 1), total - 1) for f in fractions]


def expect_attribution(attribution, ndims=(3, 4)):
    """An attribution (N, C, H, W) or (N, H, W) in float64; an InputError for anything else."""
    a = np.asarray(attribution)
    if a.ndim not in ndims or a.dtype.kind not in "fiub" or not a.size:
        raise InputError(f"attribution: expected (N, C, H, W) or (N, H, W), found {a.dtype} {a.shape}")
    if not np.isfinite(a).all():
        raise InputError(f"attribution: expected finite numbers, found {np.sum(~np.isfinite(a))} NaN or Inf")
    return a.astype(np.float64)


def attributed(method, model, x, target, **options):
    """What a method attributes to x, checked to be one attribution per image: float64."""
    found = np.asarray(method(model, x, target, **options))
    if found.ndim < 2 or len(found) != len(x) or found.dtype.kind not in "fiub":
        raise InputError(
            f"method: expected attributions of {len(x)} images, found {found.dtype} of shape {found.shape}"
        )
    if not np.isfinite(found).all():
        raise InputError(f"method: expected finite numbers, found {np.sum(~np.isfinite(found))} NaN or Inf")
    return found.astype(np.float64)


def pixel_map(attribution, size=None):
    """An attribution (N, C, H, W) or (N, H, W) as one value per pixel, (N, H, W) float64: channels are summed.

    size: the shape (N, H, W) that the result must have; of what is not an image, the input's own.
    """
    if size is not None and len(size) != 3 and np.shape(attribution) != size:
        raise InputError(f"attribution: expected the input's shape {size}, found {np.shape(attribution)}")
    a = expect_attribution(attribution, (3, 4) if size is None else (3, 4, len(size)))
    a = a.sum(axis=1) if a.ndim == 4 and a.shape != size else a
    if size is not None and a.shape != size:
        raise InputError(
            f"attribution: expected one value per pixel, {size}, found {a.shape}; resize it to the input first"
        )
    return a


def image_masks(mask, size):
    """The pixels of the object: bool (N, H, W), from (H, W) or (N, H, W); none may be empty."""
    mask = np.asarray(mask)
    if mask.dtype.kind not in "biu" or mask.ndim not in (2, 3):
        raise InputError(f"mask: expected (H, W) or (N, H, W) of bools, found {mask.dtype} {mask.shape}")
    if mask.shape not in (size, size[1:], (1, *size[1:])):
        raise InputError(f"mask: expected {size[1:]} or {size}, like the attribution; found {mask.shape}")
    masks = np.broadcast_to(mask != 0, size)
    empty = np.flatnonzero(~masks.any(axis=(1, 2)))
    if len(empty):
        raise InputError(f"mask: expected at least one pixel in it, found none for image {empty[0]}")
    return masks


def target_probabilities(model, outputs, targets):
    """The probability of each image's target, or its value where the outputs are values: (N,) float64."""
    if not model.has_classes:
        return scores(model, outputs, targets).astype(np.float64)
    return probabilities(model, outputs)[np.arange(len(outputs)), targets]
