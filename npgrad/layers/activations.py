"""Elementwise activation functions: a table of functions f and their derivatives, each with its paper.

Each value moves only its own output, so dx = dy * f'(x). A class of the table has f as `function` and f' as `slope`;
where x is complex (the complex step), real parts decide between the branches of f. At a kink the slope is PyTorch's.
`Elementwise` is the whole layer: one row in the rules of DeepLIFT and of LRP covers all of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Rng
from npgrad._validate import float_array, one_of
from npgrad.errors import InputError
from npgrad.layers.elementwise import Elementwise


@dataclass(frozen=True)
class LeakyReLU(Elementwise):
    """f(x) = x where x > 0, else negative_slope * x (Maas, Hannun, Ng 2013).

    Parameters
    ----------
    negative_slope : float, default 0.01
    """

    negative_slope: float = 0.01

    def function(self, x: Array) -> Array:
        return np.where(x.real > 0, x, self.negative_slope * x)

    def slope(self, x: Array) -> Array:
        return np.where(x.real > 0, 1, self.negative_slope)


@dataclass(frozen=True, eq=False)
class PReLU(Elementwise):
    """f(x) = x where x > 0, else weight * x, with a trained weight (C,) for each channel, or (1,) for all.

    dweight = sum of dy * x over the values of its channel that are not positive (He et al. 2015, section 2.1).

    Parameters
    ----------
    weight : ndarray (C,) or (1,)
    """

    weight: Array
    parameter_names = ("weight",)

    def __post_init__(self):
        self._freeze("weight", float_array(self.weight, "PReLU weight (C,)", 1).copy())

    @classmethod
    def init(cls, num_parameters: int = 1, init: float = 0.25, rng: Rng = None) -> PReLU:
        """Every weight `init`; `rng` is not used."""
        return cls(np.full(num_parameters, init, np.float32))

    def forward(self, x: Array) -> tuple[Array, Cache]:
        return np.where(x.real > 0, x, self._per_channel(x) * x), x

    def slope(self, x: Array) -> Array:
        return np.where(x.real > 0, x.dtype.type(1), self._per_channel(x))

    def parameter_gradients(self, dy: Array, x: Cache) -> dict[str, Array]:
        each = np.where(x.real > 0, 0, dy * x)
        axes = None if len(self.weight) == 1 else tuple(axis for axis in range(x.ndim) if axis != 1)
        return {"weight": each.sum(axis=axes).reshape(-1)}

    def _per_channel(self, x):
        if len(self.weight) not in (1, x.shape[1]):
            raise InputError(f"PReLU expects {len(self.weight)} channels, found an array of shape {x.shape}")
        return self.weight.reshape(-1, *(1,) * (x.ndim - 2))


@dataclass(frozen=True)
class ELU(Elementwise):
    """f(x) = x where x > 0, else alpha * (exp(x) - 1) (Clevert, Unterthiner, Hochreiter 2016).

    Parameters
    ----------
    alpha : float, default 1
    """

    alpha: float = 1.0

    def function(self, x: Array) -> Array:
        return np.where(x.real > 0, x, self.alpha * np.expm1(_not_positive(x)))

    def slope(self, x: Array) -> Array:
        return np.where(x.real > 0, 1, self.alpha * np.exp(_not_positive(x)))


@dataclass(frozen=True)
class SELU(Elementwise):
    """f(x) = 1.0507 * (x where x > 0, else 1.6733 * (exp(x) - 1)) (Klambauer et al. 2017, equation 2).

    With these two numbers, mean 0 and variance 1 are a fixed point from layer to layer.
    """

    def function(self, x: Array) -> Array:
        return SELU_SCALE * ELU(SELU_ALPHA).function(x)

    def slope(self, x: Array) -> Array:
        return SELU_SCALE * ELU(SELU_ALPHA).slope(x)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


@dataclass(frozen=True)
class Sigmoid(Elementwise):
    """f(x) = 1 / (1 + exp(-x)), and f' = f * (1 - f) (Rumelhart, Hinton, Williams 1986)."""

    def function(self, x: Array) -> Array:
        return _sigmoid(x)

    def slope(self, x: Array) -> Array:
        return _sigmoid(x) * _sigmoid(-x)


@dataclass(frozen=True)
class HardSigmoid(Elementwise):
    """f(x) = alpha * x + beta, clipped to 0..1 (Courbariaux, Bengio, David 2015).

    PyTorch's is min(max(x + 3, 0), 6) / 6 (Howard et al. 2019), the default here; ONNX's own default is alpha = 0.2.

    Parameters
    ----------
    alpha : float, default 1/6
    beta : float, default 0.5
    """

    alpha: float = 1 / 6
    beta: float = 0.5

    def function(self, x: Array) -> Array:
        y = self.alpha * x + self.beta
        return np.where(y.real <= 0, 0, np.where(y.real >= 1, 1, y))

    def slope(self, x: Array) -> Array:
        y = self.alpha * x.real + self.beta
        return np.where((y > 0) & (y < 1), self.alpha, 0)


@dataclass(frozen=True)
class SiLU(Elementwise):
    """f(x) = x * sigmoid(x), also called swish (Elfwing, Uchibe, Doya 2018; Ramachandran, Zoph, Le 2017)."""

    def function(self, x: Array) -> Array:
        return x * _sigmoid(x)

    def slope(self, x: Array) -> Array:
        return _sigmoid(x) * (1 + x * _sigmoid(-x))


@dataclass(frozen=True)
class HardSwish(Elementwise):
    """f(x) = x * min(max(x + 3, 0), 6) / 6 (Howard et al. 2019, section 5.2)."""

    def function(self, x: Array) -> Array:
        return x * HardSigmoid().function(x)

    def slope(self, x: Array) -> Array:
        return np.where(x.real <= -3, 0, np.where(x.real >= 3, 1, x / 3 + 0.5))


@dataclass(frozen=True)
class Tanh(Elementwise):
    """f(x) = tanh(x), and f' = 1 - f^2 (LeCun et al. 1998, section 4.4)."""

    def function(self, x: Array) -> Array:
        return np.tanh(x)

    def slope(self, x: Array) -> Array:
        return 1 - np.tanh(x) ** 2


@dataclass(frozen=True)
class Softplus(Elementwise):
    """f(x) = log(1 + exp(beta * x)) / beta, and f' = sigmoid(beta * x) (Dugas et al. 2001).

    PyTorch's is x itself where beta * x > 20; the two differ by less than 3e-9 / beta.

    Parameters
    ----------
    beta : float, default 1
        Greater than 0.
    """

    beta: float = 1.0

    def __post_init__(self):
        super().__post_init__()
        if not self.beta > 0:
            raise InputError(f"Softplus beta: expected a number > 0, found {self.beta!r}")

    def function(self, x: Array) -> Array:
        return _softplus(self.beta * x) / self.beta

    def slope(self, x: Array) -> Array:
        return _sigmoid(self.beta * x)


@dataclass(frozen=True)
class Mish(Elementwise):
    """f(x) = x * tanh(softplus(x)) (Misra 2020)."""

    def function(self, x: Array) -> Array:
        return x * np.tanh(_softplus(x))

    def slope(self, x: Array) -> Array:
        t = np.tanh(_softplus(x))
        return t + x * (1 - t * t) * _sigmoid(x)


@dataclass(frozen=True)
class GELU(Elementwise):
    """f(x) = x * P(Z <= x), Z standard normal (Hendrycks, Gimpel 2016, section 2).

    Parameters
    ----------
    approximate : {"none", "tanh"}, default "none"
        "tanh" is x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))).
    """

    approximate: str = "none"

    def __post_init__(self):
        one_of(self.approximate, "GELU approximate", ("none", "tanh"))

    def function(self, x: Array) -> Array:
        return x * self._share(x)

    def slope(self, x: Array) -> Array:
        share = self._share(x)
        if self.approximate == "none":
            return share + x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
        return share + x * share * (1 - share) * TANH_SCALE * (1 + 3 * 0.044715 * x * x) * 2

    def _share(self, x):
        """P(Z <= x), exactly or by the tanh. 1 + tanh(u) = 2 * sigmoid(2 * u), without cancellation."""
        if self.approximate == "none":
            from scipy.special import erfc

            return 0.5 * erfc(-x / np.sqrt(2))
        return _sigmoid(2 * TANH_SCALE * (x + 0.044715 * x * x * x))


TANH_SCALE = float(np.sqrt(2 / np.pi))


def _not_positive(x):
    """x where it is not positive, else 0: exp cannot overflow."""
    return np.where(x.real > 0, 0, x)


def _sigmoid(x):
    """1 / (1 + exp(-x)), as a quotient in which exp cannot overflow."""
    e = np.exp(np.where(x.real > 0, -x, x))
    return np.where(x.real > 0, 1, e) / (1 + e)


def _softplus(x):
    """log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|))"""
    return np.where(x.real > 0, x, 0) + np.log1p(np.exp(np.where(x.real > 0, -x, x)))
