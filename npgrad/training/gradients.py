"""One batch forward and backward: the loss and its gradient by every parameter."""

import numpy as np

from npgrad._parallel import threads as parallel
from npgrad.losses import cross_entropy

AT_ONCE = 4 * parallel.PIXELS  # as many pixels go through the network together


def batch_gradients(model, x, target, rng=None, parts=None):
    """(loss, how many are right, {parameter: gradient}, {BatchNorm's new statistics}) for one batch.

    x (N, C, H, W), normalized. target (N,): class indices. The loss is `losses.cross_entropy`, its mean over the
    batch. rng draws the dropout masks. The batch goes through the network in `parts` parts, side by side on all
    cores; the number of threads that there are changes no bit, the number of parts does. None: two, or more of a
    large batch; one for a network with BatchNorm, whose statistics are those of the part.
    """
    parts = _usual_parts(model, x) if parts is None else parts
    rows = np.array_split(np.arange(len(x)), max(1, min(parts, len(x))))
    seeds = np.random.default_rng(rng).integers(2**63, size=len(rows))

    def run(part, seed):
        tape = model.forward(x[part], training=True, rng=int(seed), keep=())
        loss, dlogits = cross_entropy(tape.output, target[part])
        share = len(part) / len(x)  # a mean of means counts every image once
        gradients = tape.parameter_gradients((share * dlogits).astype(tape.output.dtype))
        right = np.sum(tape.output.argmax(axis=1) == target[part])
        return share * loss, int(right), gradients, tape.statistics

    loss, right, total, statistics = 0.0, 0, {}, {}
    for found in parallel.thread_imap(lambda part: run(*part), zip(rows, seeds, strict=True)):
        loss, right, statistics = loss + found[0], right + found[1], statistics or found[3]
        total = {name: total[name] + own if total else own for name, own in found[2].items()}
    return loss, right, total, statistics


def _usual_parts(model, x):
    if len(model.network.arrays(buffers=True)) > len(model.parameters()):
        return 1
    return max(2, x[:, 0].size // AT_ONCE)
