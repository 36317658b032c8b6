"""Fooling images: a small change of an image, and the network sees something else (Szegedy et al. 2014)."""

from dataclasses import dataclass

import numpy as np

from npgrad._validate import not_negative, whole_number
from npgrad.optim import NormalizedAscent
from npgrad.synthesis._run import Run, Synthesis
from npgrad.synthesis._scores import lead, one_image, probability, score_gradient


@dataclass(frozen=True, eq=False, repr=False)
class Fooling(Synthesis):
    """A fooling image, and how well it fools.

    target: the class aimed at, or away from if not `targeted`. reached: whether it leads (by `margin`), or no
    longer does. norm: the change's Euclidean norm, in normalized units. largest_change: of one pixel's value, on
    the scale 0..255. before, after: the top class of the image before and after. probability: the target's,
    after. reason: why it was not reached.
    """

    target: int = 0
    reached: bool = False
    norm: float = 0.0
    largest_change: float = 0.0
    before: int = 0
    after: int = 0
    probability: float = 0.0
    reason: str = ""
    targeted: bool = True

    def __repr__(self):
        goal = f"target {self.target}" if self.targeted else f"away from {self.target}"
        state = "reached" if self.reached else f"NOT reached ({self.reason})"
        return (
            f"Fooling(class {self.before} -> {self.after}; {goal}: {state} in {self.steps} steps, "
            f"probability {self.probability:.1%}; change: norm {self.norm:.3g}, at most {self.largest_change:.3g}/255)"
        )


def make_fooling_image(
    model,
    x,
    target,
    learning_rate=10,
    max_iter=100,
    margin=0.0,
    clip=False,
    rounded=True,
    rng=None,
    callback=None,
    checkpoint=None,
):
    """Climb the target's score by steps of fixed length until it is the top class: a Fooling.

        x += learning_rate * g / ||g||,  g = d score / d x

    x: one image (1, 3, H, W), normalized. target: an index or a name. max_iter: the most steps. margin: go on
    until the target's score leads the next by more than this. clip: keep every value within what an image
    can hold. rounded: go on until the image saved as a file, its values whole bytes, fools as well. A target
    that is not reached within max_iter steps, or whose gradient vanishes, is no error: the result says so.

    The step of the homework and of CS231n's assignment 3 (there learning_rate is 1, and rounded=False).
    """
    x, target = one_image(x), model.class_index(target)
    whole_number(max_iter, "max_iter", 0), not_negative(margin, "margin")
    ascent = NormalizedAscent(not_negative(learning_rate, "learning_rate"))
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
            if fools(model, run.image, tape.output, target, margin, rounded):
                break
            if not g.any():
                reason = "its gradient is 0 everywhere"
                break
            image = ascent.step(run.image, g)
            image = image if limits is None else np.clip(image, *limits)
            run.update(image, {"score": tape.output[0, target], "lead": lead(tape.output, target)})
    return report(model, x, run, target, reason, margin, rounded)


def fools(model, image, logits, target, margin=0.0, rounded=False, targeted=True):
    """Is an image with these logits taken for the target, or no longer, if not targeted? rounded: as a file, too."""
    if is_top(logits, target, margin) is not targeted:
        return False
    return not rounded or fools(
        model, image, model(as_saved(model, image)), target, margin, targeted=targeted
    )


def is_top(logits, target, margin=0.0):
    """Is the target the top class, and ahead of the next by more than the margin (if there is one)?"""
    return bool(logits.argmax() == target and (not margin or lead(logits, target) > margin))


def as_saved(model, x):
    """x as it comes back from a file: every value within what an image can hold, and a whole byte."""
    return model.preprocess(list(model.deprocess(x)), resize=False).astype(x.dtype)


def image_limits(model, x):
    """(lowest, highest) normalized value of each channel that an image can hold: two arrays (1, C, 1, 1)."""
    mean, std = (
        np.reshape(v, (1, -1, 1, 1)).astype(x.dtype)
        for v in (model.preprocessing.mean, model.preprocessing.std)
    )
    return (0 - mean) / std, (1 - mean) / std


def report(model, x, run, target, reason, margin=0.0, rounded=False, targeted=True):
    """The Fooling that tells what became of x; `reason` if it was not reached."""
    image = run.image
    logits, change = model(image), image - x
    std = np.reshape(model.preprocessing.std, (1, -1, 1, 1))
    reached = fools(model, image, logits, target, margin, rounded, targeted)
    return Fooling(
        image=image,
        steps=run.t,
        losses=run.losses,
        interrupted=run.interrupted,
        target=target,
        reached=reached,
        norm=float(np.linalg.norm(change.ravel())),  # in one order, whatever the order in memory
        largest_change=float(np.abs(change * std).max() * 255),
        before=int(model(x).argmax()),
        after=int(logits.argmax()),
        probability=probability(logits, target),
        reason="" if reached else ("interrupted" if run.interrupted else reason),
        targeted=targeted,
    )
