"""A drawn target is an exact name, one other spelling that is said, or refused with the names that are near."""

import re
import unicodedata
import warnings

import pytest
import strategies  # noqa: F401  (its profile)
from hypothesis import given, settings
from hypothesis import strategies as st

from npgrad._targets import find_class
from npgrad.errors import TargetError, UnknownName

WORDS = ["cat", "Cat", "tabby", "tiger", "red", "fox", "été", "lady's", "C++", "7", "हिन्दी"]
SIGNS = "-+*/()!&|~^<>=_"
RESPELLED = [
    lambda name, sign: name,
    lambda name, sign: name.upper(),
    lambda name, sign: name.replace(" ", "_"),
    lambda name, sign: name.replace("-", "  "),
    lambda name, sign: sign + name,
    lambda name, sign: name + sign,
    lambda name, sign: f"{sign} {name}",
    lambda name, sign: f"{name} {sign} cat",
    lambda name, sign: f"{name}{sign}cat",
    lambda name, sign: name[1:],
    lambda name, sign: name.split(" ")[0],
    lambda name, sign: f"{name} tiger",
    lambda name, sign: f"{name}, {name}",
    lambda name, sign: unicodedata.normalize("NFD", name),
]
classes_and_text = st.tuples(
    st.lists(
        st.builds(
            lambda joint, words: joint.join(words),
            st.sampled_from(" -_,"),
            st.lists(st.sampled_from(WORDS), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 5),
    st.sampled_from(RESPELLED),
    st.sampled_from(SIGNS),
).map(lambda drawn: (drawn[0], drawn[2](drawn[0][drawn[1] % len(drawn[0])], drawn[3])))


def same(text):
    """The text without case, with one space for every joint between two words."""
    text = unicodedata.normalize("NFC", text).casefold()
    return " ".join("".join(" " if c in "-_" and _inner(text, i) else c for i, c in enumerate(text)).split())


def tokens(text):
    """Words, and whatever else is no space, comma or apostrophe."""
    kinds = [(c, unicodedata.category(c)[0]) for c in same(text)]
    return "".join(c if kind in "LNM" else " " if c in " ,'" else f" {c} " for c, kind in kinds).split()


def _inner(text, i):
    around = text[i - 1 : i] + text[i + 1 : i + 2]
    return len(around) == 2 and all(unicodedata.category(c)[0] in "LNM" for c in around)


def words(text):
    return [token for token in tokens(text) if unicodedata.category(token[0])[0] in "LNM"]


def pieces(text):
    return {same(piece) for piece in text.split(",")}


def fitting(text, classes):
    """The classes that a text fits at the first level at which it fits any."""
    asked = words(text)
    levels = [lambda name: same(name) == same(text)]
    if asked == tokens(text):  # otherwise a sign would vanish
        levels += [
            lambda name: pieces(text) <= {*pieces(name), same(name)},
            lambda name: words(name) == asked or any(words(piece) == asked for piece in name.split(",")),
            lambda name: any(words(name)[i : i + len(asked)] == asked for i in range(len(words(name)))),
        ]
    every = ([i for i, name in enumerate(classes) if level(name)] for level in levels if asked)
    return next(filter(None, every), [])


def check(classes, text):
    exact = [i for i, name in enumerate(classes) if name == text.strip()]
    digits = re.fullmatch(r"[+-]?[0-9]+", text.strip())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found, error = find_class(text, classes), ""
        except (TargetError, UnknownName) as refusal:
            found, error = None, str(refusal)
    said = [str(one.message) for one in said]
    if digits:
        assert found == (int(text) if 0 <= int(text) < len(classes) else None)
        assert len(said) == (found is not None and exact not in ([], [found]))
    elif len(exact) == 1:
        assert ([found], said) == (exact, [])
    elif found is not None:
        assert fitting(text, classes) == [found]
        assert said == [f"target {text.strip()!r} taken as {classes[found]} ({found})"]
    else:
        fits = exact or fitting(text, classes)
        near = [name for name in classes if set(words(name)) & set(words(text))]
        assert len(fits) != 1 and said == []
        shown = fits if re.search("is (two|[0-9]+) classes", error) else near
        assert not shown or any(str(one) in error for one in shown), error


@settings(max_examples=60)
@given(classes_and_text)
def test_a_target_is_exact_or_said_or_refused(drawn):
    check(*drawn)


@pytest.mark.exhaustive
@settings(max_examples=2000)
@given(classes_and_text)
def test_many_targets(drawn):
    check(*drawn)


@pytest.mark.parametrize("sign", SIGNS)
def test_no_sign_vanishes(sign):
    for text in (
        f"{sign}tabby",
        f"tabby{sign}",
        f"tabby {sign} cat",
        f"{sign} tabby",
        f"tabby {sign}{sign} cat",
    ):
        with pytest.raises(
            UnknownName, match="a target is one class; '.' cannot be left out; nearest: tabby"
        ):
            find_class(text, ["tabby", "tabby cat", "dog"])
