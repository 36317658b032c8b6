"""Anyone's forward and backward, as a function of its arrays: what `Network` is for a layer of npgrad.

Nothing is imported for it. A backward may return its gradients in the order of the arrays or by name, or leave them
in the object's attributes; tensors of another library are made by the user's own function and read as arrays.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import numpy as np

from npgrad.errors import InputError

SEED = 0  # of NumPy's global generator in every forward pass: the same dropout mask
ASIDE = 0.5  # how far the pass before that of x is from it, of each array's largest value


class Code:
    """A forward and a backward: functions, an object's methods, or a function of tensors with their own backward."""

    def __init__(self, subject, x, backward, parameters, to, rng):
        self.subject, self.backward, self.to = subject, backward, to
        self.object = subject if _has_methods(subject) and to is None else None
        self.inputs = {f"x[{i}]": xi for i, xi in enumerate(x)} if isinstance(x, tuple) else {"x": x}
        self.parameters = self._parameters(parameters)
        both = {**self.inputs, **self.parameters}
        if not any(map(_is_floating, both.values())):
            both.update({name: _float64(value) for name, value in self.inputs.items()})
        self.arrays = {name: _float64(value) for name, value in both.items() if _is_floating(value)}
        self.both, self.notes, self.random = both, set(), True
        self.uses = {}  # {name: Uses}, while the branches of a fork are told apart
        # Passed through forward before the point itself: what a stale cache would still be of.
        self.previous = {
            name: array + ASIDE * (np.abs(array).max(initial=0) or 1.0) * rng.standard_normal(array.shape)
            for name, array in self.arrays.items()
        }
        self.pairs = backward is None and self.object is None and not self._tensors_know_backward()
        self.output(self.previous)
        first, second = self.output(self.arrays), self.output(self.arrays)
        self.deterministic = _equal_to_rounding(first, second)
        self.dtype, self.shape = first.dtype, first.shape
        self.dy = np.ones(()) if self.pairs else rng.standard_normal(first.shape)

    def terms(self, arrays, altered=None):
        """What is to be summed."""
        return self.dy * self.output(arrays)

    def output(self, arrays):
        """The output alone, as an array."""
        output = _array(self._forward(arrays)[0])
        return (
            output.real if self.uses and not any(np.iscomplexobj(one) for one in arrays.values()) else output
        )

    def gradients(self, arrays):
        """{name: gradient} by the code's own backward, after a pass at another point."""
        self._forward(self.previous)
        return self._by_name(self._backward(arrays))

    def _forward(self, arrays):
        """(output, cache or gradients), each array as a copy that the code may keep or change."""
        if self.object is not None:
            return self._run_object(arrays)
        values = self._values(arrays)
        found = self._called(values)
        if self.backward is None and not self.pairs:
            return found, values
        return _pair(found, "gradients" if self.pairs else "cache")

    def _called(self, values):
        function = getattr(self.subject, "apply", self.subject) if self.to else self.subject
        before = {name: np.array(_array(value)) for name, value in values.items() if name in self.arrays}
        with self._same_randomness():
            found = function(*values.values())
        for name, array in before.items():
            if not np.array_equal(_array(values[name]), array, equal_nan=True):
                self.notes.add(f"forward changes {name} in place")
        return found

    def _values(self, arrays):
        """The arguments of forward, by name: constants unchanged, arrays as copies or tensors."""
        values = {name: self._copied(arrays, name) for name in self.both}
        if self.to is not None:
            values = {
                name: self.to(value) if isinstance(value, np.ndarray) else value
                for name, value in values.items()
            }
        return values

    def _copied(self, arrays, name):
        if name not in self.arrays:
            return self.both[name]
        return self.uses[name].wrap(arrays[name]) if name in self.uses else np.array(arrays[name])

    def _backward(self, arrays):
        if self.object is not None:
            with self._with_parameters(arrays):
                output, cache = self._forward(arrays)
                dy = self.dy.astype(_array(output).dtype)
                return self.object.backward(dy) if cache is None else self.object.backward(dy, cache)
        if self.pairs:
            return self._forward(arrays)[1]
        if self.backward is None:  # tensors with a backward of their own
            values = self._values(arrays)
            for name in self.arrays:
                values[name].requires_grad_()
            output = self._called(values)
            output.backward(self.to(self.dy.astype(_array(output).dtype)))
            return {
                name: np.zeros_like(array) if values[name].grad is None else values[name].grad
                for name, array in self.arrays.items()
            }
        output, cache = self._forward(arrays)
        dy = self.dy.astype(_array(output).dtype)
        given = dy.copy() if self.to is None else self.to(dy)
        found = self.backward(given, cache)
        if not np.array_equal(_array(given), dy):
            self.notes.add("backward changes the upstream gradient in place")
        return found

    def _by_name(self, found):
        """{name: gradient} of what backward returned, or left in the object's attributes."""
        names = list(self.arrays)
        if not isinstance(found, (Mapping, tuple, list)):
            found = (found,)
        if isinstance(found, Mapping):
            by_name = {name: _first(found, (name, f"d{name}", f"grad_{name}")) for name in names}
        else:
            by_name = self._in_order(names, list(found))
        for name in self.parameters if self.object is not None else ():
            if by_name.get(name) is None and name in self.arrays:
                by_name[name] = self._attribute(name)
        missing = [name for name in names if by_name.get(name) is None]
        if missing:
            raise InputError(
                f"backward: expected gradients of {', '.join(names)}; found none of {missing[0]}"
            )
        return {name: _array(by_name[name]) for name in names}

    def _in_order(self, names, found):
        every = list(self.both)
        if len(found) == len(every) > len(names):
            return {name: one for name, one in zip(every, found, strict=True) if name in names}
        if self.object is not None and len(found) < len(names):
            return dict(zip(names, found, strict=False))
        if len(found) != len(names):
            raise InputError(
                f"backward: expected {len(names)} gradients ({', '.join(names)}), found {len(found)}"
            )
        return dict(zip(names, found, strict=True))

    # An object's parameters are its attributes, or the entries of its dictionary `params`.

    def _parameters(self, parameters):
        if self.object is None:
            return dict(parameters or {})
        if parameters is None:
            parameters = list(getattr(self.object, "params", {}))
        if isinstance(parameters, Mapping):
            return dict(parameters)
        store = self._store()
        for name in parameters:
            if name not in store:
                raise InputError(
                    f"parameters: expected attributes of {type(self.object).__name__}, found {name!r}"
                )
        return {name: store[name] for name in parameters}

    def _store(self):
        within = getattr(self.object, "params", None)
        return within if isinstance(within, dict) else vars(self.object)

    def _run_object(self, arrays):
        inputs = [self._copied(arrays, name) for name in self.inputs]
        before = [np.array(value) for value in inputs]
        with self._with_parameters(arrays), self._same_randomness():
            found = self.object.forward(*inputs)
        if not all(map(np.array_equal, map(np.asarray, inputs), before)):
            self.notes.add("forward changes x in place")
        if isinstance(found, tuple):
            return _pair(found, "cache")
        return found, None

    @contextlib.contextmanager
    def _with_parameters(self, arrays):
        store = self._store()
        kept = {name: store[name] for name in self.parameters}
        store.update({name: self._copied(arrays, name) for name in kept if name in self.arrays})
        try:
            yield
        finally:
            store.update(kept)

    def _attribute(self, name):
        for holder in ("grads", "gradients"):
            within = getattr(self.object, holder, None)
            if isinstance(within, Mapping) and name in within:
                return within[name]
        return _first(vars(self.object), (f"d{name}", f"grad_{name}", f"{name}_grad", f"d_{name}"))

    @contextlib.contextmanager
    def _same_randomness(self):
        """NumPy's global generator in the same state each time, if the first pass drew from it."""
        if not self.random:
            yield
            return
        state = np.random.get_state()  # noqa: NPY002  the user's code may draw from it
        np.random.seed(SEED)  # noqa: NPY002
        before = np.random.get_state()  # noqa: NPY002
        try:
            yield
            after = np.random.get_state()  # noqa: NPY002
            self.random = before[2:] != after[2:] or not np.array_equal(before[1], after[1])
        finally:
            np.random.set_state(state)  # noqa: NPY002

    def _tensors_know_backward(self):
        return self.to is not None and hasattr(self.to(np.zeros(1)), "requires_grad_")


def _equal_to_rounding(one, other):
    """Threads may add up in another order, which is no randomness."""
    eps = np.finfo(one.dtype).eps if one.dtype.kind == "f" else 0.0
    largest = np.abs(np.nan_to_num(one)).max(initial=0)
    return one.shape == other.shape and np.allclose(
        one, other, rtol=0, atol=100 * eps * largest, equal_nan=True
    )


def _has_methods(subject):
    return callable(getattr(subject, "forward", None)) and callable(getattr(subject, "backward", None))


def _pair(found, second):
    if not isinstance(found, (tuple, list)) or len(found) < 2:
        raise InputError(
            f"forward: expected (output, {second}), found {type(found).__name__}; without `backward`, a function "
            "returns (value, gradients)"
        )
    return found[0], found[1] if len(found) == 2 else tuple(found[1:])


def _first(found, keys):
    return next((found[key] for key in keys if key in found), None)


def _array(value):
    if hasattr(value, "detach"):
        value = value.detach()
    return np.asarray(value)


def _is_floating(value):
    if isinstance(value, (float, np.floating)):
        return False  # a constant, such as a rate
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _float64(value):
    return np.asarray(value).astype(np.float64)
