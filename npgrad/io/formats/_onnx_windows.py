"""Builders for ONNX operators with windows: convolutions, pools, means of whole images."""

from npgrad.io.formats._onnx_formulas import Step
from npgrad.io.formats._onnx_node import same
from npgrad.io.formats._onnx_sizes import count_windows, text
from npgrad.io.formats.structure import MOST
from npgrad.layers import AdaptiveAvgPool2d, AvgPool2d, Conv2d, GlobalMaxPool2d, MaxPool2d
from npgrad.layers.im2col import borders, window_size
from npgrad.layers.pooling import misses


def conv(node):
    weight, bias, (channels, *sides) = node.constant(1), node.constant(2, needed=False), node.image()
    if weight.ndim != 4:
        raise node.refuse(f"weight: expected (F, C, KH, KW), found shape {weight.shape}")
    _, stride, padding, dilation = _window(node, weight.shape[2:], sides)
    layer = Conv2d(weight, bias, stride, padding, node.attribute("group"), dilation)
    node.expect_count(channels, weight.shape[1] * layer.groups, "channels")
    return layer, node.value(), (len(weight), *_windows(node, layer, sides))


def max_pool(node):
    node.expect("storage_order", 0)
    channels, *sides = node.image()
    *window, dilation = _window(node, node.attribute("kernel_shape"), sides)
    if max(dilation) > 1 and node.attribute("auto_pad").startswith("SAME"):
        # there the standard counts a window's span, and ONNX Runtime its pixels
        raise node.refuse(f"auto_pad: expected pads as numbers beside dilations {dilation}, found SAME")
    layer = MaxPool2d(*window, bool(node.attribute("ceil_mode", 0)), dilation)
    counts = _windows(node, layer, sides)
    each = sides, layer.kernel_size, dilation, layer.stride, borders(layer.padding)[0], counts
    if any(isinstance(side, int) and side < distance and misses(side, taps, distance, *more)
           for side, taps, distance, *more in zip(*each, strict=True)):  # fmt: skip
        raise node.refuse(
            f"dilations: expected windows that meet the image, {text(sides)} px, found {dilation}"
        )
    return layer, node.value(), (channels, *counts)


def avg_pool(node):
    channels, *sides = node.image()
    node.expect("dilations", (1, 1))
    *window, _ = _window(node, node.attribute("kernel_shape"), sides)
    layer = AvgPool2d(
        *window, bool(node.attribute("ceil_mode", 0)), bool(node.attribute("count_include_pad", 0))
    )
    return layer, node.value(), (channels, *_windows(node, layer, sides))


def global_max_pool(node):
    return GlobalMaxPool2d(keepdims=True), node.value(), (node.image()[0], 1, 1)


def global_avg_pool(node):
    return AdaptiveAvgPool2d(1), node.value(), (node.image()[0], 1, 1)


def reduce(name, kept, dropped):
    """A builder of a mean or maximum over height and width, as a layer that keeps these axes or one that drops them."""

    def build(node):
        axes, rank = node.wholes("axes", 1), 1 + len(node.shape())
        if not axes and node.attribute("noop_with_empty_axes", 0):
            return same, node.value(), node.shape()
        over = sorted(node.axes(axes or range(rank), rank, 11))
        keep, shape = node.attribute("keepdims"), node.shape()
        refusal = node.refuse(f"axes: expected the height and width, 2 and 3, found {axes and axes[:6]}")
        if (rank, over) == (4, [2, 3]):
            return (kept, node.value(), (*shape[:1], 1, 1)) if keep else (dropped, node.value(), shape[:1])
        if not keep or over[0] == 0 or name != "mean":
            node.image()
            raise refusal
        left = tuple(1 if axis in over else size for axis, size in enumerate(shape, start=1))
        return Step(name, refusal, tuple(over)), node.value(), left

    return build


def _window(node, kernel, sides):
    """(kernel, stride, padding, dilation) of a convolution or pool."""
    if len(kernel) != 2:
        raise node.refuse(f"kernel_shape: expected height and width, found {kernel[:6]}")
    node.expect("kernel_shape", tuple(kernel))
    strides, dilations = (_pair(node, name) for name in ("strides", "dilations"))
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    top, left, bottom, right = pads = _pads(node, reach, strides, sides)
    if max(pads) > MOST:
        raise node.refuse(f"pads: expected at most {MOST}, found {pads}")
    return kernel, strides, (top, bottom, left, right), dilations


def _pair(node, name):
    """Two numbers >= 1 that are an attribute, 1 if it is missing."""
    numbers = node.attribute(name, (1, 1))
    if len(numbers) != 2:
        raise node.refuse(f"{name}: expected two numbers, found {numbers[:6]}")
    if not 1 <= min(numbers) <= max(numbers) <= MOST:
        raise node.refuse(f"{name}: expected numbers from 1 to {MOST}, found {numbers}")
    return numbers


def _pads(node, kernel, strides, sides):
    """(top, left, bottom, right), as given or by the rule that `auto_pad` names."""
    node.expect("auto_pad", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    auto, pads = node.attribute("auto_pad"), node.attribute("pads", (0,) * 4)
    if auto == "NOTSET":
        if len(pads) != 4:
            raise node.refuse(f"pads: expected four numbers, found {pads[:6]}")
        return pads
    if any(pads):
        raise node.refuse(f"pads: expected none beside auto_pad {auto}, found {pads[:6]}")
    if node.attribute("ceil_mode", 0):
        raise node.refuse(f"ceil_mode: expected 0 beside auto_pad {auto}, found 1")
    if auto == "VALID":
        return 0, 0, 0, 0
    before, after = [], []
    for size, k, stride in zip(sides, kernel, strides, strict=True):  # as many windows as ceil(size / stride)
        if stride > 1 and not isinstance(size, int):
            raise node.refuse(
                f"auto_pad {auto} with stride {stride}: expected images of a known size, found {size}"
            )
        total = k - 1 if stride == 1 else (-(-size // stride) - 1) * stride + k - size
        if total < -1:  # there the standard's formula and TensorFlow, where the rule comes from, part
            raise node.refuse(
                f"auto_pad {auto}: expected a kernel that covers {size} px, found {k}, stride {stride}"
            )
        total = max(total, 0)
        before.append(total // 2 if auto == "SAME_UPPER" else total - total // 2)
        after.append(total - before[-1])
    return *before, *after


def _windows(node, layer, sides):
    """The height and width of the output."""
    ceil_mode = (getattr(layer, "ceil_mode", False),) * 2
    window = window_size(layer), layer.stride, *borders(layer.padding), ceil_mode
    counts = tuple(map(count_windows, sides, *window))
    if any(isinstance(count, int) and count < 1 for count in counts):
        raise node.refuse(
            f"expected images that a kernel {window_size(layer)} fits into, found {text(sides)} px"
        )
    return counts
