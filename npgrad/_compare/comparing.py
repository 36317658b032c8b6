"""Compare a network with a recording: forward, then backward, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from npgrad._compare.backward import explained_gradient
from npgrad._compare.forced import ForcedTape
from npgrad._compare.forward import distance, explained, unrecorded_before
from npgrad._compare.inputs import images_otherwise
from npgrad._compare.names import matched
from npgrad._compare.recording import INPUT, recording_of
from npgrad._compare.results import DIFFERS, EQUAL, ComparedLayer, Comparison, maps_of
from npgrad._typing import Array, ImageLike, Path
from npgrad._verdicts import Diagnosis
from npgrad.errors import InputError
from npgrad.layers import Composite, Flatten
from npgrad.layers.composite import walk_layers
from npgrad.model import Model

ROUNDINGS = 16  # how many times npgrad's own rounding still is rounding
SINGLE = float(np.finfo(np.float32).eps)


def compare(model: Model, recorded: Mapping[str, Array] | Path, image: ImageLike | None = None) -> Comparison:
    """Compare a network with what was recorded of it in another framework, and find the first layer that differs.

    Every layer is computed in float64 from the recorded output of the layer before it, so that a difference shows in
    the layer that makes it, and is compared with npgrad's own float32, which says what rounding is. What differs is
    explained: each explanation, such as another padding or epsilon, predicts the output, which must fit.

    Parameters
    ----------
    model : Model
        The network with the same weights.
    recorded : dict of ndarray, or path of an .npz file
        ``"input"``, the preprocessed images; {layer: output}; {"grad:" + layer: gradient of its output} if wanted.
        Names are those of the other framework; `npgrad compare --snippet torch` prints how to record them.
    image : path, uint8 array, PIL image or None
        The image that was recorded, to compare the preprocessing as well.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError, WeightsError
        The recording cannot be read, or has no input or no layer of the network.

    Examples
    --------
    >>> from npgrad.models import squeezenet1_1
    >>> model = squeezenet1_1(num_classes=5, rng=0)
    >>> tape = model.forward(np.random.default_rng(1).normal(size=(1, 3, 64, 64)).astype(np.float32))
    >>> recorded = {"input": tape.x, "features.0": tape["conv1"], "features.1": np.maximum(tape["conv1"], -0.5)}
    >>> found = compare(model, recorded)
    >>> found.first.name, found.first.diagnoses[0].kind
    ('relu1', 'none of these')
    """
    recording = recording_of(recorded, model.in_channels)
    return _Comparing(model, recording).result(image)


class _Comparing:
    """One comparison: the passes, the rows, and what the explanations need to know of the network."""

    def __init__(self, model, recording):
        self.recording, self.preprocessing = recording, model.preprocessing
        self.networks = {
            kind: model.network.map_arrays(lambda _, array, kind=kind: array.astype(kind))
            for kind in (np.float32, np.float64)
        }
        self.aliases, self.order = model.aliases, list(walk_layers(model.network))
        self.rows, self.notes, self.replaced, self.arrays = [], [], {}, {}
        x = np.asarray(recording.x, np.float64)
        whole = {kind: self._free(kind, x) for kind in self.networks}
        self.whole = whole[np.float64]
        self.keys = matched(recording, self.whole)
        if not self.keys:
            found = ", ".join(list(recording.outputs)[:3])
            raise InputError(f"recording: expected the output of a layer of this network, found {found}")
        self.recorded = set(self.keys)
        self.of_whole = {
            name: (
                distance(self.whole[name], self._array(name)),
                distance(self.whole[name], whole[np.float32][name]),
            )
            for name in self.keys
        }
        self.tolerance = ROUNDINGS * max(recording.precision, np.finfo(np.float64).eps)

    def _free(self, kind, x):
        return ForcedTape(
            self.networks[kind], x.astype(kind), lambda _, record, failure: record.y, self.aliases
        )

    def _array(self, name):
        """What was recorded of a layer's output, in float64."""
        if name in self.arrays:
            return self.arrays[name]
        array = _in_memory_order(self.recording.outputs[self.keys[name]])
        layer = dict(self.order)[name]
        x = self.whole.records[name].x
        if (
            self.recording.channels_last
            and isinstance(layer, Flatten)
            and np.ndim(x) == 4
            and array.ndim == 2
        ):
            n, c, h, w = x.shape
            array = (
                array.reshape(n, h, w, c).transpose(0, 3, 1, 2).reshape(n, -1)
                if array.size == x.size
                else array
            )
        self.arrays[name] = _like(array, self.whole[name])
        return self.arrays[name]

    def result(self, image):
        self.single, self.single_tape = self._outputs_in_single()
        x = np.asarray(self.recording.x, np.float64)
        tape = ForcedTape(self.networks[np.float64], x, self._judge, self.aliases)
        if self.recording.gradients:
            self._backward(tape)
        else:
            self.notes.append("no gradients were recorded: backward is not compared")
        skipped = tuple(key for key in self.recording.outputs if key not in self.keys.values())
        return Comparison(tuple(self.rows), self._input(image), tuple(self.notes), skipped)

    def _outputs_in_single(self):
        """npgrad's own outputs in float32, each from what was recorded before it; None where it cannot run."""
        found = {}

        def judge(_, record, failure):
            found[record.name] = record.y
            return self._goes_on(record).astype(np.float32) if record.name in self.recorded else record.y

        x = self.recording.x.astype(np.float32)
        return found, ForcedTape(self.networks[np.float32], x, judge, self.aliases)

    def _goes_on(self, record):
        """The recorded output, in the order of axes in which npgrad's layers take it."""
        array = self._array(record.name)
        own = self.whole[record.name]
        if array.shape != own.shape and array.ndim == own.ndim == 4:
            moved = array.transpose(0, 3, 1, 2)
            return moved if moved.shape == own.shape else array
        return np.where(np.isfinite(array), array, 0.0)

    def _judge(self, tape, record, failure):
        """Compare one output, and return what the pass goes on with."""
        name, own = record.name, record.y
        if name not in self.recorded:
            return own
        recorded = self._array(name)
        error = np.inf if own is None else distance(own, recorded)
        single = self.single.get(name)
        noise = distance(own, single) if own is not None and single is not None else 0.0
        tolerance = max(ROUNDINGS * noise * self.recording.precision / SINGLE, self.tolerance)
        row = self._row(name, self.keys[name], "forward", error, tolerance)
        if error <= tolerance:
            self.rows.append(row)
            return recorded
        between = unrecorded_before(tape, record, self.recorded)
        fits = explained(tape, record, own, recorded, error, tolerance, self, between)
        name = fits.name or name  # another that was not recorded explains it
        kind = type(dict(self.order)[name]).__name__
        found = {"name": name, "kind": kind, "diagnoses": tuple(fits.diagnoses), "between": between}
        found["maps"] = maps_of(own, recorded)
        self.rows.append(dataclasses.replace(row, verdict=DIFFERS, **found))
        kind = fits.diagnoses[0].kind
        if kind == "in place" and own is not None:
            return own
        if fits.layer is not None:
            self.replaced[record.name] = fits.layer
            record.layer = fits.layer
            _, record.cache = fits.layer.forward(record.x)
        return self._goes_on(record)

    def _row(self, name, key, direction, error, tolerance):
        whole, rounding = self.of_whole[name] if direction == "forward" else (np.nan, np.nan)
        kind = type(dict(self.order)[name]).__name__
        return ComparedLayer(name, kind, key, direction, error, tolerance, whole, rounding, EQUAL)

    def _backward(self, tape):
        keys = {name: key for name, key in self.keys.items() if key in self.recording.gradients}
        if INPUT in self.recording.gradients:
            keys[INPUT] = INPUT
        gradients = {
            name: _like(_in_memory_order(self.recording.gradients[key]), tape[name])
            for name, key in keys.items()
        }
        for name in [name for name, array in gradients.items() if array.shape != tape[name].shape]:
            self.notes.append(
                f"the gradient of {keys[name]} has shape {gradients.pop(name).shape}: not compared"
            )
        if not gradients or list(gradients) == [INPUT]:
            self.notes.append("no gradient of an output was recorded from which backward can start")
            return
        start = [next(reversed([name for name in gradients if name != INPUT]))]
        free = self._arriving(tape, start, gradients)
        in_single = self._in_single(tape)
        single = self._arriving(in_single, gradients, gradients, np.float32)
        rounded = self._arriving(in_single, start, gradients, np.float32)
        pending = []

        def judge(name, dy):
            found = gradients[name]
            noise = distance(dy, single[name]) if single.get(name) is not None else 0.0
            tolerance = max(ROUNDINGS * noise * self.recording.precision / SINGLE, self.tolerance)
            pending.append((name, dy, found, distance(dy, found), tolerance))
            return found

        walk = tape.walk(gradients, judge)
        if INPUT in gradients and walk.dx is not None:
            judge(INPUT, walk.dx)
        for name, dy, found, error, tolerance in pending:
            whole, rounding = (
                distance(free[name], other) if free.get(name) is not None and other is not None else np.nan
                for other in (found, rounded.get(name))
            )
            row = ComparedLayer(name, "", keys[name], "backward", error, tolerance, whole, rounding, EQUAL)
            self.rows.append(
                row if error <= tolerance else self._explained_gradient(row, tape, walk, dy, found)
            )

    def _explained_gradient(self, row, tape, walk, dy, found):
        what = (dy, found, row.error, row.tolerance)
        blamed, kind, fits = explained_gradient(tape, walk, row.name, *what)
        changes = {
            "name": blamed,
            "kind": kind,
            "diagnoses": tuple(fits.diagnoses),
            "maps": maps_of(dy, found),
        }
        return dataclasses.replace(row, verdict=DIFFERS, **changes)

    def _in_single(self, tape):
        """The forced pass in float32, with the layers that were explained computed as in the recording."""
        if all(row.verdict == EQUAL for row in self.rows):
            return self.single_tape
        values = {record.name: record.y for record in tape if record.name in self.recorded}

        def judge(_, record, failure):
            if record.name in self.replaced and not isinstance(record.layer, Composite):
                record.layer = self.replaced[record.name]
                _, record.cache = record.layer.forward(record.x)
            found = values.get(record.name, record.y)
            return None if found is None else found.astype(np.float32)

        return ForcedTape(self.networks[np.float32], self.recording.x.astype(np.float32), judge, self.aliases)

    def _arriving(self, tape, forced, gradients, kind=np.float64):
        """{layer: gradient of its output by npgrad}, going on from the recorded ones only at the layers `forced`."""
        found = {}

        def judge(name, dy):
            found[name] = dy
            return gradients[name].astype(kind) if name in forced else dy

        walk = tape.walk({name: array.astype(kind) for name, array in gradients.items()}, judge)
        found[INPUT] = walk.dx
        return found

    def _input(self, image):
        """How the recorded input differs from that of the image."""
        if image is None:
            return ()
        x, own = np.asarray(self.recording.x, np.float64), self.preprocessing.apply(image)
        error = distance(own, x)
        if error <= 1e-5:
            return ()
        found = []
        for text, other in images_otherwise(image, self.preprocessing):
            if (fit := distance(other, x)) <= min(1e-5, 0.1 * error):
                found.append(Diagnosis("preprocessing", text, fit))
                break
        if not found:
            shape = f"shape {x.shape}, npgrad's {own.shape}; " if own.shape != x.shape else ""
            found.append(
                Diagnosis("none of these", f"{shape}none of these: no explanation fits", float(error))
            )
        return tuple(found)


def _in_memory_order(array):
    """The array in float64; images channels-last in memory, as npgrad's layers are fast on."""
    array = np.asarray(array, np.float64)
    if array.ndim != 4:
        return array
    return np.ascontiguousarray(array.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def _like(array, own):
    """The array, in the shape of npgrad's if only axes of length 1 are more or fewer."""
    same = [[side for side in one.shape if side > 1] for one in (array, own)]
    return array.reshape(own.shape) if same[0] == same[1] else array
