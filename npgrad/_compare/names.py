"""Which layer is which: the names of another framework, and those of npgrad's pass.

A name or an alias decides; what has none, or is called several times, is found by its shape, its numbers and its place
between layers whose names decide.
"""

from __future__ import annotations

import numpy as np

from npgrad._compare.recording import Recording, call_of
from npgrad.layers import BatchNorm2d, Composite
from npgrad.tape import INPUT, Tape

PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.", "backbone.")
WORDS = {  # parts of names that say what a layer is
    "Conv2d": ("conv", "downsample.0"),
    "BatchNorm2d": ("bn", "norm", "downsample.1"),
    "ReLU": ("relu", "act"),
    "MaxPool2d": ("pool",),
    "AvgPool2d": ("pool",),
    "GlobalAvgPool2d": ("pool",),
    "AdaptiveAvgPool2d": ("pool",),
    "Dropout": ("drop",),
    "Linear": ("fc", "linear", "dense", "classifier"),
    "Add": ("add",),
    "Flatten": ("flat",),
}
CLOSE = 1e-3


def matched(recording: Recording, tape: Tape) -> dict[str, str]:
    """Return {layer of the pass: name in the recording}.

    Parameters
    ----------
    recording : Recording
    tape : Tape
        A pass of the recorded input.

    Returns
    -------
    dict of str
    """
    order = {record.name: i for i, record in enumerate(tape)}
    keys, own = list(recording.outputs), dict[str, str]()
    calls: dict[str, list[str]] = {}
    for key in keys:
        calls.setdefault(call_of(key)[0], []).append(key)
    prefix = _prefix([*calls], tape)
    for name, several in calls.items():
        found = _resolved(name, prefix, tape)
        if found and found != INPUT and (len(several) == 1 or found == name):
            own.setdefault(found, several[0])
    _folded(own, keys, recording, tape, order)
    taken = set(own.values())
    places = {key: order[name] for name, key in own.items()}
    for i, key in enumerate(keys):
        if key in taken or _same(recording.outputs[key], (recording.outputs[one] for one in keys[:i])):
            continue
        low = max((places[one] for one in keys[:i] if one in places), default=-1)
        high = min(
            (places[one] for one in keys[i + 1 :] if one in places and places[one] > low), default=len(order)
        )
        free = [name for name, at in order.items() if low < at < high and name not in own]
        if best := _best(key, recording.outputs[key], free, tape):
            own[best] = key
            taken.add(key)
            places[key] = order[best]
    return {name: own[name] for name in sorted(own, key=order.__getitem__)}


def _prefix(names, tape):
    """What all names begin with, but the network's do not."""
    candidates = ["", *PREFIXES, *{name.partition(".")[0] + "." for name in names[:1]}]
    return max(candidates, key=lambda one: sum(_resolved(name, one, tape) is not None for name in names))


def _resolved(name, prefix, tape):
    for one in (
        name.removeprefix(prefix),
        name.replace("/", ".").removeprefix(prefix),
        f"/{name.replace('.', '/')}",
    ):
        if (own := tape.aliases.get(one, one)) in tape.records or own == INPUT:
            return own
    scoped = "/".join(_scopes(name.removeprefix(prefix)))
    fitting = [record.name for record in tape if record.name.rpartition("/")[0] == f"/{scoped}"]
    return fitting[0] if len(fitting) == 1 else None


def _scopes(name):
    """The scopes of a module as exports to ONNX write them: layer1, layer1.0, conv1 for layer1.0.conv1."""
    scopes: list[str] = []
    for part in name.split("."):
        scopes.append(f"{scopes[-1]}.{part}" if part.isdecimal() and scopes else part)
    return scopes


def _folded(own, keys, recording, tape, order):
    """Where a convolution has absorbed the BatchNorm after it, its output is what was recorded of the BatchNorm."""
    if any(isinstance(record.layer, BatchNorm2d) for record in tape):
        return
    pairs = {}
    for name, key in own.items():
        after = keys[keys.index(key) + 1 :][:1]
        if tape.records[name].layer.arrays() and after and after[0] not in own.values():
            same = recording.outputs[after[0]].shape == recording.outputs[key].shape
            if same and any(word in after[0].lower() for word in WORDS["BatchNorm2d"]):
                pairs[name] = after[0]
    if any(_close(recording.outputs[key], tape[name]) for name, key in pairs.items()):
        own.update(pairs)


def _best(key, recorded, free, tape):
    """The layer between its neighbors that a recorded output is of: by its numbers, by its name, or as the only one."""
    fitting = [name for name in free if sorted(tape[name].shape) == sorted(recorded.shape)]
    if equal := [name for name in fitting if _close(recorded, tape[name])]:
        leaves = [name for name in equal if not isinstance(tape.records[name].layer, Composite)]
        return (leaves or equal)[0]
    last = key.lower()
    named = [
        name
        for name in (fitting or free)
        if any(word in last for word in WORDS.get(type(tape.records[name].layer).__name__, ()))
    ]
    if named:
        return named[-1] if call_of(key)[1] > 1 else named[0]
    return fitting[0] if len(fitting) == 1 else None


def _close(recorded, own):
    scale = np.abs(own).max(initial=0) or 1.0
    return recorded.shape == own.shape and np.abs(recorded - own).max(initial=0) <= CLOSE * scale


def _same(array, others):
    """Whether an output was recorded before, as that of a block's last layer is."""
    return any(one.shape == array.shape and np.array_equal(one, array) for one in others)
