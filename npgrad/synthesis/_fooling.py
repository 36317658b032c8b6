"""Whether an image fools a network, and the result that reports it."""

from dataclasses import dataclass

import numpy as np

from npgrad._targets import class_logits
from npgrad.synthesis._run import Synthesis
from npgrad.synthesis._scores import lead, probability
from npgrad.synthesis.pixels import as_saved


@dataclass(frozen=True, eq=False, repr=False)
class Fooling(Synthesis):
    """A fooling image, and whether it reached its goal.

    Attributes
    ----------
    image, steps, losses, interrupted
        See `Synthesis`.
    target : int
        The class to be reached, or to be left if not `targeted`.
    reached : bool
        Whether the target is the top class (by `margin`), or no longer is.
    norm : float
        Euclidean norm of the change, in normalized units.
    largest_change : float
        Largest change of a pixel value, on the scale 0 to 255.
    before, after : int
        Top class of the original image and of the result.
    probability : float
        Probability of the target in the result.
    reason : str
        Why the goal was not reached; empty if it was.
    targeted : bool
        Whether the target was to be reached.
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


def fools(model, image, logits, target, margin=0.0, rounded=False, targeted=True):
    """Whether the image with these class logits reaches the goal; `rounded`: also after being saved to a file."""
    if is_top(logits, target, margin) is not targeted:
        return False
    return not rounded or fools(
        model, image, class_logits(model, model(as_saved(model, image))), target, margin, targeted=targeted
    )


def is_top(logits, target, margin=0.0):
    """Whether the target is the top class, by more than the margin if there is one."""
    return bool(logits.argmax() == target and (not margin or lead(logits, target) > margin))


def report(model, x, run, target, reason, margin=0.0, rounded=False, targeted=True):
    """The Fooling for a run that started from x; `reason` applies if the goal was not reached."""
    image = run.image
    outputs, change = model(image), image - x
    logits = class_logits(model, outputs)
    std = np.reshape(model.preprocessing.pixel_std, (1, -1, 1, 1))
    reached = fools(model, image, logits, target, margin, rounded, targeted)
    return Fooling(
        image=image,
        steps=run.t,
        losses=run.losses,
        interrupted=run.interrupted,
        target=target,
        reached=reached,
        norm=float(np.linalg.norm(change.ravel())),  # summed in C order, whatever the memory order
        largest_change=float(np.abs(change * std).max() * 255),
        before=int(class_logits(model, model(x)).argmax()),
        after=int(logits.argmax()),
        probability=probability(model, outputs, target),
        reason="" if reached else ("interrupted" if run.interrupted else reason),
        targeted=targeted,
    )
