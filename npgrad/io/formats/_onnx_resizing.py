"""Builders for ONNX operators that resize images or put a border around them."""

import numpy as np

from npgrad.io.formats._onnx_node import same
from npgrad.io.formats._onnx_sizes import scaled, text
from npgrad.io.formats.structure import MOST
from npgrad.layers import Pad, Upsample
from npgrad.layers.upsample import LARGEST_SIZE


def pad(node):
    """A border of height and width; `axes` names the axes that have numbers."""
    shape = node.shape()
    rank = 1 + len(shape)
    axes, pads = node.wholes("axes", 3), node.wholes("paddings" if node.version < 2 else "pads", 1)
    axes = node.axes(range(rank) if axes is None else axes, rank, 18)
    if len(pads) != 2 * len(axes):
        raise node.refuse(f"pads: expected {2 * len(axes)} numbers, found {len(pads)}")
    if not 0 <= min(pads, default=0) <= max(pads, default=0) <= MOST:
        raise node.refuse(f"pads: expected numbers from 0 to {MOST}, found {pads[:8]}")
    around = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :], strict=True), strict=True))
    if not any(pads):
        return same, node.value(), shape
    if any(any(around[axis]) and (axis < 2 or rank != 4) for axis in around):
        raise node.refuse(f"pads: expected a border of height and width, found {pads[:8]} for {node.shown()}")
    node.expect("mode", "constant", "reflect", "edge")
    mode, number = node.attribute("mode"), node.number(2, "value")
    borders = [around.get(axis, (0, 0)) for axis in (2, 3)]
    if mode == "reflect" and any(
        isinstance(size, int) and max(border) >= size for size, border in zip(shape[1:], borders, strict=True)
    ):
        raise node.refuse(
            f"pads: expected fewer than the pixels of {node.shown()} to reflect, found {pads[:8]}"
        )
    layer = Pad((*borders[0], *borders[1]), mode, 0.0 if number is None else float(number))
    return layer, node.value(), (shape[0], *(s + sum(b) for s, b in zip(shape[1:], borders, strict=True)))


def upsample(node):
    if node.version < 7:
        raise node.refuse("expected opset 7 or newer")
    node.expect("mode", "nearest", "linear")
    scales = node.attribute("scales")
    scales = node.constant(1) if scales is None else np.array(scales)
    return _resized(node, *_scales(node, scales, range(4)), "asymmetric", "floor")


def resize(node):
    node.expect("mode", "nearest", "linear")
    node.expect("antialias", 0)
    node.expect("exclude_outside", 0)
    node.expect("keep_aspect_ratio_policy", "stretch")
    if node.version < 11:
        return _resized(node, *_scales(node, node.constant(1), range(4)), "asymmetric", "floor")
    axes = node.attribute("axes")
    axes = node.axes(range(4) if axes is None else axes, 4, 18)
    scales, sizes = node.constant(2, needed=False), node.wholes("sizes", 3, open_sizes=True)
    if (scales is None or scales.size == 0) == (not sizes):
        raise node.refuse("expected either scales or sizes")
    found = _sizes(node, sizes, axes) if sizes else _scales(node, scales, axes)
    return _resized(
        node, *found, node.attribute("coordinate_transformation_mode"), node.attribute("nearest_mode")
    )


def _scales(node, scales, axes):
    """((scale of the height, of the width), the output's height and width, None)"""
    _, *sides = node.image()
    if scales.dtype.kind != "f" or scales.shape != (len(axes),):
        raise node.refuse(f"scales: expected {len(axes)} floats, found shape {scales.shape}")
    by_axis = dict(zip(axes, scales.tolist(), strict=True))
    if any(by_axis.get(axis, 1) != 1 for axis in (0, 1)):
        raise node.refuse(f"scales: expected 1 for batch and channels, found {scales.tolist()}")
    pair = tuple(by_axis.get(axis, 1.0) for axis in (2, 3))
    for (
        scale
    ) in pair:  # other factors are rounded in float32, and then the pixel that is nearest may be another
        if not 0 < scale * 8 <= 512 or scale * 8 % 1:
            raise node.refuse(f"scales: expected multiples of 1/8 up to 64, found {scale:.9g}")
    return pair, tuple(map(scaled, sides, pair)), None


def _sizes(node, sizes, axes):
    """(None or the scales, height and width, the size for the layer)"""
    whole = (node.reading.batch, *node.image())
    if len(sizes) != len(axes):
        raise node.refuse(f"sizes: expected {len(axes)} numbers, found {len(sizes)}")
    asked = dict(zip(axes, sizes, strict=True))
    out = tuple(asked.get(axis, whole[axis]) for axis in range(4))
    if out[:2] != whole[:2]:
        raise node.refuse(f"sizes: expected batch and channels of {node.shown()}, found {text(sizes)}")
    known = all(isinstance(size, int) for size in (*out[2:], *whole[2:]))
    if out != whole and not (known and min(out[2:]) > 0):
        raise node.refuse(f"sizes: expected sizes that are known, found {text(out)} for {node.shown()}")
    pair = tuple(o / i for o, i in zip(out[2:], whole[2:], strict=True)) if out != whole else (1, 1)
    return pair, out[2:], out[2:]


def _resized(node, scales, out, size, coordinates, nearest):
    """An Upsample, if its rule for the places of pixels is the one that is asked for."""
    shape, mode = node.image(), node.attribute("mode")
    if coordinates == "tf_crop_and_resize":
        raise node.refuse(
            "coordinate_transformation_mode: expected one for whole images, found tf_crop_and_resize"
        )
    if scales == (1, 1):
        return same, node.value(), shape
    if any(isinstance(side, int) and not 1 <= side <= LARGEST_SIZE for side in out):
        raise node.refuse(f"expected an output of from 1 to {LARGEST_SIZE} pixels a side, found {text(out)}")
    if mode == "nearest":
        known = (
            all(scale * 8 % 1 == 0 and (scale >= 1 or node.version >= 11) for scale in scales)
            if (coordinates, nearest) == ("asymmetric", "floor")
            else coordinates in ("half_pixel", "pytorch_half_pixel")
            and nearest in ("round_prefer_floor", "round_prefer_ceil")
            and all(scale % 1 == 0 for scale in scales)
        )
        ways = {"mode": "nearest"}
    else:
        known = (
            coordinates == "half_pixel"
            or (coordinates == "pytorch_half_pixel" and all(scale >= 1 for scale in scales))
            or (
                coordinates == "align_corners"
                and (size is not None or all(scale % 1 == 0 for scale in scales))
            )
        )
        ways = {"mode": "bilinear", "align_corners": coordinates == "align_corners"}
    if not known:
        raise node.refuse(
            f"expected another rule for the places of pixels, found {mode} by {', '.join(f'{s:g}' for s in scales)}, "
            f"{coordinates[:30]}, {nearest[:30] if mode == 'nearest' else 'no nearest pixel'}"
        )
    layer = Upsample(size=size, **ways) if size is not None else Upsample(scales, **ways)
    return layer, node.value(), (shape[0], *out)
