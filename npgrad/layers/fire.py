"""SqueezeNet's building block."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from npgrad._typing import Array, Cache, Rng, Window
from npgrad.errors import InputError
from npgrad.layers.base import Layer
from npgrad.layers.composite import Calls, Composite, add, expect_own, in_a_row
from npgrad.layers.conv import Conv2d
from npgrad.layers.im2col import borders, window_size
from npgrad.layers.relu import ReLU


@dataclass(frozen=True, eq=False)
class Fire(Composite):
    """Squeeze the channels with 1x1 filters, then expand them with 1x1 and 3x3 filters in parallel
    (Iandola et al. 2016, figure 1). A ReLU follows each convolution. x (N, C, H, W) -> y (N, E1 + E3, H, W).

        x -> squeeze -> ReLU -> s
        s -> expand1x1 -> ReLU -> a
        s -> expand3x3 -> ReLU -> b
        y = concatenation of a and b

    Backward splits dy into da and db. s is a fork, used by both expands, so its two gradients add up.

    Parameters
    ----------
    squeeze, expand1x1, expand3x3 : Conv2d
    """

    squeeze: Conv2d
    expand1x1: Conv2d
    expand3x3: Conv2d

    relu = ReLU()

    def __post_init__(self):
        b = self.expand3x3
        sides = zip(*borders(b.padding), window_size(b), strict=True)
        if any(before + after != k - 1 for before, after, k in sides) or b.stride != (1, 1):
            raise InputError(
                f"Fire: expand3x3 must keep the image's size; found kernel {b.kernel_size}, padding {b.padding}, "
                f"stride {b.stride}"
            )

    @classmethod
    def init(cls, in_channels: int, squeeze: int, expand1x1: int, expand3x3: int, rng: Rng = 0) -> Fire:
        """He-normal weights, biases 0; `squeeze` to `expand3x3` are numbers of filters."""
        rng = np.random.default_rng(rng)
        return cls(
            Conv2d.init(in_channels, squeeze, 1, rng=rng),
            Conv2d.init(squeeze, expand1x1, 1, rng=rng),
            Conv2d.init(squeeze, expand3x3, 3, padding=1, rng=rng),
        )

    def forward(self, x: Array, tape: Cache = None) -> tuple[Array, Cache]:
        tape = Calls() if tape is None else tape
        s = tape.run("squeeze", self.squeeze, x)
        s = tape.run("squeeze_relu", self.relu, s)
        a = tape.run("expand1x1", self.expand1x1, s)
        a = tape.run("expand1x1_relu", self.relu, a)
        b = tape.run("expand3x3", self.expand3x3, s)
        b = tape.run("expand3x3_relu", self.relu, b)
        return np.concatenate((a, b), axis=1), tape

    def backward(self, dy: Array | None, tape: Cache) -> Array | None:
        channels = len(self.expand1x1.weight)
        da, db = (None, None) if dy is None else (dy[:, :channels], dy[:, channels:])
        da = tape.back("expand1x1_relu", da)
        db = tape.back("expand3x3_relu", db)
        ds = add(tape.back("expand1x1", da), tape.back("expand3x3", db))  # s is a fork: it was used twice
        ds = tape.back("squeeze_relu", ds)
        return tape.back("squeeze", ds)

    def receptive_field(self) -> Window | None:
        return in_a_row(self.squeeze, self.expand3x3)  # expand1x1's windows are smaller

    def parts(self) -> dict[str, Layer]:
        return {
            "squeeze": self.squeeze,
            "squeeze_relu": self.relu,
            "expand1x1": self.expand1x1,
            "expand1x1_relu": self.relu,
            "expand3x3": self.expand3x3,
            "expand3x3_relu": self.relu,
        }

    def with_parts(self, parts: dict[str, Layer]) -> Layer:
        expect_own(self, parts, ("squeeze_relu", "expand1x1_relu", "expand3x3_relu"))
        fields = {field.name: parts[field.name] for field in dataclasses.fields(self)}
        return dataclasses.replace(self, **fields)
