"""Composites written by a user: a residual block, a three-way fork, and a network of them."""

from dataclasses import dataclass, replace

from layer_cases import batch_norm_layer, conv_layer

from npgrad.layers import (
    Add,
    BatchNorm2d,
    Composite,
    Concat,
    Conv2d,
    Flatten,
    GlobalAvgPool2d,
    MaxPool2d,
    ReLU,
    Sequential,
)
from npgrad.layers.composite import Calls, add


class WithParts(Composite):
    """What the composites below share: their parts are their fields."""

    def parts(self):
        return dict(vars(self))

    def with_parts(self, parts):
        return replace(self, **parts)


@dataclass(frozen=True, eq=False)
class Residual(WithParts):
    """y = ReLU(x + conv2(ReLU(bn(conv1(x)))))"""

    conv1: Conv2d
    bn: BatchNorm2d
    relu: ReLU
    conv2: Conv2d
    join: Add
    out: ReLU

    def forward(self, x, tape=None):
        tape = Calls() if tape is None else tape
        r = tape.run("conv1", self.conv1, x)
        r = tape.run("bn", self.bn, r)
        r = tape.run("relu", self.relu, r)
        r = tape.run("conv2", self.conv2, r)
        y = tape.run("join", self.join, (x, r))
        return tape.run("out", self.out, y), tape

    def backward(self, dy, tape):
        dx, dr = tape.back("join", tape.back("out", dy), inputs=2)
        dr = tape.back("relu", tape.back("conv2", dr))
        return add(dx, tape.back("conv1", tape.back("bn", dr)))


@dataclass(frozen=True, eq=False)
class Fork(WithParts):
    """x goes three ways, two of them through one layer: y = concat(a(x), a(2x), block(x)).

    The factor 2 is plain NumPy: the tape cannot know where the array came from.
    """

    a: Conv2d
    b: Conv2d
    block: Sequential
    concat: Concat

    def forward(self, x, tape=None):
        tape = Calls() if tape is None else tape
        ways = tape.run("a", self.a, x), tape.run("b", self.b, 2 * x), tape.run("block", self.block, x)
        return tape.run("concat", self.concat, ways), tape

    def backward(self, dy, tape):
        da, db, dblock = tape.back("concat", dy, inputs=3)
        db = tape.back("b", db)
        return add(tape.back("a", da), None if db is None else 2 * db, tape.back("block", dblock))


def network(rng):
    conv = conv_layer(rng, 4, 3, (3, 3), padding=1)
    residual = Residual(
        conv_layer(rng, 4, 5, (1, 1)),
        batch_norm_layer(rng, 5),
        ReLU(),
        conv_layer(rng, 5, 4, (3, 3), padding=1),
        Add(),
        ReLU(),
    )
    return Sequential(
        {
            "stem": conv_layer(rng, 2, 4, (2, 2)),
            "residual": residual,
            "fork": Fork(
                conv, conv, Sequential({"pool": MaxPool2d(3, 1, 1), "residual": residual}), Concat()
            ),
            "mean": GlobalAvgPool2d(),
            "flat": Flatten(),
        }
    )
