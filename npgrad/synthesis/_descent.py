"""How style transfer and inversion minimize their losses: the homework's Adam schedule, or L-BFGS in rounds."""

import numpy as np

from npgrad.errors import InputError, unknown
from npgrad.optim import LBFGS, Adam
from npgrad.synthesis.pixels import image_limits, standardization

FIRST_RATE, LAST_RATE = 3.0, 0.1
LIMIT = 1.5  # of normalized values, in the homework; the last few steps may exceed it


class AdamSchedule(Adam):
    """Adam with the homework's rates and limits, which are in units of `standardization`."""

    def __init__(self, unit=1.0, origin=0.0):
        self.unit, self.limits = unit, (origin - LIMIT * unit, origin + LIMIT * unit)
        super().__init__(FIRST_RATE * unit, eps=1e-8 / unit)


def make_optimizer(name, model, x):
    """The optimizer called "adam" or "lbfgs" for an image like x."""
    if name == "adam":
        return AdamSchedule(*standardization(model, x))
    if name == "lbfgs":
        return LBFGS(bounds=image_limits(model, x))
    raise unknown("optimizer", name, ("adam", "lbfgs"))


def advance(run, optimizer, objective, x, t, steps):
    """Take step t of `steps` from the image x, or with L-BFGS the round that begins there.

    objective: x -> ({name: loss}, dx). Adam follows the homework's schedule: values are clipped to +-1.5 before each
    pass; after 90% of the steps (180 of 200) Adam restarts with a low learning rate; after 95% the clipping stops.
    """
    if isinstance(optimizer, LBFGS):
        iterations, first = min(optimizer.stride, steps - t), run.t
        x, _ = optimizer.advance(objective, x, iterations, show=run.show)
        run.keep(x, first + iterations)
        return
    restart, unclipped = steps * 9 // 10, steps * 19 // 20
    if t < unclipped:
        x = np.clip(x, *optimizer.limits)
    losses, dx = objective(x)
    if t in (0, restart):
        optimizer.state = {"t": 0}
    optimizer.lr = optimizer.unit * (FIRST_RATE if t < restart else LAST_RATE)
    run.update(optimizer.step(x, dx), losses)


def topmost(model, layers):
    """The one of `layers`, given by their full names, that runs last: the forward pass can stop there."""
    order = model.layer_names()
    for layer in layers:
        if layer not in order:
            raise InputError(f"layer: expected one of the network's, found {layer!r}")
    return max(layers, key=order.index)
