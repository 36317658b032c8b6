"""Is backward right here: a certificate, layer by layer, for one network and one image.

One forward pass with complex numbers carries a random direction v through the network: its imaginary part is, at every
layer, the exact derivative of the layer's output along v (a directional derivative, J v), while backward gives the
transposed product, J^T dy, for a random upstream gradient dy. The dot-product test compares

    <dy, J v>  with  <J^T dy, v>

which are equal for every dy and v if, and but for a coincidence only if, backward is the transpose of the derivative.
The parameters move in directions of their own in the same pass, so that their gradients are part of the sum. Unlike
`gradcheck`, which needs a pass for each entry, this judges a whole network on a real image, but only where v arrives:
what is behind a ReLU that is 0 does not move.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from npgrad._slopes import STEPS
from npgrad._typing import Array, Rng
from npgrad._validate import check_input
from npgrad.layers import Composite
from npgrad.layers.composite import Calls, Scope, naming
from npgrad.model import Model

NETWORK = "network"  # the row of the whole
TOLERANCE = 1e-12
ASIDE = 1e-6  # how far from a kink a layer is tested once more, of its input's largest value
BESIDE = "right beside a kink"
STILL = "not reached"
ROUNDING = "right to rounding"
ROUNDED = 4 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class CertifiedLayer:
    """The dot-product test of one layer.

    Parameters
    ----------
    name : str
        The layer's name; "network" for the whole.
    kind : str
        Its type.
    forward, backward : float
        <dy, J v> by the complex pass, and <J^T dy, v> by the layer's own backward and parameter_gradients.
    error : float
        Their difference, divided by |<dy, J v>| plus the root mean size of such sums with random signs, which is the
        norm of the products that are summed.
    moved : float
        The share of the input's entries that v reaches; the others are not tested.
    verdict : {"right", "right beside a kink", "right to rounding", "WRONG", "not reached"}
        "right beside a kink" if the test fails here, where a function has several slopes, but passes 1e-6 beside the
        input and parameters; "right to rounding" if an input rounded otherwise changes the error as much, as in deep
        untrained networks; "not reached" if nothing moves.
    wrong : tuple of str
        The gradients that fail by themselves: "x", or names of parameters; none of a composite.
    """

    name: str
    kind: str
    forward: float
    backward: float
    error: float
    moved: float
    verdict: str
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True)
class Certificate:
    """The tests of all layers, in the order of the forward pass; it is true if none is wrong.

    Parameters
    ----------
    layers : tuple of CertifiedLayer
        The whole network is the last; a composite follows its parts.
    tolerance : float
        The largest error that passes.
    """

    layers: tuple[CertifiedLayer, ...]
    tolerance: float

    @property
    def faulty(self) -> tuple[CertifiedLayer, ...]:
        """The wrong layers; a composite, or the network, only if none of its parts is wrong."""
        wrong = [layer for layer in self.layers if layer.verdict == "WRONG"]
        return tuple(
            layer
            for layer in wrong
            if not any(
                other is not layer and (layer.name == NETWORK or other.name.startswith(f"{layer.name}."))
                for other in wrong
            )
        )

    def __bool__(self) -> bool:
        return not self.faulty and any(layer.verdict != STILL for layer in self.layers)

    def __str__(self) -> str:
        largest = max((layer.error for layer in self.layers if layer.verdict == "right"), default=0.0)
        kinds = (BESIDE, ROUNDING, STILL)
        counts = {verdict: sum(layer.verdict == verdict for layer in self.layers) for verdict in kinds}
        if self.faulty:
            said = ", ".join(
                f"{layer.name} ({', '.join(layer.wrong) or 'as a whole'})" for layer in self.faulty
            )
            return f"WRONG: {said}; tolerance {self.tolerance:.0e}"
        more = "".join(f"; {count} {verdict}" for verdict, count in counts.items() if count)
        said = f"{'right' if self else STILL}: {len(self.layers)} tests"
        return f"{said}, largest error {largest:.1e}, tolerance {self.tolerance:.0e}{more}"


def certify(model: Model, x: Array, tolerance: float = TOLERANCE, rng: Rng = 0) -> Certificate:
    """Test the backward of every layer of a network at the activations of real images, with one complex forward pass.

    Parameters
    ----------
    model : Model
        The network, in inference mode; computed in float64.
    x : ndarray (N, C, H, W)
        Preprocessed images, as ``model.preprocess`` returns them.
    tolerance : float, default 1e-12
        The largest relative error that passes.
    rng : numpy.random.Generator or int, default 0
        Of the directions and the upstream gradients.

    Returns
    -------
    Certificate

    Raises
    ------
    InputError
        x does not fit the network.

    Examples
    --------
    >>> from npgrad.models import squeezenet1_1
    >>> x = np.random.default_rng(1).normal(size=(1, 3, 64, 64))
    >>> certificate = certify(squeezenet1_1(num_classes=5, rng=0), x)
    >>> bool(certificate), len(certificate.layers)
    (True, 66)
    """
    x = np.asarray(check_input(x), np.float64)
    rng = np.random.default_rng(rng)
    network = model.network.map_arrays(lambda name, array: array.astype(np.float64))
    tests = _Tests(tolerance, int(rng.integers(2**63)))
    moved = x + 1j * STEPS["complex"] * rng.standard_normal(x.shape)
    y = network.forward(moved, tests)[0] if isinstance(network, Composite) else tests.run("", network, moved)
    if isinstance(network, Composite):
        tests.test("", network, moved, y)
    return Certificate(tuple(tests.rows), tolerance)


class _Tests(Calls):
    """A tape that tests each layer as it runs, and passes the moved output on; it keeps nothing else."""

    def __init__(self, tolerance, seed):
        super().__init__(keep=False, training=False, rng=0)
        self.tolerance, self.seed, self.rows = tolerance, seed, []

    def run(self, name, layer, x):
        if isinstance(layer, Composite):
            y = layer.forward(x, Scope(self, name))[0]
        else:
            y = self._moved_output(name, layer, x)
        self.test(name, layer, x, y)
        return y

    def test(self, name, layer, x, y):
        """Append the layer's row: y is the moved output for the moved input x."""
        dy = np.random.default_rng([self.seed, 1, *name.encode()]).standard_normal(y.shape)
        forward, backward, error = self._compared(name, layer, x, y, dy)
        inputs = x if isinstance(x, tuple) else (x,)
        moved = sum(np.count_nonzero(one.imag) for one in inputs) / max(sum(one.size for one in inputs), 1)
        verdict, wrong = "right" if np.any(y.imag) or backward else STILL, ()
        if not error <= self.tolerance:
            inside = [row for row in self.rows if row.name.startswith(f"{name}." if name else "")]
            if any(row.verdict == "WRONG" for row in inside):
                verdict = "WRONG"
            elif not (verdict := self._beside(name, layer, x, dy)):
                verdict, wrong = "WRONG", () if inside else self._alone(name, layer, x, dy)
        what = (name or NETWORK, type(layer).__name__)
        self.rows.append(CertifiedLayer(*what, forward, backward, float(error), float(moved), verdict, wrong))

    def _compared(self, name, layer, x, y, dy, only=None):
        """(<dy, J v>, <J^T dy, v>, relative error); `only`: the one array that moves."""
        h = STEPS["complex"]
        jv = y.imag / h
        real = _each(x, lambda xi: np.ascontiguousarray(xi.real))
        _, cache = self._forward(layer, real)
        dx = layer.backward(dy, cache)
        inputs = (x, dx) if isinstance(x, tuple) else ((x,), (dx,))
        gradients = layer.parameter_gradients(dy, cache) if layer.arrays() else {}

        def pairs():
            if only in (None, "x"):
                yield from ((g, xi.imag / h) for xi, g in zip(*inputs, strict=True))
            for key, array in layer.arrays().items():
                if only in (None, key):
                    yield gradients[key], self._direction(name, key, array)

        forward, backward = float(np.vdot(dy, jv)), 0.0
        scale = abs(forward) + np.linalg.norm(np.ravel(dy * jv))
        for (
            gradient,
            direction,
        ) in pairs():  # one after the other: those of a network are as large as its weights
            products = np.ravel(gradient * direction)
            backward += float(products.sum())
            scale += np.linalg.norm(products)
        return forward, backward, abs(forward - backward) / scale if scale else 0.0

    def _alone(self, name, layer, x, dy):
        """The gradients that fail where their array alone moves."""
        wrong = []
        for only in ("x", *layer.arrays()):
            one = x if only == "x" else _each(x, lambda xi: xi.real + 0j)
            y = self._moved_output(name, layer, one, only)
            if not self._compared(name, layer, x, y, dy, only)[2] <= self.tolerance:
                wrong.append(only)
        return tuple(wrong)

    def _beside(self, name, layer, x, dy):
        """The verdict a little beside x and the parameters, where no two values tie and none is 0; "" if it is wrong.

        It is rounding if an input rounded otherwise changes the error as much.
        """
        rng = np.random.default_rng([self.seed, 2, *name.encode()])

        def aside(array):
            return array + ASIDE * (np.abs(array.real).max(initial=0) or 1.0) * rng.standard_normal(
                array.shape
            )

        beside, parameters = _each(x, aside), layer.arrays()
        layer = layer.map_arrays(lambda key, array: aside(array) if key in parameters else array)
        y = self._moved_output(name, layer, beside)
        error, changes = self._compared(name, layer, beside, y, dy)[2], []
        if error <= self.tolerance:
            return BESIDE
        for _ in range(2):
            noisy = _each(beside, lambda xi: xi * (1 + ROUNDED * rng.standard_normal(xi.shape)))
            changes.append(abs(self._compared(name, layer, noisy, y, dy)[2] - error))
        return ROUNDING if error <= 10 * max(changes) else ""

    def _moved_output(self, name, layer, x, only=None):
        """The output where the parameters move as well."""

        def move(key, array):
            if key not in parameters or only not in (None, key):
                return array
            return array + 1j * STEPS["complex"] * self._direction(name, key, array)

        parameters = layer.arrays()
        with naming(name):
            return self._forward(layer.map_arrays(move), x)[0]

    def _forward(self, layer, x):
        if isinstance(layer, Composite):
            return layer.forward(x, Calls(**self.options))
        return layer.forward(x, **self.options) if layer.has_training_mode else layer.forward(x)

    def _direction(self, name, key, array):
        """The same for the same parameter, in its layer and in the composites around it."""
        whole = f"{name}.{key}" if name else key
        rng = np.random.default_rng([self.seed, 3, *whole.encode()])
        return rng.standard_normal(array.shape) / np.sqrt(max(array[0].size, 1))


def _each(x, function):
    return tuple(map(function, x)) if isinstance(x, tuple) else function(x)
