"""Compare a network with a recording: forward, then backward, layer by layer."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from contextlib import suppress

import numpy as np

from npgrad._compare.forced import ForcedTape
from npgrad._compare.forward import distance, explained, unrecorded_before
from npgrad._compare.gradients import gradient_rows, in_memory_order, like, tolerance_of
from npgrad._compare.inputs import images_otherwise
from npgrad._compare.names import matched
from npgrad._compare.recording import INPUT, recording_of
from npgrad._compare.results import DIFFERS, EQUAL, ComparedLayer, Comparison, maps_of
from npgrad._typing import Array, ImageLike, Path
from npgrad._verdicts import Diagnosis
from npgrad.errors import InputError
from npgrad.layers import Flatten
from npgrad.layers.composite import walk_layers
from npgrad.model import Model


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
        self.layers = dict(self.order)
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

    def _free(self, kind, x):
        return ForcedTape(
            self.networks[kind], x.astype(kind), lambda _, record, failure: record.y, self.aliases
        )

    def _array(self, name):
        """What was recorded of a layer's output, in float64."""
        if name in self.arrays:
            return self.arrays[name]
        array = self.flattened(name, in_memory_order(self.recording.outputs[self.keys[name]]))
        self.arrays[name] = like(array, self.whole[name])
        return self.arrays[name]

    def flattened(self, name, array):
        """The array; what was flattened as (H, W, C), in npgrad's order (C, H, W)."""
        x = None if name == INPUT else self.whole.records[name].x
        if not self.recording.channels_last or np.ndim(x) != 4 or not isinstance(self.layers[name], Flatten):
            return array
        n, c, h, w = x.shape
        if array.shape != (n, c * h * w):
            return array
        return array.reshape(n, h, w, c).transpose(0, 3, 1, 2).reshape(n, -1)

    def result(self, image):
        self.single, self.single_tape = self._outputs_in_single()
        x = np.asarray(self.recording.x, np.float64)
        try:
            tape = ForcedTape(self.networks[np.float64], x, self._judge, self.aliases)
        except InputError as error:
            if not any(row.verdict == DIFFERS for row in self.rows):
                raise
            self.notes.append(f"what comes after cannot be computed: {error}")
        else:
            self.rows += gradient_rows(self, tape)
        skipped = tuple(key for key in self.recording.outputs if key not in self.keys.values())
        return Comparison(tuple(self.rows), self._input(image), tuple(self.notes), skipped)

    def _outputs_in_single(self):
        """npgrad's own outputs in float32, each from what was recorded before it; None where it cannot run."""
        found = {}

        def judge(_, record, failure):
            found[record.name] = record.y
            return self._goes_on(record).astype(np.float32) if record.name in self.recorded else record.y

        with suppress(InputError):  # which the pass in float64 then reports
            x = self.recording.x.astype(np.float32)
            return found, ForcedTape(self.networks[np.float32], x, judge, self.aliases)
        return found, None

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
        tolerance = tolerance_of(self.recording.outputs[self.keys[name]], noise)
        row = self._row(name, self.keys[name], "forward", error, tolerance)
        if error <= tolerance:
            self.rows.append(row)
            return recorded
        between = unrecorded_before(tape, record, self.recorded)
        fits = explained(tape, record, own, recorded, error, tolerance, self, between)
        if fits.chain and not self.recorded & set(fits.chain):
            return self._recorded_after(name, fits.chain, own)
        name = fits.name or name  # another that was not recorded explains it
        kind = type(self.layers[name]).__name__
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

    def _recorded_after(self, name, chain, own):
        """Take what was recorded of a layer for the output of those after it, which were not recorded themselves."""
        self.keys[chain[-1]] = key = self.keys.pop(name)
        self.recorded = set(self.keys)
        self.arrays.pop(name)
        self.of_whole[chain[-1]] = (
            distance(self.whole[chain[-1]], self._array(chain[-1])),
            self.of_whole.pop(name)[1],
        )
        self.notes.append(
            f"{key} was recorded after {', '.join(chain)}: as a part of it, or changed in place"
        )
        return own

    def _row(self, name, key, direction, error, tolerance):
        whole, rounding = self.of_whole[name] if direction == "forward" else (np.nan, np.nan)
        kind = type(self.layers[name]).__name__
        return ComparedLayer(name, kind, key, direction, error, tolerance, whole, rounding, EQUAL)

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
