"""Fooling images: a small change of an image that makes the network predict another class (Szegedy et al. 2014)."""

import numpy as np

from npgrad._outputs import expect_classes, explained
from npgrad._targets import class_logits, scores
from npgrad._typing import Array, Path, Rng
from npgrad._validate import not_negative, one_image, whole_number
from npgrad.model import Model
from npgrad.optim import NormalizedAscent
from npgrad.synthesis._fooling import Fooling, fools, report
from npgrad.synthesis._run import Callback, Run
from npgrad.synthesis._scores import lead
from npgrad.synthesis.pixels import image_limits, standardization
from npgrad.synthesis.scores import score_gradient

__all__ = ["Fooling", "make_fooling_image"]


def make_fooling_image(
    model: Model,
    x: Array,
    target: int | str,
    learning_rate: float = 10,
    max_iter: int = 100,
    margin: float = 0.0,
    clip: bool = False,
    rounded: bool = True,
    rng: Rng = None,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> Fooling:
    """Increase the target's score by steps of fixed length until it is the top class.

        x += learning_rate * g / ||g||,  g = d score / d x

    The update is that of CS231n's assignment 3, there with learning_rate=1 and rounded=False.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, 3, H, W)
        A preprocessed image.
    target : int or str
        The class to be reached, by index or name.
    learning_rate : float, default 10
        Euclidean length of a step, in normalized units.
    max_iter : int, default 100
        Maximum number of steps.
    margin : float, default 0
        Continue until the target's score exceeds every other score by more than this.
    clip : bool, default False
        Keep every value within the range of an image file.
    rounded : bool, default True
        Continue until the image also fools after being saved, its values rounded to whole bytes.
    rng : numpy.random.Generator, int or None, default None
        Unused by the steps; part of the checkpoint.
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    Fooling
        With losses "score" and "lead". A target that is not reached, because `max_iter` is too small or the gradient
        vanishes, is not an error: `reached` is False and `reason` says why.

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
    >>> result = npgrad.synthesis.make_fooling_image(model, x, "key")
    >>> result.reached, model.class_name(result.after)
    (True, 'key')
    """
    expect_classes(model, "make_fooling_image")
    model = explained(model, declared=True)
    x, target = one_image(x), model.class_index(target)
    whole_number(max_iter, "max_iter", 0)
    not_negative(margin, "margin")
    unit, _ = standardization(model, x)
    ascent = NormalizedAscent(unit * not_negative(learning_rate, "learning_rate"))
    limits = image_limits(model, x) if clip else None
    settings = {
        "make": "fooling",
        "model": model,
        "target": target,
        "rate": learning_rate,
        "margin": margin,
        "clip": clip,
        "rounded": rounded,
    }
    reason = f"{max_iter} steps were not enough"
    with Run(x, max_iter, rng, ascent, callback, checkpoint, settings=settings) as run:
        for _ in run:
            tape, g = score_gradient(model, run.image, target)
            logits = class_logits(model, tape.output)
            if fools(model, run.image, logits, target, margin, rounded):
                break
            if not g.any():
                reason = "its gradient is 0 everywhere"
                break
            image = ascent.step(run.image, g)
            image = image if limits is None else np.clip(image, *limits)
            run.update(image, {"score": scores(model, tape.output, target)[0], "lead": lead(logits, target)})
    return report(model, x, run, target, reason, margin, rounded)
