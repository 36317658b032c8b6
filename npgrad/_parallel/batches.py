"""Batches that fit into memory."""

import numpy as np

from npgrad._validate import whole_number

# Bytes of activations and gradients that a method with many copies of an image may keep at once.
BUDGET = 128 << 20


def copies_at_once(model, x, batch_size=None, backward=True):
    """The number of images of x's size to process at once: `batch_size`, or as many as fit into BUDGET.

    An image needs memory for its activations and, if a backward pass follows, as much again for their gradients.
    """
    if batch_size is not None:
        return whole_number(batch_size, "batch_size")
    one = sum(record.y.nbytes for record in model.forward(x[:1])) * (2 if backward else 1)
    return max(2, BUDGET // one)  # at least one image for each of two threads


def batches(total, size, progress=None):
    """Index arrays of `size` consecutive indices that cover 0 to total - 1; calls progress(done, total) after each."""
    for start in range(0, total, size):
        yield np.arange(start, min(start + size, total))
        if progress is not None:
            progress(min(start + size, total), total)
