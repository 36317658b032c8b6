"""Builders for ONNX operators that normalize."""

import numpy as np

from npgrad.layers import BatchNorm2d, GroupNorm, LayerNorm, LocalResponseNorm


def batch_norm(node):
    node.expect("is_test", 1)
    node.expect("spatial", 1)
    node.expect("training_mode", 0)
    if any(node.proto.output[1:]):
        raise node.refuse("expected one output, found those of training mode")
    weight, bias, mean, var = (node.constant(place) for place in (1, 2, 3, 4))
    # ONNX gives the weight of the old statistics, PyTorch that of the new
    layer = BatchNorm2d(weight, bias, mean, var, node.attribute("epsilon"), 1 - node.attribute("momentum"))
    if len(shape := node.shape()) not in (1, 3):
        raise node.refuse(f"expected an input (N, C, H, W) or (N, C), found shape {node.shown()}")
    node.expect_count(shape[0], len(weight), "channels")
    return layer, node.value(), shape


def layer_norm(node):
    """Over the axes from `axis` on; scale and bias may have sides of 1."""
    node.expect("stash_type", 1)
    shape = node.shape()
    (axis,) = node.axes((node.attribute("axis"),), 1 + len(shape), 1)
    block = shape[axis - 1 :]
    if axis == 0 or len(block) > 3 or not all(isinstance(size, int) for size in block):
        raise node.refuse(
            f"axis: expected at most 3 axes of an image, all known, found axis {axis} of {node.shown()}"
        )
    arrays = [node.constant(1), node.constant(2, needed=False)]
    weight, bias = (None if array is None else np.broadcast_to(array, block) for array in arrays)
    return LayerNorm(weight, bias, node.attribute("epsilon")), node.value(), shape


def group_norm(node):
    node.expect("stash_type", 1)
    shape, groups, weight, bias = (
        _spatial(node),
        node.attribute("num_groups"),
        node.constant(1),
        node.constant(2),
    )
    if node.version < 21:  # then one value is for a group
        if not isinstance(shape[0], int) or groups < 1 or shape[0] % groups or weight.shape != (groups,):
            raise node.refuse(
                f"expected num_groups that divide the channels, and a scale for each; found {groups} for shape "
                f"{node.shown()}, and {weight.shape}"
            )
        weight, bias = (np.repeat(array, shape[0] // groups) for array in (weight, bias))
    return _grouped(node, GroupNorm(groups, weight, bias, node.attribute("epsilon")), shape)


def instance_norm(node):
    weight, bias = node.constant(1), node.constant(2)
    layer = GroupNorm(len(np.atleast_1d(weight)), weight, bias, node.attribute("epsilon"))
    return _grouped(node, layer, _spatial(node))


def local_response_norm(node):
    size, alpha, beta, bias = map(node.attribute, ("size", "alpha", "beta", "bias"))
    return LocalResponseNorm(size, alpha, beta, bias), node.value(), node.image()


def _spatial(node):
    if len(node.shape()) < 2:
        raise node.refuse(f"expected an input (N, C, ...) of 3 axes or more, found shape {node.shown()}")
    return node.shape()


def _grouped(node, layer, shape):
    node.expect_count(shape[0], len(layer.weight), "channels")
    if len(layer.weight) % layer.groups:
        raise node.refuse(f"num_groups: {layer.groups} does not divide {len(layer.weight)} channels")
    return layer, node.value(), shape
