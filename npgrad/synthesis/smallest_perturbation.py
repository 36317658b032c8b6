"""The smallest change of an image that makes the network predict another class, by steps along the class boundary."""

import math
from types import SimpleNamespace

import numpy as np

from npgrad._balls import dot, euclidean
from npgrad._targets import class_logits, class_logits_backward
from npgrad._typing import Array, Path, Rng
from npgrad._validate import whole_number
from npgrad.model import Model
from npgrad.optim import cosine
from npgrad.synthesis._fooling import Fooling, fools, report
from npgrad.synthesis._perturbation import ZERO, limits, start
from npgrad.synthesis._run import Callback, Run
from npgrad.synthesis._scores import lead
from npgrad.synthesis.pixels import as_saved
from npgrad.synthesis.scores import waking_gradient

__all__ = ["smallest_perturbation"]


def smallest_perturbation(
    model: Model,
    x: Array,
    target: int | str | None = None,
    steps: int = 50,
    rounded: bool = True,
    rng: Rng = 0,
    callback: Callback = None,
    checkpoint: Path | None = None,
) -> Fooling:
    """Find a change of small Euclidean norm that makes `target` the top class.

    Let d be the change so far, f the target's lead at x + d and w its gradient. On the plane where the linearized
    lead is a small constant e (DeepFool: Moosavi-Dezfooli et al. 2016, eq. 5), the shortest change is a multiple of w.
    So every step removes a fraction g of d, and then moves along w back to the plane:

        d <- (1 - g) d + (e - f + g w.d) / w.w * w

    With g = 0 this is DeepFool; with g = 1 it gives the point of the plane that is nearest to the image. g is 0 until
    a first image fools, and follows a schedule from 0.3 at the first step to 0.02 at the last.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (1, 3, H, W)
        A preprocessed image.
    target : int, str or None
        The class to be reached, by index or name. None: any class but the top class.
    steps : int, default 50
        Number of gradient steps; the result is the best image of all of them.
    rounded : bool, default True
        Count only images of whole bytes, so that the saved file fools as well. False finds smaller changes, which
        saving to a file would lose.
    rng : numpy.random.Generator or int, default 0
        Unused by the steps; part of the checkpoint.
    callback : callable or None
        Called after each step with (step, image, losses). It must not modify the image.
    checkpoint : path or None
        A file written every 50 steps, at Ctrl-C and at the end.
        If it exists, the run resumes from it: bit-identically on the same machine with the same versions and settings.

    Returns
    -------
    Fooling
        With losses "lead" and "norm".

    Raises
    ------
    InputError
        If an argument cannot be used.
    TargetError, UnknownName
        If the target is not a class of the network.
    """
    targeted = target is not None
    model, x, target, _ = start(model, x, target, targeted)
    # the unit of leads, so that the scale of the logits does not matter
    unit = float(class_logits(model, model(x)).std()) or 1.0
    fraction = cosine(0.3, whole_number(steps, "steps", 0), last=0.02)
    low, high = limits(model, x)
    reason, found = f"{steps} steps were not enough", SimpleNamespace(state={})
    settings = {
        "make": "smallest", "model": model, "target": target, "targeted": targeted, "rounded": rounded
    }  # fmt: skip
    with Run(x, steps, rng, found, callback, checkpoint, settings=settings) as run:
        for t in run:
            seen = as_saved(model, run.image) if rounded else run.image
            f, w, logits = _lead_gradient(model, seen, target, targeted, 10 / unit)
            if fools(model, seen, logits, target, targeted=targeted):
                found.state = _smaller(found.state, seen, seen - x)
            ww = dot(w, w)
            if ww == 0:
                reason = ZERO
                break
            d, g = run.image - x, fraction(t) if found.state else 0.0
            d = (1 - g) * d + (unit / 100 - f + g * dot(w, d)) / ww * w
            run.update(np.clip(x + d, low, high), {"lead": lead(logits, target), "norm": euclidean(d)})
    if found.state:
        run.image = found.state["image"]
    return report(model, x, run, target, reason, rounded=rounded, targeted=targeted)


def _lead_gradient(model, x, target, targeted, sharpness):
    """(lead f, its gradient with respect to x, logits): the target's score minus the others', negated if not targeted.

    The gradient is that of the soft maximum of the others, log(sum exp(sharpness * s)) / sharpness: with the hard
    maximum, each step would lower one competing class only, and another would replace it. f is the smaller of the leads
    over the soft and the hard maximum.
    """
    tape = model.forward(x, keep=())
    logits, sign = class_logits(model, tape.output), 1 if targeted else -1
    others = np.delete(logits[0], target)
    top = others.max()
    e = np.exp(sharpness * (others - top))
    soft = top + math.log(e.sum()) / sharpness
    dlogits = sign * -np.insert(e / e.sum(), target, -1)[None]
    dx = waking_gradient(tape, class_logits_backward(dlogits.astype(x.dtype), tape.output), target)
    f = min(sign * (float(logits[0, target]) - float(rival)) for rival in (top, soft))
    return f, dx, logits


def _smaller(state, image, change):
    """{"image", "norm"} of the smaller change: the best so far, or this one."""
    norm = euclidean(change)
    return state if state and state["norm"] <= norm else {"image": image, "norm": norm}
