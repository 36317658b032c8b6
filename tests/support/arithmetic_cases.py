"""The rows of the table of layers (layer_cases.py) for sums, products and borders of whole outputs."""

import numpy as np
import torch
import torch.nn.functional as F
from case import Case, plain

from npgrad import layers

IMAGES = (3, 4, 3, 5)


def product(x):
    return x[0] * x[1]


def affine(id, shape, channels):
    def make(rng):
        scale, shift = rng.normal(size=(2, channels))
        return layers.Affine(scale, shift)

    def function(x, p):
        per_channel = (-1, *(1,) * (x.ndim - 2))
        return x * p["scale"].reshape(per_channel) + p["shift"].reshape(per_channel)

    return Case(f"affine {id}", make, function, shape)


def pad(id, shape, padding, mode="constant", value=0.0):
    top, bottom, left, right = (
        padding if np.size(padding) == 4 else np.repeat(np.broadcast_to(padding, 2), 2).tolist()
    )
    options = {"mode": {"edge": "replicate"}.get(mode, mode)}
    options |= {"value": value} if mode == "constant" else {}
    return plain(
        f"pad {id}",
        layers.Pad(padding, mode, value),
        lambda x: F.pad(x, (left, right, top, bottom), **options),
        shape,
    )


ARITHMETIC = [
    plain("multiply", layers.Multiply(), product, [IMAGES, IMAGES]),
    plain("multiply by a gate", layers.Multiply(), product, [IMAGES, (3, 4, 1, 1)]),
    plain("a gate multiplied", layers.Multiply(), product, [(1, 4, 1, 1), (1, 4, 3, 2)]),
    plain("multiply by a map", layers.Multiply(), product, [IMAGES, (3, 1, 3, 5)]),
    plain("a gate times a map", layers.Multiply(), product, [(3, 4, 1, 1), (3, 1, 3, 5)]),
    plain("multiply vectors", layers.Multiply(), product, [(3, 4), (3, 1)]),
    plain("subtract", layers.Subtract(), lambda x: x[0] - x[1], [(3, 2, 4, 5)] * 2),
    plain("subtract vectors", layers.Subtract(), lambda x: x[0] - x[1], [(1, 3)] * 2),
    affine("of images", IMAGES, 4),
    affine("of vectors", (1, 5), 5),
    plain("affine of one number", layers.Affine(0.3, -2), lambda x: 0.3 * x - 2, IMAGES),
    Case("affine shift", lambda rng: layers.Affine(shift=np.array([1.0, -2, 3, 0.5])),
         lambda x, p: x + p["shift"].reshape(-1, 1, 1), IMAGES),
    pad("zeros", IMAGES, 1),
    pad("four sides", (1, 2, 3, 4), (0, 2, 3, 1), value=-1.5),
    pad("nothing", IMAGES, (0, 0)),
    pad("reflect", IMAGES, (2, 0, 1, 3), "reflect"),
    pad("reflect both", (1, 2, 4, 3), (3, 2), "reflect"),
    pad("edge", IMAGES, (1, 4, 0, 6), "edge"),
    pad("edge of one pixel", (1, 2, 1, 1), 2, "edge"),
    plain("log softmax", layers.LogSoftmax(), lambda x: torch.log_softmax(x, 1), (3, 6)),
    plain("log softmax of pixels", layers.LogSoftmax(-1), lambda x: torch.log_softmax(x, 3), (1, 5, 3, 4)),
    plain("softmax of columns", layers.Softmax(2), lambda x: torch.softmax(x, 2), (3, 2, 4, 3)),
    plain("softmax of the last axis", layers.Softmax(-1), lambda x: torch.softmax(x, 2), (3, 2, 4)),
    plain("global max pool", layers.GlobalMaxPool2d(), lambda x: F.adaptive_max_pool2d(x, 1).flatten(1), IMAGES),
    plain("global max pool, sides kept", layers.GlobalMaxPool2d(True), lambda x: F.adaptive_max_pool2d(x, 1), IMAGES),
    plain("global max pool of one pixel", layers.GlobalMaxPool2d(), lambda x: x[:, :, 0, 0], (1, 3, 1, 1)),
]  # fmt: skip
