"""One batch forward and backward: the loss and its gradient by every parameter."""

import numpy as np

from npgrad import parallel
from npgrad.losses import cross_entropy

PARTS = 2


def batch_gradients(model, x, target, rng=None, parts=PARTS):
    """(loss, how many are right, {parameter: gradient}, {BatchNorm's new statistics}) for one batch.

    x (N, C, H, W), normalised. target (N,): class indices. The loss is `losses.cross_entropy`, its mean over the
    batch. rng draws the dropout masks. The batch goes through the network in `parts` parts, side by side on as
    many threads; the number of threads that there are changes no bit, the number of parts does. With
    BatchNorm it must be 1: the statistics are those of the part.
    """
    rows = np.array_split(np.arange(len(x)), max(1, min(parts, len(x))))
    seeds = np.random.default_rng(rng).integers(2**63, size=len(rows))

    def run(part, seed):
        tape = model.forward(x[part], training=True, rng=int(seed))
        loss, dlogits = cross_entropy(tape.output, target[part])
        share = len(part) / len(x)  # a mean of means counts every picture once
        gradients = tape.parameter_gradients((share * dlogits).astype(tape.output.dtype))
        right = np.sum(tape.output.argmax(axis=1) == target[part])
        return share * loss, int(right), gradients, tape.statistics

    results = parallel.each(lambda part: run(*part), zip(rows, seeds, strict=True))
    losses, right, gradients, statistics = zip(*results, strict=True)
    total = {name: sum(part[name] for part in gradients) for name in gradients[0]}
    return sum(losses), sum(right), total, statistics[0]
