"""What mutation testing found unseen in layers, tape and losses: whole messages, bounds, defaults, receptive fields."""

import numpy as np
import pytest

from npgrad import InputError, Model, Record, Tape, TargetError, losses
from npgrad.layers import (
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm2d,
    Clip,
    Composite,
    Concat,
    Conv2d,
    Dropout,
    Fire,
    GlobalAvgPool2d,
    Graph,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    Softmax,
)
from npgrad.layers import im2col as sliding
from npgrad.layers.base import he_normal
from npgrad.layers.composite import Calls

RELU = ReLU()
X, BYTES, LOGITS = np.zeros((1, 3, 4, 4)), np.zeros((1, 3, 4, 4), np.uint8), np.zeros((2, 5))
WEIGHT, VECTOR = np.zeros((6, 4, 3, 3)), np.zeros(3)
FLOATS = "expected floats, found uint8 of shape (1, 3, 4, 4)"
NUMBER = "expected a finite number, found '1'"
INDEX = "target: expected a class index, or 2, found float64 of shape ()"
LINES = [  # every refusal, word for word: it begins with the name of what refuses
    (lambda: losses.content_loss(1, BYTES, X), f"content_loss: {FLOATS}"),
    (lambda: losses.content_loss(1, X, BYTES), f"content_loss: {FLOATS}"),
    (lambda: losses.content_loss(1, X, X[0]),
     "content_loss: original: expected shape (1, 3, 4, 4), found (3, 4, 4)"),
    (lambda: losses.content_loss("1", X, X), f"content_loss: weight: {NUMBER}"),
    (lambda: losses.gram_matrix(BYTES), f"gram_matrix: {FLOATS}"),
    (lambda: losses.style_loss({"a": X}, {"a": X}, {"a": "1"}), f"style_loss: weight at a: {NUMBER}"),
    (lambda: losses.style_loss({"a": X}, {"a": X}, {"a": 1}),
     "style_loss: target at a: expected shape (1, 3, 3), found (1, 3, 4, 4)"),
    (lambda: losses.tv_loss(BYTES, 1), f"tv_loss: {FLOATS}"),
    (lambda: losses.tv_loss(X, "1"), f"tv_loss: weight: {NUMBER}"),
    (lambda: losses.tv_loss(X, True), "tv_loss: weight: expected a finite number, found True"),
    (lambda: losses.l2_loss(BYTES, 1), f"l2_loss: {FLOATS}"),
    (lambda: losses.l2_loss(X, "1"), f"l2_loss: weight: {NUMBER}"),
    (lambda: losses.cross_entropy(LOGITS[0], 0), "cross_entropy: expected logits (N, classes), found shape (5,)"),
    (lambda: losses.cross_entropy(LOGITS, 1.5), f"cross_entropy: {INDEX}"),
    (lambda: losses.score(LOGITS[0], 0), "score: expected logits (N, classes), found shape (5,)"),
    (lambda: losses.score(LOGITS, 1.5), f"score: {INDEX}"),
    (lambda: losses.score(LOGITS, True), "score: target: expected a class index, or 2, found bool of shape ()"),
    (lambda: Conv2d(WEIGHT, stride=0), "Conv2d stride: expected one or two whole numbers >= 1, found 0"),
    (lambda: Conv2d(WEIGHT, padding=-1), "Conv2d padding: expected one or two whole numbers >= 0, found -1"),
    (lambda: Conv2d(WEIGHT[0]), "Conv2d weight (F, C, KH, KW): expected 4 dimensions of floats, found 3 of float64"),
    (lambda: Conv2d(WEIGHT, WEIGHT), "Conv2d bias (F,): expected 1 dimensions of floats, found 4 of float64"),
    (lambda: Conv2d.init(3, 4, 0), "kernel_size: expected one or two whole numbers >= 1, found 0"),
    (lambda: Conv2d.init(3, 4, 3, groups=2), "Conv2d: groups=2 does not divide 3 filters or channels"),
    (lambda: Conv2d(WEIGHT)(X), "Conv2d expects 4 channels, found an array of shape (1, 3, 4, 4)"
     "; is it (N, H, W, C)? transpose(0, 3, 1, 2) it"),
    (lambda: Conv2d(WEIGHT)(X[..., :3]), "Conv2d expects 4 channels, found an array of shape (1, 3, 4, 3)"),
    (lambda: Linear(VECTOR), "Linear weight (F, C): expected 2 dimensions of floats, found 1 of float64"),
    (lambda: Linear(LOGITS, LOGITS), "Linear bias (F,): expected 1 dimensions of floats, found 2 of float64"),
    (lambda: BatchNorm2d(VECTOR, LOGITS, VECTOR, VECTOR),
     "BatchNorm2d bias (C,): expected 1 dimensions of floats, found 2 of float64"),
    (lambda: BatchNorm2d(VECTOR, VECTOR, VECTOR, np.append(VECTOR[1:], -2.0)),
     "BatchNorm2d running_var: expected variances >= 0, found -2"),
    (lambda: BatchNorm2d(*[VECTOR] * 4, eps="x"), "BatchNorm2d eps: expected a finite number >= 0, found 'x'"),
    (lambda: MaxPool2d(0), "MaxPool2d kernel_size: expected one or two whole numbers >= 1, found 0"),
    (lambda: MaxPool2d(2, 0), "MaxPool2d stride: expected one or two whole numbers >= 1, found 0"),
    (lambda: AvgPool2d(2, 2, -1), "AvgPool2d padding: expected one or two whole numbers >= 0, found -1"),
    (lambda: AvgPool2d(9)(X), "AvgPool2d: the input is 4x4 px, smaller than the 9x9 window (padding 0, 0)"),
    (lambda: AdaptiveAvgPool2d(0), "AdaptiveAvgPool2d output_size: expected one or two whole numbers >= 1, found 0"),
    (lambda: Softmax()(VECTOR), "Softmax expects 2 or 3 or 4 dimensions, found an array of shape (3,)"),
    (lambda: Softmax()(np.zeros((1,) * 5)),
     "Softmax expects 2 or 3 or 4 dimensions, found an array of shape (1, 1, 1, 1, 1)"),
    (lambda: Linear(LOGITS)(X), "Linear expects 2 dimensions, found an array of shape (1, 3, 4, 4)"),
    (lambda: GlobalAvgPool2d()(BYTES), "GlobalAvgPool2d expects floats, found uint8"),
    (lambda: Add()((X, X[0])), "Add expects arrays of one shape, found [(1, 3, 4, 4), (3, 4, 4)]"),
    (lambda: Concat()((X, X[:, :, 1:])),
     "Concat expects arrays that differ only in channels, found [(1, 3, 4, 4), (1, 3, 3, 4)]"),
    (lambda: Concat()((X, X[:0])),
     "Concat expects arrays that differ only in channels, found [(1, 3, 4, 4), (0, 3, 4, 4)]"),
    (lambda: Fire.init(4, 2, 2, 2)(X), "squeeze: Conv2d expects 4 channels, found an array of shape (1, 3, 4, 4)"
     "; is it (N, H, W, C)? transpose(0, 3, 1, 2) it"),
    (lambda: Sequential({"a": Sequential({"b": Sequential({"c": Linear(LOGITS)})})})(X),
     "a.b.c: Linear expects 2 dimensions, found an array of shape (1, 3, 4, 4)"),
    (lambda: Graph({"": (ReLU(), "input")}), "Graph: '' is not a node name (a word, not 'input')"),
    (lambda: Graph({1: (ReLU(), "input")}), "Graph: 1 is not a node name (a word, not 'input')"),
    (lambda: Graph({"a": (ReLU(), "input", "b")}),
     "Graph: a: expected (layer, source), found (ReLU(), 'input', 'b')"),
    (lambda: Sequential({"": ReLU()}), "Sequential: '' is not a layer name (a word without a dot, not 'input')"),
    (lambda: Sequential({1: ReLU()}), "Sequential: 1 is not a layer name (a word without a dot, not 'input')"),
    (lambda: Sequential([ReLU()]), "Sequential: expected a dict of at least one layer by name, found [ReLU()]"),
    *((lambda name=name: Residual({name: ReLU()}),
       f"Residual: {name!r} is taken, or not a layer name (a word without a dot)")
      for name in ("input", "add", "relu", "", "a.b")),
    (lambda: Residual({"a": ReLU()}, {"b": "c"}), "Residual: b is a str, not a layer"),
    (lambda: Clip(2, 1), "Clip: expected low <= high, found 2 and 1"),
    (lambda: Dropout("1"), "Dropout p: expected 0 <= p < 1, found '1'"),
    (lambda: he_normal((3, 0)), "weights of shape (3, 0): expected whole numbers >= 1"),
    (lambda: he_normal((3, 1.0)), "weights of shape (3, 1.0): expected whole numbers >= 1"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "line"), LINES, ids=range(len(LINES)))
def test_the_whole_line_of_a_refusal(call, line):
    with pytest.raises(InputError) as refusal:
        call()
    assert str(refusal.value) == line


def test_targets_out_of_range_say_whose_they_are():
    for loss in losses.cross_entropy, losses.score:
        with pytest.raises(TargetError) as refusal:
            loss(LOGITS, [0, 5])
        assert str(refusal.value) == f"{loss.__name__}: target: expected 0 to 4, found 0 to 5"


def test_a_layer_of_ones_own_says_what_it_lacks():
    class Mine(Layer):
        pass

    class Block(Composite):
        pass

    for call, line in (
        (lambda: Mine().forward(X), "Mine has no forward"),
        (lambda: Mine().backward(X, None), "Mine has no backward"),
        (lambda: Block().parts(), "Block names no parts"),
        (lambda: Block().with_parts({}), "Block cannot be put together from parts"),
    ):
        with pytest.raises(TypeError, match=f"^{line}$"):
            call()
    assert Mine().parameter_gradients(X, None) == {} and Mine().receptive_field() is None


def test_what_init_draws_when_nobody_says():
    for made in (
        lambda **rng: Conv2d.init(3, 4, 3, **rng),
        lambda **rng: Linear.init(3, 4, **rng),
        lambda **rng: Fire.init(3, 2, 4, 5, **rng),
    ):
        plain, zero = made().arrays(), made(rng=0).arrays()
        assert all(np.array_equal(plain[name], zero[name]) for name in zero)
    assert np.array_equal(he_normal((2, 3)), he_normal((2, 3), 0)) and he_normal((2, 3)).dtype == np.float32
    conv = Conv2d.init(3, 4, 3)
    assert (conv.stride, conv.padding, conv.groups) == ((1, 1), (0, 0), 1)
    assert {array.dtype for array in BatchNorm2d.init(3).arrays(buffers=True).values()} == {
        np.dtype(np.float32)
    }


def test_on_a_bound_the_derivative_is_0():
    x = np.array([[-1.0, 0, 1, 5, 6, 7]])
    one = np.ones_like(x)
    np.testing.assert_array_equal(ReLU6().backward(one, x), [[0, 0, 1, 1, 0, 0]])
    np.testing.assert_array_equal(ReLU().backward(one, x), [[0, 0, 1, 1, 1, 1]])
    np.testing.assert_array_equal(Clip(0, 6).backward(one, x), [[0, 0, 1, 1, 0, 0]])
    np.testing.assert_array_equal(Clip(1, 1)(x), one)  # low may be high


def conv(kernel, stride=1, padding=0):
    return Conv2d.init(2, 2, kernel, stride, padding)


def test_receptive_fields_in_numbers():
    two = Sequential({"a": conv((5, 3), (2, 3), (1, 2)), "b": conv((3, 4), (2, 1), (1, 1))})
    assert two.receptive_field() == ((9, 12), (4, 3), (3, 5))
    assert Fire.init(4, 2, 3, 3).receptive_field() == ((3, 3), (1, 1), (1, 1))
    for pool in MaxPool2d((2, 3), (3, 1), 1), AvgPool2d((2, 3), (3, 1), 1):
        assert pool.receptive_field() == ((2, 3), (3, 1), (1, 1))
    pixel = ((1, 1), (1, 1), (0, 0))
    for layer in ReLU(), ReLU6(), Clip(0, 1), BatchNorm2d.init(2), Dropout():
        assert layer.receptive_field() == pixel
    for layer in Softmax(), Linear(LOGITS), GlobalAvgPool2d(), Add(), Concat():
        assert layer.receptive_field() is None


def test_a_residuals_receptive_field_in_numbers():
    three = ((3, 3), (1, 1), (1, 1))

    def field(branch, shortcut=None, after=RELU):
        return Residual({"a": branch}, {} if shortcut is None else {"s": shortcut}, after).receptive_field()

    assert field(conv(3, 1, 1)) == field(conv(3, 1, 1), after=None) == three
    assert field(conv(3, 1, 1), after=conv(3, 1, 1)) is None and field(conv(3, 1, 1), after=Softmax()) is None
    assert field(Softmax()) is None and field(conv(3, 1, 1), Softmax()) is None
    assert field(conv(3, 2, 1), conv(1, 1)) is None  # strides of their own
    # The shortcut's window must lie inside the branch's: at its first side, its last, in both directions.
    assert field(conv(5, 1, 2), conv(3, 1, 1)) == ((5, 5), (1, 1), (2, 2))
    assert field(conv(3, 1, 1), conv(3, 1, 1)) == three
    assert field(conv(3, 1, 0), conv(3, 1, 1)) is None and field(conv(3, 1, 2), conv(3, 1, 1)) is None
    assert field(conv((3, 5), 1, (1, 2)), conv((5, 3), 1, (2, 1))) is None
    assert field(conv((5, 3), 1, (2, 1)), conv((3, 5), 1, (1, 2))) is None
    assert field(conv(4, 1, 1), conv(3, 1, 1)) == ((4, 4), (1, 1), (1, 1))
    assert field(conv(4, 1, 2), conv(3, 1, 1)) == ((4, 4), (1, 1), (2, 2))


def test_a_composite_alone_stops_where_nothing_comes_down():
    calls = Calls()
    assert calls.back("a", None) is None and calls.back("a", None, inputs=3) == (None, None, None)
    residual = Residual({"fc": Linear(np.ones((3, 3)), np.ones(3))})
    _, tape = residual.forward(np.ones((1, 3)))
    assert residual.backward(None, tape) is None
    gradients = residual.parameter_gradients(None, tape)
    assert {name: array.tolist() for name, array in gradients.items()} == {
        "fc.weight": [[0.0] * 3] * 3,
        "fc.bias": [0.0] * 3,
    }


def test_a_record_in_which_the_pass_stopped_says_so():
    x = np.zeros((1, 3, 4, 4), np.float32)
    tape = Model(Sequential({"fire": Fire.init(3, 2, 4, 5)})).forward(x, upto="fire.squeeze")
    seen = []

    def note(record, dy):
        seen.append(repr(record))
        return record.layer.backward(dy, record.cache)

    tape.backward(tape.output, {Conv2d: note})
    assert seen == ["fire.squeeze: Conv2d (1, 3, 4, 4) -> (1, 2, 4, 4)"]
    assert repr(Record("fire", Fire.init(3, 2, 4, 5), x)) == "fire: Fire (1, 3, 4, 4) -> unfinished"
    assert repr(Record("add", Add(), (x, x), x)) == "add: Add (1, 3, 4, 4) + (1, 3, 4, 4) -> (1, 3, 4, 4)"


def test_how_many_windows_fit():
    assert [sliding.output_size(size, 3, 2) for size in (3, 4, 5, 6, 7)] == [1, 1, 2, 2, 3]
    assert [sliding.output_size(size, 3, 2, ceil_mode=True) for size in (3, 4, 5, 6, 7)] == [1, 2, 2, 3, 3]
    assert sliding.output_size(3, 3, 1, 1) == 3
    # the last window must begin inside the image or its left padding
    assert (
        sliding.output_size(2, 1, 2, ceil_mode=True) == 1
        and sliding.output_size(3, 1, 2, ceil_mode=True) == 2
    )
    assert sliding.output_size(6, 3, 3, 1, ceil_mode=True) == 3 and sliding.output_size(5, 2, 3, 1, True) == 2


def test_a_border_is_put_on_and_cut_off():
    x = np.arange(1.0, 7).reshape(1, 2, 3, 1)
    assert sliding.pad(x, (0, 0), (0, 0)) is x
    for before, after in (
        ((1, 0), (0, 0)),
        ((0, 1), (0, 0)),
        ((0, 0), (1, 0)),
        ((0, 0), (0, 1)),
        ((1, 2), (3, 4)),
    ):
        expected = np.pad(x[0, :, :, 0], list(zip(before, after, strict=True)), constant_values=7)
        np.testing.assert_array_equal(sliding.pad(x, before, after, 7)[0, :, :, 0], expected)
    np.testing.assert_array_equal(sliding.pad(x, (1, 0), (0, 0))[0, 0], 0)  # 0, if no value is said
    np.testing.assert_array_equal(sliding.pad(x, (0, 0), (-1, 0)), x[:, :1])
    np.testing.assert_array_equal(sliding.pad(x, (0, 0), (0, -1)), x[:, :, :2])
    both = sliding.pad(x, (1, 0), (-1, 1), 7)
    np.testing.assert_array_equal(both[0, :, :, 0], [[7, 7, 7, 7], [1, 2, 3, 7]])


def test_half_precision_stays_what_it_is():
    half = np.arange(16, dtype=np.float16).reshape(1, 1, 4, 4)
    for layer in (
        MaxPool2d(2),
        AvgPool2d(2),
        AdaptiveAvgPool2d(2),
        ReLU(),
        ReLU6(),
        Clip(0, 3),
        GlobalAvgPool2d(),
    ):
        y, cache = layer.forward(half)
        assert y.dtype == np.float16 and layer.backward(y, cache).dtype == np.float16


def test_pooling_takes_half_the_kernel_as_padding_and_no_more():
    assert MaxPool2d(3, padding=1).padding == AvgPool2d(2, padding=1).padding == (1, 1)
    for kernel, padding in ((3, 2), ((2, 4), 2), ((4, 2), 2), (1, 1)):
        with pytest.raises(InputError, match=r"expected at most half the kernel \(.*\), found \(.*\)$"):
            MaxPool2d(kernel, padding=padding)


def test_a_sum_of_one_array_is_a_copy_and_nothing_can_be_dropped():
    y, count = Add().forward((X,))
    assert np.array_equal(y, X) and not np.may_share_memory(y, X) and count == 1
    assert len(Add().backward(y, count)) == 1
    assert np.array_equal(Dropout(0).forward(y, training=True, rng=0)[0], y)


def test_two_layers_of_one_name_are_refused():
    class Twice(Composite):
        def forward(self, x, tape=None):
            return tape.run("a", ReLU(), tape.run("a", ReLU(), x)), tape

        def parts(self):
            return {"a": ReLU()}

    with pytest.raises(InputError, match="^a: two layers of one network have this name$"):
        Model(Twice()).forward(X)


def test_batch_norm_at_its_bounds():
    x = np.array([1.0, 3.0, -2.0, 4.0]).reshape(2, 2, 1, 1)
    ones, zeros = np.ones(2), np.zeros(2)
    flat = BatchNorm2d(ones, zeros, zeros, zeros, eps=0.25, momentum=0)  # a channel that never varied
    assert np.array_equal(flat(x), 2 * x)
    assert np.array_equal(BatchNorm2d(ones, zeros, zeros, 4 * ones, eps=0)(x), x / 2)
    for name in ("eps", "momentum"):
        with pytest.raises(InputError, match=f"BatchNorm2d {name}: expected a finite number >= 0, found inf"):
            BatchNorm2d(ones, zeros, zeros, ones, **{name: np.inf})
    two = BatchNorm2d(ones, zeros, zeros, ones, eps=0)  # two values a channel are enough to train on
    y, cache = two.forward(x, training=True)
    assert y.ravel().tolist() == [1, -1, -1, 1]
    assert two.new_statistics(cache)["running_var"].tolist() == [0.9 + 0.1 * 4.5, 0.9 + 0.1 * 0.5]


def test_a_complex_step_may_be_in_any_parameter():
    x, ones, zeros = np.ones((1, 2, 1, 1)), np.ones(2), np.zeros(2)
    step = np.array([0, 1e-200j])
    y = BatchNorm2d(ones, zeros + step, zeros, ones, eps=0)(x)
    assert y.ravel().tolist() == [1, 1 + 1e-200j]
    assert BatchNorm2d(ones + step, zeros, zeros, ones, eps=0)(x).ravel().tolist() == [1, 1 + 1e-200j]


def test_the_wider_of_two_precisions_is_kept():
    rng = np.random.default_rng(0)
    weight, x, dy = (
        rng.normal(size=(4, 3, 2, 2)),
        rng.normal(size=(1, 3, 5, 5)),
        rng.normal(size=(1, 4, 4, 4)),
    )
    wide, narrow = Conv2d(weight), Conv2d(weight.astype(np.float32))
    x32, dy32 = x.astype(np.float32), dy.astype(np.float32)
    assert np.array_equal(wide(x32), wide(x32.astype(np.float64)))
    assert np.array_equal(wide.backward(dy32, x32), wide.backward(dy32.astype(np.float64), x32))
    assert narrow(x32).dtype == narrow.backward(dy32, x32).dtype == np.float32
    for pair in ((dy32, x), (dy, x32)):
        found = wide.parameter_gradients(*pair)["weight"]
        expected = wide.parameter_gradients(*(array.astype(np.float64) for array in pair))["weight"]
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_fires_wide_branch_keeps_the_size():
    squeeze, narrow = Conv2d.init(3, 2, 1), Conv2d.init(2, 4, 1)
    for options in ({"padding": 0}, {"padding": 1, "stride": 2}, {"padding": (1, 0)}):
        with pytest.raises(InputError, match="Fire: expand3x3 must keep the image's size; found kernel"):
            Fire(squeeze, narrow, Conv2d.init(2, 4, 3, **options))


def test_a_small_mask_is_divided_by_what_it_is():
    features = np.ones((1, 1, 2, 2))
    mask = np.full((2, 2), 0.1)
    assert losses.gram_matrix(features, mask=mask).item() == pytest.approx(1)


def test_a_tape_made_by_hand_is_no_training():
    tape = Tape(Sequential({"drop": Dropout(0.5)}), X + 1)
    assert np.array_equal(tape.output, X + 1)
