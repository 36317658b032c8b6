"""Integrated gradients to a tolerance: steps double until the error that can be certified is small enough."""

import warnings
from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array
from npgrad.attribution._path_mean import mean_gradient
from npgrad.attribution._quadrature import quadrature
from npgrad.errors import level_outside

DOUBLINGS = 7


@dataclass(frozen=True)
class Certified:
    """A mean gradient, with the steps that each image took and the error that remains.

    integral: (N, C, H, W). n_steps: (N,). gap: |sum - change of the score| / |change|, (N,). moved: what the last
    doubling changed, of the sum of magnitudes, (N,); of O(1/n) convergence, this is the error before it.
    """

    integral: Array
    n_steps: Array
    gap: Array
    moved: Array

    @property
    def error(self):
        """The certified relative error of each image."""
        return np.maximum(self.gap, self.moved)

    def warn(self, tolerance):
        """Warn of the images for which the tolerance was not reached."""
        missed = np.flatnonzero(~(self.error <= tolerance))
        if len(missed):
            i = missed[np.argmax(self.error[missed])]
            which = f"{len(missed)} of {len(self.error)} images, the worst " if len(self.error) > 1 else ""
            warnings.warn(
                f"integrated_gradients: tolerance {tolerance:g} not reached: {which}{self.error[i]:.1e} after "
                f"{self.n_steps[i]} steps",
                stacklevel=level_outside(),
            )


def certified_mean(model, x, x0, targets, change, tolerance, n_steps, method, size, progress=None):
    """The mean gradient of each image to a relative error of `tolerance`, or as near as DOUBLINGS doublings come."""
    integral, steps = np.zeros(x.shape, np.float64), np.zeros(len(x), int)
    gap, moved = np.full(len(x), np.inf), np.full(len(x), np.inf)
    todo, count = np.arange(len(x)), n_steps
    for doubling in range(DOUBLINGS + 1):
        nodes, weights = quadrature(method, count)
        part = mean_gradient(model, x[todo], x0[todo], targets[todo], nodes, weights, size)
        for i, new in zip(todo, part, strict=True):
            difference = (x[i] - x0[i]).astype(np.float64)
            whole = float(np.abs(difference * new).sum())
            total = abs(float(change[i])) or whole or 1.0
            gap[i] = abs(float((difference * new).sum()) - float(change[i])) / total
            if doubling:
                moved[i] = float(np.abs(difference * (new - integral[i])).sum()) / (whole or 1.0)
            integral[i], steps[i] = new, count
        todo = todo[~(np.maximum(gap, moved)[todo] <= tolerance)]
        if progress is not None:
            progress(doubling + 1, DOUBLINGS + 1)
        if not len(todo):
            break
        count *= 2
    return Certified(integral.astype(np.result_type(x, np.float32)), steps, gap, moved)
