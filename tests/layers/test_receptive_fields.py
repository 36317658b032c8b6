"""Receptive fields in numbers: size, stride and padding of layers and blocks, or None."""

import numpy as np

from npgrad.layers import (
    Add,
    Affine,
    AvgPool2d,
    BatchNorm2d,
    ChannelShuffle,
    Clip,
    Concat,
    Conv2d,
    Dropout,
    Fire,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    GroupNorm,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    Multiply,
    Pad,
    Permute,
    PReLU,
    ReLU,
    ReLU6,
    Reshape,
    Residual,
    Sequential,
    SiLU,
    Slice,
    Softmax,
    Squeeze,
    Subtract,
    Upsample,
)

RELU = ReLU()
LOGITS = np.zeros((2, 5))


def conv(kernel, stride=1, padding=0):
    return Conv2d.init(2, 2, kernel, stride, padding)


def test_receptive_fields_in_numbers():
    two = Sequential({"a": conv((5, 3), (2, 3), (1, 2)), "b": conv((3, 4), (2, 1), (1, 1))})
    assert two.receptive_field() == ((9, 12), (4, 3), (3, 5))
    assert Fire.init(4, 2, 3, 3).receptive_field() == ((3, 3), (1, 1), (1, 1))
    for pool in MaxPool2d((2, 3), (3, 1), 1), AvgPool2d((2, 3), (3, 1), 1):
        assert pool.receptive_field() == ((2, 3), (3, 1), (1, 1))
    uneven = Conv2d.init(2, 2, (3, 2), 2, (0, 1, 2, 3), dilation=(2, 4))
    assert uneven.receptive_field() == ((5, 5), (2, 2), (0, 2))
    assert Pad((1, 2, 3, 0), value=2).receptive_field() == ((1, 1), (1, 1), (1, 3))
    pixel = ((1, 1), (1, 1), (0, 0))
    for layer in (
        ReLU(),
        ReLU6(),
        Clip(0, 1),
        Affine(2.0),
        ChannelShuffle(1),
        Slice(1, 0),
        LocalResponseNorm(3),
        LayerNorm.init(2, channels=True),
        SiLU(),
        PReLU.init(2),
        BatchNorm2d.init(2),
        Dropout(),
    ):
        assert layer.receptive_field() == pixel
    for layer in (
        Softmax(),
        Linear(LOGITS),
        GlobalAvgPool2d(),
        Add(),
        Concat(),
        Multiply(),
        Subtract(),
        GlobalMaxPool2d(),
        Pad(1, "edge"),
        LayerNorm.init(2),
        GroupNorm(1),
        Upsample(2),
        Slice(2, 0),
        Permute((0, 1)),
        Reshape((1,)),
        Squeeze(),
    ):
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
