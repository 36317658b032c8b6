"""The loops of arithmetic, norms and shapes: equal to torch, and the layers of their kinds equal to them."""

import checks
import numpy as np
from case import over, tied_inputs
from layer_cases import CASES

from npgrad import layers
from npgrad.layers import plain_arithmetic as arithmetic
from npgrad.layers import plain_norms as norms
from npgrad.layers import plain_shapes as shapes


def full(values, x):
    return np.broadcast_to(values, x.shape[1])


def all_sides(padding):
    return padding if len(padding) == 4 else np.repeat(padding, 2).tolist()


def moved(x, dy, shape_and_where):
    shape, where = shape_and_where
    return shapes.gather(x, shape, where), shapes.scatter(dy, x.shape, where)


def pooled(layer, x, dy):
    y, dx = arithmetic.global_max_pool2d(x), arithmetic.global_max_pool2d_backward(dy.reshape(x.shape[:2]), x)
    return (y[:, :, None, None] if layer.keepdims else y), dx


def log_softmax(layer, x, dy):
    y = arithmetic.log_softmax(x)
    return y, arithmetic.log_softmax_backward(dy, y)


def layer_norm_block(layer, x):
    if layer.channels:
        return lambda i: (i[0], *i[2:])
    return lambda i: i[: x.ndim - layer.weight.ndim]


def standardized(layer, x, dy, block_of):
    """The loops have a weight for each value; the layer's are those of several values each."""
    weight, bias = (
        np.broadcast_to(1.0 - i if array is None else layer.spread(array, x), x.shape)
        for i, array in enumerate((layer.weight, layer.bias))
    )
    y = norms.standardize(x, block_of, weight, bias, layer.eps)
    return y, *norms.standardize_backward(dy, x, block_of, weight, layer.eps)


def upsampled(layer, x, dy):
    lists = []
    for axis in (0, 1):
        size, out = x.shape[2 + axis], dy.shape[2 + axis]
        step = size / out if layer.scale is None else 1 / layer.scale[axis]
        corners = (size - 1) / max(out - 1, 1) if layer.align_corners else None
        lists.append(
            lambda j, size=size, step=step, corners=corners: norms.sources(j, size, step, layer.mode, corners)
        )
    return norms.resize(x, dy.shape[2:], *lists), norms.resize_backward(dy, x.shape, *lists)


def shared(layer, x, each):
    """The sum of `each`, one number for every value of x, over the values that share a parameter."""
    if isinstance(layer, layers.LayerNorm) and not layer.channels:
        return each.sum(axis=tuple(range(x.ndim - layer.weight.ndim)))
    return each.sum(axis=(0, *range(2, x.ndim)))


LOOPS = {  # (layer, input or inputs, dy) -> y and the gradients of the inputs
    layers.Multiply: lambda layer, a, b, dy: (
        arithmetic.multiply(a, b),
        *arithmetic.multiply_backward(dy, a, b),
    ),
    layers.Subtract: lambda layer, a, b, dy: (arithmetic.subtract(a, b), *arithmetic.subtract_backward(dy)),
    layers.Affine: lambda layer, x, dy: (
        arithmetic.affine(x, full(layer.scale, x), full(layer.shift, x)),
        arithmetic.affine_backward(dy, full(layer.scale, x)),
    ),
    layers.GlobalMaxPool2d: pooled,
    layers.LogSoftmax: log_softmax,
    layers.LayerNorm: lambda layer, x, dy: standardized(layer, x, dy, layer_norm_block(layer, x)),
    layers.GroupNorm: lambda layer, x, dy: standardized(
        layer, x, dy, lambda i: (i[0], i[1] * layer.groups // x.shape[1])
    ),
    layers.LocalResponseNorm: lambda layer, x, dy: (
        norms.local_response_norm(x, **vars(layer)),
        norms.local_response_norm_backward(dy, x, **vars(layer)),
    ),
    layers.Upsample: upsampled,
    layers.Permute: lambda layer, x, dy: moved(x, dy, shapes.permuted_from(x.shape, layer.axes)),
    layers.Reshape: lambda layer, x, dy: moved(x, dy, shapes.reshaped_from(x.shape, dy.shape)),
    layers.Squeeze: lambda layer, x, dy: moved(x, dy, shapes.reshaped_from(x.shape, dy.shape)),
    layers.Slice: lambda layer, x, dy: moved(x, dy, shapes.sliced_from(x.shape, **vars(layer))),
    layers.ChannelShuffle: lambda layer, x, dy: moved(x, dy, shapes.shuffled_from(x.shape, layer.groups)),
    layers.Pad: lambda layer, x, dy: moved(
        x, dy, shapes.padded_from(x.shape, all_sides(layer.padding), layer.mode, layer.value)
    ),
}
WITH_LOOPS = [
    case
    for case in CASES
    if type(case.layer()) in LOOPS and (len(case.shapes) == 2 or not isinstance(case.layer(), layers.Softmax))
]


def run_loops(case, xs, dy):
    layer = case.layer()
    y, *gradients = LOOPS[type(layer)](layer, *xs, dy)
    found = {"y": y, **dict(zip(checks.input_names(case), gradients, strict=False))}
    trained = zip(layer.parameter_names, gradients[1:], strict=False)
    return found | {f"d{name}": shared(layer, xs[0], one) for name, one in trained if name in layer.arrays()}


@over(WITH_LOOPS)
def test_the_loops_are_torch_and_the_layers_are_the_loops(case):
    for xs in (case.inputs(), tied_inputs(case)):
        dy = checks.random_dy(case, case.layer(), xs)
        found = run_loops(case, xs, dy)
        checks.assert_all_close(found, checks.run_torch(case, case.layer(), xs, dy), 1e-12)
        checks.assert_all_close(checks.run_npgrad(case, case.layer(), xs, dy), found, 1e-12)


def test_every_kind_of_layer_with_loops_is_tried():
    assert {type(case.layer()) for case in WITH_LOOPS} == set(LOOPS)


@over(WITH_LOOPS)
def test_the_loops_take_a_complex_step(case):
    xs = case.inputs()
    dy, rng = checks.random_dy(case, case.layer(), xs), np.random.default_rng(8)
    directions = [rng.normal(size=x.shape) for x in xs]
    step = (
        run_loops(case, [x + 1e-20j * v for x, v in zip(xs, directions, strict=True)], dy)["y"].imag / 1e-20
    )
    found = run_loops(case, xs, dy)
    expected = sum(
        np.vdot(found[name], v) for name, v in zip(checks.input_names(case), directions, strict=True)
    )
    assert np.isclose((step * dy).sum(), expected, rtol=1e-11)
