"""Where code uses an array: the branches of a fork, told apart by the line that makes each.

The array is passed as an ndarray that notes every NumPy operation on it, and keeps its step, as an imaginary part,
apart from its values: only the operations at one place see the step. The derivative is then that through this branch.
"""

import linecache
import sys

import numpy as np

MOST = 12  # places


class Uses:
    """The places where an array is used; with `at`, the only one that sees a step away from `base`."""

    def __init__(self, base, at=None):
        self.base, self.places, self.at, self.complex = base, [], at, False

    def wrap(self, array):
        """The array as one that notes its uses; views of it do as well."""
        self.complex = array.dtype.kind == "c"  # a complex step, which the code sees as such
        used = (array if self.complex else self.base + 1j * (array - self.base)).view(Used)
        used.uses = self
        return used

    def plain(self, value, place):
        """An operand without its notes, real unless this is the place looked at."""
        if isinstance(value, (tuple, list)):
            return type(value)(self.plain(one, place) for one in value)
        if not isinstance(value, Used):
            return value
        if place not in self.places:
            self.places.append(place)
        value = value.view(np.ndarray)
        if value.dtype.kind != "c":
            return value
        moved = self.at in (None, place)
        if self.complex:
            return value if moved else value.real + 0j
        return value.real + value.imag if moved else value.real


class Used(np.ndarray):
    """An array whose NumPy operations are noted in `uses`."""

    def __array_finalize__(self, other):
        self.uses = getattr(other, "uses", None)

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        uses = _uses_of((*inputs, *(out or ())))
        inputs = uses.plain(inputs, _place(ufunc.__name__))
        if out is not None:
            options["out"] = tuple(one.view(np.ndarray) if isinstance(one, Used) else one for one in out)
        return getattr(ufunc, method)(*inputs, **options)

    def __array_function__(self, function, types, args, kwargs):
        uses = _uses_of((*args, *kwargs.values()))
        place = _place(function.__name__)
        return function(
            *uses.plain(args, place), **{key: uses.plain(value, place) for key, value in kwargs.items()}
        )


def branches(evidence):
    """(text, the gradient without some of the branches), where the gradient found is that."""
    function, point, name = evidence.function, evidence.point, evidence.name
    if not hasattr(function, "uses") or function.to is not None:
        return
    base = point.arrays[name]
    try:
        function.uses = {name: (seen := Uses(base))}
        function.output(point.arrays)
        places = list(seen.places)
        if not 1 < len(places) <= MOST:
            return
        parts = []
        for place in places:
            function.uses = {name: Uses(base, place)}
            parts.append(evidence.contracted(point.jacobian(name)))
    except Exception:  # noqa: BLE001  the user's code may take plain arrays only
        return
    finally:
        function.uses = {}
    if np.abs(sum(parts) - evidence.expected).max(initial=0) > 1e-7 * evidence.scale:
        return  # an operation that NumPy does not announce
    alive = [i for i, part in enumerate(parts) if np.abs(part).max() > 1e-7 * evidence.scale]
    if len(alive) < 2:
        return
    parts, places = [parts[i] for i in alive], [places[i] for i in alive]
    chosen = counted_once(parts, evidence.found)
    if chosen is not None and 0 < chosen.sum() < len(parts):
        lost = "; ".join(_shown(place) for place, one in zip(places, chosen, strict=True) if not one)
        text = f"lacks a branch of the fork at {name}: {lost}"
        yield text, np.tensordot(chosen, parts, 1)


def counted_once(parts, found):
    """Which parts the sum found consists of, as zeros and ones; None if they do not make it up."""
    if not parts:
        return None
    columns = np.stack([part.ravel() for part in parts], 1)
    weights = np.linalg.lstsq(columns, found.ravel(), rcond=None)[0]
    chosen = np.round(weights)
    return chosen if np.isin(chosen, (0, 1)).all() and np.abs(weights - chosen).max() < 1e-5 else None


def _uses_of(values):
    for value in values:
        if isinstance(value, Used):
            return value.uses
        if isinstance(value, (tuple, list)) and (found := _uses_of(value)) is not None:
            return found
    return None


def _place(operation):
    """The place in the code outside NumPy that an operation is called from: a file, a line, a position and its name."""
    frame = sys._getframe(1)
    while (
        frame.f_back
        and (frame.f_globals.get("__name__") or "").split(".")[0] == "numpy"
        or frame.f_code.co_filename == __file__
    ):
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno, frame.f_lasti, operation


def _shown(place):
    file, line, _, operation = place
    code = linecache.getline(file, line).strip()
    return f"{operation} in line {line}{f', {code}' if code else ''}"
