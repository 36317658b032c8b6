"""The LRP rules for products: of two outputs, and of an output with a scale computed from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from npgrad._typing import Array
from npgrad.attribution._lrp_sharing import BOOKS, Rule, book, divide
from npgrad.layers.multiply import sum_to
from npgrad.tape import Record


def product(record: Record, relevance: Array) -> tuple[Array, ...]:
    """Divide relevance at a product y = a * b: a signal takes all of it, and its gate nothing.

    The gate is the input that is repeated, such as (N, C, 1, 1) against (N, C, H, W): it decides how much of the signal
    passes, and is no evidence itself (Arras, Montavon, Müller, Samek 2017, for the gates of an LSTM). Where both have
    the shape of y, or both are repeated, neither is the gate, and each takes half (Achtibat et al. 2024). All relevance
    is passed on in either case.

    Parameters
    ----------
    record : Record
        The product's call in the forward pass.
    relevance : ndarray
        Relevance of the layer's output.

    Returns
    -------
    tuple of ndarray
        Relevance of the layer's two inputs.
    """
    whole = [xi.shape == record.y.shape for xi in record.x]
    if whole[0] == whole[1]:
        return tuple(sum_to(relevance / 2, xi.shape) for xi in record.x)
    return tuple(relevance if own else np.zeros_like(xi) for xi, own in zip(record.x, whole, strict=True))


@dataclass(frozen=True)
class FixedScale(Rule):
    """LRP-epsilon for LayerNorm and GroupNorm, with std in y = weight * (x - mean) / std as a constant.

    The LN-rule of Ali et al. 2022, section 3.2. The division by std is no evidence, and with it as a constant the
    layer is linear, so relevance is conserved but for the share of the bias. With the true gradient, z = 0 up to
    rounding: scaling x does not change y, and nothing would be passed on.

    Parameters
    ----------
    epsilon : float, default 1e-9
        Added to every denominator, with the denominator's sign.
    """

    def __call__(self, record: Record, relevance: Array) -> Array:
        """Return the relevance of the layer's input, given that of its output."""
        per_unit = divide(relevance, record.y, self.epsilon)
        if BOOKS.get() is not None:
            bare = record.layer if record.layer.bias is None else replace(record.layer, bias=None)
            book(relevance, per_unit, record.y, record.y - bare(record.x))
        return record.x * record.layer.fixed_scale_backward(per_unit, record.cache)


product.per_sample = True
