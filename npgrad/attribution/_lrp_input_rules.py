"""LRP rules for the first layer, whose inputs are pixels and not activations."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from npgrad._typing import Array
from npgrad.attribution._lrp_sharing import Rule, part, share_out, weighted
from npgrad.errors import InputError
from npgrad.tape import Record


@dataclass(frozen=True, eq=False)
class ZBox(Rule):
    """The z-box rule for pixels between low and high: z_ik = x_i w_ik - low_i (w_ik)+ - high_i (w_ik)-.

    Montavon et al. 2017, section 4.1. The bias does not count. Every z_ik is >= 0, so a black pixel's share can be
    as large as a white one's.

    Parameters
    ----------
    low, high : float or tuple of float
        The range of the input values: one number, or one per channel.
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.

    Raises
    ------
    InputError
        If low is larger than high.
    """

    low: float | tuple[float, ...]
    high: float | tuple[float, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not np.all(np.less_equal(self.low, self.high)):
            raise InputError(f"ZBox: expected low <= high, found {self.low} and {self.high}")

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the layer's input, given that of its output."""
        layer, x = replace(weighted(self, record), bias=None), record.x
        low, high = _per_channel(self.low, x), _per_channel(self.high, x)
        parts = [
            (x, layer),
            (-low, replace(layer, weight=part(layer.weight, 1))),
            (-high, replace(layer, weight=part(layer.weight, -1))),
        ]
        return share_out(relevance, parts, self.epsilon)


@dataclass(frozen=True)
class WSquare(Rule):
    """The w^2 rule for unbounded inputs: z_ik = w_ik^2, independent of x.

    Montavon et al. 2017, section 4.1.

    Parameters
    ----------
    bias : bool, default False
        Whether the square of the bias counts in the denominator, as in zennit. False: as in the paper.
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.
    """

    bias: bool = False

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the layer's input, given that of its output."""
        layer = weighted(self, record)
        constant = layer.bias**2 if self.bias and layer.bias is not None else None
        squared = replace(layer, weight=layer.weight**2, bias=constant)
        return share_out(relevance, [(np.ones_like(record.x), squared)], self.epsilon)


@dataclass(frozen=True)
class Flat(Rule):
    """The flat rule: z_ik = 1, so that all inputs in an output's receptive field get the same share.

    Lapuschkin et al. 2019. The bias does not count.

    Parameters
    ----------
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.
    """

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the layer's input, given that of its output."""
        layer = weighted(self, record)
        flat = replace(layer, weight=np.ones_like(layer.weight), bias=None)
        return share_out(relevance, [(np.ones_like(record.x), flat)], self.epsilon)


def _per_channel(values, x):
    """A number, or one per channel, as an array that broadcasts to x."""
    values, channels = np.ravel(values).astype(x.dtype), x.shape[1]
    if len(values) not in (1, channels):
        raise InputError(f"ZBox: expected one number, or {channels}, one per channel; found {len(values)}")
    return np.broadcast_to(values.reshape(-1, *(1,) * (x.ndim - 2)), x.shape)
