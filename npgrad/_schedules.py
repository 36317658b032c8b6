"""Schedules: a learning rate as a function of the number of steps taken.

Each is an object instead of a closure, so that a checkpoint can tell it from another one by its numbers.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from npgrad.errors import InputError


def steps(*parts: tuple[int, float]) -> Callable[[int], float]:
    """Return a piecewise constant schedule.

    Parameters
    ----------
    *parts : (int, float)
        (first step, rate), in rising order from step 0.

    Returns
    -------
    callable
        The learning rate as a function of the number of steps taken.

    Raises
    ------
    InputError
        If the first steps do not rise from 0.

    Examples
    --------
    >>> rate = steps((0, 3.0), (180, 0.1))
    >>> rate(179), rate(180)
    (3.0, 0.1)
    """
    starts = [start for start, _ in parts]
    if not parts or starts[0] != 0 or starts != sorted(set(starts)):
        raise InputError(f"steps: expected (start, rate) from start 0 on, rising, found starts {starts}")
    return _Steps(parts)


def cosine(lr: float, total: int, warmup: int = 0, last: float = 0.0) -> Callable[[int], float]:
    """Return a schedule that falls along half a cosine (Loshchilov, Hutter 2017, eq. 5, without restarts).

    Parameters
    ----------
    lr : float
        The highest rate.
    total : int
        Number of steps at which `last` is reached.
    warmup : int, default 0
        Number of steps over which the rate first rises linearly to `lr`.
    last : float, default 0
        The rate at `total` and beyond.

    Returns
    -------
    callable
        The learning rate as a function of the number of steps taken.
    """
    return _Cosine(lr, total, warmup, last)


@dataclass(frozen=True)
class _Steps:
    parts: tuple

    def __call__(self, t):
        return next(rate for start, rate in reversed(self.parts) if t >= start)


@dataclass(frozen=True)
class _Cosine:
    lr: float
    total: int
    warmup: int
    last: float

    def __call__(self, t):
        if t < self.warmup:
            return self.lr * (t + 1) / self.warmup
        done = min(1.0, (t - self.warmup) / max(1, self.total - self.warmup))
        return self.last + (self.lr - self.last) * 0.5 * (1 + math.cos(math.pi * done))
