"""Compare an answer's values with the right ones, and say in words what is wrong.

For each function there is a reference implementation whose options are common mistakes; without options it is right.
A table gives the words for each mistake:

    mistakes = {"reduce": {"mean": "found the mean over channels, expected the maximum"}}
    right = reference(X, y, model);  wrong = reference(X, y, model, reduce="mean")

A wrong answer is compared with the reference for each mistake, and for every two of them, so that a mistake is
recognized by its values.
"""

import itertools

import numpy as np

from npgrad.course.grading._answer import Wrong, in_case

RTOL = {"float32": 1e-4, "float64": 1e-8}  # relative to the largest value


def number(value, where):
    """`value` as an array (), if it is one real number; otherwise Wrong."""
    if isinstance(value, (tuple, list)):
        raise Wrong(f"expected one number, found a {type(value).__name__} of {len(value)}{in_case(where)}")
    return array(value, (), where)


def array(value, shape, where):
    """`value`, if it is a NumPy array of floats (with shape () a number), all finite; otherwise Wrong.

    shape: the expected shape, only for the message; `compare` explains a wrong one.
    """
    expected = f"an array of shape {shape}" if shape else "one number"
    if not isinstance(value, (np.ndarray, np.generic) if shape else (np.ndarray, np.generic, float, int)):
        raise Wrong(f"expected {expected}, found {type(value).__name__}{in_case(where)}")
    found = np.asarray(value)
    if found.dtype.kind != "f":
        raise Wrong(f"expected floats, found {found.dtype}{in_case(where)}")
    if not np.isfinite(found).all():
        count = int(np.sum(~np.isfinite(found)))
        raise Wrong(f"found {count} of {found.size} values NaN or Inf: a division by 0?{in_case(where)}")
    return found


def close(found, expected, rtol):
    """Whether the shapes are equal, and the values up to rtol of the largest expected value."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    return bool(np.max(np.abs(found - expected), initial=0) <= rtol * np.max(np.abs(expected), initial=1e-30))


def tolerance(found, arguments, coarsest=0.0):
    """The rtol for the least precise dtype among the result and the arguments."""
    given = [v for value in arguments.values() for v in (value if isinstance(value, list) else [value])]
    arrays = [np.asarray(found), *(value for value in given if isinstance(value, np.ndarray))]
    floats = [each.dtype.name for each in arrays if each.dtype.kind == "f"]
    return max(coarsest, *(RTOL.get(name, 1e-4) for name in floats))


def compare(found, reference, arguments, mistakes, where, coarsest=0.0, single=None, pairs=True):
    """Raise Wrong, with the mistake in words, unless `found` is reference(**arguments).

    single: a function of i that returns (the answer, the right values) for image i as a batch of one; it shows whether
    the answer mixes the images of a batch. pairs: also look for two mistakes at once.
    """
    expected = np.asarray(reference(**arguments))
    found = array(found, expected.shape, where)
    rtol = tolerance(found, arguments, coarsest)
    if not close(found, expected, rtol):
        rtol = max(1e-6, 10 * rtol)
        why = diagnosis(found, expected, reference, arguments, mistakes, rtol, single, pairs)
        raise Wrong(why + in_case(where))


def named(found, reference, arguments, mistakes, rtol, pairs=True):
    """The words for the one or two common mistakes that give `found`; or None."""
    for texts, options in variants(mistakes, pairs):
        if close(found, reference(**arguments, **options), rtol):
            return "; ".join(texts)
    return None


def diagnosis(found, expected, reference, arguments, mistakes, rtol, single=None, pairs=True):
    """Why `found` is not `expected`, in words."""
    if why := named(found, reference, arguments, mistakes, rtol, pairs):
        return why
    if found.shape != expected.shape:
        return f"expected shape {expected.shape}, found {found.shape}".replace("shape ()", "one number")
    if not np.any(found):
        return "found 0 everywhere"
    if close(found, expected, 1e-5):
        return "right to only a few digits: are values rounded, or converted from float64 to float32?"
    if single is not None and len(found) > 1 and all(close(*single(i), rtol) for i in range(len(found))):
        return "right for a single image, wrong for a batch: each result must depend only on its own image"
    factor = np.vdot(found, expected) / (np.vdot(expected, expected) or 1)
    if close(found, factor * expected, rtol):
        flipped = abs(factor + 1) < rtol
        return "the sign is flipped" if flipped else f"found {factor:.4g} times the right values"
    if not expected.shape:
        return f"expected {float(expected):.6g}, found {float(found):.6g}"
    place = np.unravel_index(np.argmax(np.abs(found - expected)), expected.shape)
    at = ", ".join(map(str, place))
    return f"wrong values, the worst at [{at}]: expected {expected[place]:.4g}, found {found[place]:.4g}"


def variants(mistakes, pairs=True):
    """(sentences, options) of each single mistake, then of every two that can be combined."""
    single = [((text,), {key: value}) for key, texts in mistakes.items() for value, text in texts.items()]
    yield from single
    for (a, first), (b, second) in itertools.combinations(single, 2) if pairs else ():
        if first.keys() != second.keys():
            yield a + b, {**first, **second}
