"""What the blocks with forks share: convolutions of the same size, and the mistakes in every block.

Where a value is used twice, its gradient is the sum of what comes back from both uses.
"""

import numpy as np

from npgrad.course.layers_by_hand._conv import conv, conv_gradients
from npgrad.course.layers_by_hand._judge import Fault


def same(x, w, b):
    """A convolution whose output is as large as its input."""
    return conv(x, w, b, _same(w))["out"]


def back(dout, x, w, b):
    """(dx, dw, db) of `same`."""
    found = conv_gradients(dout, x, w, b, _same(w))
    return found["dx"], found["dw"], found["db"]


def _same(w):
    return {"stride": 1, "pad": (w.shape[2] - 1) // 2}


def relu(x):
    """max(0, x)."""
    return np.maximum(x, 0)


def parameters(rng, sizes, channels):
    """{w and b} for each (name, filters, kernel size) on an input of so many channels."""
    found = {}
    for name, filters, kernel in sizes:
        found[f"w{name}"] = rng.normal(size=(filters, channels, kernel, kernel)) / kernel
        found[f"b{name}"] = rng.normal(0, 0.5, filters)
    return found


def channels_of(dout, *weights):
    """The channels of dout that belong to each branch."""
    return np.split(dout, np.cumsum([len(w) for w in weights])[:-1], axis=1)


def _divided(names):
    return lambda v: {name: getattr(v, name) / len(v.x) for name in names}


def _only_sample(function, names, sample):
    """The parameters' gradients where only one sample's dout counts."""

    def wrong(v):
        dout = np.zeros_like(v.dout)
        dout[sample] = v.dout[sample]
        found = function(dout, v.x, *(getattr(v, name[1:]) for name in names if name != "dx"))
        return {name: found[name] for name in names if name != "dx"}

    return wrong


def common(function, names):
    """The faults of every block."""
    biases = [name for name in names if name.startswith("db")]
    weights = [name for name in names if name.startswith("dw")]
    return {
        "mean": Fault(
            "found the mean over the batch, expected the sum: the loss has already divided by N",
            _divided(names),
        ),
        "first sample": Fault(
            "only the first sample counts, expected the sum over the batch", _only_sample(function, names, 0)
        ),
        "last sample": Fault(
            "only the last sample counts: parts are assigned (=), expected added (+=)",
            _only_sample(function, names, -1),
        ),
        "sign": Fault("the sign is flipped", lambda v: {name: -getattr(v, name) for name in names}),
        "flipped kernels": Fault(
            "is flipped in height and width",
            lambda v: {name: getattr(v, name)[:, :, ::-1, ::-1] for name in weights},
        ),
        "transposed": Fault(
            "its first two axes are swapped",
            lambda v: {name: getattr(v, name).swapaxes(0, 1) for name in weights},
        ),
        "scalar": Fault(
            "summed over the filters, too", lambda v: {name: getattr(v, name).sum() for name in biases}
        ),
        "ones": Fault(
            "dout is not used: expected the chain rule",
            lambda v: function(
                np.ones_like(v.dout), v.x, *(getattr(v, name[1:]) for name in names if name != "dx")
            ),
        ),
    }
