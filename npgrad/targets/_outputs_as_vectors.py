"""Helpers of the targets: outputs as vectors, and their softmax, also of complex numbers."""

import numpy as np

from npgrad.errors import InputError


def vectors(outputs):
    """The outputs as (N, C); maps of one pixel are vectors, too."""
    y = np.asarray(outputs)
    if y.ndim != 2 and y.shape[2:] != (1, 1):
        raise InputError(f"outputs: expected (N, C), found shape {y.shape}")
    return y.reshape(y.shape[:2])


def softmax(y):
    """(p, log p) of (N, C)"""
    y = y - y.real.max(axis=1, keepdims=True)
    log_p = y - np.log(np.exp(y).sum(axis=1, keepdims=True))
    return np.exp(log_p), log_p
