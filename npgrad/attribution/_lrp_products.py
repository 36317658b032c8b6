"""The LRP rule for a product of two outputs."""

import numpy as np

from npgrad._typing import Array
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


product.per_sample = True
