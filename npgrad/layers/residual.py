"""The building block of residual networks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from npgrad._typing import Array, Cache, Window
from npgrad.errors import InputError
from npgrad.layers.add import Add
from npgrad.layers.base import Layer
from npgrad.layers.composite import Calls, Composite, add, expect_own, in_a_row
from npgrad.layers.relu import ReLU


@dataclass(frozen=True, eq=False)
class Residual(Composite):
    """y = after(branch(x) + shortcut(x)) (He, Zhang, Ren, Sun 2015, equations 1 and 2).

        x -> branch ---> f ->
        x -> shortcut -> s -> f + s -> after -> y

    Backward passes the gradient of the sum to both sides unchanged. x is a fork, used by branch and shortcut, so its
    two gradients add up. Through a shortcut without layers the gradient arrives unchanged, which is why very deep
    networks can be trained.

    Parameters
    ----------
    branch, shortcut : dict
        {name: layer} in execution order; an empty shortcut is the identity. The sum is named "add".
    after : Layer or None, default ReLU()
        The layer after the sum, named "relu"; None as in Sandler et al. 2018.
    """

    branch: dict[str, Any]
    shortcut: dict[str, Any] = field(default_factory=dict)
    after: Layer | None = ReLU()

    sum = Add()

    def __post_init__(self):
        names = [*self.branch, *self.shortcut]
        for name, layer in [*self.branch.items(), *self.shortcut.items()]:
            if not isinstance(layer, Layer):
                raise InputError(f"Residual: {name} is a {type(layer).__name__}, not a layer")
            if names.count(name) > 1 or name in ("input", "add", "relu") or not name or "." in name:
                raise InputError(f"Residual: {name!r} is taken, or not a layer name (a word without a dot)")
        if not self.branch:
            raise InputError("Residual: expected at least one layer in the branch, found none")
        object.__setattr__(self, "branch", dict(self.branch))
        object.__setattr__(self, "shortcut", dict(self.shortcut))

    def forward(self, x: Array, tape: Cache = None) -> tuple[Array, Cache]:
        tape = Calls() if tape is None else tape
        f = s = x
        for name, layer in self.branch.items():
            f = tape.run(name, layer, f)
        for name, layer in self.shortcut.items():
            s = tape.run(name, layer, s)
        y = tape.run("add", self.sum, (f, s))
        if self.after is not None:
            y = tape.run("relu", self.after, y)
        return y, tape

    def backward(self, dy: Array | None, tape: Cache) -> Array | None:
        if self.after is not None:
            dy = tape.back("relu", dy)
        df, ds = tape.back("add", dy, inputs=2)
        for name in reversed(self.shortcut):
            ds = tape.back(name, ds)
        for name in reversed(self.branch):
            df = tape.back(name, df)
        return add(df, ds)  # x is a fork: it was used twice

    def receptive_field(self) -> Window | None:
        branch, shortcut = in_a_row(*self.branch.values()), in_a_row(*self.shortcut.values())
        after = in_a_row() if self.after is None else self.after.receptive_field()
        if branch is None or shortcut is None or after != in_a_row():
            return None
        (k, s, p), (k0, s0, p0) = branch, shortcut
        inside = all(p0[i] <= p[i] and k0[i] - p0[i] <= k[i] - p[i] for i in (0, 1))
        return branch if s == s0 and inside else None

    def parts(self) -> dict[str, Layer]:
        after = {} if self.after is None else {"relu": self.after}
        return {**self.branch, **self.shortcut, "add": self.sum, **after}

    def with_parts(self, parts: dict[str, Layer]) -> Layer:
        expect_own(self, parts, ("add",))
        branch = {name: parts[name] for name in self.branch}
        shortcut = {name: parts[name] for name in self.shortcut}
        return replace(self, branch=branch, shortcut=shortcut, after=parts.get("relu"))
