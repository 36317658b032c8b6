"""Targets that are more than a class: values and gradients by hand, the grammar of expressions, and its errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages import A_NUMBER

from npgrad import InputError, TargetError, targets
from npgrad.targets._grammar import parsed
from npgrad.targets.expressions import is_expression

MASK = np.array([[True, False, True], [False, True, False]])
ALL = {
    "score": targets.score(2),
    "difference": targets.difference(1, 3),
    "probability": targets.probability(1),
    "log_probability": targets.log_probability(0),
    "expression": targets.expression("0.5*0 - 2*prob(1) + logprob(3)/4 - (2 - prob(0))"),
    "top_k_sum": targets.top_k_sum(2),
    "entropy": targets.entropy(),
    "distance": targets.distance(np.arange(4.0)),
}


@pytest.mark.parametrize("scale", [1, 30])
@pytest.mark.parametrize("name", ALL)
def test_gradients_are_those_of_the_complex_step(name, scale, rng):
    y, h = scale * rng.normal(size=(3, 4)), 1e-30
    value, dy = ALL[name](y)
    assert (value.shape, dy.shape) == ((3,), y.shape)
    for i in range(4):
        moved = y.astype(complex)
        moved[:, i] += 1j * h
        np.testing.assert_allclose(dy[:, i], ALL[name](moved)[0].imag / h, rtol=1e-12, atol=1e-12)


def test_values(rng):
    y = rng.normal(size=(3, 4))
    p = np.exp(y) / np.exp(y).sum(axis=1, keepdims=True)
    expected = {
        "score": y[:, 2],
        "difference": y[:, 1] - y[:, 3],
        "probability": p[:, 1],
        "log_probability": np.log(p[:, 0]),
        "expression": 0.5 * y[:, 0] - 2 * p[:, 1] + np.log(p[:, 3]) / 4 - y[:, 2] + p[:, 0],
        "top_k_sum": np.sort(y, axis=1)[:, 2:].sum(axis=1),
        "entropy": -(p * np.log(p)).sum(axis=1),
        "distance": np.linalg.norm(y - np.arange(4), axis=1),
    }
    assert set(expected) == set(ALL)
    for name, value in expected.items():
        np.testing.assert_allclose(ALL[name](y)[0], value, rtol=1e-12, err_msg=name)
        np.testing.assert_allclose(ALL[name](y[:, :, None, None])[0], value, rtol=1e-12, err_msg=name)
        assert ALL[name](y[:, :, None, None])[1].shape == (3, 4, 1, 1)
        assert ALL[name](y.astype(np.float32))[1].dtype == np.float32, name


def test_a_region(rng):
    maps = rng.normal(size=(2, 3, 2, 3))
    value, dy = targets.region(1, MASK)(maps)
    np.testing.assert_allclose(value, maps[:, 1][:, MASK].mean(axis=1), rtol=1e-12)
    assert np.array_equal(dy[:, 1], np.broadcast_to(MASK / 3, (2, 2, 3))) and not dy[:, [0, 2]].any()
    several = np.stack([MASK, ~MASK])
    value, _ = targets.region(1, several)(maps)
    np.testing.assert_allclose(value[1], maps[1, 1][~MASK].mean(), rtol=1e-12)


def test_special_cases(rng):
    y = np.array([[1.0, 3.0, 3.0, 0.0]])
    assert targets.top_k_sum(1)(y)[1].tolist() == [[0, 1, 0, 0]]  # of equal scores, the first
    value, dy = targets.distance(y[0])(y)
    assert value == 0 and not dy.any()
    assert np.isfinite(targets.entropy()(1e4 * rng.normal(size=(2, 9)))[1]).all()
    assert [str(target) for target in ALL.values()] == [
        "2", "1 - 3", "prob(1)", "logprob(0)", "0.5*0 - 2*prob(1) + logprob(3)/4 - (2 - prob(0))",
        "sum of the 2 highest scores", "entropy", "distance",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda y: targets.top_k_sum(5)(y), "k: expected 1 to 4, the number of outputs; found 5"),
        (lambda y: targets.top_k_sum(0), "k: expected"),
        (lambda y: targets.distance(np.zeros(3))(y), "vector: expected 4 numbers, one per output; found 3"),
        (lambda y: targets.distance([[1.0]]), r"vector: expected \(C,\)"),
        (lambda y: targets.distance([np.nan]), r"vector: expected \(C,\)"),
        (
            lambda y: targets.region(0, np.zeros((2, 2), bool)),
            "mask: expected at least one pixel in it, found none",
        ),
        (lambda y: targets.region(0, np.zeros(2)), "mask: expected"),
        (
            lambda y: targets.region(0, np.ones((2, 2), bool))(np.zeros((1, 3, 4, 4))),
            r"mask: expected \(4, 4\)",
        ),
        (lambda y: targets.entropy()(np.zeros((1, 3, 4, 4))), r"outputs: expected \(N, C\)"),
    ],
)
def test_what_cannot_be_asked(make, words, rng):
    with pytest.raises(InputError, match=f"^{words}"):
        make(rng.normal(size=(2, 4)))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("tabby - golden retriever", [(1, "score", "tabby"), (-1, "score", "golden retriever")]),
        ("-tabby", [(-1, "score", "tabby")]),
        ("0.5*a + .5*b", [(0.5, "score", "a"), (0.5, "score", "b")]),
        ("prob(tabby)", [(1, "probability", "tabby")]),
        ("logprob( 'crane (bird)' ) - 2*281", [(1, "log-probability", "crane (bird)"), (-2, "score", 281)]),
        ("(a + b)/2", [(0.5, "score", "a"), (0.5, "score", "b")]),
        ("281-282", [(1, "score", 281), (-1, "score", 282)]),
        ("jack-o'-lantern - black-and-tan coonhound",
         [(1, "score", "jack-o'-lantern"), (-1, "score", "black-and-tan coonhound")]),
        ("C++ - and/or", [(1, "score", "C++"), (-1, "score", "and/or")]),
        ("3d printer - lady's slipper", [(1, "score", "3d printer"), (-1, "score", "lady's slipper")]),
        ("-(a - 2*-b)*3", [(-3, "score", "a"), (-6, "score", "b")]),
        ('"a - b" - c', [(1, "score", "a - b"), (-1, "score", "c")]),
        ("2*a - a", [(1, "score", "a")]),
    ],
)  # fmt: skip
def test_expressions(text, terms):
    assert is_expression(text, ["tench"])
    assert [(factor, kind, name) for factor, kind, name, _ in parsed(text)] == terms
    found = targets.expression(text)
    assert str(found) == text and [term[:3] for term in found.terms] == terms


@pytest.mark.parametrize(
    "text", ["tiger cat", "281", "black-and-tan hound", "potter's wheel", "'tis", "a/b", "C++"]
)
def test_the_name_of_a_class_is_no_expression(text):
    assert not is_expression(text, [])
    assert is_expression("Sofa - bed", ["sofa"]) and not is_expression("Sofa - bed", ["sofa - bed"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tabby - ", "position 9: expected a class, found the end"),
        ("a*b", f"position 3: {A_NUMBER}, found 'b'"),
        ("a b) - c", r"position 4: expected an operator, found '\)'"),
        ("(a - b", r"position 7: expected '\)', found the end"),
        ("sin(a)", "position 1: expected prob, logprob or score before a parenthesis, or a name in quotes"),
        ("0.5", "position 1: expected a class, found '0.5'"),
        ("(a)/0", f"position 5: {A_NUMBER}, found '0'"),
        ("1e999*a", f"position 1: {A_NUMBER}, found '1e999'"),
        ("a + \"b", "position 5: expected a closing \""),
        ("''", "position 1: expected a class"),
        ("", "position 1: expected a class, found the end"),
        ("(" * 60 + "a", "position 52: expected at most 50 parentheses within each other"),
        ("__import__('os').system('true')", "position 1: expected prob"),
    ],
)  # fmt: skip
def test_errors_name_the_position(text, words):
    with pytest.raises(TargetError, match=words):
        targets.expression(text)


def test_terms_that_cancel():
    with pytest.raises(TargetError, match="the terms cancel, and nothing is left to explain"):
        targets.expression("a - (b + a) + b")


def trees():
    names = st.sampled_from(["tabby", "tiger cat", "jack-o'-lantern", 7, "a+b"])
    leaves = st.tuples(st.sampled_from(["score", "prob", "logprob"]), names)
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(st.sampled_from("+-"), inner, inner),
            st.tuples(st.sampled_from("*/"), st.sampled_from([0.25, 2, 3.5]), inner),
            st.tuples(st.just("negative"), inner),
        ),
        max_leaves=6,
    )


def written(tree):
    """The text of a tree, every part in parentheses."""
    kind, *rest = tree
    if kind in ("score", "prob", "logprob"):
        return str(rest[0]) if kind == "score" else f"{kind}({rest[0]})"
    if kind == "negative":
        return f"(-({written(rest[0])}))"
    if kind == "*":
        return f"{rest[0]}*({written(rest[1])})"
    if kind == "/":
        return f"({written(rest[1])})/{rest[0]}"
    return f"({written(rest[0])}) {kind} ({written(rest[1])})"


def evaluated(tree, factor, sums):
    kind, *rest = tree
    kinds = {"score": "score", "prob": "probability", "logprob": "log-probability"}
    if kind in kinds:
        key = kinds[kind], rest[0]
        sums[key] = sums.get(key, 0) + factor
    elif kind in ("negative",):
        evaluated(rest[0], -factor, sums)
    elif kind in "*/":
        evaluated(rest[1], factor * rest[0] if kind == "*" else factor / rest[0], sums)
    else:
        evaluated(rest[0], factor, sums)
        evaluated(rest[1], factor if kind == "+" else -factor, sums)
    return sums


@settings(deadline=None, max_examples=100)
@given(trees())
def test_drawn_expressions_are_what_they_say(tree):
    expected = {key: factor for key, factor in evaluated(tree, 1.0, {}).items() if abs(factor) > 1e-9}
    if not expected:
        return
    found = {(kind, name): factor for factor, kind, name, _ in parsed(written(tree)) if abs(factor) > 1e-9}
    assert found == pytest.approx(expected)


@settings(deadline=None, max_examples=200)
@given(st.text("ab1 2.*/+-()'\"e_", max_size=12))
def test_any_text_is_parsed_or_refused(text):
    is_expression(text, ["a"])
    try:
        terms = parsed(text)
    except TargetError:
        return
    assert all(np.isfinite(factor) and factor for factor, *_ in terms)
