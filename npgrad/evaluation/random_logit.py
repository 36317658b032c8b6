"""The random-logit test (Sixt, Granz, Landgraf 2020).

An attribution should be another one for another class. One that looks the same for every class shows the image, not why
the network sees this class in it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._asked import is_question
from npgrad._outputs import scores_of
from npgrad._targets import class_count, resolve_targets
from npgrad._typing import Array, Rng, Target
from npgrad._validate import check_input, generator, generators, one_of
from npgrad.errors import InputError
from npgrad.evaluation._checks import begin, expect_function
from npgrad.evaluation.randomization import magnitude, spearman, ssim
from npgrad.model import Model

SIMILARITIES = {"ssim": ssim, "spearman": spearman}


def random_logit(
    model: Model,
    x: Array,
    method: Callable[..., Array],
    target: Target = None,
    other: Target = None,
    similarity: str = "ssim",
    rng: Rng = 0,
    **options: Any,
) -> Array:
    """Compare each attribution with that of another class, drawn at random: closer to 0 is better.

    Sixt, Granz, Landgraf 2020: the structural similarity of the absolute attributions of the target and of a
    random other logit. 1 means that the attribution does not depend on the class.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    method : callable
        A function (model, x, target, **options) -> attribution (N, C, H, W) or (N, h, w).
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    other : as target
        What to compare with. None: for each image a random class, which is not its target, or any class, if the target
        is another question.
    similarity : {"ssim", "spearman"}
        Structural similarity, as in the paper, or rank correlation; see `randomization`.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the classes. It is in the same state for every image of a batch, so that
        an image's result does not depend on the others.
    **options
        Keyword arguments for the method.

    Returns
    -------
    ndarray (N,)
        The similarity of the two attributions of each image; 0 if one of them is constant.
    """
    expect_function(method)
    compare = SIMILARITIES[one_of(similarity, "similarity", SIMILARITIES)]
    rng = generator(rng)
    model = scores_of(model)
    if question := target is not None and is_question(model, target):
        x, targets = check_input(x), target
        logits = model(x)
    else:
        x, logits, targets, _ = begin(model, x, target)
    if other is None:
        other = _others(class_count(model, logits), None if question else targets, len(x), rng)
    elif not is_question(model, other):
        other = resolve_targets(model, logits, other)
    pair = [magnitude(method, model, x, one, **options) for one in (targets, other)]
    return np.array([compare(a, b) for a, b in zip(*pair, strict=True)])


def _others(count, targets, n, rng):
    """A class for each image that is not its target, if it has one, all others being equally likely."""
    if count < 2:
        raise InputError(f"random_logit: expected a network with at least two outputs, found {count}")
    if targets is None:
        return np.array([one.integers(count) for one in generators(rng, n)])
    drawn = np.array([one.integers(count - 1) for one in generators(rng, n)])
    return drawn + (drawn >= targets)
