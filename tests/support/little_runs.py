"""A generator as small as can be, to try the loop that all generators share: interrupted, resumed, damaged."""

import json

import numpy as np
from checks import same_bits

from npgrad.optim import Adam
from npgrad.synthesis._run import Run, Synthesis

STEPS = 12


def noise(seed=0):
    return np.random.default_rng(seed).standard_normal((1, 3, 4, 5)).astype(np.float32)


def make(x, rng=0, callback=None, checkpoint=None, steps=STEPS, settings=None, lr=0.1, stop=None, at=None):
    """A little generator: Adam toward random noise. `at`: called inside a step, before its update."""
    optimizer = Adam(lr)
    settings = {"lr": lr, **(settings or {})}
    with Run(x, steps, rng, optimizer, callback, checkpoint, every=5, settings=settings) as run:
        for t in run:
            goal = run.rng.standard_normal(x.shape).astype(x.dtype)
            image = optimizer.step(run.image, run.image - goal)
            if at is not None:
                at(t)
            run.update(image, {"far": np.sum((image - goal) ** 2)}, finished=t + 1 == stop)
    return Synthesis(run.image, run.t, run.losses, run.interrupted)


def assert_same(found, expected):
    assert same_bits({"image": found.image}, {"image": expected.image})
    assert (found.steps, found.losses) == (expected.steps, expected.losses)


class InterruptAt:
    """A Ctrl-C in step `step`, be it in the callback or in the midst of the work."""

    def __init__(self, step):
        self.step, self.seen = step, None

    def __call__(self, t, image=None, losses=None):
        self.seen = image
        if t == self.step:
            raise KeyboardInterrupt


def settings_of(path):
    with np.load(path) as file:
        return json.loads(file["run"].tobytes())["settings"]
