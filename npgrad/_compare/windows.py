"""The windows of convolutions and poolings placed otherwise: padding, ceil_mode, stride and dilation."""

import dataclasses

import numpy as np

from npgrad import layers as ls
from npgrad._compare.stand_ins import InARow
from npgrad.errors import NpgradError
from npgrad.layers.im2col import borders, window_size


def pads_otherwise(layer, x):
    """(kind, text, layer) with another padding: TensorFlow's SAME, none, symmetric, or with other values."""
    own, seen = _four(layer.padding), set()
    window, sizes = window_size(layer), np.shape(x)[2:]
    same = [same_padding(size, k, s) for size, k, s in zip(sizes, window, layer.stride, strict=True)]
    (top, bottom), (left, right) = same
    half = [(k - 1) // 2 for k in window]
    for text, padding in (
        ("as SAME in TensorFlow", (top, bottom, left, right)),
        ("as SAME with the larger side first", (bottom, top, right, left)),
        ("none, as VALID in TensorFlow", (0, 0, 0, 0)),
        ("symmetric", (half[0], half[0], half[1], half[1])),
        ("1 more on every side", tuple(p + 1 for p in own)),
        ("1 less on every side", tuple(p - 1 for p in own)),
        ("the wide side first", (own[1], own[0], own[3], own[2])),
    ):
        if padding != own and padding not in seen and min(padding) >= 0:
            seen.add(padding)
            if (other := _changed(layer, padding=padding)) is not None:
                yield "padding", f"the padding is {_shown(padding)}, {text}; npgrad's {_shown(own)}", other
    if any(own):
        bare = _changed(layer, padding=0)
        fills = (
            {"reflect": "reflects the image", "edge": "repeats the edge"}
            if isinstance(layer, ls.Conv2d)
            else {}
        )
        for mode, text in fills.items():
            pad = ls.Pad(own, mode)
            yield "padding", f"the padding {text}; npgrad's is 0", InARow(pad, bare)
        if isinstance(layer, ls.MaxPool2d):
            text = "the padding is 0, not minus infinity, and may be the maximum"
            yield "padding", text, InARow(ls.Pad(own), bare)


def windows_otherwise(layer):
    """(kind, text, layer) with another ceil_mode, dilation, stride or kernel size."""
    if hasattr(layer, "ceil_mode"):
        other = not layer.ceil_mode
        text = f"ceil_mode is {other}, npgrad's {layer.ceil_mode}"
        yield "ceil mode", text, dataclasses.replace(layer, ceil_mode=other)
    for stride in (1, 2, 3, 4):
        if (stride, stride) != layer.stride and (other := _changed(layer, stride=stride)) is not None:
            yield "stride", f"the stride is {stride}, npgrad's {layer.stride[0]}", other
    for dilation in (1, 2, 3, 4):
        if (
            hasattr(layer, "dilation")
            and (dilation, dilation) != layer.dilation
            and max(layer.kernel_size) > 1
        ):
            reach = [dilation * (k - 1) // 2 for k in layer.kernel_size]
            for padding in (layer.padding, tuple(reach)):
                if (other := _changed(layer, dilation=dilation, padding=padding)) is not None:
                    yield "dilation", f"the dilation is {dilation}, npgrad's {layer.dilation[0]}", other
    if not isinstance(layer, ls.Conv2d):
        for size in (2, 3):
            if (size, size) != layer.kernel_size and (other := _changed(layer, kernel_size=size)) is not None:
                yield "kernel size", f"the kernel is {size}x{size}, npgrad's {layer.kernel_size[0]}", other


def same_padding(size, window, stride):
    """(before, after) as TensorFlow's SAME pads a side."""
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return total // 2, total - total // 2


def _four(padding):
    (top, left), (bottom, right) = borders(padding)
    return top, bottom, left, right


def _shown(padding):
    top, bottom, left, right = padding
    return (
        str(top)
        if top == bottom == left == right
        else f"(top {top}, bottom {bottom}, left {left}, right {right})"
    )


def _changed(layer, **changes):
    try:
        return dataclasses.replace(layer, **changes)
    except NpgradError:
        return None
