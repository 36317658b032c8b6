"""Batches that fit into memory."""

import numpy as np

from npgrad._validate import whole_number

# Bytes of activations and gradients that a method with many copies of an image may hold at once.
BUDGET = 128 << 20


def copies_at_once(model, x, batch_size=None, backward=True):
    """How many images of x's size go through the network together: `batch_size`, or what the BUDGET allows.

    Counted are one image's activations, twice where a backward pass follows: its gradients are as large.
    """
    if batch_size is not None:
        return whole_number(batch_size, "batch_size")
    one = sum(record.y.nbytes for record in model.forward(x[:1])) * (2 if backward else 1)
    return max(2, BUDGET // one)  # two threads have one each


def batches(total, size, progress=None):
    """Index arrays that cover 0..total-1 in order, `size` at a time; calls progress(done, total) after each."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))
        if progress is not None:
            progress(min(start + size, total), total)
