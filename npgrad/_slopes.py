"""The slope of a network, or of other code, along a direction, by small steps, and whether a kink decides it.

At a kink a function has several slopes, and rounding, or a rule for ties, decides which one a pass takes. A layer is at
a kink where the derivative of its output jumps if its input is moved by no more than rounding would.
"""

import contextlib
import functools
import warnings

import numpy as np

from npgrad.layers import Composite
from npgrad.layers.composite import Calls, Scope, walk_layers

STEPS = {"complex": 1e-20, "centered": 1e-6, "richardson": 1e-6}
# relative: above rounding; what a centered step reaches
NOISE = {"complex": 1e-12, "centered": 1e-6, "richardson": 1e-6}
# a slope that noise changes by more, relatively, is at a kink
STEADY = {"complex": 1e-4, "centered": 1e-3, "richardson": 1e-3}
LADDER = 1e-2 * 0.25 ** np.arange(8)  # the steps of Richardson's extrapolation, of the array's largest value
DRAWS = 4  # of noise
ASIDE = 1e-3  # how far a point beside a kink is from it


class Network:
    """The sum of dy * layer(x), as a function of x and of every parameter; dy is random."""

    def __init__(self, layer, x, training, rng):
        self.layer = layer.map_arrays(lambda name, array: array.astype(np.float64))
        self.takes_complex = all(each.takes_complex for each in _layers(self.layer))
        self.several = isinstance(x, tuple)
        self.options = {"training": training, "rng": 0}  # the same masks every time
        inputs = {f"x[{i}]": xi for i, xi in enumerate(x)} if self.several else {"x": x}
        self.inputs, self.arrays = list(inputs), {**inputs, **self.layer.arrays()}
        self.dy = rng.standard_normal(self._forward(self.arrays)[0].shape)

    def gradients(self, arrays):
        _, cache = self._forward(arrays)
        layer = self._moved(arrays)
        dx = layer.backward(self.dy, cache)
        gradients = dict(zip(self.inputs, dx if self.several else (dx,), strict=True))
        return {**gradients, **layer.parameter_gradients(self.dy, cache)}

    def terms(self, arrays, altered=None):
        """What is to be summed; `altered(forward, x)` may run each layer in another way."""
        tape = None if altered is None else _Altered(altered, **self.options)
        return self.dy * self._forward(arrays, tape)[0]

    def _moved(self, arrays):
        return self.layer.map_arrays(lambda name, array: arrays.get(name, array))

    def _forward(self, arrays, tape=None):
        layer, x = self._moved(arrays), tuple(arrays[name] for name in self.inputs)
        x = x if self.several else x[0]
        if isinstance(layer, Composite):
            return layer.forward(x, Calls(**self.options) if tape is None else tape)
        if tape is not None:
            return tape.run(type(layer).__name__, layer, x), None
        return layer.forward(x, **self.options) if layer.has_training_mode else layer.forward(x)


class _Altered(Calls):
    """A tape that leaves running a layer to a function (name, forward, x) -> y."""

    def __init__(self, altered, **options):
        super().__init__(keep=False, **options)
        self.altered = altered

    def run(self, name, layer, x):
        if isinstance(layer, Composite):
            return layer.forward(x, Scope(self, name))[0]
        options = self.options if layer.has_training_mode else {}
        return self.altered(name, lambda x: layer.forward(x, **options)[0], x)


class Point:
    """A place where a function's gradients are compared with its slopes."""

    def __init__(self, function, arrays, method):
        self.function, self.arrays, self.method = function, arrays, method

    @functools.cached_property
    def gradients(self):
        return self.function.gradients(self.arrays)

    @functools.cached_property
    def largest(self):
        return max(np.abs(gradient).max(initial=0) for gradient in self.gradients.values())

    def beside(self, rng):
        """A point close by, at none of the kinks here."""
        moved = {name: _noisy(array, ASIDE, rng) for name, array in self.arrays.items()}
        return Point(self.function, moved, self.method)

    def slope(self, name, step, altered=None):
        """d (sum of terms) / d t of array + t * step at t = 0, how far it differs before and after, and its error."""
        derivative, bend, error = self.derivative(name, step, altered)
        return float(derivative.sum()), float(abs(bend.sum())), float(error.sum())

    def derivative(self, name, step, altered=None):
        """The same for every term."""
        h, array = STEPS[self.method], self.arrays[name]
        eps = np.finfo(getattr(self.function, "dtype", np.float64)).eps

        def terms(t):
            return np.asarray(self.function.terms({**self.arrays, name: array + t * step}, altered))

        if self.method == "complex":
            derivative = np.imag(terms(1j * h)) / h
            return derivative, np.zeros(()), abs(derivative) * (100 * eps if eps > 1e-10 else 0)
        if self.method == "richardson":
            return _extrapolated(terms, LADDER * (np.abs(array).max(initial=0) or 1.0), eps)
        before, at, after = map(terms, (-h, 0, h))
        # differences first, then the sum: what did not move cancels exactly
        return (after - before) / (2 * h), ((after - at) - (at - before)) / h, np.zeros(())

    def jacobian(self, name):
        """The derivative of every output with respect to every entry: (*array.shape, *output.shape)."""
        array, dy = self.arrays[name], self.function.dy
        self.function.dy = 1.0
        try:
            rows = [self.derivative(name, step.reshape(array.shape))[0] for step in np.eye(array.size)]
        finally:
            self.function.dy = dy
        return np.reshape(rows, (*array.shape, *np.shape(rows[0])))

    def takes_complex(self):
        """Whether the complex step agrees with differences here: code may drop the imaginary part, or refuse it."""
        rng = np.random.default_rng(0)
        for name, array in self.arrays.items():
            step = rng.standard_normal(array.shape)
            try:
                with warnings.catch_warnings():
                    warnings.filterwarnings("error", message="Casting complex")
                    found = Point(self.function, self.arrays, "complex").derivative(name, step)[0]
            except Exception:  # noqa: BLE001  whatever the user's code raises
                return False
            expected, bend, error = Point(self.function, self.arrays, "richardson").derivative(name, step)
            if np.shape(found) != np.shape(expected):
                return False
            largest = np.abs(expected).max(initial=0)
            smooth = np.abs(bend) <= 1e-4 * largest
            if not (np.abs(found - expected) <= 1e-5 * largest + 10 * error)[smooth].all():
                return False
        return True

    def search(self, name, most, rng):
        """Move the array as a whole, in a random direction: ([entry with a wrong gradient, if any], layer).

        The layer is None, unless one at a kink is in the way. `most` is the largest difference that passes: rounding
        grows with the number of entries in the sum. The entry is found by bisection.
        """
        gradient = self.gradients[name]
        direction = rng.choice((-1.0, 1.0), gradient.size) * rng.uniform(0.5, 1.5, gradient.size)

        def step(among):
            moved = np.zeros(gradient.size)
            moved[among] = direction[among]
            return moved.reshape(gradient.shape)

        def mismatch(among):
            slope, _, error = self.slope(name, step(among))
            return abs(slope - (gradient * step(among)).sum()) - 2 * error

        suspects = np.arange(gradient.size)
        if mismatch(suspects) <= most:
            return [], None
        if (layer := self.kink(name, step(suspects), most)) is not None:
            return [], layer
        while len(suspects) > 1:
            halves = np.array_split(suspects, 2)
            suspects = max(halves, key=lambda half: np.nan_to_num(mismatch(half), nan=np.inf))
        return suspects, None

    def kink(self, name, step, smallest):
        """The first layer at a kink that changes the slope by more than `smallest`; None if there is none."""
        if not isinstance(self.function, Network) or not self.function.takes_complex:
            return None
        point = Point(self.function, self.arrays, "complex")
        with contextlib.suppress(TypeError):  # a layer that takes no complex numbers
            slope = point.slope(name, step)[0]
            for draw in range(2):
                mixing = _Mixing(NOISE[self.method], STEPS[self.method], draw)
                if abs(point.slope(name, step, mixing)[0] - slope) > smallest:
                    return mixing.kinks[0]
        return None

    def unsteadiness(self, name, step, slope):
        """How far the slope changes at most where noise is added to the arrays, and to the input of every layer."""
        noise, slopes = NOISE[self.method], []
        largest = np.abs(self.arrays[name]).max(initial=0) or 1.0
        for draw in range(DRAWS if isinstance(self.function, Network) else 4 * DRAWS):
            rng = np.random.default_rng(draw)
            moved = {key: _noisy(array, noise, rng) for key, array in self.arrays.items()}
            if (
                draw < DRAWS
            ):  # to both sides of a kink at least once; in the other draws, between other values
                moved[name] = moved[name] + (-1) ** draw * 10 * noise * largest * step
            slopes.append(
                Point(self.function, moved, self.method).slope(name, step, _Shaking(noise, draw))[0]
            )
        return np.abs(np.array(slopes) - slope).max()


def _extrapolated(terms, steps, eps):
    """Centered differences with steps h, h/4, ..., extrapolated to h = 0 (Richardson): (derivative, bend, error).

    Of the extrapolated values, each term takes the one with the smallest estimated error, which is its distance from
    the next coarser extrapolation, plus rounding. A kink near by spoils the large steps only.
    """
    at = terms(0.0)
    moved = [(terms(-h), terms(h)) for h in steps]
    column = steps.reshape(-1, *[1] * at.ndim)
    before, after = (np.stack(side) for side in zip(*moved, strict=True))
    slopes, bends = (after - before) / (2 * column), ((after - at) - (at - before)) / column
    once = (16 * slopes[1:] - slopes[:-1]) / 15
    twice = (256 * once[1:] - once[:-1]) / 255
    errors = np.abs(twice - once[1:]) + eps * np.abs(at) / column[2:]
    bends = (4 * bends[2:] - bends[1:-1]) / 3
    best = np.argmin(np.where(np.isnan(errors), np.inf, errors), axis=0)[None]
    return tuple(np.take_along_axis(some, best, axis=0)[0] for some in (twice, bends, errors))


class _Shaking:
    """Adds noise to the input of every layer: the same noise in every pass over the network."""

    def __init__(self, noise, draw):
        self.noise, self.draw = noise, draw

    def __call__(self, name, forward, x):
        rng = np.random.default_rng([self.draw, *name.encode()])
        return forward(_each(x, lambda xi: _noisy(xi, self.noise, rng)))


class _Mixing:
    """Mixes, wherever a layer is at a kink, the derivatives that its output has close by, at random.

    The derivatives are those of a complex step; `kinks` gets the names of the layers at kinks.
    """

    def __init__(self, noise, reach, draw):
        self.noise, self.reach, self.rng, self.kinks = noise, reach, np.random.default_rng(draw), []

    def __call__(self, name, forward, x):
        h, y = STEPS["complex"], forward(x)
        d = y.imag / h
        parts = x if isinstance(x, tuple) else (x,)
        largest = max([np.abs(d).max(initial=0), *(np.abs(part.imag).max(initial=0) / h for part in parts)])
        if largest == 0:
            return y
        mixed = d.copy()
        # along the step and against it: then what moves wins, or loses, every tie
        for along in (1.0, -1.0, *[0.0] * DRAWS):
            other = forward(_each(x, lambda xi, along=along: self._close(xi, along))).imag / h
            jumps = np.abs(other - d) > np.maximum(1e-3 * np.abs(d), 1e-10 * largest)
            mixed += np.where(jumps, self.rng.uniform(size=d.shape) * (other - d), 0)
        if (mixed == d).all():
            return y
        self.kinks.append(name)
        return y.real + 1j * h * mixed

    def _close(self, x, along):
        if not along:
            return _noisy(x, self.noise, self.rng)
        d = x.imag / STEPS["complex"]
        least = self.noise * (np.abs(x.real).max(initial=0) or 1.0) / (np.abs(d).max(initial=0) or 1.0)
        return x + along * max(least, self.reach) * d


def _layers(layer):
    return [each for _, each in walk_layers(layer)] if isinstance(layer, Composite) else [layer]


def _each(x, function):
    return tuple(map(function, x)) if isinstance(x, tuple) else function(x)


def _noisy(x, size, rng):
    """x plus normal noise; `size` is relative to the largest value, or absolute if all are zero."""
    return x + size * (np.abs(x.real).max(initial=0) or 1.0) * rng.standard_normal(x.shape)
