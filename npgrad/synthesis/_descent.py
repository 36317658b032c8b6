"""How an image goes down its losses, in style transfer and inversion: the homework's Adam, or L-BFGS in rounds."""

import numpy as np

from npgrad.errors import InputError, unknown
from npgrad.optim import LBFGS, Adam
from npgrad.synthesis.fooling import image_limits

FIRST_RATE, LAST_RATE = 3.0, 0.1
LIMIT = 1.5  # of normalized values, in the homework; the last few steps may go beyond


def make_optimizer(name, model, x):
    """The optimizer called "adam" or "lbfgs" for an image like x."""
    if name == "adam":
        return Adam(FIRST_RATE)
    if name == "lbfgs":
        return LBFGS(bounds=image_limits(model, x))
    raise unknown("optimizer", name, ("adam", "lbfgs"))


def advance(run, optimizer, objective, x, t, steps):
    """Step t of `steps` from the image x; with L-BFGS the round that begins there.

    objective: x -> ({name: loss}, dx). Adam goes by the homework's schedule: values are held within +-1.5 before
    each pass, and after 90 % of the steps (at 180 of 200) a fresh Adam goes on with small ones; the limit
    is lifted at 95 %.
    """
    if isinstance(optimizer, LBFGS):
        iterations, begun = min(optimizer.stride, steps - t), run.t
        x, _ = optimizer.advance(objective, x, iterations, show=run.show)
        run.keep(x, begun + iterations)
        return
    fresh_at, free_at = steps * 9 // 10, steps * 19 // 20
    if t < free_at:
        x = np.clip(x, -LIMIT, LIMIT)
    losses, dx = objective(x)
    if t in (0, fresh_at):
        optimizer.state = {"t": 0}
    optimizer.lr = FIRST_RATE if t < fresh_at else LAST_RATE
    run.update(optimizer.step(x, dx), losses)


def topmost(model, layers):
    """Which of `layers`, the network's own names, runs last: there the forward pass may stop."""
    order = model.layer_names()
    for layer in layers:
        if layer not in order:
            raise InputError(f"layer: expected one of the network's, found {layer!r}")
    return max(layers, key=order.index)
