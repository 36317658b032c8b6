"""What the numbers of a wrong result show by themselves: its shape, a factor, other axes, a border, or a sample."""

import itertools

import numpy as np

from npgrad.course.grading._compare import close as close_where_finite

AXES = {2: ("the batch", "the features"), 4: ("the batch", "the channels", "the height", "the width")}
NO_REASON = "found "  # how the words for a factor begin that may come from anywhere


def close(found, expected, rtol):
    """Whether shapes and values are equal up to rtol of the largest value, NaN and Inf in the same places."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    finite = np.isfinite(found)
    if not np.array_equal(finite, np.isfinite(expected)):
        return False
    return bool(finite.any() or not finite.size) and close_where_finite(found[finite], expected[finite], rtol)


def order(found, right, wrong, rtol):
    """The words for right results in the wrong order; or None."""
    names = list(found)
    if len(wrong) < 2:
        return None
    for permuted in itertools.permutations(wrong):
        as_found = dict(zip(wrong, permuted, strict=True))
        if all(close(found[name], getattr(right, as_found[name]), rtol[name]) for name in wrong):
            returned = [as_found.get(name, name) for name in names]
            return f"returns ({', '.join(returned)}), expected ({', '.join(names)})"
    return None


def numbers(name, found, expected, right, rtol):
    """The words for a wrong result; or None if nothing can be seen."""
    if found.shape != expected.shape:
        return shape(found, expected, rtol)
    if not np.isfinite(found).all():
        count = int(np.sum(~np.isfinite(found)))
        return f"{count} of {found.size} values are NaN or Inf: a division by 0, a negative root, or an overflow?"
    if not found.any():
        return "found 0 everywhere"
    if close(found, expected, 3e-6):
        return "right to only a few digits: are values rounded or float32, or is a small number added?"
    for other, value in vars(right).items():
        if other != name and isinstance(value, np.ndarray) and close(found, value, rtol):
            return f"found {'the same as ' if other in ('x', 'dout', 'w') else 'what is right for '}{other}"
    scale = factor(found, expected, rtol)
    if scale is not None and (found.size > 1 or not factor_words(scale, right).startswith(NO_REASON)):
        return factor_words(scale, right)
    if found.size < 2:
        return None
    return layout(found, expected, rtol) or part(found, expected, rtol)


def shape(found, expected, rtol):
    """The words for a wrong shape."""
    text = f"expected shape {expected.shape}, found {found.shape}"
    text = text.replace("shape ()", "one number")
    if found.size == expected.size and close(found.reshape(expected.shape), expected, rtol):
        return f"{text}: the values are right, only the shape is wrong"
    for axes in itertools.permutations(range(found.ndim)) if found.ndim < 5 else ():
        if close(found.transpose(axes), expected, rtol):
            return f"{text}: it is transposed"
    for n in range(1, found.ndim - expected.ndim + 1):
        for axes in itertools.combinations(range(found.ndim), n):
            if close(found.sum(axis=axes), expected, rtol):
                return f"{text}: the sum over {axes_words(axes, found.ndim)} is missing"
    for n in range(1, expected.ndim - found.ndim + 1):
        for axes in itertools.combinations(range(expected.ndim), n):
            if close(found, expected.sum(axis=axes), rtol):
                return f"{text}: it is summed over {axes_words(axes, expected.ndim)}, expected no sum"
    return text


def axes_words(axes, ndim):
    """The axes in words, such as "axis 0 (the batch)"."""
    names = AXES.get(ndim, ())
    words = [f"axis {axis}" + (f" ({names[axis]})" if names else "") for axis in axes]
    return " and ".join(words)


def factor(found, expected, rtol):
    """The number that found is times expected; None if it is no such product."""
    if found.shape != expected.shape or not (np.isfinite(found).all() and np.isfinite(expected).all()):
        return None
    norm = float(np.vdot(expected, expected))
    scale = float(np.vdot(expected, found)) / norm if norm else 0.0
    if not scale or abs(scale - 1) < 1e-7:
        return None
    return scale if close(found, scale * expected, rtol) else None


def factor_words(scale, right):
    """What a factor may come from: a sign, or a size of the arguments."""
    if abs(scale + 1) < 1e-7:
        return "the sign is flipped"
    if scale < 0 and not factor_words(-scale, right).startswith(NO_REASON):
        return f"{factor_words(-scale, right)}; and the sign is flipped"
    for axis, size in enumerate(getattr(right, "x", np.empty(())).shape):
        name = "the number of samples" if axis == 0 else f"the size of axis {axis} of x"
        if abs(scale * size - 1) < 1e-7:
            return f"divided by {size}, {name}: found the mean, or one division too many"
        if abs(scale / size - 1) < 1e-7:
            return f"{size} times the right values: {size} is {name}, is a division missing?"
    return f"{NO_REASON}{scale:.6g} times the right values"


def layout(found, expected, rtol):
    """The words for right values in other places; or None."""
    for axes in itertools.permutations(range(expected.ndim)):
        if axes != tuple(range(expected.ndim)) and close(found, expected.transpose(axes), rtol):
            return "the values are right, but transposed"
    for n in range(1, expected.ndim + 1):
        for axes in itertools.combinations(range(expected.ndim), n):
            if close(found, np.flip(expected, axes), rtol):
                return f"the values are right, but reversed along {axes_words(axes, expected.ndim)}"
            shares = [np.roll(expected, shift, axes[0]) for shift in (1, -1)] if n == 1 else ()
            if any(close(found, each, rtol) for each in shares):
                return f"the values are right, but shifted along {axes_words(axes, expected.ndim)}"
    difference = found - expected
    if close(difference, np.full_like(difference, difference.mean()), rtol):
        return f"every value is {difference.mean():.4g} too large".replace("-", "minus ")
    return None


def part(found, expected, rtol):
    """The words for a result that is right in a part; or None."""
    if found.ndim < 2 or len(found) < 2:
        return None
    good = [close(a, b, rtol) for a, b in zip(found, expected, strict=True)]
    if good[0] and not any(good[1:]):
        return "only the first sample is right: does the loop return early, or is index 0 used for all?"
    if good[-1] and not any(good[:-1]):
        return "only the last sample is right: is each result overwritten by the next one's?"
    if found.ndim == 4 and min(found.shape[2:]) > 2:
        inner = (slice(None), slice(None), slice(1, -1), slice(1, -1))
        if close(found[inner], expected[inner], rtol):
            return "right inside, wrong at the border: what does the padding do there?"
    for axis in range(min(found.ndim, 2)):
        moved = np.moveaxis(found, axis, 0), np.moveaxis(expected, axis, 0)
        scales = [factor(a, b, rtol) or float(close(a, b, rtol)) for a, b in zip(*moved, strict=True)]
        if all(scales) and moved[0][0].size > 2:
            each = ("sample", "channel" if found.ndim == 4 else "column")[axis]
            words = ", ".join(f"{scale:.4g}" for scale in scales[:3])
            return f"each {each} has another factor: {words}, ... times the right values"
    return None


def terms(name, found, expected, right, rtol):
    """The words for a sum whose terms are right but have other factors; or None.

    right.terms: {result: {words for a term: the term}}, where the reference tells them.
    """
    parts = getattr(right, "terms", {}).get(name, {})
    if not parts or found.shape != expected.shape:
        return None
    columns = np.stack([np.broadcast_to(part, expected.shape).ravel() for part in parts.values()], axis=1)
    if np.linalg.matrix_rank(columns) < len(parts):
        return None
    found_factors, factors = (np.linalg.lstsq(columns, y.ravel(), rcond=None)[0] for y in (found, expected))
    if not close(columns @ found_factors, found.ravel(), rtol):
        return None
    words = []
    for part, a, b in zip(parts, found_factors, factors, strict=True):
        times = a / b
        if abs(times) < 1e-7:
            words.append(f"{part} is missing")
        elif abs(times + 1) < 1e-7:
            words.append(f"{part} has the wrong sign")
        elif abs(times - 1) > 1e-7:
            words.append(f"{part} counts {times:.4g} times, expected once")
    return ", and ".join(words) or None


def difference(name, found, expected, right, rtol):
    """The words for right values to which something else was added; or None."""
    if found.shape != expected.shape or found.size < 3:
        return None
    rest = found - expected
    for other, value in vars(right).items():
        if other == name or not isinstance(value, np.ndarray) or value.shape != rest.shape:
            continue
        times = factor(rest, value, rtol) or float(close(rest, value, rtol))
        if times:
            hint = ": does a sum begin with it, and not with 0?" if abs(times - 1) < 1e-7 else ""
            return f"found the right values plus {times:.4g} times {other}{hint}"
    for axis in (1, 0) if rest.ndim in (2, 4) else ():
        others = tuple(i for i in range(rest.ndim) if i != axis)
        means = rest.mean(axis=others, keepdims=True)
        if rest.size > means.size and close(rest, np.broadcast_to(means, rest.shape), rtol):
            off = np.flatnonzero(np.abs(means) > 1e-9 * np.abs(means).max())
            words = ", ".join(f"{means.ravel()[i]:.4g} at index {i}" for i in off[:3])
            more = ", ..." if len(off) > 3 else ""
            return f"all of {axes_words((axis,), rest.ndim)} is off by one number each: {words}{more}: what is added?"
    return None


def place(found, expected, right=None):
    """Where the values are wrong."""
    if not expected.shape:
        return f"expected {float(expected):.6g}, found {float(found):.6g}"
    difference = np.abs(found - expected)
    bad = difference > 1e-6 * np.abs(expected).max()
    at = np.unravel_index(np.argmax(difference), expected.shape)
    place = ", ".join(map(str, at))
    one_hot = getattr(right, "one_hot", None)
    if np.shape(one_hot) == bad.shape and not bad[one_hot == 0].any():
        only = "wrong only at the right class y[i] of each sample"
    else:
        only = indices(bad)
    share = f"{bad.sum()} of {bad.size} values are wrong" if not bad.all() else "wrong values"
    share = only or share
    return f"{share}, the worst at [{place}]: expected {expected[at]:.4g}, found {found[at]:.4g}"


def indices(bad):
    """Where values are wrong, if all of them are in a part of the indices of an axis; or None."""
    for axis in range(bad.ndim):
        wrong = bad.any(axis=tuple(i for i in range(bad.ndim) if i != axis))
        where = np.flatnonzero(wrong)
        if bad.shape[axis] > 1 and len(where) <= bad.shape[axis] / 2 and np.ptp(where) == len(where) - 1:
            span = f"index {where[0]}" if len(where) == 1 else f"indices {where[0]} to {where[-1]}"
            return f"wrong only at {span} of {axes_words((axis,), bad.ndim)}"
    return None
