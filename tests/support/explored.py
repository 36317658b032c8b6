"""What the tests of the page of a pass explore: an image, a small residual network, and one with hostile names."""

import numpy as np

import npgrad
from npgrad.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Residual, Sequential


def image(size=32, seed=0):
    return np.random.default_rng(seed).normal(size=(1, 3, size, size)).astype(np.float32)


def residual(classes=4):
    """conv -> relu -> max pool -> a block with an identity shortcut -> linear."""
    block = Residual(
        {"a": Conv2d.init(6, 6, 3, padding=1, rng=1), "b": ReLU(), "c": Conv2d.init(6, 6, 1, rng=2)}
    )
    return npgrad.Model(
        Sequential(
            {
                "conv": Conv2d.init(3, 6, 3, padding=1, rng=0),
                "relu": ReLU(),
                "pool": MaxPool2d(2),
                "block": block,
                "mean": GlobalAvgPool2d(),
                "flat": Flatten(),
                "fc": Linear.init(6, classes, rng=3),
            }
        )
    )


HOSTILE = "</script><script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&"


def hostile_model():
    name = HOSTILE.replace(".", "")  # names of parts have no dots
    layers = {name: Conv2d.init(3, 4, 3), "b" + name: ReLU(), "c": GlobalAvgPool2d(), "d" + name: Flatten()}
    return npgrad.Model(Sequential(layers), classes=[HOSTILE + str(i) for i in range(4)])
