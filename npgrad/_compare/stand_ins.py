"""Layers that stand in for others: computed as another framework may have."""

import numpy as np

from npgrad import layers as ls


class InARow(ls.Layer):
    """Layers in sequence, which a tape takes for one layer."""

    def __init__(self, *layers):
        self.layers = layers

    def forward(self, x):
        caches = []
        for layer in self.layers:
            x, cache = layer.forward(x)
            caches.append(cache)
        return x, caches

    def backward(self, dy, caches):
        for layer, cache in zip(reversed(self.layers), reversed(caches), strict=True):
            dy = layer.backward(dy, cache)
        return dy


class Training(ls.Layer):
    """A BatchNorm in training mode."""

    def __init__(self, layer):
        self.layer = layer

    def forward(self, x):
        return self.layer.forward(x, training=True)

    def backward(self, dy, cache):
        return self.layer.backward(dy, cache)


class Fixed(ls.Layer):
    """y = x * mask, as dropout with a mask that was drawn."""

    def __init__(self, mask):
        self.mask = mask

    def forward(self, x):
        return x * self.mask, None

    def backward(self, dy, cache):
        return dy * self.mask


class Weighted(ls.Layer):
    """A weighted sum of the inputs."""

    def __init__(self, weights):
        self.weights = weights

    def forward(self, x):
        return sum(weight * one for weight, one in zip(self.weights, x, strict=True)), None

    def backward(self, dy, cache):
        return tuple(weight * dy for weight in self.weights)


class Reordered(ls.Layer):
    """A layer with its inputs in another order."""

    def __init__(self, layer, order):
        self.layer, self.order = layer, order

    def forward(self, x):
        return self.layer.forward(tuple(x[i] for i in self.order))

    def backward(self, dy, cache):
        dx = self.layer.backward(dy, cache)
        return tuple(dx[i] for i in np.argsort(self.order))
