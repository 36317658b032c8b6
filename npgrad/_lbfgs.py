"""L-BFGS with the interface of the optimizers in `npgrad.optim`."""

from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._typing import Array
from npgrad._validate import whole_number


class LBFGS:
    """L-BFGS (Liu, Nocedal 1989) using SciPy's L-BFGS-B, in rounds of `stride` iterations.

    SciPy does not expose its memory of past steps, so each round starts with an empty one. A run that is resumed at the
    start of a round is therefore bit-identical to an uninterrupted one on the same machine. SciPy computes in
    float64; the objective receives x in its own dtype.

    Parameters
    ----------
    stride : int, default 50
        Iterations per round.
    memory : int, default 10
        Number of past steps that approximate the inverse Hessian.
    bounds : (lowest, highest) or None
        Limits of x: numbers, or arrays that broadcast to x.

    Raises
    ------
    InputError
        If `stride` or `memory` is not a whole number >= 1.
    """

    def __init__(self, stride: int = 50, memory: int = 10, bounds: tuple[Any, Any] | None = None) -> None:
        self.stride, self.memory = whole_number(stride, "stride"), whole_number(memory, "memory")
        self.bounds = bounds
        self.t = 0

    def advance(
        self,
        objective: Callable[[Array], tuple[dict[str, Any], Array]],
        x: Array,
        iterations: int | None = None,
        show: Callable[[Array, dict[str, Any]], object] | None = None,
    ) -> tuple[Array, dict[str, Any]]:
        """Minimize an objective for one round.

        Parameters
        ----------
        objective : callable
            x -> ({name: loss}, gradient of the sum of the losses).
        x : ndarray
            Where to start; it is not modified.
        iterations : int or None
            At most this many, and at most `stride`. None: `stride`. Fewer if no step decreases the objective.
        show : callable or None
            Called as show(x, losses) after each iteration.

        Returns
        -------
        x, losses : ndarray, dict
            The new x, and the losses of the last evaluation.
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
            if show is not None:  # a line search ends with the evaluation that it accepts
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
    def state(self) -> dict[str, Any]:
        """The number of iterations; nothing else is kept between rounds."""
        return {"t": self.t}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.t = int(state["t"])
