"""How one recorded output differs: every explanation predicts it, and must fit what was recorded."""

from __future__ import annotations

import numpy as np

from npgrad import layers as ls
from npgrad._compare.arrays import arrays_otherwise, factor, where
from npgrad._compare.forced import ForcedTape
from npgrad._compare.inputs import inputs_otherwise, seen_by_the_first
from npgrad._compare.otherwise import layers_otherwise
from npgrad._compare.stand_ins import InARow
from npgrad._verdicts import Diagnosis
from npgrad.errors import NpgradError
from npgrad.layers import Composite

MOST = 3  # explanations of one difference
CHAIN = 3  # layers after this one that may have changed its output in place
ACTIVATIONS = {
    "softmax": ls.Softmax(),
    "the logarithm of softmax": ls.LogSoftmax(),
    "sigmoid": ls.Sigmoid(),
    "tanh": ls.Tanh(),
    "ReLU": ls.ReLU(),
}
SAW_ANOTHER = "the first layer saw another input than was recorded"
RERUNS = 300  # passes in which one of several layers is computed otherwise


def distance(expected, found):
    """The largest difference, as a share of the largest number expected."""
    if np.shape(expected) != np.shape(found):
        return np.inf
    scale = float(np.abs(expected).max(initial=0)) or float(np.abs(found).max(initial=0)) or 1.0
    with np.errstate(invalid="ignore", over="ignore"):
        error = float(np.abs(expected - found).max(initial=0)) / scale
    return np.inf if np.isnan(error) else error


class Fits:
    """The explanations that fit; `limit` is the largest distance of what they predict from what was found."""

    def __init__(self, found, error, tolerance):
        self.found, self.limit = found, min(max(tolerance, 1e-9), 0.1 * error)
        self.diagnoses, self.layer, self.name, self.chain = [], None, None, ()

    def tell(self, kind, text, predicted, layer=None):
        """Keep an explanation if it fits; the first layer that explains it is kept, too."""
        if predicted is None or len(self.diagnoses) >= MOST:
            return False
        fit = distance(predicted, self.found)
        if not fit <= self.limit:
            return False
        if not any(one.text == text for one in self.diagnoses):
            self.diagnoses.append(Diagnosis(kind, text, fit))
            self.layer = self.layer or layer
        return True


def explained(tape, record, own, recorded, error, tolerance, model, between=()):
    """Fits of how the recorded output of a layer differs from npgrad's own, which is None where it could not run."""
    fits = Fits(recorded, error, tolerance)
    if not np.isfinite(recorded).all():
        fits.diagnoses.append(Diagnosis(*where(recorded, recorded, 0.0, "output"), np.inf))
        return fits
    x, layer = record.x, record.layer
    if own is not None:
        _missing(fits, x, layer)
        _in_place(fits, model, record, own)
    if own is not None and x is tape.x:  # before what is the same: the weight's channels in another order
        _preprocessing(fits, model, layer, x)
    if not isinstance(layer, Composite):
        for kind, text, other in layers_otherwise(layer, x, recorded):
            if fits.diagnoses or fits.tell(kind, text, _output(other, x), other):
                break
    if own is not None and not fits.diagnoses:
        if x is tape.x and isinstance(layer, ls.Conv2d) and (seen := seen_by_the_first(layer, x, recorded)):
            fits.tell("preprocessing", f"{SAW_ANOTHER}: {seen[0]}", _output(layer, seen[1]))
        _rounded_inputs(fits, layer, x)
    if own is not None and not fits.diagnoses:
        for kind, text, predicted in arrays_otherwise(own, recorded):
            if fits.tell(kind, text, predicted):
                if kind in ("factor", "sign") and not isinstance(layer, Composite):
                    times = ls.Affine(factor(own, recorded))  # so that backward is as many times npgrad's
                    fits.layer = InARow(layer, times)
                break
    if not fits.diagnoses and between:
        _elsewhere(fits, tape, record, model, between)
    if own is not None and not fits.diagnoses:
        for name, layer in ACTIVATIONS.items():
            fits.tell("activation", f"{name} is applied to the output", _output(layer, own))
    if not fits.diagnoses:
        text = (
            where(own, recorded, tolerance, "output")
            if own is not None
            else ("shape", "npgrad's layer cannot run")
        )
        fits.diagnoses.append(Diagnosis(*text, error))
    return fits


def _output(layer, x):
    try:
        with np.errstate(all="ignore"):
            return layer.forward(x)[0]
    except (NpgradError, ValueError):
        return None


def _missing(fits, x, layer):
    """The layer does nothing."""
    if not isinstance(layer, Composite) and not isinstance(x, (tuple, list)):
        fits.tell("missing layer", "the layer does nothing: the output is its input", x, ls.Dropout())


def _in_place(fits, model, record, own):
    """The recorded array was changed afterwards by the layers that take it."""
    parts = _after(model, record.name)
    y, names = own, []
    for name, layer in parts[:CHAIN]:
        y = _output(layer, y)
        if y is None or y.shape != own.shape:
            return
        names.append(name)
        text = f"the output was changed in place by {', '.join(names)} after it was made: record a copy"
        if fits.tell("in place", text, y):
            fits.chain = tuple(names)
            return


def _after(model, name):
    """(name, layer) of the layers after one that take one input, in the same composite or the ones around it."""
    found = []
    names = [one for one, layer in model.order if not isinstance(layer, Composite)]
    layers = dict(model.order)
    for other in names[names.index(name) + 1 :] if name in names else ():
        if isinstance(layers[other], (ls.Add, ls.Concat, ls.Multiply, ls.Conv2d, ls.Linear)):
            break
        found.append((other, layers[other]))
    return found


def _preprocessing(fits, model, layer, x):
    for text, other in inputs_otherwise(x, model.preprocessing):
        if fits.tell("preprocessing", f"{SAW_ANOTHER}: {text}", _output(layer, other)):
            return


def _rounded_inputs(fits, layer, x):
    """Computed with inputs and weights of fewer bits, as matrix units for float16, bfloat16 and TF32 do."""
    if isinstance(layer, Composite) or isinstance(x, tuple):
        return
    for name, bits in (("TF32 or float16", 10), ("bfloat16", 7)):
        other = layer.map_arrays(
            lambda key, array, bits=bits: _cut(array, bits) if key == "weight" else array
        )
        fits.tell(
            "precision", f"computed with inputs and weights rounded to {name}", _output(other, _cut(x, bits))
        )


def _cut(x, bits):
    """x rounded to a significand of so many bits after the leading one."""
    fraction, exponent = np.frexp(x)
    return np.ldexp(np.rint(np.ldexp(fraction, bits + 1)), exponent - bits - 1)


def _elsewhere(fits, tape, record, model, between):
    """One of the layers before, which were not recorded, is computed otherwise."""
    runs = 0
    for name in between:
        part = tape.records.get(name)
        if part is None or isinstance(part.layer, Composite) or part.y is None:
            continue
        others = list(layers_otherwise(part.layer, part.x, np.zeros(0)))
        if not isinstance(part.x, tuple):
            others.insert(0, ("missing layer", "the layer does nothing", ls.Dropout()))
        for kind, text, other in others:
            if runs >= RERUNS or (y := _output(other, part.x)) is None:
                continue
            if y.shape == part.y.shape and distance(part.y, y) < 1e-9:
                continue
            runs += 1
            if fits.tell(kind, text, _rerun(tape, record, model, name, other)):
                fits.name = name
                _go_on_with(part, record, other)
                return


def _go_on_with(part, record, other):
    """Take the explanation for what was computed, so that backward is compared with it."""
    old = part.y
    part.layer, (part.y, part.cache) = other, other.forward(part.x)
    if record.x is old and not isinstance(record.layer, Composite):
        record.x = part.y
        _, record.cache = record.layer.forward(record.x)


def _rerun(tape, record, model, name, other):
    values = {one.name: one.y for one in tape if one.name in model.recorded}

    def judge(_, one, failure):
        if one.name == name:
            return _output(other, one.x)
        return one.y if one.name == record.name else values.get(one.name, one.y)

    try:
        with np.errstate(all="ignore"):
            return ForcedTape(tape.network, tape.x, judge, upto=record.name).output
    except (NpgradError, ValueError):
        return None


def unrecorded_before(tape, record, recorded):
    """The leaves before a layer whose outputs were not recorded, back to those that were, in order."""
    found, todo = [], [record]
    names = [one.name for one in tape]
    while todo:
        one = todo.pop()
        inside = [part for part in tape if part.name.startswith(f"{one.name}.")]
        nearby = inside or [tape.records[name] for name in one.sources or () if name in tape.records]
        for part in nearby:
            if part.name not in recorded and part.name not in found:
                found.append(part.name)
                todo.append(part)
    leaves = [name for name in found if not isinstance(tape.records[name].layer, Composite)]
    return tuple(sorted(leaves, key=names.index))
