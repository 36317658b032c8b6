"""How `onnx_graphs.Drawing` draws operators that change shapes: axes, borders, sizes of images; see `onnx_draws`."""

import numpy as np


def reduce_mean(d):
    x = d.value(4)
    negative = [[-1, -2], [2, -1]] if d.opset >= 11 else []
    axes = d.pick([[2, 3], [3, 2], *negative], [[1], [2], [1, 2, 3], [0, 2, 3], [-1, -2], [], None])
    keep = {"keepdims": d.one(None, 0, 1)}
    if d.opset < 18:
        return [x], {"axes": axes or None, **keep}
    noop = d.maybe(0.3, d.one(0, 1))
    return [x] if axes is None else [x, d.wholes(*axes)], {**keep, "noop_with_empty_axes": noop}


def reduce_max(d):
    x = d.value(4)
    axes = d.pick([[2, 3], [3, 2]], [[1], [2], [1, 2, 3], None])
    keep = {"keepdims": d.one(None, 0, 1)}
    if d.opset < 18:
        return [x], {"axes": axes, **keep}
    return [x] if axes is None else [x, d.wholes(*axes)], keep


def split(d):
    """Equal parts, or of given sizes."""
    x = d.value()
    axis = d.pick([1], [0, -1 if d.opset >= 11 else 1, d.integer(-3, 3)])
    size = d.shape(x)[axis % len(d.shape(x))]
    cuts = sorted({0, size, *(d.integer(1, size) for _ in range(d.integer(0, 2)))})
    sizes = [b - a + d.slip() for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    if d.chance(0.4):
        parts = d.one(*(n for n in range(1, size + 1) if size % n == 0))
        number = {"num_outputs": parts + d.slip()} if d.opset >= 18 else {}
        return [x], {"axis": d.maybe(0.9, axis), "parts": parts, **number}
    if d.opset < 13:
        return [x], {"axis": axis, "split": sizes, "parts": len(sizes)}
    return [x, d.wholes(*sizes)], {"axis": axis, "parts": len(sizes)}


def gather(d):
    """One index, or evenly spaced ones; or others."""
    x = d.value()
    axis = d.pick([1], [0, 1, d.integer(-3, 3)])
    size = d.shape(x)[axis % len(d.shape(x))]
    row = list(range(d.integer(0, size - 1), size, d.integer(1, 2)))
    row = d.one(row, row[::-1])
    indices = d.pick([row, row, row[0]], [row, [0, 0], [-1, 0], [size], [[0, size - 1]]])
    return [x, d.weight(array=np.array(indices, np.int64))], {"axis": axis}


def flatten(d):
    x = d.value()
    return [x], {
        "axis": d.pick([None, 1, 1 - len(d.shape(x)) if d.opset >= 11 else 1], [0, 2, -1, d.integer(-4, 4)])
    }


def reshape(d):
    x = d.value()
    batch, *rest = d.shape(x)
    row = int(np.prod(rest))
    size = d.batch if d.batch != "n" else 0
    usual = [(0, -1), (-1, row), (size, -1), (0, row), (size, row), (-1, *rest), (0, *rest[:-1], -1)]
    odd = [
        (batch, -1),
        (1, -1),
        (-1, 1),
        (-1, rest[-1]),
        (0, 0, -1),
        (1, batch, row),
        (-1,),
        (-1, 0),
        (row, -1),
    ]
    usual += [(0, *rest[::-1]), (0, 1, -1), (-1, *rest, 1), (size, *rest[1:], rest[0])]
    target = d.pick(usual, odd)
    allow = {"allowzero": d.pick([None, None, 0], [0, 1])} if d.opset >= 14 else {}
    if d.chance(0.4):  # (the batch size, -1), computed, as torch exports view(x.size(0), -1)
        whole, i = d.append("Shape", [x]), d.wholes(d.pick([0], [0, 1]))
        size = d.append("Gather", [whole, i], axis=d.maybe(0.5, 0))
        return [x, d.append("Concat", [size, d.wholes(d.one(-1, row))], axis=0)], allow
    return [x, d.wholes(*target)], allow


def squeeze(d):
    x = d.value()
    if len(d.shape(x)) == 4 and d.chance(0.9):
        d.node("GlobalAveragePool")
        x = list(d.values)[-1]
    ones = [i for i, size in enumerate(d.shape(x)) if size == 1 and i > 1]
    negative = [i - len(d.shape(x)) for i in ones]
    axes = d.pick(
        [negative if d.opset >= 11 and d.chance(0.5) else ones],
        [None, ones[:1], negative, [d.integer(-2, 3)]],
    )
    if d.opset < 13:
        return [x], {"axes": axes or None}
    return [x, d.wholes(*axes)] if axes else [x], {}


def unsqueeze(d):
    x, axes = d.value(), d.pick([[2], [-1], [2, 3], [1]], [[0], [-2]])
    return ([x], {"axes": axes}) if d.opset < 13 else ([x, d.wholes(*axes)], {})


def concat(d):
    x = d.value()
    shape, last = d.shape(x), len(d.shape(x)) - 1
    axis = d.pick(
        [1, 1, d.integer(1, max(last, 1)), -last if d.opset >= 11 else 1], [0, -1, d.integer(-5, 4)]
    )
    along = axis % len(shape)

    def others(of):
        return [size for i, size in enumerate(of) if i != along]

    alike = [
        name
        for name, other in d.values.items()
        if len(other) == len(shape) and others(other) == others(shape)
    ]
    return [x, *(d.one(*alike or [x]) for _ in range(d.integer(0, 2)))], {"axis": axis}


def permute(d):
    x = d.value()
    order = [int(i) for i in d.rng.permutation(len(d.shape(x)) - 1) + 1]
    return [x], {"perm": d.pick([[0, *order]], [[0, *order], [*order, 0], None])}


def cut(d):
    """One or two axes of a value, from the start or the end, mostly forward."""
    x = d.value()
    axes = [int(i) for i in d.rng.permutation(range(1, len(d.shape(x))))][: d.integer(1, 2)]
    axes = d.pick([axes], [axes, [0], [-1]])
    starts = [d.one(0, 0, 1, -2, 3) for _ in axes]
    ends = [d.one(2, -1, 4, 2**31 - 1, 2**63 - 1) for _ in axes]
    if d.opset < 10:
        return [x], {"starts": starts, "ends": ends, "axes": axes}
    inputs = [x, d.wholes(*starts), d.wholes(*ends), d.wholes(*axes)]
    if d.chance(0.5):
        steps = [d.one(1, 2, -1) for _ in axes]
        backward = [step < 0 for step in steps]
        inputs[1] = d.wholes(*np.where(backward, -1, starts).tolist())
        inputs[2] = d.wholes(*np.where(backward, -(2**40), ends).tolist())
        inputs.append(d.wholes(*steps))
    return inputs, {}


def pad(d):
    x = d.value(4)
    mode = d.pick([None, "constant", "reflect", "edge"], [None, "wrap"] if d.opset >= 19 else ["edge"])
    sides = [d.integer(0, 2) for _ in range(4)]
    pads = d.pick(
        [[0, 0, *sides[:2], 0, 0, *sides[2:]]],
        [[0, 1, *sides[:2], 0, 0, *sides[2:]], [0] * 8, [0, 0, -1, 0] * 2],
    )
    number = d.maybe(0.4, 0.5)
    if d.opset < 11:
        return [x], {"pads": pads, "mode": mode, "value": number}
    inputs = [x, d.wholes(*pads)]
    if d.opset >= 18 and d.chance(0.4):
        inputs = [x, d.wholes(*sides), "", d.wholes(*d.one([2, 3], [-2, -1], [3, 2]))]
    if number is not None:
        inputs[2:3] = [d.weight(array=np.array(number, np.float32))]
    return inputs, {"mode": mode}


def scales(d):
    return d.weight(
        array=np.array([1, 1, d.one(1, 2, 3, 1.5), d.one(2, 2, d.pick([2], [0.5, 1.2, 0.7]))], np.float32)
    )


def upsample(d):
    mode = d.pick([None, "nearest"], ["nearest", "linear"])
    if d.opset < 9:
        return [d.value(4)], {"scales": [1.0, 1.0, float(d.integer(1, 3)), d.one(2.0, 1.5)], "mode": mode}
    return [d.value(4), scales(d)], {"mode": mode}


def resize(d):
    """By scales or to sizes, with rules for the places of pixels that belong together, or any."""
    x = d.value(4)
    mode = d.one(None, "nearest", "linear")
    if d.opset < 11:
        return [x, scales(d)], {"mode": mode}
    places = d.pick(
        [None, "half_pixel", "align_corners", "pytorch_half_pixel"]
        if mode == "linear"
        else [None, "half_pixel", "asymmetric"],
        [None, "asymmetric", "align_corners", "half_pixel", "pytorch_half_pixel", "tf_crop_and_resize"],
    )
    nearest = "floor" if places == "asymmetric" else d.one(None, "round_prefer_ceil")
    ways = {
        "mode": mode,
        "coordinate_transformation_mode": places,
        "nearest_mode": d.pick([nearest], [nearest, "ceil", "floor"]),
    }
    if d.opset >= 18:
        ways["antialias"] = d.pick([None, 0], [0, 1])
    if d.chance(0.5) or len(d.shape(x)) != 4:
        return [x, "", scales(d)], ways
    n, c, h, w = d.shape(x)
    multiples, any_sizes = [h * d.integer(1, 3), w * d.integer(1, 2)], [d.integer(1, 12), d.integer(1, 12)]
    sizes = any_sizes if mode == "linear" else multiples
    if d.opset >= 18 and d.chance(0.6):
        ways["axes"] = d.one([2, 3], [-2, -1])
        return [x, "", "", d.wholes(*sizes)], ways
    if d.batch == "n" and not d.slip():
        batch = d.append("Slice", [d.append("Shape", [x]), d.wholes(0), d.wholes(2)])
        return [x, "", "", d.append("Concat", [batch, d.wholes(*sizes)], axis=0)], ways
    return [x, "", "", d.wholes(n, c, *sizes)], ways
