"""How `onnx_graphs.Drawing` draws each operator: its inputs and attributes, given or left out, right or wrong."""

import numpy as np
from onnx_shape_draws import (
    concat,
    cut,
    flatten,
    gather,
    pad,
    permute,
    reduce_max,
    reduce_mean,
    reshape,
    resize,
    split,
    squeeze,
    unsqueeze,
    upsample,
)


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
    low, high = ([d.integer(0, k // 2) if d.chance(padded) else 0 for k in kernel] for _ in range(2))
    high = d.one(low, high)
    auto = d.one(*[None] * 4, "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    pads = d.maybe(0.8, [*low, *high]) if auto in (None, "NOTSET") or d.slip() else None
    dilations = d.one(None, (1, 1), (2, 1), (2, 3)) if dilated else None
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
    x = d.value(4) if d.chance(0.3) else d.row()
    return [x, d.weight(*d.pick([()], [(), (2,)]), d.shape(x)[-1], d.integer(1, 4))], {}


def constant_for(d, x):
    """A constant that broadcasts against a value: one number, or one for each channel; or another."""
    _, c, *sides = d.shape(x)
    ones = (1,) * len(sides)
    usual = [(c, *ones), (1, c, *ones), (), (1,), sides[-1:]]
    return d.pick(usual, [(c,), (1, 1, *sides), (3, c, *ones), (c, *sides), (1, 1, c, *ones)])


def alike(d, x):
    """A value of the same shape."""
    return d.one(*([name for name, shape in d.values.items() if shape == d.shape(x) or d.slip()] or [x]))


def add(d):
    """A bias right after a convolution; or a constant for any value; or two values."""
    x = d.value()
    if d.chance(0.4):
        return [x, alike(d, x)], {}
    if d.chance(0.5):
        made = d.node("MatMul") if d.chance(0.4) else d.node("Conv", bias=False)
        if not made and not d.odd:
            raise LookupError("no layer")
        x = list(d.values)[-1]
    constant = d.weight(*constant_for(d, x))
    return d.one([x, constant], [constant, x]), {}


def subtract(d):
    x = d.value()
    if d.chance(0.4):
        return [x, alike(d, x)], {}
    constant = d.weight(*constant_for(d, x))
    return d.one([x, constant], [constant, x]), {}


def number(d, value):
    return d.weight(array=np.array(value, np.float32))


def gelu(d, x):
    """The inputs of a product that is a GELU, and other numbers in it."""
    root, half = d.pick([2**0.5], [2**0.5, 1.5]), d.pick([0.5], [0.5, 0.25])
    inner = d.one(("Div", root), ("Mul", 1 / root))
    erf = d.append("Erf", [d.append(inner[0], [x, number(d, inner[1])])])
    gate, x = d.append("Add", [erf, number(d, d.pick([1], [1, 2]))]), d.append("Mul", [x, number(d, half)])
    return d.one([x, gate], [gate, x]), {}


def standardize(d, x):
    """The inputs of a quotient that is a LayerNorm."""
    axes = d.pick([[-1], [1]], [[-1], [1], [-1, -2], [2]])
    axes = axes if d.opset >= 11 else [axis % len(d.shape(x)) for axis in axes]

    def mean(value):
        if d.opset < 18:
            return d.append("ReduceMean", [value], axes=axes)
        return d.append("ReduceMean", [value, d.wholes(*axes)])

    less = d.append("Sub", [x, mean(x)])
    square = (
        d.append("Mul", [less, less])
        if d.chance(0.3)
        else d.append("Pow", [less, number(d, d.pick([2], [2, 3]))])
    )
    root = d.append("Sqrt", [d.append("Add", [mean(square), number(d, 0.5)])])
    return [less, root], {}


def multiply(d):
    """By a constant, by a value, or by a gate for each channel (squeeze and excitation)."""
    x = d.value()
    if d.opset >= 9 and d.chance(0.2):
        return gelu(d, x)
    if d.chance(0.3):
        constant = d.weight(*constant_for(d, x))
        return d.one([x, constant], [constant, x]), {}
    if len(d.shape(x)) == 4 and d.chance(0.6):
        gate = d.append("Sigmoid", [d.append("GlobalAveragePool", [x])])
        return d.one([x, gate], [gate, x]), {}
    return [x, alike(d, x)], {}


def divide(d):
    x = d.value()
    if d.chance(0.4):
        return standardize(d, x)
    constant = d.weight(array=d.rng.uniform(0.5, 2, constant_for(d, x)).astype(np.float32))
    return d.pick([[x, constant]], [[constant, x], [x, x]]), {}


def several(d):
    x = d.value()
    alike = [name for name, shape in d.values.items() if shape == d.shape(x) or d.slip()]
    return [x, *(d.one(*alike or [x]) for _ in range(d.integer(0, 2)))], {}


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


def prelu(d):
    x = d.value()
    return [x, d.weight(*constant_for(d, x))], {}


def activation(**names):
    """Attributes, each given or left out."""

    def draw(d):
        return [d.value()], {name: d.maybe(0.5, d.one(*some)) for name, some in names.items()}

    return draw


def epsilon(d, count):
    """With the default, the runtime's rounding is large where all values of a block are nearly equal."""
    return d.maybe(0.5, 1e-2) if count > 3 else 1e-2


def layer_norm(d):
    x = d.value()
    shape = d.shape(x)
    axis = d.pick([None, -1, 1, 1 - len(shape), len(shape) - 1], [0, -len(shape), 1])
    block = shape[-1 if axis is None else axis :]
    block = d.pick([block], [block, block[-1:], (1, *block[1:])])
    inputs = [x, d.weight(*block), *([d.weight(*block)] if d.chance(0.7) else [])]
    return inputs, {"axis": axis, "epsilon": epsilon(d, int(np.prod(block))), "stash_type": d.maybe(0.3, 1)}


def group_norm(d):
    x = d.value(3, 4)
    c = d.shape(x)[1]
    groups = d.one(*(g for g in range(1, c + 1) if c % g == 0)) + d.slip()
    count = (c if d.opset >= 21 else groups) + d.slip()
    block = int(np.prod(d.shape(x)[1:])) // groups
    return [x, d.weight(count), d.weight(count)], {"num_groups": groups, "epsilon": epsilon(d, block)}


def instance_norm(d):
    x = d.value(3, 4)
    c = d.shape(x)[1] + d.slip()
    return [x, d.weight(c), d.weight(c)], {"epsilon": epsilon(d, int(np.prod(d.shape(x)[2:])))}


def local_response_norm(d):
    return [d.value(4)], {"size": d.pick([1, 3, 5], [2, 3, 4]), "alpha": d.maybe(0.6, 0.5), "beta": d.maybe(0.5, 0.5),
                          "bias": d.maybe(0.5, 2.0)}  # fmt: skip


def plain(d):
    return [d.value()], {}


def images(d):
    return [d.value(4)], {}


ALPHA = (0.2, 1.5, -0.3)
DRAWS = {
    "Add": add, "AveragePool": avg_pool, "BatchNormalization": batch_norm, "Clip": clip, "Concat": concat,
    "Conv": conv, "Div": divide, "Dropout": dropout, "Elu": activation(alpha=ALPHA), "Flatten": flatten,
    "Gather": gather,
    "Gelu": activation(approximate=("none", "tanh")), "Gemm": gemm, "GlobalAveragePool": images,
    "GlobalMaxPool": images, "GroupNormalization": group_norm, "HardSigmoid": activation(alpha=ALPHA, beta=(0.3, 0.6)),
    "HardSwish": plain, "Identity": plain, "InstanceNormalization": instance_norm, "LRN": local_response_norm,
    "LayerNormalization": layer_norm, "LeakyRelu": activation(alpha=ALPHA), "LogSoftmax": softmax, "MatMul": matmul,
    "MaxPool": max_pool, "Mish": plain, "Mul": multiply, "PRelu": prelu, "Pad": pad,
    "ReduceMax": reduce_max, "ReduceMean": reduce_mean,
    "Relu": plain, "Reshape": reshape, "Resize": resize, "Selu": plain, "Sigmoid": plain, "Slice": cut,
    "Softmax": softmax, "Softplus": plain, "Split": split,
    "Squeeze": squeeze, "Sub": subtract, "Sum": several, "Swish": plain,
    "Tanh": plain, "Transpose": permute, "Unsqueeze": unsqueeze, "Upsample": upsample,
}  # fmt: skip
