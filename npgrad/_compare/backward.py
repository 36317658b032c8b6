"""How one recorded gradient differs: which layer's backward gave it, and what that computed instead.

The gradient of an output is the sum of what its users' backwards return. Each explanation replaces the part of one.
"""

from __future__ import annotations

import numpy as np

from npgrad import layers as ls
from npgrad._compare.arrays import arrays_otherwise, rounded_to, where
from npgrad._compare.forced import summed, users_of
from npgrad._compare.forward import Fits, distance
from npgrad._compare.otherwise import layers_otherwise
from npgrad._compare.stand_ins import Fixed
from npgrad._verdicts import Diagnosis
from npgrad.errors import NpgradError
from npgrad.layers import Composite


def explained_gradient(tape, walk, name, expected, found, error, tolerance, layers):
    """(layer whose backward it is, its type, fits) for a gradient found in place of npgrad's.

    layers: the network's own; on the tape, those that were explained have stand-ins.
    """
    fits = Fits(found, error, tolerance)
    users = [(record, i) for record, i in users_of(tape, name) if record.name in walk.arrived]
    blamed = ", ".join(dict.fromkeys(record.name for record, _ in users)) or _owner(tape, name)
    kind = " + ".join(dict.fromkeys(type(layers[record.name]).__name__ for record, _ in users))
    if not kind and blamed in layers:
        kind = type(layers[blamed]).__name__
    if not np.isfinite(found).all():
        fits.diagnoses.append(Diagnosis(*where(found, found, 0.0, "gradient"), np.inf))
        return blamed, kind, fits
    parts = [_part(walk.gave.get(record.name), i) for record, i in users]
    known = bool(users) and all(part is not None for part in parts)
    if known and distance(summed(parts), expected) > 1e-9:
        known = False  # a composite takes the output as well
    who = None
    if known:
        who = _of_one_user(fits, users, parts, walk)
    if not fits.diagnoses:
        for how, text, predicted in arrays_otherwise(expected, found, "gradient"):
            if how == "zero":
                text = "the gradient is 0: the output is detached, or no gradient passes"
            if how == "factor" and abs(distance(2 * expected, found)) <= fits.limit:
                text = "the gradient is 2 times npgrad's: accumulated over two backward passes, perhaps"
            fits.tell(how, text, predicted)
        largest = float(np.abs(found).max(initial=0))
        fits.tell(
            "clipped", f"the gradient is clipped to {largest:.4g}", np.clip(expected, -largest, largest)
        )
    if not fits.diagnoses:
        fits.diagnoses.append(Diagnosis(*where(expected, found, tolerance, "gradient"), error))
    if who is not None:
        blamed, kind = who.name, type(layers[who.name]).__name__
    return blamed, kind, fits


def _owner(tape, name):
    """The composite that joins a part's output with others."""
    return name.rpartition(".")[0] or name


def _part(gave, i):
    return gave[i] if isinstance(gave, tuple) else gave


def _of_one_user(fits, users, parts, walk):
    """Replace the part of each user in turn; the one whose replacement fits."""
    who = None
    for number, (record, i) in enumerate(users):
        others = [part for other, part in enumerate(parts) if other != number]
        before = len(fits.diagnoses)
        for kind, text, part in _parts_otherwise(
            record, i, walk.arrived[record.name], parts[number], fits.found
        ):
            if part is not None and part.shape == fits.found.shape:
                fits.tell(kind, text, summed([*others, part]))
        if others:
            fits.tell("fork branch", f"the gradient through {record.name} is missing", summed(others))
            rest = fits.found - summed(others)
            for kind, text, part in arrays_otherwise(parts[number], rest, "gradient"):
                if kind in ("factor", "sign", "flipped", "transposed"):
                    fits.tell(kind, f"{text}, through {record.name}", summed([*others, part]))
        if len(fits.diagnoses) > before and who is None:
            who = record
    return who


def _parts_otherwise(record, i, dy, own, found):
    """(kind, text, gradient of the layer's input i) for what its backward may have computed."""
    layer, x, name = record.layer, record.x, record.name
    if isinstance(layer, Composite):
        return
    one = x[i] if isinstance(x, tuple) else x
    if dy.shape == one.shape:
        yield "backward", f"{name} passes the gradient unchanged", dy
    if not isinstance(x, tuple):
        if isinstance(layer, (ls.ReLU, ls.Clip, ls.LeakyReLU)):
            yield from _at_a_relu(layer, x, dy, record.cache)
        if isinstance(layer, ls.MaxPool2d):
            yield from _at_ties(layer, x, dy)
        if isinstance(layer, ls.BatchNorm2d):
            yield (
                "training mode",
                "the mean and variance are taken as constants of the batch",
                _constants(layer, x, dy),
            )
        for precision, rounded in rounded_to(dy).items():
            text = f"in backward: the gradient of the output is rounded to {precision}"
            yield "precision", text, layer.backward(rounded, record.cache)
        recorded = record.y
        for kind, text, other in layers_otherwise(layer, x, np.zeros(0) if recorded is None else recorded):
            yield kind, f"in backward: {text}", _back(other, x, dy)
        if isinstance(layer, ls.Conv2d) and layer.weight.shape[0] == layer.weight.shape[1]:
            yield (
                "transposed",
                "in backward: the weight is not transposed, but applied as in forward",
                _again(layer, dy),
            )
        if isinstance(layer, (ls.Dropout, Fixed)) and (dy != 0).any():
            mask = np.divide(found, dy, out=np.zeros_like(dy), where=dy != 0)
            kept = mask[dy != 0]
            if len(values := np.unique(np.round(kept, 4))) <= 2 and values[0] == 0:
                yield "dropout", "in backward: dropout is on, but not in forward", dy * mask
    elif isinstance(layer, ls.Multiply):
        yield (
            "fork branch",
            f"{name}'s gradient is not multiplied by the other input",
            np.broadcast_to(dy, one.shape),
        )


def _at_a_relu(layer, x, dy, cache):
    own = layer.backward(dy, cache)
    yield "backward", "guided backpropagation: negative gradients are stopped, too", own * (dy > 0)
    yield (
        "backward",
        "a deconvolutional network's rule: negative gradients are stopped in place of inputs",
        dy * (dy > 0),
    )
    for value in (1.0, 0.5):
        text = f"the slope at exactly 0 is {value:g}, npgrad's 0 (as in torch)"
        yield "kink", text, np.where(x == 0, value * dy, own)
    yield "backward", "the gradient is stopped where the input is positive", dy * (x < 0)
    yield (
        "backward",
        "the mask is that of the gradient's absolute value",
        dy * (np.abs(dy) > np.median(np.abs(dy))),
    )


def _at_ties(layer, x, dy):
    """Where several pixels of a window are the maximum: torch gives all to the first."""
    padding = ((0, 0), (0, 0), *_sides(layer, x, dy))
    padded = np.pad(x, padding, constant_values=-np.inf)
    views = list(_taps(layer, padded, dy.shape[2:]))
    top = np.max([padded[view] for view in views], axis=0)
    equal = [padded[view] == top for view in views]
    count = np.sum(equal, axis=0)
    last = np.zeros(top.shape, bool)
    shares = {"each of them gets all": [], "it is divided among them": [], "the last gets all": []}
    for one in equal:
        shares["each of them gets all"].append(one * 1.0)
        shares["it is divided among them"].append(one / count)
    for one in reversed(equal):
        shares["the last gets all"].insert(0, one & ~last)
        last |= one
    for text, parts in shares.items():
        dpadded = np.zeros_like(padded)
        for view, part in zip(views, parts, strict=True):
            dpadded[view] += dy * part
        (top_side, _), (left, _) = padding[2:]
        dx = dpadded[:, :, top_side : top_side + x.shape[2], left : left + x.shape[3]]
        yield (
            "kink",
            f"where several pixels of a window are the largest, {text}; npgrad's goes to the first (as in torch)",
            dx,
        )


def _sides(layer, x, dy):
    before = layer.padding[:2] if len(layer.padding) == 2 else layer.padding[::2]
    reach = [(o - 1) * s + (k - 1) * d + 1 for o, s, k, d in _window(layer, dy)]
    return [(b, max(r - b - size, 0)) for b, r, size in zip(before, reach, x.shape[2:], strict=True)]


def _window(layer, dy):
    return zip(dy.shape[2:], layer.stride, layer.kernel_size, layer.dilation, strict=True)


def _taps(layer, padded, out):
    (sh, sw), (dh, dw) = layer.stride, layer.dilation
    for row in range(layer.kernel_size[0]):
        for column in range(layer.kernel_size[1]):
            top, left = row * dh, column * dw
            yield (
                slice(None),
                slice(None),
                slice(top, top + (out[0] - 1) * sh + 1, sh),
                slice(left, left + (out[1] - 1) * sw + 1, sw),
            )


def _constants(layer, x, dy):
    axes = tuple(axis for axis in range(x.ndim) if axis != 1)
    scale = layer.weight / np.sqrt(x.var(axis=axes) + layer.eps)
    return dy * scale.reshape(-1, *(1,) * (x.ndim - 2))


def _back(layer, x, dy):
    try:
        with np.errstate(all="ignore"):
            y, cache = layer.forward(x)
            return layer.backward(dy, cache) if y.shape == dy.shape else None
    except (NpgradError, ValueError):
        return None


def _again(layer, dy):
    try:
        return ls.Conv2d(layer.weight, None, layer.stride, layer.padding, layer.groups, layer.dilation)(dy)
    except NpgradError:
        return None
