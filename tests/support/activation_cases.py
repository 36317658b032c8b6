"""The rows of the table of layers (layer_cases.py) for elementwise activations."""

import numpy as np
import torch
import torch.nn.functional as F
from case import Case, plain

from npgrad import layers

SHAPE = (3, 2, 5, 7)


def hard_sigmoid(x, alpha, beta):
    """F.hardsigmoid rounds 1/6 to float32 in its gradient."""
    return torch.clamp(alpha * x + beta, 0, 1)


def wide(layer):
    """The layer behind a multiplication by 4: values on either side of -3 and 3, too."""
    scale = layers.Conv2d(4 * np.eye(2).reshape(2, 2, 1, 1))
    return layers.Sequential({"scale": scale, "activation": layer})


def torch_wide(function):
    return lambda x, p: function(F.conv2d(x, p["scale.weight"]))


FUNCTIONS = [
    (layers.LeakyReLU(), F.leaky_relu),
    (layers.LeakyReLU(0.2), lambda x: F.leaky_relu(x, 0.2)),
    (layers.ELU(), F.elu),
    (layers.ELU(0.3), lambda x: F.elu(x, 0.3)),
    (layers.SELU(), F.selu),
    (layers.Sigmoid(), torch.sigmoid),
    (layers.HardSigmoid(), lambda x: hard_sigmoid(x, 1 / 6, 0.5)),
    (layers.HardSigmoid(0.2, 0.55), lambda x: hard_sigmoid(x, 0.2, 0.55)),
    (layers.SiLU(), F.silu),
    (layers.HardSwish(), F.hardswish),
    (layers.Tanh(), torch.tanh),
    (layers.Softplus(), lambda x: F.softplus(x, threshold=300)),
    (layers.Softplus(2.5), lambda x: F.softplus(x, 2.5, threshold=300)),
    (layers.Mish(), F.mish),
    (layers.GELU(), F.gelu),
    (layers.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")),
]


def prelu(id, shape, count):
    return Case(
        f"prelu {id}",
        lambda rng: layers.PReLU(rng.normal(size=count)),
        lambda x, p: F.prelu(x, p["weight"]),
        shape,
    )


ACTIVATIONS = [
    *(plain(str(layer), layer, function, SHAPE) for layer, function in FUNCTIONS),
    *(
        Case(f"wide {layer}", lambda rng, layer=layer: wide(layer), torch_wide(function), SHAPE)
        for layer, function in FUNCTIONS
    ),
    plain("silu of vectors", layers.SiLU(), F.silu, (1, 9)),
    prelu("of channels", (3, 4, 3, 2), 4),
    prelu("of all", (1, 3, 2, 5), 1),
    prelu("of vectors", (3, 5), 5),
    prelu("of one channel", (1, 1, 2, 2), 1),
]
