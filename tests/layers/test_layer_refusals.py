"""What a layer refuses, word for word, and what a layer of one's own must have."""

import numpy as np
import pytest

from npgrad import InputError, Model
from npgrad.layers import (
    GELU,
    AdaptiveAvgPool2d,
    Add,
    Affine,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Clip,
    Composite,
    Concat,
    Conv2d,
    Dropout,
    Fire,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Graph,
    GroupNorm,
    HardSigmoid,
    Layer,
    LayerNorm,
    LeakyReLU,
    Linear,
    LocalResponseNorm,
    LogSoftmax,
    MaxPool2d,
    Multiply,
    Pad,
    Permute,
    PReLU,
    ReLU,
    Reshape,
    Residual,
    Sequential,
    SiLU,
    Slice,
    Softmax,
    Softplus,
    Squeeze,
    Subtract,
    Upsample,
)
from npgrad.layers.base import he_normal

RELU = ReLU()
X, BYTES, LOGITS = np.zeros((1, 3, 4, 4)), np.zeros((1, 3, 4, 4), np.uint8), np.zeros((2, 5))
WEIGHT, VECTOR = np.zeros((6, 4, 3, 3)), np.zeros(3)
LINES = [  # each begins with the name of what refuses
    (lambda: Conv2d(WEIGHT, stride=0), "Conv2d stride: expected one or two whole numbers >= 1, found 0"),
    (lambda: Conv2d(WEIGHT, padding=-1), "Conv2d padding: expected one or two whole numbers >= 0, found -1"),
    (lambda: Conv2d(WEIGHT, padding=(0, 1, 2, -1)),
     "Conv2d padding: expected whole numbers >= 0 (top, bottom, left, right), found (0, 1, 2, -1)"),
    (lambda: Conv2d(WEIGHT, padding=(0, 1, 2)),
     "Conv2d padding: expected one or two whole numbers >= 0, found (0, 1, 2)"),
    (lambda: Conv2d(WEIGHT, dilation=0), "Conv2d dilation: expected one or two whole numbers >= 1, found 0"),
    (lambda: Conv2d(WEIGHT[:, :3], dilation=3, padding=(1, 0, 0, 0))(X),
     "Conv2d: the input is 4x4 px, smaller than the 7x7 window (padding 1, 0, 0, 0)"),
    (lambda: MaxPool2d(2, dilation=(1, 0)),
     "MaxPool2d dilation: expected one or two whole numbers >= 1, found (1, 0)"),
    (lambda: MaxPool2d(2, 1, 1, dilation=5)(X),
     "MaxPool2d: the input is 4x4 px, and a window with dilation (5, 5) misses it"),
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
    (lambda: Softmax(0), "Softmax axis: expected different whole numbers, not 0, found 0"),
    (lambda: Softmax(True), "Softmax axis: expected different whole numbers, not 0, found True"),
    (lambda: Softmax((1, 1)), "Softmax axis: expected different whole numbers, not 0, found (1, 1)"),
    (lambda: Softmax(()), "Softmax axis: expected different whole numbers, not 0, found ()"),
    (lambda: Softmax((1, 2))(LOGITS), "Softmax: an array of shape (2, 5) has no classes along axis (1, 2)"),
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
    (lambda: LeakyReLU("a"), "LeakyReLU negative_slope: expected a finite number, found 'a'"),
    (lambda: HardSigmoid(beta=np.nan), "HardSigmoid beta: expected a finite number, found nan"),
    (lambda: Softplus(0), "Softplus beta: expected a number > 0, found 0.0"),
    (lambda: GELU("exact"), "GELU approximate: expected one of none, tanh; found 'exact'"),
    (lambda: PReLU(LOGITS), "PReLU weight (C,): expected 1 dimensions of floats, found 2 of float64"),
    (lambda: PReLU(VECTOR[:2])(X), "PReLU expects 2 channels, found an array of shape (1, 3, 4, 4)"),
    (lambda: SiLU()(BYTES), "SiLU expects floats, found uint8"),
    (lambda: Multiply()((X, X, X)), "Multiply expects two arrays, found 3"),
    *((lambda other=other: Multiply()((X, other)),
       f"Multiply expects arrays of one shape, or with sides of 1, found (1, 3, 4, 4) and {other.shape}")
      for other in (X[0], X[:, :2], X[:, :, :2], np.zeros((2, 3, 4, 4)))),
    (lambda: Multiply()((np.zeros((2, 3)), np.zeros((1, 3)))),  # images of a batch are not repeated
     "Multiply expects arrays of one shape, or with sides of 1, found (2, 3) and (1, 3)"),
    (lambda: Subtract()((X, X[:, :, :1])),
     "Subtract expects two arrays of one shape, found [(1, 3, 4, 4), (1, 3, 1, 4)]"),
    (lambda: Subtract()((X,)), "Subtract expects two arrays of one shape, found [(1, 3, 4, 4)]"),
    (lambda: Affine("a"), "Affine scale: expected a finite number, found 'a'"),
    (lambda: Affine(1, LOGITS), "Affine shift (C,): expected 1 dimensions of floats, found 2 of float64"),
    (lambda: Affine(VECTOR[:2])(X), "Affine expects 2 channels, found an array of shape (1, 3, 4, 4)"),
    (lambda: Pad((1, 2, 3)), "Pad padding: expected one or two whole numbers >= 0, found (1, 2, 3)"),
    (lambda: Pad(1, "wrap"), "Pad mode: expected one of constant, reflect, edge; found 'wrap'"),
    (lambda: Pad(1, value=np.nan), "Pad value: expected a number, found nan"),
    (lambda: Pad(1, value=None), "Pad value: expected a number, found None"),
    (lambda: Pad((0, 0, 0, 4), "reflect")(X),
     "Pad: the input is 4x4 px, too small to reflect (0, 0, 0, 4) pixels"),
    (lambda: GlobalMaxPool2d()(LOGITS), "GlobalMaxPool2d expects (N, C, H, W), found an array of shape (2, 5)"),
    (lambda: Softmax(0), "Softmax axis: expected different whole numbers, not 0, found 0"),
    (lambda: LogSoftmax(None), "LogSoftmax axis: expected different whole numbers, not 0, found None"),
    *((lambda axis=axis: Softmax(axis)(LOGITS),
       f"Softmax: an array of shape (2, 5) has no classes along axis {axis}") for axis in (2, -2, -3)),
    (lambda: Permute((1, 0)), "Permute axes: expected 0 and then the other axes in any order, found (1, 0)"),
    (lambda: Permute((0, 1, 1)), "Permute axes: expected 0 and then the other axes in any order, found (0, 1, 1)"),
    *((lambda axes=axes: Permute(axes), f"Permute axes: expected whole numbers >= 0, found {axes!r}")
      for axes in ("abc", (), 3, (0, 1.5), None)),
    (lambda: Permute((0, 2, 1))(X), "Permute expects 3 dimensions, found an array of shape (1, 3, 4, 4)"),
    (lambda: Reshape((0, 3)), "Reshape shape: expected sides >= 1 and at most one -1, found (0, 3)"),
    (lambda: Reshape((-1, -1)), "Reshape shape: expected sides >= 1 and at most one -1, found (-1, -1)"),
    (lambda: Reshape((-2, 3)), "Reshape shape: expected whole numbers >= -1, found (-2, 3)"),
    (lambda: Reshape((5, -1))(X), "Reshape: an image of shape (3, 4, 4) has no shape (5, -1)"),
    (lambda: Reshape((3, 4))(X), "Reshape: an image of shape (3, 4, 4) has no shape (3, 4)"),
    (lambda: Slice(0), "Slice axis: expected a whole number >= 1, found 0"),
    (lambda: Slice(1, 0.5), "Slice start: expected a whole number, found 0.5"),
    (lambda: Slice(1, step=0), "Slice step: expected a whole number, found 0"),
    (lambda: Slice(1, step=None), "Slice step: expected a whole number, found None"),
    *((lambda part=part: part(X), f"Slice: an array of shape (1, 3, 4, 4) has nothing at {part}")
      for part in (Slice(4), Slice(1, 3), Slice(2, 2, 1))),
    (lambda: ChannelShuffle(0), "ChannelShuffle groups: expected a whole number >= 1, found 0"),
    (lambda: ChannelShuffle(2)(X), "ChannelShuffle: groups=2 does not divide the channels of shape (1, 3, 4, 4)"),
    (lambda: Squeeze((0,)), "Squeeze axes: expected whole numbers >= 1, found (0,)"),
    (lambda: Squeeze((2,))(X), "Squeeze expects sides of 1 at axes (2,), found an array of shape (1, 3, 4, 4)"),
    (lambda: Squeeze((4,))(X), "Squeeze expects sides of 1 at axes (4,), found an array of shape (1, 3, 4, 4)"),
    (lambda: LayerNorm(None), "LayerNorm weight: expected an array, found None"),
    (lambda: LayerNorm(WEIGHT), "LayerNorm weight: expected 1 dimensions of floats, found 4 of float64"),
    (lambda: LayerNorm(LOGITS, channels=True), "LayerNorm weight: expected 1 dimensions of floats, found 2 of float64"),
    (lambda: LayerNorm(VECTOR, LOGITS), "LayerNorm bias: expected the shape of the weight, found (2, 5)"),
    (lambda: LayerNorm(VECTOR, eps=-1), "LayerNorm eps: expected a number >= 0, found -1"),
    (lambda: LayerNorm(VECTOR)(X), "LayerNorm expects last axes (3,), found an array of shape (1, 3, 4, 4)"),
    (lambda: LayerNorm(VECTOR[:2], channels=True)(X),
     "LayerNorm expects channels (2,), found an array of shape (1, 3, 4, 4)"),
    (lambda: LayerNorm(LOGITS)(LOGITS), "LayerNorm expects last axes (2, 5), found an array of shape (2, 5)"),
    (lambda: GroupNorm(0), "GroupNorm groups: expected a whole number >= 1, found 0"),
    (lambda: GroupNorm(1, bias=VECTOR), "GroupNorm bias: expected the shape of the weight, found (3,)"),
    (lambda: GroupNorm(1, VECTOR[:2])(X), "GroupNorm expects 2 channels, found an array of shape (1, 3, 4, 4)"),
    (lambda: GroupNorm(2)(X), "GroupNorm: groups=2 does not divide the channels of shape (1, 3, 4, 4)"),
    (lambda: LocalResponseNorm(4), "LocalResponseNorm size: expected an odd number, found 4"),
    (lambda: LocalResponseNorm(3, k=0), "LocalResponseNorm k: expected a number > 0, found 0"),
    (lambda: LocalResponseNorm(3, beta=None), "LocalResponseNorm beta: expected a finite number, found None"),
    (lambda: LocalResponseNorm(3, -1), "LocalResponseNorm alpha: expected a number >= 0, found -1.0"),
    (lambda: Upsample(), "Upsample: expected a scale or a size, found None and None"),
    (lambda: Upsample(2, 3), "Upsample: expected a scale or a size, found 2 and 3"),
    (lambda: Upsample(2, mode="cubic"), "Upsample mode: expected one of nearest, bilinear; found 'cubic'"),
    (lambda: Upsample(2, align_corners=True), "Upsample: align_corners goes with mode bilinear, found nearest"),
    *((lambda scale=scale: Upsample(scale),
       f"Upsample scale: expected one or two numbers > 0 and <= 64, found {scale!r}")
      for scale in (0, 64.5, (1, 2, 3), "2", float("nan"))),
    (lambda: Upsample(size=(1, 4097)), "Upsample size: expected at most 4096, found (1, 4097)"),
    (lambda: Upsample(64)(np.zeros((1, 1, 65, 1))),
     "Upsample: expected an output of at most 4096 px a side, found [4160, 64]"),
    (lambda: Upsample(0.2)(X), "Upsample: the input is 4x4 px, too small for scale (0.2, 0.2)"),
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


def test_pooling_takes_half_the_kernel_as_padding_and_no_more():
    assert MaxPool2d(3, padding=1).padding == AvgPool2d(2, padding=1).padding == (1, 1)
    assert AvgPool2d(3, padding=[1, 0, 0, 1]).padding == (1, 0, 0, 1)
    assert AvgPool2d(3, padding=[1, 0, 0, 1]).receptive_field()[2] == (1, 0)
    assert MaxPool2d(2, padding=(1, 1, 0, 0), dilation=3).receptive_field() == ((4, 4), (2, 2), (1, 0))
    assert MaxPool2d(4, padding=(1, 1, 2, 2)).padding == (1, 2)  # the same on opposite sides
    for kernel, padding in ((3, 2), ((2, 4), 2), ((4, 2), 2), (1, 1), (3, (0, 2, 0, 0)), (3, (0, 0, 2, 0))):
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


def test_a_fires_wide_branch_keeps_the_size():
    squeeze, narrow = Conv2d.init(3, 2, 1), Conv2d.init(2, 4, 1)
    assert Fire(squeeze, narrow, Conv2d.init(2, 4, 3, padding=(2, 0, 1, 1)))(X).shape == (1, 8, 4, 4)
    assert Fire(squeeze, narrow, Conv2d.init(2, 4, 3, padding=2, dilation=2))(X).shape == (1, 8, 4, 4)
    for options in ({"padding": 0}, {"padding": 1, "stride": 2}, {"padding": (1, 0)}, {"padding": (1, 1, 1, 0)},
                    {"padding": 1, "dilation": 2}):  # fmt: skip
        with pytest.raises(InputError, match="Fire: expand3x3 must keep the image's size; found kernel"):
            Fire(squeeze, narrow, Conv2d.init(2, 4, 3, **options))
