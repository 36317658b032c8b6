"""What holds for every layer at any geometry, whatever it computes."""

import json

import checks
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import LAYERS, array, conv, depthwise, pool, seeds

from npgrad import layers
from npgrad.io.formats import structure
from npgrad.layers import _kernels, im2col

EVERY = pytest.mark.parametrize("kind", LAYERS)


def inputs(shape, seed, batch=2, apart=False):
    """What the layer takes: an array, or a tuple of them."""
    if isinstance(shape, list):
        return tuple(array(seed + i, batch, *one, apart=apart) for i, one in enumerate(shape))
    return array(seed, batch, *shape, apart=apart)


def each(x, function):
    return tuple(map(function, x)) if isinstance(x, tuple) else function(x)


def both(x, y, function):
    return tuple(map(function, x, y)) if isinstance(x, tuple) else function(x, y)


def dot(a, b):
    return (
        sum(np.vdot(ai, bi) for ai, bi in zip(a, b, strict=True)) if isinstance(a, tuple) else np.vdot(a, b)
    )


def assert_close(found, expected, rtol=1e-10):
    for one, other in zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]:
        checks.assert_close(one, other, rtol)


def test_every_layer_is_drawn():
    assert set(LAYERS) == set(layers.__all__) - {"Layer", "Composite"}


@pytest.mark.sampled(8)
@EVERY
@given(data=st.data(), seed=seeds)
def test_dx_is_linear_in_dy(kind, data, seed):
    layer, shape = data.draw(LAYERS[kind])
    y, cache = layer.forward(inputs(shape, seed))
    a, b = array(seed + 10, *y.shape), array(seed + 11, *y.shape)
    together = layer.backward(2 * a - 3 * b, cache)
    apart = both(layer.backward(a, cache), layer.backward(b, cache), lambda p, q: 2 * p - 3 * q)
    size = max(np.abs(one).max(initial=1e-300) for one in (apart if isinstance(apart, tuple) else (apart,)))
    both(together, apart, lambda p, q: np.testing.assert_allclose(p, q, rtol=0, atol=1e-10 * size))


@pytest.mark.sampled(14)
@EVERY
@given(data=st.data(), seed=seeds)
def test_backward_is_the_adjoint_of_the_derivative(kind, data, seed):
    """<dy, J v> = <J^T dy, v>, with J v by the complex step, away from kinks."""
    layer, shape = data.draw(LAYERS[kind])
    x = inputs(shape, seed, apart=True)
    v = each(x, lambda one: array(seed + 7, *one.shape))
    y, cache = layer.forward(x)
    dy = array(seed + 8, *y.shape)
    moved, _ = layer.forward(both(x, v, lambda a, b: a + 1e-30j * b))
    Jv = moved.imag / 1e-30
    assert np.isclose(dot(dy, Jv), dot(layer.backward(dy, cache), v), rtol=1e-9, atol=1e-9)


@pytest.mark.sampled(10)
@EVERY
@given(data=st.data(), seed=seeds)
def test_a_batch_is_its_images_one_by_one(kind, data, seed):
    layer, shape = data.draw(LAYERS[kind])
    x = inputs(shape, seed, batch=3)
    y, cache = layer.forward(x)
    dy = array(seed + 1, *y.shape)
    dx = layer.backward(dy, cache)
    for i in range(3):
        alone, cache = layer.forward(each(x, lambda one, i=i: one[i : i + 1]))
        checks.assert_close(y[i : i + 1], alone, 1e-12)
        assert_close(each(dx, lambda one, i=i: one[i : i + 1]), layer.backward(dy[i : i + 1], cache), 1e-12)


@pytest.mark.sampled(5)
@EVERY
@given(data=st.data(), seed=seeds)
def test_strides_and_dtype_change_no_number_and_inputs_stay(kind, data, seed):
    layer, shape = data.draw(LAYERS[kind])
    x = inputs(shape, seed)
    y, cache = layer.forward(x)
    dy = array(seed + 1, *y.shape)
    dx = layer.backward(dy, cache)
    for order in (np.asfortranarray, lambda a: a[::-1].copy()[::-1], lambda a: a.astype(">f8").astype("f8")):
        xo, dyo = each(x, order), order(dy)
        kept = each(xo, np.copy), dyo.copy()
        yo, cache = layer.forward(xo)
        checks.assert_close(yo, y, 1e-12)
        assert_close(layer.backward(dyo, cache), dx, 1e-12)
        both(xo, kept[0], np.testing.assert_array_equal)
        np.testing.assert_array_equal(dyo, kept[1])
    single = layer.map_arrays(lambda name, a: a.astype(np.float32))
    y32, cache = single.forward(each(x, np.float32))
    assert y32.dtype == np.float32
    np.testing.assert_allclose(y32, y, rtol=0, atol=1e-3 * max(1, np.abs(y).max()))
    each(single.backward(np.float32(dy), cache), lambda one: np.testing.assert_equal(one.dtype, np.float32))


@pytest.mark.sampled(8)
@EVERY
@given(data=st.data(), seed=seeds)
def test_a_layer_comes_back_from_its_description(kind, data, seed):
    """What a weights file stores: JSON and the arrays. The layer it gives computes the same numbers."""
    layer, shape = data.draw(LAYERS[kind])
    arrays = layer.arrays(buffers=True)
    described = json.loads(json.dumps(structure.describe(layer)))
    built = structure.build(described, sum(array.size for array in arrays.values()))
    built = built.map_arrays(lambda name, zeros: arrays[name])
    assert structure.describe(built) == structure.describe(layer)
    x = inputs(shape, seed)
    np.testing.assert_array_equal(built(x), layer(x))


@given(data=st.data(), seed=seeds, down=st.integers(0, 3), right=st.integers(0, 3))
def test_a_shift_of_the_image_is_a_shift_of_what_is_made_of_it(data, seed, down, right):
    """Under stride 1, and where no window looks over the edge."""
    layer, shape = data.draw(conv() | depthwise() | pool(layers.MaxPool2d) | pool(layers.AvgPool2d))
    layer = type(layer)(**{**vars(layer), "stride": 1, "padding": 0})
    kernel, _, _ = layer.receptive_field()
    shape = (shape[0], kernel[0] + 4, kernel[1] + 4)
    large = array(seed, 1, shape[0], shape[1] + 3, shape[2] + 3)
    whole = layer(large)
    part = layer(large[:, :, down : down + shape[1], right : right + shape[2]])
    np.testing.assert_allclose(
        whole[:, :, down : down + part.shape[2], right : right + part.shape[3]], part, rtol=1e-10, atol=1e-12
    )


@given(data=st.data(), seed=seeds)
def test_a_convolution_is_linear_in_its_weights_and_images(data, seed):
    layer, shape = data.draw(conv() | depthwise())
    x, z = array(seed, 1, *shape), array(seed + 1, 1, *shape)
    zero = layer(np.zeros_like(x))
    assert_close(layer(2 * x - z) - zero, 2 * (layer(x) - zero) - (layer(z) - zero), 1e-9)
    y, cache = layer.forward(x)
    dy = array(seed + 2, *y.shape)
    dweight = layer.parameter_gradients(dy, cache)["weight"]
    assert np.isclose(
        dot(dy, y - zero), dot(dweight, layer.weight)
    )  # Euler: y is of first order in the weights


@given(data=st.data(), seed=seeds)
def test_col2im_is_the_adjoint_of_im2col(data, seed):
    layer, (c, h, w) = data.draw(conv())
    kernel, stride, groups, dilation = layer.kernel_size, layer.stride, layer.groups, layer.dilation
    span = im2col.window_size(layer)
    h, w = h + span[0], w + span[1]
    out = tuple((size - k) // s + 1 for size, k, s in zip((h, w), span, stride, strict=True))
    x = array(seed, h, w, c)
    columns = im2col.im2col(x, kernel, stride, out, groups, dilation)
    dcolumns, dx = array(seed + 1, *columns.shape), np.zeros_like(x)
    im2col.col2im(dcolumns, kernel, stride, out, dx, dilation)
    assert np.isclose(dot(columns, dcolumns), dot(x, dx))
    planes = dcolumns.reshape(groups, *out, *kernel, -1).transpose(3, 4, 0, 5, 1, 2).reshape(*kernel, c, *out)
    assert_close(_kernels.planes_to_image(planes, stride, (h, w), dilation), dx, 1e-12)
