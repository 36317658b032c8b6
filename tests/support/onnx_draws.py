"""How `onnx_graphs.Drawing` draws each operator: its inputs and attributes, given or left out, right or wrong."""

import numpy as np


def conv(d, bias=True):
    x, groups = d.value(4), 1
    channels = d.shape(x)[1]
    if d.chance(0.3):
        groups = d.one(channels, *(g for g in range(1, channels + 1) if channels % g == 0))
    filters, kernel = groups * d.integer(1, 3), (d.integer(1, 3), d.integer(1, 3))
    inputs = [x, d.weight(filters, channels // groups + d.slip(), *kernel)]
    if bias and d.chance(0.5):
        inputs.append(d.weight(filters))
    given = d.maybe(0.3, kernel)
    return inputs, {
        **window(d, kernel, 0.7),
        "kernel_shape": given,
        "group": d.maybe(0.8, groups) or (groups > 1 and groups) or None,
    }


def pool(d, dilated, **more):
    x, kernel = d.value(4), (d.integer(1, 3), d.integer(1, 3))
    ceil_mode = d.maybe(0.4, d.one(0, 1)) if d.opset >= 10 else None
    return [x], {**window(d, kernel, 0.5, dilated), "kernel_shape": kernel, "ceil_mode": ceil_mode, **more}


def max_pool(d):
    return pool(d, d.opset >= 10, storage_order=d.pick([None, None, 0], [0, 1]) if d.opset >= 8 else None)


def avg_pool(d):
    return pool(d, d.opset >= 19, count_include_pad=d.maybe(0.5, d.one(0, 1)))


def window(d, kernel, padded, dilated=True):
    """strides, pads or auto_pad, dilations."""
    low = [d.integer(0, k // 2) if d.chance(padded) else 0 for k in kernel]
    high = d.pick([low], [low, [d.integer(0, k // 2) for k in kernel]])
    auto = d.pick(
        [None] * 4 + ["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"],
        [None, "VALID", "SAME_UPPER", "SAME_LOWER"],
    )
    pads = d.maybe(0.8, [*low, *high]) if auto in (None, "NOTSET") or d.slip() else None
    dilations = d.pick([None, (1, 1)], [(1, 1), (2, 1)]) if dilated else None
    return {"strides": d.maybe(0.6, (d.integer(1, 3), d.integer(1, 3))), "pads": pads, "auto_pad": auto,
            "dilations": dilations}  # fmt: skip


def gemm(d):
    x = d.row()
    features, filters, flip = d.shape(x)[-1] + d.slip(), d.integer(1, 4), d.chance(0.5)
    inputs = [x, d.weight(*((filters, features) if flip else (features, filters)))]
    if d.chance(0.7) or d.opset < 11:
        shape = d.pick([(filters,), (1, filters), (1,), (), (1, 1)], [(3, filters), (3, 1), (filters, 1)])
        inputs.append(d.weight(*shape))
    factors = {name: d.maybe(0.3, float(d.one(0.5, -2.0, 0.0))) for name in ("alpha", "beta")}
    trans_b = 1 if flip else d.maybe(0.3, 0)
    return inputs, {**factors, "transA": d.pick([None, None, 0], [0, 1]), "transB": trans_b}


def matmul(d):
    x = d.row()
    return [x, d.weight(*d.pick([()], [(), (2,)]), d.shape(x)[-1], d.integer(1, 4))], {}


def add(d):
    """A bias right after a convolution, or what looks like one; or two values."""
    x = d.value()
    if d.chance(0.4):
        alike = [name for name, shape in d.values.items() if shape == d.shape(x) or d.slip()]
        return [x, d.one(*alike or [x])], {}
    if not d.slip():
        made = d.node("MatMul") if d.chance(0.4) else d.node("Conv", bias=False)
        if not made and not d.odd:
            raise LookupError("no layer")
        x = list(d.values)[-1]
    _, c, *sides = d.shape(x)
    ones = (1,) * len(sides)
    constant = d.weight(
        *d.pick([(c, *ones), (1, c, *ones), (), (1,)], [(c,), (1, 1, *sides), (3, c, *ones), (c, *sides)])
    )
    return d.one([x, constant], [constant, x]), {}


def several(d):
    x = d.value()
    alike = [name for name, shape in d.values.items() if shape == d.shape(x) or d.slip()]
    return [x, *(d.one(*alike or [x]) for _ in range(d.integer(0, 2)))], {}


def concat(d):
    x = d.value()
    shape, axis = (
        d.shape(x),
        d.pick([1, 1, 1 - len(d.shape(x)) if d.opset >= 11 else 1], [2, 0, -1, d.integer(-4, 3)]),
    )
    alike = [
        name for name, other in d.values.items()
        if len(other) == len(shape) and (other[0], *other[2:]) == (shape[0], *shape[2:])
    ]  # fmt: skip
    return [x, *(d.one(*alike or [x]) for _ in range(d.integer(0, 2)))], {"axis": axis}


def batch_norm(d):
    x = d.value(2, 4)
    c = d.shape(x)[1] + d.slip()
    inputs = [
        x,
        *(d.weight(c) for _ in range(3)),
        d.weight(array=d.rng.uniform(0.5, 2, c).astype(np.float32)),
    ]
    extra = {"spatial": d.pick([None, 1], [1, 0])} if d.opset < 9 else {}
    if d.opset >= 14:
        extra = {"training_mode": d.pick([None, 0], [0, 1])}
    return inputs, {"epsilon": d.maybe(0.5, 1e-3), "momentum": d.maybe(0.5, d.one(0.7, 1.0)), **extra}


def reduce_mean(d):
    x = d.value(4)
    negative = [[-1, -2], [2, -1]] if d.opset >= 11 else []
    axes = d.pick([[2, 3], [3, 2], *negative], [[1], [2], [1, 2, 3], [0, 2, 3], [-1, -2], [], None])
    keep = {"keepdims": d.one(None, 0, 1)}
    if d.opset < 18:
        return [x], {"axes": axes or None, **keep}
    noop = d.maybe(0.3, d.one(0, 1))
    return [x] if axes is None else [x, d.wholes(*axes)], {**keep, "noop_with_empty_axes": noop}


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
    x, axes = d.value(), d.one([2], [-1], [2, 3], [1], [0], [-2])
    return ([x], {"axes": axes}) if d.opset < 13 else ([x, d.wholes(*axes)], {})


def clip(d):
    x, low, high = d.value(), d.one(None, 0.0, -0.5, -1e3), d.one(None, 6.0, 0.25)
    if d.opset < 11:
        return [x], {"min": low, "max": high}
    bounds = ["" if one is None else d.weight(array=np.array(one, np.float32)) for one in (low, high)]
    return [x, *bounds][: 3 if high is not None else 2 if low is not None else 1], {}


def dropout(d):
    x, ratio = d.value(), d.one(None, 0.25, 0.5)
    if d.opset < 12:
        return [x], {"ratio": ratio}
    inputs = [x, "" if ratio is None else d.weight(array=np.array(ratio, np.float32))]
    if d.chance(0.4):
        return [*inputs, d.weight(array=np.array(d.odd and d.chance(0.5)))], {"seed": d.maybe(0.6, 1)}
    return inputs if ratio is not None else [x], {}


def softmax(d):
    x = d.value()
    rank = len(d.shape(x))
    return [x], {
        "axis": d.pick(
            [None, 1, -1 if d.opset >= 11 else 1], [None, -1, d.integer(0, rank - 1), d.integer(-rank, -1)]
        )
    }


def plain(d):
    return [d.value()], {}


def images(d):
    return [d.value(4)], {}


DRAWS = {
    "Add": add, "AveragePool": avg_pool, "BatchNormalization": batch_norm, "Clip": clip, "Concat": concat,
    "Conv": conv, "Dropout": dropout, "Flatten": flatten, "Gemm": gemm, "GlobalAveragePool": images,
    "Identity": plain, "MatMul": matmul, "MaxPool": max_pool, "ReduceMean": reduce_mean, "Relu": plain,
    "Reshape": reshape, "Softmax": softmax, "Squeeze": squeeze, "Sum": several, "Unsqueeze": unsqueeze,
}  # fmt: skip
