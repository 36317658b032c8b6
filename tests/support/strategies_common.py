"""Shared by strategies.py and layer_strategies.py: seeds, shapes and arrays."""

import numpy as np
from hypothesis import strategies as st

seeds = st.integers(0, 2**32 - 1)
sides = st.integers(1, 3)
sizes = st.integers(1, 9)


def array(seed, *shape, apart=False):
    """Normal numbers; `apart`: no two of them, and none and 0, closer than 0.01, so that no kink is near."""
    rng = np.random.default_rng(seed)
    if not apart:
        return rng.normal(size=shape)
    count = int(np.prod(shape))
    return (0.02 * (rng.permutation(count) - count // 2) + 0.01).reshape(shape)


def images():
    """(channels, height, width)"""
    return st.tuples(sides, sizes, sizes)
