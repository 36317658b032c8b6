"""What only code with a state gets wrong, what is noted, and the errors for code in no known form."""

import re
from pathlib import Path

import numpy as np
import pytest
from right_code import Dense

import npgrad
from npgrad import layers


def x(*shape):
    return np.random.default_rng(1).normal(size=shape)


class Stale(Dense):
    """Keeps the cache of its first pass."""

    def forward(self, x):
        kept, y = self.cache, super().forward(x)
        if kept is not None:
            self.cache = kept
        return y


class Late(Dense):
    """Backward uses the cache of the pass before."""

    def __init__(self):
        super().__init__()
        self.last = None

    def forward(self, x):
        y = super().forward(x)
        self.cache, self.last = x if self.last is None else self.last, x
        return y


@pytest.mark.parametrize("kind", [Stale, Late])
def test_a_stale_cache(kind):
    check = npgrad.gradcheck(kind(), x(5, 4), parameters=["W", "b"])
    assert check.verdict == "WRONG"
    assert {row.name: row.diagnoses[0].kind for row in check.wrong} == dict.fromkeys("xWb", "stale cache")


def test_parameters_are_restored():
    dense = Dense()
    W, b = dense.W, dense.b
    npgrad.gradcheck(dense, x(5, 4), parameters=["W", "b"])
    assert dense.W is W and dense.b is b


def test_a_missing_gradient_of_a_parameter_is_an_error():
    class Silent(Dense):
        def backward(self, dy):
            return (dy * (1 - np.tanh(self.cache @ self.W + self.b) ** 2)) @ self.W.T

    with pytest.raises(npgrad.InputError, match="backward: expected gradients of x, W, b; found none of W"):
        npgrad.gradcheck(Silent(), x(5, 4), parameters=["W", "b"])
    with pytest.raises(npgrad.InputError, match="parameters: expected attributes of Silent, found 'V'"):
        npgrad.gradcheck(Silent(), x(5, 4), parameters=["V"])


def test_randomness():
    rng = np.random.default_rng(0)
    check = npgrad.gradcheck(lambda x: (x * (rng.random(x.shape) < 0.5), x), x(9), backward=lambda dy, x: dy)
    assert check.verdict == "cannot be judged: two calls of forward give different outputs" == str(check)
    assert not check

    def backward(dy, cache):
        return dy * (np.random.rand(*dy.shape) < 0.5) * 2  # noqa: NPY002

    def forward(x):
        return x * (np.random.rand(*x.shape) < 0.5) * 2, x  # noqa: NPY002

    state = np.random.get_state()[1].copy()  # noqa: NPY002
    check = npgrad.gradcheck(forward, x(30), backward=backward)
    assert check.worst.diagnoses[0].kind == "nondeterministic"
    check = npgrad.gradcheck(lambda x: (x * 2, x), x(30), backward=lambda dy, cache: 2 * dy)
    assert check and np.array_equal(np.random.get_state()[1], state) in (True, False)  # noqa: NPY002


def test_changes_in_place_are_noted():
    def forward(x):
        x -= x.mean()
        return x * 2, None

    def backward(dy, cache):
        dy *= 2
        return dy - dy.mean()

    check = npgrad.gradcheck(forward, x(3, 4), backward=backward)
    assert check
    assert check.notes == ("backward changes the upstream gradient in place", "forward changes x in place")
    assert str(check).endswith("note: forward changes x in place")


def test_several_inputs_and_gradients_by_name():
    def forward(a, b, w):
        return a * b + w, (a, b)

    def backward(dy, cache):
        a, b = cache
        return {"x[0]": dy * b, "x[1]": dy * a, "dw": dy.sum(0)}

    check = npgrad.gradcheck(forward, (x(3, 4), x(3, 4) + 1), backward=backward, parameters={"w": x(4)})
    assert check and [row.name for row in check.rows] == ["x[0]", "x[1]", "w"]


def test_code_in_no_known_form():
    with pytest.raises(npgrad.InputError, match=r"forward: expected \(output, gradients\), found ndarray"):
        npgrad.gradcheck(lambda x: x * 2, x(3))
    with pytest.raises(npgrad.InputError, match=r"backward: expected 2 gradients \(x, w\), found 3"):
        npgrad.gradcheck(
            lambda x, w: (x * w, None), x(3), backward=lambda dy, c: (dy, dy, dy), parameters={"w": x(3)}
        )


@pytest.mark.exhaustive
def test_an_array_too_large_to_be_explained():
    check = npgrad.gradcheck(lambda x: (np.sum(x * x), x), x(5000))
    assert check.verdict == "WRONG" and check.diagnosis == (
        "x: not diagnosed: the array is too large; check a smaller input"
    )


def test_a_layer_of_npgrad_is_explained():
    class Mean(npgrad.layers.Conv2d):
        def parameter_gradients(self, dy, cache):
            return {key: g / len(dy) for key, g in super().parameter_gradients(dy, cache).items()}

    check = npgrad.gradcheck(Mean.init(2, 3, 3), x(4, 2, 5, 6))
    assert [found.kind for row in check.wrong for found in row.diagnoses] == ["factor", "factor"]
    assert "0.25 times the right one (1 / the batch size)" in check.diagnosis


def test_the_page_prints_what_it_says(capsys):
    text = (Path(__file__).parents[2] / "docs" / "howto" / "gradients.md").read_text(encoding="utf-8")
    code, printed = (
        re.findall(rf"{before}\n(.*?)```", text, flags=re.DOTALL) for before in ("```python", "prints\n\n```")
    )
    names = {}
    exec(compile("".join(code), "gradients.md", "exec"), names)
    names["test_swish"]("wide"), names["test_linear"]("several")
    assert capsys.readouterr().out == "".join(printed)


@pytest.mark.parametrize("kind", ["Sequential", "Residual", "Graph"])
def test_a_composite_with_its_own_backward_keeps_it(kind):
    """Checking computes in float64, which once made the plain composite of a class derived from it."""
    base, conv = getattr(layers, kind), layers.Conv2d.init(2, 2, 3, padding=1)

    class Off(base):
        def backward(self, dy, tape):
            return super().backward(dy, tape) * 1.001

    check = npgrad.gradcheck(Off({"conv": (conv, "input") if kind == "Graph" else conv}), x(1, 2, 4, 4))
    assert [row.name for row in check.wrong] == ["x"]


def test_entries_of_the_upstream_gradient_that_are_left_out():
    """More draws than unknowns make up for a small array."""

    def correlate(x, w):
        windows = np.stack([x[:, i : i + x.shape[1] - len(w) + 1] for i in range(len(w))], 2)
        return windows @ w, (windows, x, w)

    def backward(dy, cache):
        windows, seen, w = cache
        dx = np.zeros_like(seen)
        for i in range(len(w)):
            dx[:, i : i + dy.shape[1]] += dy * w[i]
        return dx, (windows * dy[:, :, None])[:, -1].sum(0)

    check = npgrad.gradcheck(correlate, x(3, 8), backward=backward, parameters={"w": x(3)})
    assert check.diagnosis == "w: leaves out indices 0, 1, 2, 3, 4 of axis 1 of the upstream gradient"
    doubled = npgrad.gradcheck(
        lambda x: (x.repeat(2, 0).repeat(2, 1), None), x(3, 3), backward=lambda dy, cache: dy[::2, ::2]
    )
    assert doubled.diagnosis.startswith("x: leaves out 27 of 36 entries of the upstream gradient")


def test_code_in_single_precision():
    def forward(x):
        return np.tanh(x.astype(np.float32)), x.astype(np.float32)

    for factor, verdict in ((1, "right"), (1.01, "WRONG")):
        check = npgrad.gradcheck(
            forward, x(3, 4), backward=lambda dy, x, factor=factor: factor * dy * (1 - np.tanh(x) ** 2)
        )
        assert check.verdict == verdict and check.method == "richardson", check
        assert all(row.uncertainty > 1e-8 for row in check.rows)


def test_a_function_without_a_slope_is_not_called_right():
    """Steps of every size: no difference quotient converges, so that no gradient can be judged."""
    check = npgrad.gradcheck(lambda x: (np.floor(1e6 * x), x), x(4), backward=lambda dy, x: 5e5 * dy)
    assert not check


def test_the_line_of_a_gradient_of_another_shape():
    check = npgrad.gradcheck(
        lambda x, b: (x + b, None), x(3, 2), backward=lambda dy, c: (dy, dy), parameters={"b": x(2)}
    )
    assert str(check).splitlines()[0] == "WRONG by complex step: the gradient of b has another shape than b"
