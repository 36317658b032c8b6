"""How a wrong gradient is wrong: each explanation predicts a gradient, which is compared with the one found.

An explanation fits if its prediction is within 1e-6 of the largest gradient, and much closer than the right gradient
is, for every upstream gradient drawn. The expected gradients are contractions of the Jacobian, so that predictions for
another upstream gradient, or for some outputs only, cost no further passes.
"""

import dataclasses
import itertools

import numpy as np

from npgrad._explanations import FIRST, FIT, LAST, axes_named
from npgrad._slopes import Network, Point
from npgrad._verdicts import Diagnosis, Row

MOST = {True: (500, 200_000), False: (4000, 4_000_000)}  # entries of an array, and of its Jacobian, by `own`
NONE = "none of these"
DRAWS = 10  # of the upstream gradient, for which an explanation must fit


def diagnosed(check, function, draws, rng):
    """The check with the diagnoses of its wrong rows."""
    wrong, rows = {row.name for row in check.wrong}, []
    if np.ndim(draws[0]):
        draws = [*draws, *(rng.standard_normal(draws[0].shape) for _ in range(DRAWS - len(draws)))]
    for row in check.rows:
        if row.name in wrong and not row.diagnoses:
            point = Point(function, function.arrays, check.method)
            if row.kinks or row.beside:
                point = point.beside(rng)
            rows.append(dataclasses.replace(row, diagnoses=tuple(_explanations(point, row, draws))))
        else:
            rows.append(row)
    return dataclasses.replace(check, rows=tuple(rows))


def of_another_shape(point, name):
    """The Row of a gradient with another shape than its array: it lacks a sum over broadcast axes, or is transposed."""
    array, found = point.arrays[name], np.asarray(point.gradients[name])
    text = f"has shape {found.shape}, expected {array.shape}"
    row = Row(name, array.shape, 1, (), np.nan, np.nan, np.inf)
    diagnoses = []
    if _small(point, name):
        dy = np.broadcast_to(point.function.dy, np.shape(point.function.terms(point.arrays)))
        expected = np.tensordot(point.jacobian(name), dy, dy.ndim)
        for kind, how, alternative in _reshaped(found, expected.shape):
            fit = _distance(alternative, expected, expected)
            if fit <= FIT:
                diagnoses.append(Diagnosis(kind, f"{text}: {how}", fit))
    return dataclasses.replace(
        row, diagnoses=tuple(diagnoses[:1]) or (Diagnosis(NONE, f"{text}: {NONE}", np.inf),)
    )


def _reshaped(found, shape):
    size = int(np.prod(shape))
    for order in itertools.permutations(range(found.ndim)) if found.ndim < 6 else ():
        if list(order) != sorted(order) and found.transpose(order).shape == shape:
            yield "transposed", f"it is transposed, {order}", found.transpose(order)
    if found.size == size:
        yield "shape", "only the shape differs", found.reshape(shape)
    for count in range(1, found.ndim + 1):
        for axes in itertools.combinations(range(found.ndim), count):
            if found.sum(axes).size == size:
                how = f"the sum over {axes_named(axes)} is missing, over which {shape} is broadcast"
                yield "broadcast sum", how, found.sum(axes).reshape(shape)


class Evidence:
    """The gradient of one array as found and as expected, for every draw of the upstream gradient."""

    def __init__(self, point, name, draws):
        self.point, self.name, self.function = point, name, point.function
        self.array, self.jacobian = point.arrays[name], point.jacobian(name)
        self.outputs = self.jacobian.shape[self.array.ndim :]
        self.dys = np.stack([np.broadcast_to(dy, self.outputs) for dy in draws])
        self.found, self.again, self.raw = self._found(draws), self._found(draws[:1])[0], None
        self.expected = self.contracted()
        self.scale = max(np.abs(self.expected).max(initial=0), np.abs(self.found).max(initial=0)) or 1.0
        self.error = np.abs(self.found - self.expected).max(initial=0) / self.scale

    def _found(self, draws):
        found = []
        for self.function.dy in draws:
            found.append(np.asarray(self.function.gradients(self.point.arrays)[self.name], np.float64))
        return np.stack(found)

    def contracted(self, jacobian=None, dys=None):
        """The gradients for other Jacobians or upstream gradients."""
        jacobian, dys = self.jacobian if jacobian is None else jacobian, self.dys if dys is None else dys
        outputs = tuple(range(1, dys.ndim))
        return np.tensordot(dys, jacobian, (outputs, tuple(range(self.array.ndim, jacobian.ndim))))

    def fit(self, predicted):
        """The largest distance of the prediction from the gradient found, or infinity if it does not fit."""
        distance = np.abs(predicted - self.found).max(initial=0) / self.scale
        return distance if distance <= min(FIT, 0.01 * self.error) else np.inf

    def jacobian_at(self, arrays):
        """The Jacobian at another point."""
        return Point(self.function, arrays, self.point.method).jacobian(self.name)


def _explanations(point, row, draws):
    if not _small(point, row.name):
        yield Diagnosis(NONE, "not diagnosed: the array is too large; check a smaller input", np.inf)
        return
    evidence, some = Evidence(point, row.name, draws), False
    if not np.isfinite(evidence.found).all():
        yield Diagnosis("not finite", "has values that are not finite", 0.0)
        return
    if (
        np.abs(evidence.again - evidence.found[0]).max(initial=0)
        > FIT * min(evidence.error, 1) * evidence.scale
    ):
        yield Diagnosis("nondeterministic", "two calls of backward give different gradients", 0.0)
        return
    for explanation in (*FIRST, *LAST):
        if some and explanation in LAST:
            return
        for kind, text, predicted in explanation(evidence):
            if (fit := evidence.fit(predicted)) <= FIT:
                yield Diagnosis(kind, text, float(fit))
                some = True
                break
    if not some:
        yield Diagnosis(NONE, f"{NONE}: no explanation fits the gradient", float(evidence.error))


def _small(point, name):
    entries, products = MOST[isinstance(point.function, Network)]
    size = point.arrays[name].size
    return size <= entries and size * np.size(point.function.terms(point.arrays)) <= products


def _distance(one, other, scale):
    return float(np.abs(one - other).max(initial=0) / (np.abs(scale).max(initial=0) or 1.0))
