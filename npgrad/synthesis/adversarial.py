"""Adversarial images within a given distance of an image.

    fgsm   one step along the sign of the gradient     Goodfellow, Shlens, Szegedy 2015
    pgd    many steps within a ball around the image   Madry et al. 2018

Distances are in pixel values on the scale 0 to 1, so 8/255 is eight brightness levels of a file. Every value stays
within the range of an image file.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._balls import NORMS, into_ball, random_in_ball, steepest
from npgrad._targets import class_logits, class_logits_backward
from npgrad._typing import Array, Path, Rng
from npgrad._validate import not_negative, one_of, whole_number
from npgrad.losses import cross_entropy
from npgrad.model import Model
from npgrad.synthesis._fooling import Fooling, fools, report
from npgrad.synthesis._perturbation import ZERO, limits, size_text, start
from npgrad.synthesis._run import Callback, Run
from npgrad.synthesis._scores import lead
from npgrad.synthesis.pixels import pixel_std
from npgrad.synthesis.scores import waking_gradient

__all__ = ["fgsm", "pgd"]


def fgsm(
    model: Model,
    x: Array,
    target: int | str | None = None,
    epsilon: float = 8 / 255,
    targeted: bool = False,
    loss: Callable[[Array, int], tuple[Any, Array]] = cross_entropy,
    callback: Callback = None,
) -> Fooling:
    """Change an image by one step of the fast gradient sign method (Goodfellow et al. 2015, section 4).

        x + epsilon * sign(d loss / d x)        away from the target
        x - epsilon * sign(d loss / d x)        toward the target, if targeted

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, 3, H, W)
        A preprocessed image.
    target : int, str or None
        The class to be left, or reached if `targeted`, by index or name. None: the top class, to be left.
    epsilon : float, default 8/255
        Change of every pixel value, on the scale 0 to 1.
    targeted : bool, default False
        Whether the target is to be reached.
    loss : callable, default losses.cross_entropy
        (logits, target index) -> (value, gradient); it decreases as the target's probability rises.
    callback : callable or None
        Called after the step with (step, image, losses). It must not modify the image.

    Returns
    -------
    Fooling
        With losses "loss" and "lead".

    Raises
    ------
    InputError
        If an argument cannot be used.
    TargetError, UnknownName
        If the target is not a class of the network.
    """
    model, x, target, sign = start(model, x, target, targeted)
    epsilon = not_negative(epsilon, "epsilon")
    std, (low, high) = pixel_std(model, x), limits(model, x)
    reason = f"one step of {255 * epsilon:.3g}/255 was not enough"
    with Run(x, 1, callback=callback) as run:
        for _ in run:
            value, dx, logits = _loss_gradient(model, x, target, targeted, loss)
            reason = reason if dx.any() else ZERO
            image = np.clip(x + sign * epsilon / std * np.sign(dx), low, high)
            run.update(image, {"loss": value, "lead": lead(logits, target)})
    return report(model, x, run, target, reason, targeted=targeted)


def pgd(
    model: Model,
    x: Array,
    target: int | str | None = None,
    epsilon: float | None = None,
    norm: str = "linf",
    steps: int = 10,
    step_size: float | None = None,
    targeted: bool = False,
    random_start: bool = False,
    until_fooled: bool = True,
    rounded: bool = True,
    loss: Callable[[Array, int], tuple[Any, Array]] = cross_entropy,
    rng: Rng = 0,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> Fooling:
    """Change an image by projected gradient descent within a ball around it (Madry et al. 2018, section 2.1).

        x <- project(x + step_size * direction)     direction: the steepest one of length 1 in the ball's norm

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, 3, H, W)
        A preprocessed image.
    target : int, str or None
        The class to be left, or reached if `targeted`, by index or name. None: the top class, to be left.
    epsilon : float or None
        Radius of the ball in pixel values on the scale 0 to 1. None: 8/255 for "linf", 2 for "l2".
    norm : {"linf", "l2"}, default "linf"
        "linf" bounds the change of every pixel value and steps along the gradient's sign; "l2" bounds the Euclidean
        norm of the whole change and steps along the gradient.
    steps : int, default 10
        Maximum number of steps.
    step_size : float or None
        None: 2.5 * epsilon / steps, as in the paper's appendix.
    targeted : bool, default False
        Whether the target is to be reached.
    random_start : bool, default False
        Start from a random point of the ball.
    until_fooled : bool, default True
        Stop at the first image that fools. False: take all steps, as in the paper.
    rounded : bool, default True
        Count an image only if it also fools after being saved, its values rounded to whole bytes.
    loss : callable, default losses.cross_entropy
        (logits, target index) -> (value, gradient); it decreases as the target's probability rises.
    rng : numpy.random.Generator or int, default 0
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    Fooling
        With losses "loss" and "lead".

    Raises
    ------
    InputError
        If an argument cannot be used.
    TargetError, UnknownName
        If the target is not a class of the network.

    Examples
    --------
    >>> import npgrad
    >>> model = npgrad.load()
    >>> x = model.preprocess(npgrad.scenes.scene(0, 2, size=96)[0], resize=False)
    >>> result = npgrad.synthesis.pgd(model, x, epsilon=8 / 255)
    >>> result.reached, result.largest_change < 8.5
    (True, True)
    """
    model, x, target, sign = start(model, x, target, targeted)
    one_of(norm, "norm", NORMS)
    whole_number(steps, "steps", 0)
    epsilon = not_negative((8 / 255 if norm == "linf" else 2) if epsilon is None else epsilon, "epsilon")
    length = not_negative(2.5 * epsilon / max(steps, 1) if step_size is None else step_size, "step_size")
    std, (low, high) = pixel_std(model, x), limits(model, x)
    reason = f"{steps} steps within {size_text(epsilon, norm)} were not enough"
    settings = {
        "make": "pgd", "model": model, "target": target, "epsilon": epsilon, "norm": norm, "step": length,
        "targeted": targeted, "random": random_start, "until": until_fooled, "rounded": rounded,
        "loss": getattr(loss, "__qualname__", repr(loss)),
    }  # fmt: skip
    with Run(x, steps, rng, None, callback, checkpoint, settings=settings) as run:
        if random_start and run.t == 0:
            change = random_in_ball(run.rng, x, epsilon, norm)
            run.keep(np.clip(x + change / std, low, high), 0)
        for _ in run:
            value, dx, logits = _loss_gradient(model, run.image, target, targeted, loss)
            if until_fooled and fools(model, run.image, logits, target, rounded=rounded, targeted=targeted):
                break
            if not dx.any():
                reason = ZERO
                break
            change = (run.image - x) * std  # in pixel values; the gradient with respect to these is dx / std
            change = into_ball(change + sign * length * steepest(dx / std, norm), epsilon, norm)
            run.update(np.clip(x + change / std, low, high), {"loss": value, "lead": lead(logits, target)})
    return report(model, x, run, target, reason, rounded=rounded, targeted=targeted)


def _loss_gradient(model, x, target, targeted, loss):
    """(loss, its gradient with respect to x, logits); for a target to be reached, see `waking_gradient`."""
    tape = model.forward(x, keep=())
    logits = class_logits(model, tape.output)
    value, dlogits = loss(logits, target)
    dy = class_logits_backward(dlogits, tape.output)
    dx = waking_gradient(tape, dy, target) if targeted else tape.backward(dy)["input"]
    return value, dx, logits
