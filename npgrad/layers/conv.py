"""Convolution."""

from dataclasses import dataclass

import numpy as np

from npgrad._validate import expect_ndim, float_array, pair
from npgrad.errors import InputError
from npgrad.layers import windows
from npgrad.layers.base import Layer, he_normal


@dataclass(frozen=True, eq=False)
class Conv2d(Layer):
    """Slide F filters over an image: y[n, f, p] = bias[f] + sum over a window at p of x * weight[f].

    x (N, C, H, W) -> y (N, F, OH, OW), with weight (F, C/groups, KH, KW), bias (F,) or None, and
    OH = floor((H + 2*padding - KH) / stride) + 1. With `groups`, the f-th part of the filters sees the
    f-th part of the channels only.

    Write every window of one image as a row of a matrix `columns` (OH*OW, KH*KW*C), and every filter
    as a column of a matrix W (KH*KW*C, F). Then a convolution is one matrix product, and its
    gradients are those of a matrix product:

        y        = columns(x) @ W + bias
        dcolumns = dy @ W.T                 each window's pixels get what each filter made of them
        dx       = the sum of dcolumns      over all windows in which a pixel stood
        dW       = columns(x).T @ dy        each weight met its pixel once in every window
        dbias    = sum of dy over images and pixels

    The products run image by image, so the matrix of windows stays small.
    """

    weight: np.ndarray
    bias: np.ndarray | None = None
    stride: int | tuple = 1
    padding: int | tuple = 0
    groups: int = 1

    parameter_names = ("weight", "bias")

    def __post_init__(self):
        object.__setattr__(self, "stride", pair(self.stride, "Conv2d stride"))
        object.__setattr__(self, "padding", pair(self.padding, "Conv2d padding", smallest=0))
        weight = float_array(self.weight, "Conv2d weight (F, C, KH, KW)", 4)
        _check_groups(self.groups, weight.shape[0])
        # Kept in memory as (KH, KW, C, F), W is a view of it: no pass has to reorder the weights.
        self._freeze("weight", np.array(weight.transpose(2, 3, 1, 0), order="C").transpose(3, 2, 0, 1))
        if self.bias is not None:
            bias = float_array(self.bias, "Conv2d bias (F,)", 1)
            if bias.shape != weight.shape[:1]:
                raise InputError(f"Conv2d bias: expected shape {weight.shape[:1]}, found {bias.shape}")
            self._freeze("bias", bias.copy())

    @classmethod
    def init(cls, in_channels, out_channels, kernel_size, stride=1, padding=0, groups=1, rng=0):
        """He-normal weights, bias 0."""
        _check_groups(groups, in_channels)
        shape = (out_channels, in_channels // groups, *pair(kernel_size, "kernel_size"))
        return cls(he_normal(shape, rng), np.zeros(out_channels, np.float32), stride, padding, groups)

    @property
    def kernel_size(self):
        """(KH, KW)"""
        return self.weight.shape[2:]

    def receptive_field(self):
        return self.kernel_size, self.stride, self.padding

    def forward(self, x):
        oh, ow = self._output_shape(x)
        W = self._matrix()
        y = np.empty((len(x), oh * ow, self.groups, W.shape[-1]), np.result_type(x, *self.arrays().values()))
        for image, yn in zip(self._padded(x), y, strict=True):
            if self._depthwise:
                seen = windows.gather(image, self.kernel_size, self.stride, (oh, ow))
                np.einsum("hwijc,ijc->hwc", seen, self._planes(), out=yn.reshape(oh, ow, -1))
            else:
                np.matmul(self._columns(image, (oh, ow)), W, out=yn.transpose(1, 0, 2))
        y = y.reshape(len(x), oh, -1)
        if self.bias is not None:
            y += np.tile(self.bias, ow)  # a whole row of pixels at a time: NumPy is fast on long runs
        return windows.channels_first(y.reshape(len(x), oh, ow, -1)), x

    def backward(self, dy, x):
        n, c, h, w = x.shape
        ph, pw = self.padding
        size, rows = self._output_shape(x), self._rows(dy)
        dpadded = np.zeros((n, h + 2 * ph, w + 2 * pw, c), np.result_type(dy, self.weight))
        for dyn, dimage in zip(rows, dpadded, strict=True):
            if self._depthwise:
                self._back_by_channels(dyn, size, dimage)
            elif c < windows.FEW_CHANNELS:
                self._back_by_planes(dyn, size, dimage)
            else:
                self._back_by_places(dyn, size, dimage)
        return windows.channels_first(dpadded[:, ph : ph + h, pw : pw + w])

    def _back_by_places(self, dy, size, dx):
        """dx (H, W, C) += what every place of the windows gets from dy (groups, OH*OW, F/groups)."""
        dy, W = _without_idle_filters(dy, self._matrix())
        if self._pointwise:  # the only place: nothing to be added to
            np.matmul(dy, W.transpose(0, 2, 1), out=dx.reshape(*dy.shape[1::-1], -1).transpose(1, 0, 2))
            return
        dcolumns = (dy @ W.transpose(0, 2, 1)).reshape(self.groups, *size, *self.kernel_size, -1)
        dwindows = dcolumns.transpose(1, 2, 3, 4, 0, 5).reshape(*size, *self.kernel_size, -1)
        for (i, j), rows, columns in windows.places(self.kernel_size, self.stride, size):
            dx[rows, columns] += dwindows[:, :, i, j]

    def _back_by_channels(self, dy, size, dx):
        """The same where each channel has a filter to itself: numbers times numbers, no matrix."""
        dy = dy.transpose(1, 0, 2).reshape(*size, -1)
        for (i, j), rows, columns in windows.places(self.kernel_size, self.stride, size):
            dx[rows, columns] += dy * self._planes()[i, j]

    def _back_by_planes(self, dy, size, dx):
        """The same for few channels: the shares of all places in one product, each channel a plane."""
        planes = self._matrix() @ dy.transpose(0, 2, 1)
        planes = planes.reshape(self.groups, *self.kernel_size, -1, *size).transpose(1, 2, 0, 3, 4, 5)
        dx += windows.scatter(planes.reshape(*self.kernel_size, -1, *size), self.stride, dx.shape[:2])

    def parameter_gradients(self, dy, x):
        size, rows, W = self._output_shape(x), self._rows(dy), self._matrix()
        dW = np.zeros(W.shape, np.result_type(x, dy))
        for image, dyn in zip(self._padded(x), rows, strict=True):
            dW += self._columns(image, size).transpose(0, 2, 1) @ dyn  # y = columns @ W
        f, c, kh, kw = self.weight.shape
        dweight = dW.reshape(self.groups, kh, kw, c, -1).transpose(0, 4, 3, 1, 2).reshape(f, c, kh, kw)
        if self.bias is None:
            return {"weight": dweight}
        return {"weight": dweight, "bias": dy.sum(axis=(0, 2, 3))}

    @property
    def _pointwise(self):
        """Whether a window is one pixel and every pixel is one, so that x is the matrix of windows as it stands."""
        return self.kernel_size == self.stride == (1, 1) and self.padding == (0, 0)

    @property
    def _depthwise(self):
        """Whether every filter sees one channel, and every channel has one filter."""
        return self.groups > 1 and self.weight.shape[:2] == (self.groups, 1)

    def _planes(self):
        """The weight of a depthwise convolution as (KH, KW, C)."""
        return self.weight[:, 0].transpose(1, 2, 0)

    def _output_shape(self, x):
        expect_ndim(self, x, 4)
        channels = self.weight.shape[1] * self.groups
        if x.shape[1] != channels:
            hint = "; is it (N, H, W, C)? transpose(0, 3, 1, 2) it" if x.shape[3] == channels else ""
            raise InputError(f"Conv2d expects {channels} channels, found an array of shape {x.shape}{hint}")
        return windows.output_shape(self, x.shape, self.kernel_size, self.stride, self.padding)

    def _matrix(self):
        """The weight as W (groups, KH*KW*C/groups, F/groups)."""
        f, c, kh, kw = self.weight.shape
        W = self.weight.transpose(2, 3, 1, 0).reshape(kh * kw * c, self.groups, f // self.groups)
        return W.transpose(1, 0, 2)

    def _padded(self, x):
        return windows.pad(windows.channels_last(x), self.padding, self.padding)

    def _columns(self, image, size):
        """Every window of one padded image (H, W, C) as a row: (groups, OH*OW, KH*KW*C/groups)."""
        if not self._pointwise:
            image = windows.gather(image, self.kernel_size, self.stride, size)
        rows = image.reshape(size[0] * size[1], -1, self.groups, self.weight.shape[1])
        return rows.transpose(2, 0, 1, 3).reshape(self.groups, rows.shape[0], -1)

    def _rows(self, dy):
        """dy (N, F, OH, OW) as (N, groups, OH*OW, F/groups), the shape in which y was computed."""
        dy = windows.channels_last(dy)
        n, oh, ow, f = dy.shape
        return dy.reshape(n, oh * ow, self.groups, f // self.groups).transpose(0, 2, 1, 3)


def _without_idle_filters(dy, W):
    """dy (groups, OH*OW, F/groups) and W (groups, KH*KW*C/groups, F/groups), less the filters that get nothing back.

    If they are many, that is: behind one class score they are all filters of the last layer but one.
    """
    if len(dy) == 1 and 4 * np.count_nonzero(dy[0, 0]) < dy.shape[2]:  # a look at one pixel costs nothing
        busy = dy[0].any(axis=0)
        if 4 * np.count_nonzero(busy) < len(busy):
            return dy[:, :, busy], W[:, :, busy]
    return dy, W


def _check_groups(groups, channels):
    whole = isinstance(groups, (int, np.integer)) and not isinstance(groups, bool)
    if not whole or groups < 1 or channels % groups:
        raise InputError(f"Conv2d: groups={groups!r} does not divide {channels} filters or channels")
