"""Images to vectors."""

from dataclasses import dataclass

from npgrad.layers.base import Layer


@dataclass(frozen=True)
class Flatten(Layer):
    """y[n] = all of x[n] in one row, channel by channel. x (N, C, H, W) -> y (N, C*H*W).

    Only the shape changes, so dx is dy in the shape of x.
    """

    def forward(self, x):
        return x.reshape(len(x), -1), x.shape

    def backward(self, dy, shape):
        return dy.reshape(shape)
