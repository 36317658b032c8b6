"""Compare the results of a function with the right ones, and name the mistake that gives the wrong ones.

Each function has a table of faults: what a typical mistake would return, computed from the right results and all that
led to them, and the words for it.

    FAULTS = {"dw is transposed": Fault("...", lambda v: {"dw": v.dw.T})}

`v` has the arguments and the values that the reference has computed, by name. The mistake in an answer is the fault
whose results are the answer's. Where no fault fits, `_explain` says what can be seen in the numbers alone.
"""

import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from npgrad.course.grading._answer import Wrong, in_case
from npgrad.course.layers_by_hand import _explain
from npgrad.course.layers_by_hand._explain import close

RTOL = 1e-8  # relative to the largest value of a result
SINGLE = 1e-4  # for results that are float32


class Fault(NamedTuple):
    """A typical mistake: the words for it, and a function of the right values that returns its wrong results."""

    text: str
    wrong: Callable[[SimpleNamespace], dict[str, Any]]


def results_of(value, names, what=""):
    """A returned value as {name: result}; Wrong unless it is a tuple of as many results."""
    expected = names[0] if len(names) == 1 else f"({', '.join(names)})"
    what = f"{what}: " if what else ""
    if len(names) == 1:
        if isinstance(value, (tuple, list)):
            raise Wrong(f"{what}expected {expected} alone, found a {type(value).__name__} of {len(value)}")
        return {names[0]: value}
    if value is None:
        raise Wrong(f"{what}returned None, expected {expected}; is there a return?")
    if not isinstance(value, (tuple, list)):
        missing = ": is the cache missing?" if "cache" in names else ""
        raise Wrong(f"{what}expected {expected}, found only one {type(value).__name__}{missing}")
    if len(value) != len(names):
        raise Wrong(f"{what}expected {expected}, found {len(value)} values")
    return dict(zip(names, value, strict=True))


def forward_result(value, what="", needed=True):
    """The out of a returned (out, cache), whose cache is only the name of its type; Wrong if it is not one.

    needed: whether the cache may not be None.
    """
    found = results_of(value, ("out", "cache"), what)
    what = f"{what}: " if what else ""
    if not isinstance(found["out"], (np.ndarray, np.generic)) and found["cache"] == "ndarray":
        raise Wrong(f"{what}returns (cache, out), expected (out, cache)")
    if needed and found["cache"] == "NoneType":
        raise Wrong(f"{what}the cache is None, expected what the backward function needs")
    return found["out"]


def judge(found, right, faults, where, single=None, ordered=True):
    """Raise Wrong, with the mistake in words, unless the results are right.

    Parameters
    ----------
    found : dict
        {name: result}.
    right : SimpleNamespace
        The right results, the arguments and values in between, by name.
    faults : dict
        {name: Fault}.
    where : str
        The case in words.
    single : callable, optional
        ``single(i)`` says whether the function is right for sample i as a batch of one.
    ordered : bool, default True
        Whether the results are what a tuple has, in this order.
    """
    for name, value in found.items():
        found[name] = _numbers(value, getattr(right, name), name, where, many=len(found) > 1)
    coarse = {name for name, value in found.items() if value.dtype == np.float32}
    rtol = {name: SINGLE if name in coarse else RTOL for name in found}
    wrong = [name for name, value in found.items() if not close(value, getattr(right, name), rtol[name])]
    texts = []
    if wrong:
        texts = _diagnosis(found, right, faults, wrong, rtol, single, ordered)
    if coarse:
        names = " and ".join(sorted(coarse)) if len(found) > 1 else "the result"
        verb = "are" if len(coarse) > 1 else "is"
        texts.append(f"{names} {verb} float32, expected float64 as the arguments are")
    if texts:
        raise Wrong("; ".join(texts) + in_case(where))


def _numbers(value, expected, name, where, many):
    """The result as an array of floats; Wrong if it is none."""
    what = f"{name}: " if many else ""
    expected = np.asarray(expected)
    kinds = (np.ndarray, np.generic) if expected.shape else (np.ndarray, np.generic, float, int)
    wanted = f"an array of shape {expected.shape}" if expected.shape else "one number"
    if not isinstance(value, kinds):
        hint = "; is it never assigned?" if value is None else ""
        kind = "None" if value is None else type(value).__name__
        raise Wrong(f"{what}expected {wanted}, found {kind}{hint}{in_case(where)}")
    found = np.asarray(value)
    if found.dtype.kind not in "f" and not (found.dtype.kind in "iu" and np.array_equal(found, expected)):
        raise Wrong(f"{what}expected floats, found {found.dtype}{in_case(where)}")
    return found


def _diagnosis(found, right, faults, wrong, rtol, single, ordered):
    """The sentences for the wrong results."""
    text = _explain.order(found, right, wrong, rtol) if ordered else None
    if text is not None:
        return [text]
    texts, rest = named(found, right, faults, wrong, rtol)
    for name in rest:
        expected, values = np.asarray(getattr(right, name)), found[name]
        text = _explain.numbers(name, values, expected, right, rtol[name])
        given = name, values, expected, right, rtol[name]
        text = text or _explain.terms(*given) or _two_faults(*given, faults) or _scaled_fault(*given, faults)
        text = text or _explain.difference(*given)
        if text is None and single is not None and all(single(i) for i in range(len(right.x))):
            text = "right for a batch of one sample, wrong for several: are the samples mixed?"
        text = text or _explain.place(values, expected, right)
        texts.append(f"{name}: {text}" if len(found) > 1 else text)
    return texts


def named(found, right, faults, wrong, rtol):
    """(sentences of the faults that explain wrong results, the results that none explains)."""
    hits = []
    with np.errstate(all="ignore"):
        for fault in faults.values():
            results = fault.wrong(right)
            hit = {
                name for name in wrong if name in results and close(found[name], results[name], rtol[name])
            }
            hits.append((len(hit), len(hit) - len(results.keys() & found.keys()), fault.text, hit))
    texts, rest = [], list(wrong)
    for _, _, text, hit in sorted(hits, key=lambda each: each[:2], reverse=True):
        if hit & set(rest):
            names = ", ".join(name for name in rest if name in hit)
            texts.append(f"{names}: {text}" if len(found) > 1 else text)
            rest = [name for name in rest if name not in hit]
    return texts, rest


def _results(name, expected, right, faults):
    """(words, what each fault returns), for those that change a result and keep its shape."""
    with np.errstate(all="ignore"):
        for fault in faults.values():
            results = fault.wrong(right)
            if name in results and np.shape(results[name]) == expected.shape:
                yield fault.text, np.asarray(results[name])


def _two_faults(name, found, expected, right, rtol, faults):
    """The words for two faults whose changes add up to the answer's; or None."""
    if found.size < 3 or found.shape != expected.shape:
        return None
    changes = [(text, wrong - expected) for text, wrong in _results(name, expected, right, faults)]
    changes = [(text, change) for text, change in changes if np.isfinite(change).all() and change.any()]
    for (first, a), (second, b) in itertools.combinations(changes, 2):
        if close(expected + a + b, found, rtol):
            return f"{first}; and {second}"
    return None


def _scaled_fault(name, found, expected, right, rtol, faults):
    """The words for a fault whose result differs from the answer's by a factor only; or None."""
    for text, wrong in _results(name, expected, right, faults):
        factor = _explain.factor(found, wrong, rtol) if found.size > 1 else None
        if factor is not None:
            return f"{text}; and {_explain.factor_words(factor, right)}"
    return None
