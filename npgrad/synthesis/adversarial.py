"""Adversarial images: the smallest change, or the best one within a given size, that makes a network err.

    fgsm                   one step of the gradient's sign                  Goodfellow et al. 2015
    pgd                    many steps within a ball around the image      Madry et al. 2018
    smallest_perturbation  steps along the border of a class, toward the image

Sizes are given in pixel values on the scale 0..1, so 8/255 is eight brightness levels of a file. Every value stays
within what an image can hold.
"""

import math
from types import SimpleNamespace

import numpy as np

from npgrad._validate import not_negative, whole_number
from npgrad.errors import InputError
from npgrad.losses import cross_entropy
from npgrad.optim import cosine
from npgrad.synthesis._run import Run
from npgrad.synthesis._scores import lead, one_image, waking_gradient
from npgrad.synthesis.fooling import as_saved, fools, image_limits, report

NORMS = ("linf", "l2")
ZERO = "its gradient is 0 everywhere"


def fgsm(model, x, target=None, epsilon=8 / 255, targeted=False, loss=cross_entropy, callback=None):
    """The fast gradient sign method, one step (Goodfellow et al. 2015, section 4): a Fooling.

        x + epsilon * sign(d loss / d x)        away from the target
        x - epsilon * sign(d loss / d x)        toward it, if targeted

    x: one image (1, 3, H, W), normalized. target: an index or a name; None: the network's own answer, to get
    away from. epsilon: the change of every pixel value, on the scale 0..1. loss: a function (logits, target) ->
    (value, gradient) that falls as the target gains.
    """
    x, target, way = _begin(model, x, target, targeted)
    epsilon = not_negative(epsilon, "epsilon")
    std, (low, high) = _std(model, x), _limits(model, x)
    reason = f"one step of {255 * epsilon:.3g}/255 was not enough"
    with Run(x, 1, callback=callback) as run:
        for _ in run:
            value, dx, logits = _loss_gradient(model, x, target, targeted, loss)
            reason = reason if dx.any() else ZERO
            image = np.clip(x + way * epsilon / std * np.sign(dx), low, high)
            run.update(image, {"loss": value, "lead": lead(logits, target)})
    return report(model, x, run, target, reason, targeted=targeted)


def pgd(
    model,
    x,
    target=None,
    epsilon=None,
    norm="linf",
    steps=10,
    step_size=None,
    targeted=False,
    random_start=False,
    until_fooled=True,
    rounded=True,
    loss=cross_entropy,
    rng=0,
    callback=None,
    checkpoint=None,
):
    """Projected gradient descent within a ball around the image (Madry et al. 2018, section 2.1): a Fooling.

        x <- project(x + step_size * direction)     direction: the steepest one of length 1 in the ball's norm

    x, target, targeted, loss: as for `fgsm`. norm: "linf" bounds the change of every pixel value by epsilon
    (default 8/255) and steps by the gradient's sign; "l2" bounds the whole change's Euclidean norm (default
    2) and steps along the gradient. step_size: None for 2.5 * epsilon / steps, as in the paper's appendix.
    random_start: begin at a random place of the ball. until_fooled: stop at the first image that fools
    (rounded: one that fools as a file, too); False takes all steps, as the paper does.
    """
    x, target, way = _begin(model, x, target, targeted)
    if norm not in NORMS:
        raise InputError(f"norm: expected one of {', '.join(NORMS)}; found {norm!r}")
    whole_number(steps, "steps", 0)
    epsilon = not_negative((8 / 255 if norm == "linf" else 2) if epsilon is None else epsilon, "epsilon")
    length = not_negative(2.5 * epsilon / max(steps, 1) if step_size is None else step_size, "step_size")
    std, (low, high) = _std(model, x), _limits(model, x)
    reason = f"{steps} steps within {_size(epsilon, norm)} were not enough"
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
            change = (run.image - x) * std  # in pixel values; by these the gradient is dx / std
            change = into_ball(change + way * length * steepest(dx / std, norm), epsilon, norm)
            run.update(np.clip(x + change / std, low, high), {"loss": value, "lead": lead(logits, target)})
    return report(model, x, run, target, reason, rounded=rounded, targeted=targeted)


def steepest(g, norm):
    """The direction of length 1, measured by the norm, in which a gradient g rises fastest."""
    return np.sign(g) if norm == "linf" else g / _norm(g)


def into_ball(change, epsilon, norm):
    """The nearest change of norm epsilon or less."""
    if norm == "linf":
        return np.clip(change, -epsilon, epsilon)
    return change * (epsilon / max(_norm(change), epsilon or 1))


def random_in_ball(rng, x, epsilon, norm):
    """A change of the shape of x, drawn evenly from the ball."""
    if norm == "linf":
        return rng.uniform(-epsilon, epsilon, x.shape).astype(x.dtype)
    direction = rng.standard_normal(x.shape)
    radius = epsilon * rng.uniform() ** (1 / x.size)  # most of a ball's volume lies near its surface
    return (radius * direction / np.linalg.norm(direction)).astype(x.dtype)


def smallest_perturbation(
    model, x, target=None, steps=50, rounded=True, rng=0, callback=None, checkpoint=None
):
    """The smallest change found, by its Euclidean norm, that makes `target` the top class: a Fooling.

    x: one image (1, 3, H, W), normalized. target: an index or a name; None: any class but the network's own
    answer. steps: gradient steps; the best image of all of them is given back. rounded: only images of
    whole bytes count, so that the file fools as well; False finds smaller changes, which a file cannot hold.

    Let d be the change so far, f the target's lead at x + d and w its gradient. On the plane where the linearised
    lead is a trifle e (DeepFool: Moosavi-Dezfooli et al. 2016, eq. 5), the shortest change is a multiple of w.
    So every step takes a share g of d away, and then goes along w, back to the plane:

        d <- (1 - g) d + (e - f + g w.d) / w.w * w

    With g = 0 this is DeepFool, with 1 the plane's point nearest to the image. g is 0 until a first image
    fools, and later falls from 0.3 at the first step to 0.02 at the last.
    """
    targeted = target is not None
    x, target, _ = _begin(model, x, target, targeted)
    unit = float(model(x).std()) or 1.0  # of leads, so that the scale of a network's scores does not matter
    share, (low, high) = cosine(0.3, whole_number(steps, "steps", 0), last=0.02), _limits(model, x)
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
            ww = _dot(w, w)
            if ww == 0:
                reason = ZERO
                break
            d, g = run.image - x, share(t) if found.state else 0.0
            d = (1 - g) * d + (unit / 100 - f + g * _dot(w, d)) / ww * w
            run.update(np.clip(x + d, low, high), {"lead": lead(logits, target), "norm": _norm(d)})
    if found.state:
        run.image = found.state["image"]
    return report(model, x, run, target, reason, rounded=rounded, targeted=targeted)


def _lead_gradient(model, x, target, targeted, sharpness):
    """(lead f, its gradient by x, logits): the target's score minus the others', or the reverse if not targeted.

    The others count by a soft maximum, log(sum exp(sharpness * s)) / sharpness: with the hard one, each step pushes
    down the leader of the moment, and another takes its place. f is the more cautious of the two.
    """
    tape = model.forward(x, keep=())
    logits, way = tape.output, 1 if targeted else -1
    others = np.delete(logits[0], target)
    top = others.max()
    e = np.exp(sharpness * (others - top))
    soft = top + math.log(e.sum()) / sharpness
    seed = way * -np.insert(e / e.sum(), target, -1)[None]
    dx = waking_gradient(tape, seed.astype(x.dtype), target)
    f = min(way * (float(logits[0, target]) - float(rival)) for rival in (top, soft))
    return f, dx, logits


def _smaller(state, image, change):
    """{"image", "norm"} of the smaller change: of those so far, or this one."""
    norm = _norm(change)
    return state if state and state["norm"] <= norm else {"image": image, "norm": norm}


def _loss_gradient(model, x, target, targeted, loss):
    """(loss, its gradient by x, logits). A target that is aimed at and shut off is woken up."""
    tape = model.forward(x, keep=())
    value, seed = loss(tape.output, target)
    dx = waking_gradient(tape, seed, target) if targeted else tape.backward(seed)["input"]
    return value, dx, tape.output


def _begin(model, x, target, targeted):
    """(x, the target's index, 1 to climb its loss or -1 to descend it)."""
    x = one_image(x)
    if target is None and targeted:
        raise InputError("target: expected a class to aim at, found None")
    logits = model(x)
    if logits.size < 2:
        raise InputError(f"model: expected at least two classes to choose from, found logits {logits.shape}")
    target = int(logits.argmax()) if target is None else model.class_index(target)
    return x, target, -1 if targeted else 1


def _std(model, x):
    """How many pixel values, on the scale 0..1, one normalized unit is: (1, C, 1, 1)."""
    return np.reshape(model.preprocessing.std, (1, -1, 1, 1)).astype(x.dtype)


def _limits(model, x):
    """The values that an image can hold; where x itself is beyond them, its own."""
    low, high = image_limits(model, x)
    return np.minimum(low, x), np.maximum(high, x)


def _size(epsilon, norm):
    return f"{255 * epsilon:.3g}/255" if norm == "linf" else f"a norm of {epsilon:.3g}"


def _dot(a, b):
    """The scalar product, in float64, where the square of a tiny gradient does not vanish."""
    return float(np.vdot(a.astype(np.float64), b.astype(np.float64)))


def _norm(a):
    return math.sqrt(_dot(a, a))
