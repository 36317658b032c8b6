"""Optimizers: how a gradient becomes a step. They share one interface, for images and for networks.

    x = optimizer.step(x, dx)                      one step; x is an array, or a dict of arrays (parameters)
    x, losses = optimizer.advance(objective, x)    up to `optimizer.stride` steps on an objective

An objective is a function x -> ({name: loss}, dx), where dx is the gradient of the sum of the losses. A step returns a
new x and does not modify the old one. `optimizer.state` is a dict of numbers and arrays with everything the optimizer
remembers; an optimizer whose state is restored continues bit-identically on the same machine. A learning rate is a
number or a schedule: a function of the number of steps taken.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._lbfgs import LBFGS
from npgrad._schedules import cosine, steps
from npgrad._typing import Array
from npgrad._validate import not_negative
from npgrad.errors import InputError

__all__ = ["LBFGS", "SGD", "Adam", "NormalizedAscent", "Optimizer", "cosine", "steps"]

Rate = float | Callable[[int], float]
Arrays = Array | dict[str, Array]


class Optimizer:
    """Base class of the first-order optimizers.

    A subclass implements `_step(x, dx, lr, memory)` -> (new x, new memory) for one array; `memory` is a tuple of
    arrays, or None at the first step.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule.

    Raises
    ------
    InputError
        If a number is negative or not finite.
    """

    stride = 1

    def __init__(self, lr: Rate) -> None:
        self.lr = lr if callable(lr) else not_negative(lr, "lr")
        self.t = 0
        self._memory = {}  # {name of an array: tuple of arrays}

    def step(self, x: Arrays, dx: Arrays) -> Any:
        """Take one step.

        Parameters
        ----------
        x : ndarray or dict of str to ndarray
            What is optimized; it is not modified.
        dx : ndarray or dict of str to ndarray
            Its gradient, with the same names and shapes.

        Returns
        -------
        ndarray or dict of str to ndarray
            The new x.

        Raises
        ------
        InputError
            If names or shapes differ.
        """
        many = isinstance(x, dict)
        x, dx = (x, dx) if many else ({"x": x}, {"x": dx})
        if x.keys() != dx.keys():
            odd = ", ".join(sorted(map(str, x.keys() ^ dx.keys())))
            owner = type(self).__name__
            raise InputError(f"{owner}: expected a gradient for each array, found none or no array: {odd}")
        lr = float(self.lr(self.t)) if callable(self.lr) else self.lr
        self.t += 1
        moved, memory = {}, {}
        for name, array in x.items():
            shape, found = np.shape(array), np.shape(dx[name])
            if shape != found:
                raise InputError(f"gradient of {name}: expected shape {shape}, found {found}")
            moved[name], memory[name] = self._step(array, dx[name], lr, self._memory.get(name))
        self._memory = memory
        return moved if many else moved["x"]

    def advance(
        self,
        objective: Callable[[Array], tuple[dict[str, Any], Array]],
        x: Array,
        iterations: int = 1,
        show: Callable[[Array, dict[str, Any]], object] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Take one step on an objective; the interface is that of `LBFGS`.

        Parameters
        ----------
        objective : callable
            x -> ({name: loss}, gradient of the sum of the losses).
        x : ndarray
            Where to start; it is not modified.
        iterations, show
            Ignored: a round is one step.

        Returns
        -------
        x, losses : ndarray, dict
            The new x, and the losses at the old one.
        """
        losses, dx = objective(x)
        return self.step(x, dx), losses

    @property
    def settings(self) -> dict[str, Any]:
        """What it was made with, by name, such as {"lr": 0.001, ...}; a run resumes with the same settings only."""
        return {name: value for name, value in vars(self).items() if name not in ("t", "_memory")}

    @property
    def state(self) -> dict[str, Any]:
        """Steps taken and arrays remembered, {"t": int, "name/0": array, ...}; none is ever modified in place."""
        arrays = {f"{name}/{i}": a for name, memory in self._memory.items() for i, a in enumerate(memory)}
        return {"t": self.t, **arrays}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        memory = {}
        for key in sorted(key for key in state if key != "t"):
            memory.setdefault(key.rpartition("/")[0], []).append(state[key])
        self.t, self._memory = int(state["t"]), {name: tuple(arrays) for name, arrays in memory.items()}


class NormalizedAscent(Optimizer):
    """Gradient ascent by steps of fixed length: x + lr * g / ||g||, with the Euclidean norm of the whole array.

    Parameters
    ----------
    lr : float or callable
        Length of a step, or a schedule.
    """

    def _step(self, x, dx, lr, memory):
        norm = np.linalg.norm(dx)
        return x + (lr * dx / norm if norm > 0 else 0 * dx), ()


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, as in PyTorch: v = momentum * v + g, x - lr * v.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a schedule.
    momentum : float, default 0
        From 0 to below 1.
    weight_decay : float, default 0
        Adds weight_decay * x to the gradient.
    nesterov : bool, default False
        Step by g + momentum * v instead of v.

    Raises
    ------
    InputError
        If a number is out of range.
    """

    def __init__(
        self, lr: Rate, momentum: float = 0.0, weight_decay: float = 0.0, nesterov: bool = False
    ) -> None:
        super().__init__(lr)
        self.momentum = _fraction(momentum, "momentum")
        self.weight_decay = not_negative(weight_decay, "weight_decay")
        self.nesterov = nesterov

    def _step(self, x, dx, lr, memory):
        if self.weight_decay:
            dx = dx + self.weight_decay * x
        if not self.momentum:
            return x - lr * dx, ()
        v = self.momentum * memory[0] + dx if memory else dx
        return x - lr * (dx + self.momentum * v if self.nesterov else v), (v,)


class Adam(Optimizer):
    """Adam (Kingma, Ba 2015, algorithm 1), in PyTorch's arithmetic: eps is added to the bias-corrected root.

        m = b1 m + (1 - b1) g           v = b2 v + (1 - b2) g^2
        x - lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + eps)

    Parameters
    ----------
    lr : float or callable, default 1e-3
        Learning rate, or a schedule.
    betas : (float, float), default (0.9, 0.999)
        Decay rates b1 and b2 of the moments, from 0 to below 1.
    eps : float, default 1e-8
    weight_decay : float, default 0
        Adds weight_decay * x to the gradient.
    decoupled : bool, default False
        Multiply x by 1 - lr * weight_decay instead (AdamW: Loshchilov, Hutter 2019).

    Raises
    ------
    InputError
        If a number is out of range.

    Examples
    --------
    >>> adam = Adam(0.1)
    >>> adam.step(np.array([1.0, 2.0]), np.array([5.0, -5.0])).round(6).tolist()
    [0.9, 2.1]
    """

    def __init__(
        self,
        lr: Rate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled: bool = False,
    ) -> None:
        super().__init__(lr)
        self.betas = tuple(_fraction(beta, "betas") for beta in betas)
        self.eps, self.weight_decay = not_negative(eps, "eps"), not_negative(weight_decay, "weight_decay")
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


def _fraction(value, name):
    if not not_negative(value, name) < 1:
        raise InputError(f"{name}: expected a number from 0 to below 1, found {value!r}")
    return float(value)
