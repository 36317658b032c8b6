"""Local response normalization."""

from __future__ import annotations

from dataclasses import dataclass

from npgrad._typing import Array, Cache, Window
from npgrad._validate import expect_ndim, finite_number, positive_number, whole_number
from npgrad.errors import InputError
from npgrad.layers.base import PIXEL, Layer


@dataclass(frozen=True)
class LocalResponseNorm(Layer):
    """Divide each channel by a power of the sum of squares of its neighbors (Krizhevsky et al. 2012, section 3.3).

        d[c] = k + alpha / size * (sum of x[i]^2 over the channels i from c - size//2 to c + size//2)
        y    = x * d^-beta

    x moves y directly, and through the d of its neighbors; a sum over neighbors is its own transpose:

        dx = dy * d^-beta - 2 * alpha * beta / size * x * (sum over the neighbors of dy * x * d^(-beta - 1))

    Parameters
    ----------
    size : int
        The number of channels in a sum; odd, since for an even one definitions differ.
    alpha, beta, k : float, default 1e-4, 0.75 and 1.0
    """

    size: int
    alpha: float = 1e-4
    beta: float = 0.75
    k: float = 1.0

    def __post_init__(self):
        if whole_number(self.size, "LocalResponseNorm size") % 2 == 0:
            raise InputError(f"LocalResponseNorm size: expected an odd number, found {self.size}")
        object.__setattr__(self, "k", positive_number(self.k, "LocalResponseNorm k"))
        for name in ("alpha", "beta"):
            object.__setattr__(self, name, finite_number(getattr(self, name), f"LocalResponseNorm {name}"))
        if self.alpha < 0:
            raise InputError(f"LocalResponseNorm alpha: expected a number >= 0, found {self.alpha}")

    def receptive_field(self) -> Window | None:
        return PIXEL

    def forward(self, x: Array) -> tuple[Array, Cache]:
        expect_ndim(self, x, 2, 3, 4)
        d = self.divisor(x)
        return x * d**-self.beta, (x, d)

    def backward(self, dy: Array, cache: Cache) -> Array:
        x, d = cache
        power = d**-self.beta
        return dy * power - 2 * self.alpha * self.beta / self.size * x * self.neighbors(dy * x * power / d)

    def divisor(self, x: Array) -> Array:
        """Return d, which x is divided by to the power of beta.

        Parameters
        ----------
        x : ndarray (N, C, H, W)

        Returns
        -------
        ndarray (N, C, H, W)
        """
        return self.k + self.alpha / self.size * self.neighbors(x * x)

    def neighbors(self, x: Array) -> Array:
        """Return the sum over the channels from c - size//2 to c + size//2.

        Parameters
        ----------
        x : ndarray (N, C, H, W)

        Returns
        -------
        ndarray (N, C, H, W)
        """
        total = x.copy()
        for away in range(1, min(self.size // 2 + 1, x.shape[1])):
            total[:, away:] += x[:, :-away]
            total[:, :-away] += x[:, away:]
        return total
