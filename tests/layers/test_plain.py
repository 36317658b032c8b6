"""The layers as explicit loops: equal to torch, and every layer and every kernel equal to them."""

import checks
import numpy as np
import pytest
from layer_cases import CASES, over, tied_inputs

from npgrad import config, layers
from npgrad.layers import _kernels as kernels
from npgrad.layers import _rows, _winograd, im2col, max_pool, plain, plain_activations
from npgrad.layers.elementwise import Elementwise

PLAIN = (
    layers.Conv2d, layers.MaxPool2d, layers.AvgPool2d, layers.Linear, layers.BatchNorm2d, layers.Softmax, Elementwise,
)  # fmt: skip
WITH_PLAIN = [
    case
    for case in CASES
    if isinstance(case.layer(), PLAIN) and (len(case.shapes) == 2 or "softmax" not in case.id)
]


def conv_options(layer):
    return {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups")}


def run_plain(layer, x, dy, training=False):
    """{"y": output, "dx": ..., "dweight": ...} by the loops."""
    if isinstance(layer, layers.MaxPool2d):
        window = (layer.kernel_size, layer.stride, layer.padding)
        y = plain.max_pool2d(x, *window, layer.ceil_mode, layer.dilation)
        return {"y": y, "dx": plain.max_pool2d_backward(dy, x, *window, layer.dilation)}
    if isinstance(layer, layers.AvgPool2d):
        window, counted = (layer.kernel_size, layer.stride, layer.padding), layer.count_include_pad
        y = plain.avg_pool2d(x, *window, layer.ceil_mode, counted)
        return {"y": y, "dx": plain.avg_pool2d_backward(dy, x, *window, counted)}
    if isinstance(layer, layers.LogSoftmax):
        y = plain.log_softmax(x)
        return {"y": y, "dx": plain.log_softmax_backward(dy, y)}
    if isinstance(layer, layers.Softmax):
        y = plain.softmax(x)
        return {"y": y, "dx": plain.softmax_backward(dy, y)}
    if isinstance(layer, layers.PReLU):
        dx, dweight = plain_activations.prelu_backward(dy, x, layer.weight)
        return {"y": plain_activations.prelu(x, layer.weight), "dx": dx, "dweight": dweight}
    if isinstance(layer, Elementwise):
        y = plain_activations.activation(x, type(layer).__name__, **vars(layer))
        return {
            "y": y,
            "dx": plain_activations.activation_backward(dy, x, type(layer).__name__, **vars(layer)),
        }
    if isinstance(layer, layers.Conv2d):
        options = conv_options(layer)
        y = plain.conv2d(x, layer.weight, layer.bias, **options)
        gradients = plain.conv2d_backward(dy, x, layer.weight, **options)
    elif isinstance(layer, layers.Linear):
        y = plain.linear(x, layer.weight, layer.bias)
        gradients = plain.linear_backward(dy, x, layer.weight)
    else:
        options = {"training": training, "eps": layer.eps}
        statistics = (layer.running_mean, layer.running_var)
        y = plain.batch_norm2d(x, layer.weight, layer.bias, *statistics, **options)
        gradients = plain.batch_norm2d_backward(dy, x, layer.weight, *statistics, **options)
    found = {"y": y, **dict(zip(("dx", "dweight", "dbias"), gradients, strict=True))}
    return {key: value for key, value in found.items() if key != "dbias" or layer.bias is not None}


def random_and_tied(test):
    draws = [lambda case: case.inputs(), tied_inputs]
    return pytest.mark.parametrize("draw", draws, ids=["random", "ties"])(over(WITH_PLAIN)(test))


@random_and_tied
def test_the_loops_are_torch(case, draw):
    layer, (x,) = case.layer(), draw(case)
    dy = checks.random_dy(case, layer, [x])
    training = case.options.get("training", False)
    checks.assert_all_close(run_plain(layer, x, dy, training), checks.run_torch(case, layer, [x], dy), 1e-12)


@pytest.mark.sampled(90)
@random_and_tied
def test_the_layers_are_the_loops(case, draw):
    layer, (x,) = case.layer(), draw(case)
    dy = checks.random_dy(case, layer, [x])
    expected = run_plain(layer, x, dy, case.options.get("training", False))
    checks.assert_all_close(checks.run_npgrad(case, layer, [x], dy), expected, 1e-12)


def test_every_kind_of_layer_with_loops_is_tried():
    tried = {type(case.layer()) for case in WITH_PLAIN}
    assert all(any(issubclass(one, kind) for one in tried) for kind in PLAIN)
    assert {one.__name__ for one in tried if issubclass(one, Elementwise)} == {
        *plain_activations.ACTIVATIONS,
        "PReLU",
    }


def test_the_loops_take_a_complex_step():
    rng = np.random.default_rng(5)
    x, direction = rng.normal(size=(2, 2, 1, 3, 4, 4)).reshape(2, 2, 3, 4, 4)
    weight, dy = rng.normal(size=(2, 3, 2, 2)), rng.normal(size=(2, 2, 3, 3))
    step = plain.conv2d(x + 1e-20j * direction, weight).imag / 1e-20
    dx, _, _ = plain.conv2d_backward(dy, x, weight)
    assert np.isclose((step * dy).sum(), (dx * direction).sum(), rtol=1e-12)
    pooled = plain.max_pool2d(x + 1e-20j * direction, 2).imag / 1e-20
    dx = plain.max_pool2d_backward(dy[..., :2, :2].repeat(2, axis=1)[:, :3], x, 2)
    assert np.isclose((pooled * dy[..., :2, :2].repeat(2, axis=1)[:, :3]).sum(), (dx * direction).sum())


# Every kernel on every geometry, whether or not a layer would choose it there.

CONVOLUTIONS = [case for case in WITH_PLAIN if isinstance(case.layer(), layers.Conv2d)]
POOLS = [case for case in WITH_PLAIN if isinstance(case.layer(), layers.MaxPool2d)]


def fits(kernel, layer):
    """Whether a kernel may be used for a layer at all."""
    if "depthwise" in kernel.__name__:
        alone = layer.groups > 1 and layer.weight.shape[:2] == (layer.groups, 1)
        return alone and (kernel is not kernels.depthwise_by_windows or kernels.rows_fit(layer))
    if layer.groups > 1 and ("rows" in kernel.__name__ or "winograd" in kernel.__name__):
        return False
    if "winograd" in kernel.__name__:
        return _winograd.is_3x3(layer) and kernels.rows_fit(layer)
    if "rows" in kernel.__name__:
        return kernels.rows_fit(layer)
    return "pointwise" not in kernel.__name__ or layer.kernel_size == layer.stride == (1, 1)


def with_kernels(*names):
    """Every convolution with every kernel that can compute it; None is im2col or col2im."""
    pairs = [(case, None) for case in CONVOLUTIONS]
    pairs += [(case, k) for case in CONVOLUTIONS for k in names if fits(k, case.layer())]
    ids = [f"{case.id}, {getattr(kernel, '__name__', 'matrix')}" for case, kernel in pairs]
    return pytest.mark.parametrize(("case", "kernel"), pairs, ids=ids)


@pytest.mark.sampled(50)
@pytest.mark.parametrize("idle", [False, True], ids=["dense", "one filter"])
@with_kernels(
    kernels.depthwise_input_gradient, kernels.depthwise_by_windows, kernels.pointwise_input_gradient,
    kernels.few_channels_input_gradient,
    kernels.by_rows_input_gradient, kernels.winograd_input_gradient,
)  # fmt: skip
def test_every_input_gradient(case, kernel, idle, monkeypatch):
    layer, (x,) = case.layer(), case.inputs()
    dy = checks.random_dy(case, layer, [x])
    if idle:
        dy[:, 1:] = 0
    monkeypatch.setattr(kernels, "conv_input_gradient", lambda *layer: kernel)
    checks.assert_close(layer.backward(dy, x), run_plain(layer, x, dy)["dx"], 1e-12)


@with_kernels(kernels.depthwise, kernels.by_rows, kernels.winograd)
def test_every_forward(case, kernel, monkeypatch):
    layer, (x,) = case.layer(), case.inputs()
    monkeypatch.setattr(kernels, "conv_forward", lambda *layer: kernel)
    expected = plain.conv2d(x, layer.weight, layer.bias, **conv_options(layer))
    checks.assert_close(layer(x), expected, 1e-12)


@pytest.mark.sampled(40)
@pytest.mark.parametrize("few_values", [0, 1 << 30], ids=["kernel", "definition"])
@pytest.mark.parametrize("draw", [lambda case: case.inputs(), tied_inputs], ids=["random", "ties"])
@over(POOLS)
def test_every_maximum(case, draw, few_values, monkeypatch):
    monkeypatch.setattr(kernels, "FEW_VALUES", few_values)
    layer, (x,) = case.layer(), draw(case)
    dy = checks.random_dy(case, layer, [x])
    checks.assert_all_close(checks.run_npgrad(case, layer, [x], dy), run_plain(layer, x, dy), 1e-12)
    np.testing.assert_array_equal(layer(x), layer.forward(x)[0])


@pytest.mark.parametrize("kernel_size", [(1, 300), (17, 16)])
def test_large_windows_have_room_for_their_argmax(kernel_size):
    """Over 255 positions in a window, and the maximum at the last of them."""
    x = np.random.default_rng(6).normal(size=(1, 4, *kernel_size))
    x[:, :, -1, -1] = 9
    padded = im2col.channels_last(x)
    for maximum in (kernels.separable_max, max_pool.max_and_argmax):
        y, argmax = maximum(padded, kernel_size, (1, 1), (1, 1))
        assert (y == 9).all() and (argmax == np.prod(kernel_size) - 1).all()


@pytest.mark.parametrize("dilation", [1, (2, 1)])
def test_rows_in_pieces(dilation, monkeypatch):
    """More rows of the output than one piece has, and a last piece that is smaller."""
    monkeypatch.setattr(_rows, "PIECE", 1)
    rng = np.random.default_rng(8)
    layer = layers.Conv2d(rng.normal(size=(4, 3, 3, 2)), None, padding=(1, 0, 0, 1), dilation=dilation)
    x = rng.normal(size=(2, 3, 21, 6))
    expected = plain.conv2d(x, layer.weight, **conv_options(layer))
    dy = rng.normal(size=expected.shape)
    dx, _, _ = plain.conv2d_backward(dy, x, layer.weight, **conv_options(layer))
    monkeypatch.setattr(kernels, "conv_forward", lambda *layer: kernels.by_rows)
    monkeypatch.setattr(kernels, "conv_input_gradient", lambda *layer: kernels.by_rows_input_gradient)
    checks.assert_close(layer(x), expected, 1e-12)
    checks.assert_close(layer.backward(dy, x), dx, 1e-12)


@pytest.mark.parametrize("size", [(26, 29), (28, 28), (25, 60)])
def test_winograd_rounds_little(size):
    """In float32, which it is for; with tiles beyond the border and in several parts."""
    rng = np.random.default_rng(9)
    wide = layers.Conv2d(rng.normal(size=(64, 70, 3, 3)), rng.normal(size=64), padding=(1, 2, 0, 1))
    x, narrow = rng.normal(size=(2, 70, *size)), wide.map_arrays(lambda name, array: array.astype(np.float32))
    out = im2col.output_shape(wide, x)
    assert kernels.conv_forward(narrow, out, np.dtype(np.float32)) is kernels.winograd
    y, dy = wide(x), rng.normal(size=(2, 64, *out))
    found, dx = narrow(x.astype(np.float32)), narrow.backward(dy.astype(np.float32), x.astype(np.float32))
    assert found.dtype == dx.dtype == np.float32
    assert 1e-7 < np.abs(found - y).max() / np.abs(y).max() < 3e-6
    expected = wide.backward(dy, x)
    assert 1e-7 < np.abs(dx - expected).max() / np.abs(expected).max() < 3e-6


def test_which_kernel_a_layer_chooses(monkeypatch):
    def chosen(*shape, out=(8, 8), dtype=np.float64, **options):
        layer = layers.Conv2d(np.zeros(shape), **options)
        names = [getattr(kernel, "__name__", None) for kernel in
                 (kernels.conv_forward(layer, out, dtype), kernels.conv_input_gradient(layer, out, dtype))]  # fmt: skip
        return tuple(names)

    on_rows = "by_rows_input_gradient"
    assert chosen(17, 16, 3, 3, padding=1) == (None, None)
    assert chosen(16, 16, 3, 3, padding=1) == (None, on_rows)
    assert chosen(64, 64, 3, 3, out=(56, 56)) == chosen(16, 16, 3, 3, out=(112, 112)) == ("by_rows", on_rows)
    assert chosen(64, 16, 3, 3, out=(55, 55)) == (None, on_rows)
    assert chosen(64, 16, 3, 3, out=(27, 27)) == chosen(512, 512, 3, 3, out=(28, 28)) == (None, None)
    assert chosen(64, 64, 3, 3, out=(56, 56), stride=2) == chosen(8, 8, 2, 2, padding=2) == (None, None)
    by_winograd = ("winograd", "winograd_input_gradient")
    assert chosen(64, 64, 3, 3, out=(28, 28), dtype=np.float32) == by_winograd
    assert (
        chosen(64, 64, 3, 3, out=(28, 28))
        == chosen(64, 32, 3, 3, out=(28, 28), dtype=np.float32)
        == (None, on_rows)
    )
    assert chosen(64, 64, 3, 3, out=(24, 24), dtype=np.float32) == (None, on_rows)
    assert chosen(64, 64, 3, 3, out=(28, 28), dtype=np.float32, stride=2) == (None, None)
    monkeypatch.setattr(config, "exact", True)
    assert chosen(64, 64, 3, 3, out=(28, 28), dtype=np.float32) == (None, on_rows)
    assert chosen(8, 16, 1, 1) == (None, "pointwise_input_gradient")
    assert chosen(8, 16, 1, 1, padding=1) == chosen(8, 16, 1, 1, stride=2) == (None, None)
    assert chosen(8, 7, 3, 3) == (None, "few_channels_input_gradient")
    assert chosen(64, 3, 3, 3, out=(448, 448)) == (None, "few_channels_input_gradient")
    assert chosen(8, 4, 3, 3, groups=2) == (None, None)
    assert chosen(8, 1, 3, 3, groups=8) == ("depthwise", "depthwise_input_gradient")
    assert chosen(96, 1, 3, 3, groups=96) == ("depthwise", "depthwise_by_windows")
    assert chosen(96, 1, 3, 3, groups=96, stride=2) == ("depthwise", "depthwise_input_gradient")
    assert chosen(16, 1, 3, 3, groups=8) == (None, None)
    assert chosen(8, 16, 1, 1, padding=(0, 1, 0, 0)) == (None, None)
    assert chosen(8, 16, 3, 3, dilation=2) == (None, on_rows)


def test_both_count_the_same_windows():
    """The loops' definition and the formula, with images smaller than a window, too."""
    for size, kernel, stride in np.ndindex(8, 8, 5):
        for padding in range((kernel + 1) // 2 + 1):
            for ceil_mode in (False, True):
                for after in range((kernel + 1) // 2 + 1):
                    window = (size + 1, kernel + 1, stride + 1)
                    counted = plain.count_windows(*window, (padding, after), ceil_mode)
                    assert counted == max(0, im2col.output_size(*window, padding, ceil_mode, after))
                    if after == padding:
                        assert counted == max(0, im2col.output_size(*window, padding, ceil_mode))


@pytest.mark.parametrize("wide", range(3))
def test_the_widest_dtype_of_all_inputs_is_that_of_the_result(wide):
    """Batch normalization is in inference mode by default."""
    rng = np.random.default_rng(7)

    def arrays(*shapes):
        dtypes = [np.float64 if i == wide else np.float32 for i in range(len(shapes))]
        return [rng.normal(size=shape).astype(dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]

    dy, x, weight = arrays((2, 3, 2, 2), (2, 2, 3, 3), (3, 2, 2, 2))
    assert {one.dtype for one in plain.conv2d_backward(dy, x, weight)} == {np.dtype(np.float64)}
    dy, x, weight = arrays((2, 3), (2, 4), (3, 4))
    assert {one.dtype for one in plain.linear_backward(dy, x, weight)} == {np.dtype(np.float64)}
    dy, x, weight = arrays((2, 3, 2, 2), (2, 3, 2, 2), (3,))
    mean, var = rng.normal(size=3), rng.uniform(1, 2, 3)
    assert {one.dtype for one in plain.batch_norm2d_backward(dy, x, weight, mean, var)} == {
        np.dtype(np.float64)
    }
    expected = weight[:, None, None] * (x - mean[:, None, None]) / np.sqrt(var + 1e-5)[:, None, None]
    np.testing.assert_allclose(
        plain.batch_norm2d(x, weight, 0 * mean, mean, var), expected, rtol=1e-5, atol=1e-6
    )


def test_an_upstream_gradient_of_zeros():
    """No filter is busy."""
    for shape in ((8, 8, 3, 3), (64, 64, 3, 3)):
        layer, dy = (
            layers.Conv2d(np.ones(shape, np.float32), padding=1),
            np.zeros((1, shape[0], 26, 26), np.float32),
        )
        assert not layer.backward(dy, np.ones((1, shape[1], 26, 26), np.float32)).any()
