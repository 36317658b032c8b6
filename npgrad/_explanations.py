"""The explanations of a wrong gradient: from the evidence, each makes (kind, text, the gradient that it predicts)."""

import itertools

import numpy as np

from npgrad._uses import branches, counted_once

FIT = 1e-6
FEW = 64  # the longest axis along which slices are compared with each other
ENTRIES = 300  # of the upstream gradient, of which each may be left out


def _float32(evidence):
    def rounded(array):
        return array.astype(np.float32).astype(np.float64)

    if np.array_equal(rounded(evidence.found), evidence.found) and evidence.error <= FIT:
        yield "float32", "is rounded to float32", evidence.found
    if evidence.error < 10 * FIT:
        arrays = {name: rounded(array) for name, array in evidence.point.arrays.items()}
        other = evidence.jacobian_at(arrays)
        text = "is computed from values rounded to float32"
        yield "float32", text, evidence.contracted(dys=rounded(evidence.dys))
        yield "float32", text, evidence.contracted(other)
        yield "float32", text, evidence.contracted(other, rounded(evidence.dys))
        for name, array in arrays.items():
            one = evidence.jacobian_at({**evidence.point.arrays, name: array})
            yield "float32", text, evidence.contracted(one)


def _factor(evidence):
    c = _coefficient(evidence.found, evidence.expected)
    if abs(c) < FIT:
        yield "zero", "is zero", 0 * evidence.expected
    elif abs(c + 1) < FIT:
        yield "sign", "has the wrong sign", -evidence.expected
    elif abs(c - 1) > FIT or evidence.error < FIT:
        yield "factor", f"is {_times(c, evidence)}", c * evidence.expected


def _arranged(evidence):
    """Transposed, flipped, read in another order, or permuted along an axis; perhaps with a factor as well."""
    for kind, text, moved in _arrangements(evidence):
        c = _coefficient(evidence.found, moved)
        same = np.abs(moved - evidence.expected).max(initial=0) <= FIT * evidence.scale
        if abs(c) > FIT and not same:
            more = "" if abs(c - 1) < FIT else f", and {_times(c, evidence)}"
            yield kind, text + more, c * moved


def _arrangements(evidence):
    expected, shape = evidence.expected, evidence.array.shape
    axes = range(1, len(shape) + 1)
    orders = [order for order in itertools.permutations(axes) if list(order) != list(axes)]
    orders = orders if len(shape) < 6 else []
    for order in orders:
        if (moved := expected.transpose(0, *order)).shape == expected.shape:
            yield "transposed", f"is transposed, {tuple(i - 1 for i in order)}", moved
    for count in axes:
        for flipped in sorted(itertools.combinations(axes, count), key=lambda some: -some[0]):
            plain = tuple(i - 1 for i in flipped)
            kernel = len(shape) == 4 and plain == (2, 3)
            yield (
                "flipped",
                f"is {'a flipped kernel,' if kernel else 'flipped'} along {axes_named(plain)}",
                np.flip(expected, flipped),
            )
    for order in orders:
        moved = expected.transpose(0, *order).reshape(expected.shape)
        yield "permuted", "has its values in another order: a reshape without the transpose", moved
        back = expected.reshape(-1, *[expected.shape[i] for i in order])
        moved = back.transpose(0, *(order.index(i) + 1 for i in axes))
        yield "permuted", "has its values in another order: a transpose without the reshape", moved
    for axis in axes:
        if 1 < expected.shape[axis] <= FEW:
            moved = np.moveaxis(expected, axis, 1)
            found = np.moveaxis(evidence.found, axis, 1)
            distances = np.array(
                [[np.abs(f - e).max() for e in moved.swapaxes(0, 1)] for f in found.swapaxes(0, 1)]
            )
            order = distances.argmin(1)
            if len(set(order)) == len(order) and (order != np.arange(len(order))).any():
                taken = np.moveaxis(moved[:, order], 1, axis)
                yield "permuted", f"is permuted along axis {axis - 1}: {order.tolist()}", taken
    # The same order for every upstream gradient.
    flat = [np.round(some.reshape(len(some), -1) / evidence.scale, 9) for some in (expected, evidence.found)]
    if len(expected) > 1:
        taken, places = expected.reshape(len(expected), -1), [np.lexsort(some) for some in flat]
        moved = np.empty_like(taken)
        moved[:, places[1]] = taken[:, places[0]]
        yield (
            "permuted",
            "has its values in another order: check reshape and transpose",
            moved.reshape(expected.shape),
        )


def _samples(evidence):
    shape = evidence.array.shape
    if shape and evidence.outputs and shape[0] == evidence.outputs[0] > 1:
        own = np.zeros_like(evidence.jacobian)
        for n in range(shape[0]):
            block = (n, *[slice(None)] * (len(shape) - 1), n)
            own[block] = evidence.jacobian[block]
        text = "takes the samples as independent, but each output depends on the other samples"
        yield "samples", text, evidence.contracted(own)


def _upstream(evidence):
    if evidence.outputs:
        yield (
            "upstream",
            "does not use the upstream gradient",
            evidence.contracted(dys=np.ones_like(evidence.dys)),
        )


def _stale(evidence):
    previous = getattr(evidence.function, "previous", None)
    if previous is not None:
        text = "is that at the input of a previous pass: a stale cache"
        yield "stale cache", text, evidence.contracted(evidence.jacobian_at(previous))
        for names in {tuple(evidence.function.inputs), *((name,) for name in previous)}:
            some = {name: previous[name] for name in names if name in previous}
            arrays = {**evidence.point.arrays, **some}
            text = f"is that at {', '.join(some)} of a previous pass: a stale cache"
            yield "stale cache", text, evidence.contracted(evidence.jacobian_at(arrays))


def _fork(evidence):
    if evidence.array.shape == evidence.outputs:
        yield "fork branch", "lacks the branch y = x + ... of a fork", evidence.expected - evidence.dys
    for text, partial in branches(evidence):
        yield "fork branch", text, partial


def _regularized(evidence):
    c = _coefficient(
        evidence.found - evidence.expected, np.broadcast_to(evidence.array, evidence.found.shape)
    )
    text = f"differs by {c:.6g} times {evidence.name} itself: a regularization term"
    yield "regularization", text, evidence.expected + c * evidence.array


def _slices(evidence):
    """Right in some slices along an axis only; in the others it may be zero or off by a factor."""
    wrong = np.abs(evidence.found - evidence.expected) > FIT * min(evidence.error, 1) * evidence.scale
    alive = np.maximum(np.abs(evidence.found), np.abs(evidence.expected)) > 1e-9 * evidence.scale
    places = []
    for axis in range(1, wrong.ndim):
        others = tuple(i for i in range(wrong.ndim) if i != axis)
        off = wrong.any(others)
        within = np.compress(off, wrong, axis), np.compress(off, alive, axis)
        if off.any() and not off.all() and within[0][within[1]].mean() > 0.9:
            places.append((off.sum() / off.size, axis, np.flatnonzero(off)))
    for _, axis, off in sorted(places, key=lambda place: place[:2]):
        pick = [slice(None)] * wrong.ndim
        pick[axis] = off
        yield from _partly(
            evidence, tuple(pick), f"is wrong only at {_listed(off)} of axis {axis - 1}", "some channels"
        )
    if wrong.any(0).mean() <= 0.5:
        entries = np.argwhere(wrong.any(0))
        text = f"is wrong only in {len(entries)} of {evidence.array.size} entries, such as {tuple(entries[0].tolist())}"
        yield from _partly(evidence, np.broadcast_to(wrong.any(0), wrong.shape), text, "some entries")


def _partly(evidence, pick, text, kind):
    predicted, found = evidence.expected.copy(), evidence.found[pick]
    c = _coefficient(found, predicted[pick])
    scaled = predicted.copy()
    scaled[pick] *= c
    if evidence.fit(scaled) <= FIT:
        how = "zero" if abs(c) < FIT else "of the wrong sign" if abs(c + 1) < FIT else _times(c, evidence)
        yield kind, f"{text}, where it is {how}", scaled
    predicted[pick] = found
    yield kind, text, predicted


def _parts(evidence):
    """Some of the upstream gradient is left out, found by least squares: each slice, or entry, counts once or never."""
    for axis, length in enumerate(evidence.outputs):
        if not 1 < length <= FEW or 2 * length > evidence.found.size:
            continue
        parts = []
        for i in range(length):
            dys = np.zeros_like(evidence.dys)
            pick = (slice(None),) * (axis + 1) + (i,)
            dys[pick] = evidence.dys[pick]
            parts.append(evidence.contracted(dys=dys))
        chosen, predicted = _counted(parts, evidence)
        if predicted is not None:
            text = (
                f"leaves out {_listed(np.flatnonzero(chosen == 0))} of axis {axis} of the upstream gradient"
            )
            yield "part of dy", text, predicted
    entries = int(np.prod(evidence.outputs))
    if 1 < entries <= ENTRIES and 2 * entries <= evidence.found.size <= 20 * ENTRIES:
        flat = evidence.jacobian.reshape(*evidence.array.shape, entries)
        dys = evidence.dys.reshape(len(evidence.dys), entries)
        parts = [np.multiply.outer(dys[:, i], flat[..., i]) for i in range(entries)]
        chosen, predicted = _counted(parts, evidence)
        if predicted is not None:
            first = tuple(map(int, np.unravel_index(np.flatnonzero(chosen == 0)[0], evidence.outputs)))
            count = int((chosen == 0).sum())
            text = f"leaves out {count} of {entries} entries of the upstream gradient, such as {first}"
            yield "part of dy", text, predicted


def _counted(parts, evidence):
    """(1 for each part that counts, else 0; their sum), or None if the gradient found is no such sum."""
    alive = np.array([np.abs(part).max(initial=0) > 1e-9 * evidence.scale for part in parts])
    chosen = np.ones(len(parts))
    counted = counted_once([part for part, one in zip(parts, alive, strict=True) if one], evidence.found)
    if counted is None or not 0 < counted.sum() < len(counted):
        return None, None
    chosen[alive] = counted
    return chosen, np.tensordot(chosen, parts, 1)


# Those of the second group are tried in turn if none before fits.
FIRST = (_float32, _factor, _arranged, _upstream, _stale, _samples, _fork, _regularized)
LAST = (_slices, _parts)


def _coefficient(found, expected):
    square = np.vdot(expected, expected)
    return float(np.vdot(expected, found) / square) if square else 0.0


def _times(c, evidence):
    """The factor in words, with the sizes that it may come from."""
    shape = evidence.outputs or next(iter(evidence.point.arrays.values())).shape
    sizes = {}
    if shape:
        sizes["the batch size"] = shape[0]
        sizes["the number of its values" if evidence.outputs else "the number of entries"] = np.prod(shape)
    if len(shape) == 2:
        sizes["the number of columns"] = shape[1]
    if len(shape) == 4:
        sizes["the number of channels"], sizes["H * W"] = shape[1], shape[2] * shape[3]
        sizes["N * H * W"] = shape[0] * shape[2] * shape[3]
    names = [name for name, size in sizes.items() if size > 1 and abs(abs(c) / size - 1) < FIT]
    names += [f"1 / {name}" for name, size in sizes.items() if size > 1 and abs(abs(c) * size - 1) < FIT]
    more = f" ({', '.join(names)})" if names else ""
    return f"{c:.6g} times the right one{more}"


def axes_named(axes):
    """Such as axis 0, or axes 2, 3."""
    return f"axis {axes[0]}" if len(axes) == 1 else f"axes {', '.join(map(str, axes))}"


def _listed(indices):
    some = ", ".join(map(str, indices[:8]))
    return f"index {some}" if len(indices) == 1 else f"indices {some}{', ...' if len(indices) > 8 else ''}"
