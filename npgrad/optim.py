"""Optimizers: how a gradient becomes a step. One interface for images and for networks.

    x = optimizer.step(x, dx)                      one step; x an array, or a dict of arrays (parameters)
    x, losses = optimizer.advance(objective, x)    up to `optimizer.stride` steps of an objective

An objective is a function x -> ({name: loss}, dx), where dx is the gradient of the sum of the losses. A step gives
a new x and leaves the old one as it was. `state` is all that an optimizer remembers, a dict of numbers and arrays:
put it back, and it goes on to the same bits. A learning rate is a number, or a schedule: a function of the number of
steps taken.
"""

import math

import numpy as np

from npgrad.errors import InputError


class Optimizer:
    """What first-order optimizers share. A subclass writes `_step(x, dx, lr, memory)` -> (new x, new memory)."""

    stride = 1

    def __init__(self, lr):
        self.lr = _rate(lr)
        self.t = 0
        self._memory = {}  # what is remembered of each array, by its name: a tuple of arrays

    def step(self, x, dx):
        """x moved by one step along its gradient dx. Both are arrays, or dicts of arrays with the same names."""
        many = isinstance(x, dict)
        x, dx = (x, dx) if many else ({"x": x}, {"x": dx})
        if x.keys() != dx.keys():
            odd = ", ".join(sorted(map(str, x.keys() ^ dx.keys())))
            raise InputError(
                f"{type(self).__name__}: expected a gradient for each array, found none or no array: {odd}"
            )
        lr = float(self.lr(self.t)) if callable(self.lr) else self.lr
        self.t += 1
        moved, memory = {}, {}
        for name, array in x.items():
            if np.shape(dx[name]) != np.shape(array):
                raise InputError(
                    f"gradient of {name}: expected shape {np.shape(array)}, found {np.shape(dx[name])}"
                )
            moved[name], memory[name] = self._step(array, dx[name], lr, self._memory.get(name))
        self._memory = memory
        return moved if many else moved["x"]

    def advance(self, objective, x, iterations=1, show=None):
        """One step of `objective`: (new x, losses at the old x). The interface that L-BFGS shares."""
        losses, dx = objective(x)
        return self.step(x, dx), losses

    @property
    def state(self):
        """Steps taken and the arrays remembered: {"t": int, "name/0": array, ...}, none ever changed in place."""
        arrays = {f"{name}/{i}": a for name, memory in self._memory.items() for i, a in enumerate(memory)}
        return {"t": self.t, **arrays}

    @state.setter
    def state(self, state):
        memory = {}
        for key in sorted(key for key in state if key != "t"):
            memory.setdefault(key.rpartition("/")[0], []).append(state[key])
        self.t, self._memory = int(state["t"]), {name: tuple(arrays) for name, arrays in memory.items()}


class NormalizedAscent(Optimizer):
    """Gradient ascent by a fixed distance: x + lr * g / ||g||, the norm over the whole array (the course's ascent)."""

    def _step(self, x, dx, lr, memory):
        norm = np.linalg.norm(dx)
        return x + (lr * dx / norm if norm > 0 else 0 * dx), ()


class SGD(Optimizer):
    """Stochastic gradient descent: v = momentum * v + g, x - lr * v, as in PyTorch (dampening 0).

    weight_decay: adds weight_decay * x to the gradient. nesterov: steps by g + momentum * v.
    """

    def __init__(self, lr, momentum=0.0, weight_decay=0.0, nesterov=False):
        super().__init__(lr)
        self.momentum, self.weight_decay = (
            _fraction("momentum", momentum),
            _not_negative("weight_decay", weight_decay),
        )
        self.nesterov = nesterov

    def _step(self, x, dx, lr, memory):
        if self.weight_decay:
            dx = dx + self.weight_decay * x
        if not self.momentum:
            return x - lr * dx, ()
        v = self.momentum * memory[0] + dx if memory else dx
        return x - lr * (dx + self.momentum * v if self.nesterov else v), (v,)


class Adam(Optimizer):
    """Adam (Kingma, Ba 2015, algorithm 1), in PyTorch's arithmetic: eps is added to the corrected root.

        m = b1 m + (1 - b1) g           v = b2 v + (1 - b2) g^2
        x - lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    weight_decay: adds weight_decay * x to the gradient; with decoupled=True, x is shrunk by lr * weight_decay
    beforehand instead (AdamW: Loshchilov, Hutter 2019).
    """

    def __init__(self, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
        super().__init__(lr)
        self.betas = tuple(_fraction("betas", beta) for beta in betas)
        self.eps, self.weight_decay = _not_negative("eps", eps), _not_negative("weight_decay", weight_decay)
        self.decoupled = decoupled

    def _step(self, x, dx, lr, memory):
        b1, b2 = self.betas
        if self.weight_decay and self.decoupled:
            x = x * (1 - lr * self.weight_decay)
        elif self.weight_decay:
            dx = dx + self.weight_decay * x
        m, v = memory or (np.zeros_like(x), np.zeros_like(x))
        m = b1 * m + (1 - b1) * dx
        v = b2 * v + (1 - b2) * dx * dx
        root = np.sqrt(v) / math.sqrt(1 - b2**self.t) + self.eps
        return x - lr / (1 - b1**self.t) * m / root, (m, v)


class LBFGS:
    """L-BFGS (Liu, Nocedal 1989) through SciPy, in rounds of `stride` iterations.

    SciPy gives nothing of its memory of past steps out, so each round begins without one: what is resumed at the
    beginning of a round goes on to the same bits. SciPy works in float64; the objective gets x in its own dtype.

    stride: iterations a round. memory: how many past steps are kept. bounds: (lowest, highest), numbers or
    arrays that broadcast to x, or None.
    """

    def __init__(self, stride=50, memory=10, bounds=None):
        self.stride, self.memory = _from_one("stride", stride), _from_one("memory", memory)
        self.bounds = bounds
        self.t = 0

    def advance(self, objective, x, iterations=None, show=None):
        """Up to `iterations` (None: `stride`) of `objective`: (new x, losses there). show(x, losses) sees each one.

        Fewer where no step helps any more.
        """
        from scipy.optimize import minimize

        iterations = self.stride if iterations is None else min(iterations, self.stride)
        latest = {}

        def value_and_gradient(flat):
            losses, dx = objective(unflat(flat))
            latest.update(losses)
            return float(sum(losses.values())), dx.ravel().astype(np.float64)

        def unflat(flat):
            return flat.reshape(x.shape).astype(x.dtype)

        def after_each(flat):
            if show is not None:  # the last evaluation of a line search is the step that it takes
                show(unflat(flat), dict(latest))

        found = minimize(
            value_and_gradient,
            x.ravel().astype(np.float64),
            jac=True,
            method="L-BFGS-B",
            bounds=None if self.bounds is None else self._bounds(x),
            callback=after_each,
            options={
                "maxiter": iterations,
                "maxfun": 20 * iterations,
                "maxcor": self.memory,
                "ftol": 0,
                "gtol": 0,
            },
        )
        self.t += iterations
        return unflat(found.x), latest

    def _bounds(self, x):
        from scipy.optimize import Bounds

        return Bounds(*(np.broadcast_to(limit, x.shape).ravel() for limit in self.bounds))

    @property
    def state(self):
        """Iterations taken; SciPy keeps the rest to itself, and only until a round ends."""
        return {"t": self.t}

    @state.setter
    def state(self, state):
        self.t = int(state["t"])


def steps(*parts):
    """A schedule by pieces: steps((0, 3.0), (180, 0.1)) is 3.0 until 180 steps are taken, then 0.1."""
    starts = [start for start, _ in parts]
    if not parts or starts[0] != 0 or starts != sorted(set(starts)):
        raise InputError(f"steps: expected (start, rate) from start 0 on, rising, found starts {starts}")
    return lambda t: next(rate for start, rate in reversed(parts) if t >= start)


def cosine(lr, total, warmup=0, last=0.0):
    """A schedule: up to `lr` in a line over `warmup` steps, then down to `last` at `total` along half a cosine.

    Loshchilov, Hutter 2017, eq. 5, without restarts.
    """

    def rate(t):
        if t < warmup:
            return lr * (t + 1) / warmup
        done = min(1.0, (t - warmup) / max(1, total - warmup))
        return last + (lr - last) * 0.5 * (1 + math.cos(math.pi * done))

    return rate


def _rate(lr):
    return lr if callable(lr) else _not_negative("lr", lr)


def _not_negative(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value < math.inf:
        raise InputError(f"{name}: expected a number >= 0, found {value!r}")
    return float(value)


def _from_one(name, value):
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise InputError(f"{name}: expected a whole number >= 1, found {value!r}")
    return int(value)


def _fraction(name, value):
    if not _not_negative(name, value) < 1:
        raise InputError(f"{name}: expected a number from 0 to below 1, found {value!r}")
    return float(value)
