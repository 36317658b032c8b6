"""Convolution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Border, Cache, Pair, Rng, Window
from npgrad._validate import border, check_bias, check_groups, float_array, pair
from npgrad.layers import _kernels as kernels
from npgrad.layers import im2col as windows
from npgrad.layers.base import Layer, he_normal, settled


@dataclass(frozen=True, eq=False)
class Conv2d(Layer):
    """Slide F filters over an image: y[n, f, p] = bias[f] + sum over the window at p of x[n] * weight[f].

    im2col writes every window of one image as a row of a matrix `columns` (OH*OW, KH*KW*C); every filter is a column
    of a matrix W (KH*KW*C, F). Then a convolution is a matrix product, and its three gradients follow from that. For
    one image, with y and dy as matrices (OH*OW, F):

        y        = columns @ W + bias
        dcolumns = dy @ W.T              and dx = col2im(dcolumns): each pixel sums over the windows that contain it
        dW       = columns.T @ dy        summed over images; a weight multiplies one pixel of every window
        dbias    = sum of dy over images and pixels

    x (N, C, H, W) -> y (N, F, OH, OW), where OH = floor((H + 2*padding - dilation*(KH - 1) - 1) / stride) + 1.

    Parameters
    ----------
    weight, bias : ndarray (F, C/groups, KH, KW), ndarray (F,) or None
    stride, padding, dilation : int or pair of int, default 1, 0 and 1; padding also (top, bottom, left, right)
    groups : int, default 1
        Filters and channels are split into `groups` parts that do not see each other; so are all matrices.
    """

    weight: Array
    bias: Array | None = None
    stride: Pair = 1
    padding: Border = 0
    groups: int = 1
    dilation: Pair = 1
    parameter_names = ("weight", "bias")

    def __post_init__(self):
        for name, check in {"stride": pair, "padding": border, "dilation": pair}.items():
            object.__setattr__(self, name, check(getattr(self, name), f"Conv2d {name}"))
        weight = float_array(self.weight, "Conv2d weight (F, C, KH, KW)", 4)
        check_groups(self.groups, weight.shape[0])
        weight = settled(weight.transpose(2, 3, 1, 0))  # (KH, KW, C, F): then W is a view
        self._freeze("weight", weight.transpose(3, 2, 0, 1))
        if self.bias is not None:
            self._freeze("bias", check_bias(self.bias, "Conv2d", self.weight))

    @classmethod
    def init(cls, in_channels: int, out_channels: int, kernel_size: Pair, stride: Pair = 1, padding: Border = 0,
             groups: int = 1, dilation: Pair = 1, rng: Rng = 0) -> Conv2d:  # fmt: skip
        """He-normal weights, bias 0."""
        check_groups(groups, in_channels)
        weight = he_normal((out_channels, in_channels // groups, *pair(kernel_size, "kernel_size")), rng)
        return cls(weight, np.zeros(out_channels, np.float32), stride, padding, groups, dilation)

    kernel_size = property(lambda self: self.weight.shape[2:], doc="(KH, KW)")

    def receptive_field(self) -> Window | None:
        return windows.receptive_field(self)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        out, W = self._output_shape_and_matrix(x)
        y = np.empty((len(x), out[0] * out[1], *W.shape[::2]), np.result_type(x, *self.arrays().values()))
        for image, yn in zip(windows.padded(x, self.padding), y, strict=True):
            if (kernel := kernels.conv_forward(self, out, y.dtype)) is not None:
                kernel(self, image, W, out, yn)
            else:
                kernels.product(self._columns(image, out), W, out=yn.transpose(1, 0, 2))
        y = y.reshape(len(x), out[0], -1)
        if self.bias is not None:
            y += np.tile(self.bias, out[1])  # a whole row of pixels at a time: NumPy is fast on long runs
        return windows.channels_first(y.reshape(len(x), *out, -1)), x

    def backward(self, dy: Array, x: Cache) -> Array:
        out, W = self._output_shape_and_matrix(x)
        dpadded, dx = windows.zeros_with_border(x.shape, self.padding, np.result_type(dy, self.weight))
        for dyn, dimage in zip(windows.pixel_rows(dy, self.groups), dpadded, strict=True):
            dyn, Wn = kernels.without_idle_filters(dyn, W)
            if (kernel := kernels.conv_input_gradient(self, out, dx.dtype)) is not None:
                kernel(self, dyn, Wn, out, dimage)
            else:
                dcolumns = kernels.product(dyn, Wn.transpose(0, 2, 1))
                windows.col2im(dcolumns, self.kernel_size, self.stride, out, dimage, self.dilation)
        return dx

    def parameter_gradients(self, dy: Array, x: Cache) -> dict[str, Array]:
        out, W = self._output_shape_and_matrix(x)
        dW = np.zeros(W.shape, np.result_type(x, dy))
        rows = windows.pixel_rows(dy, self.groups)
        for image, dyn in zip(windows.padded(x, self.padding), rows, strict=True):
            dW += kernels.product(self._columns(image, out).transpose(0, 2, 1), dyn)
        gradients = {"weight": windows.filters_of(dW, self.weight.shape)}
        return gradients if self.bias is None else gradients | {"bias": dy.sum(axis=(0, 2, 3))}

    def _columns(self, image, out):
        return windows.im2col(image, self.kernel_size, self.stride, out, self.groups, self.dilation)

    def _output_shape_and_matrix(self, x):
        out = windows.output_shape(self, x, channels=self.weight.shape[1] * self.groups)
        return out, windows.filter_matrix(self.weight, self.groups)
