"""How `onnx_graphs.Drawing` makes a constant that is equal to an array: by nodes on other constants."""

import numpy as np
from onnx import TensorProto


def leaf(d, array):
    return d.weight(array=np.asarray(array))


def transposed(d, array):
    order = [int(i) for i in d.rng.permutation(array.ndim)]
    if d.chance(0.3):
        return d.append("Transpose", [leaf(d, np.ascontiguousarray(array.T))])
    return d.append(
        "Transpose", [leaf(d, np.ascontiguousarray(array.transpose(order)))], perm=list(np.argsort(order))
    )


def reshaped(d, array):
    shape = d.one(
        array.shape,
        (-1, *array.shape[1:]),
        (0, *array.shape[1:]) if array.ndim == 1 else (*array.shape[:-1], -1),
    )
    flat = array if shape[:1] == (0,) else array.ravel()
    return d.append("Reshape", [leaf(d, flat), d.wholes(*shape)])


def axes_changed(d, operator, array, axis):
    if d.opset < 13:
        return d.append(operator, [leaf(d, array)], axes=[axis])
    return d.append(operator, [leaf(d, array), d.wholes(axis)])


def squeezed(d, array):
    axis = d.integer(0, array.ndim)
    return axes_changed(d, "Squeeze", np.expand_dims(array, axis), axis)


def unsqueezed(d, array):
    if array.shape[0] != 1:
        return transposed(d, array)
    return axes_changed(d, "Unsqueeze", array[0], 0)


def joined(d, array):
    cut = d.integer(1, len(array) - 1) if len(array) > 1 else 1
    parts = [array[:cut], array[cut:]] if len(array) > 1 else [array]
    return d.append("Concat", [leaf(d, part) for part in parts], axis=0)


def sliced(d, array):
    longer = np.concatenate([array[:1], array, array[:1]])
    if d.opset < 10:
        return d.append("Slice", [leaf(d, longer)], starts=[1], ends=[-1], axes=[0])
    return d.append("Slice", [leaf(d, longer), d.wholes(1), d.wholes(-1), d.wholes(0)])


def gathered(d, array):
    order = d.rng.permutation(len(array))
    return d.append("Gather", [leaf(d, array[order]), d.wholes(*np.argsort(order))], axis=d.maybe(0.5, 0))


def ranged(d, array):
    if d.opset < 11:
        return renamed(d, array)
    numbers = d.append("Range", [leaf(d, np.array(number)) for number in (0, len(array), 1)])
    return d.append("Gather", [leaf(d, array), numbers])


def filled(d, array):
    if d.opset < 9:
        return renamed(d, array)
    shape = d.wholes(*array.shape)
    zeros = d.append("ConstantOfShape", [shape]) if array.shape[0] else leaf(d, array)
    return d.append("Add", [zeros, leaf(d, array)])


def calculated(operator, other):
    def draw(d, array):
        number = np.float32(d.one(0.5, 2, 4))
        return d.append(operator, [leaf(d, other(array, number)), leaf(d, np.array([number], np.float32))])

    return draw


def cast(d, array):
    return d.append("Cast", [leaf(d, array.astype(np.float64))], to=TensorProto.FLOAT)


def renamed(d, array):
    return d.append("Identity", [leaf(d, array)])


FOLDED = {
    "Add": calculated("Add", np.subtract), "Cast": cast, "Concat": joined, "ConstantOfShape": filled,
    "Div": calculated("Div", np.multiply),
    "Gather": gathered, "Identity": renamed, "Mul": calculated("Mul", np.divide), "Range": ranged,
    "Reshape": reshaped,
    "Slice": sliced, "Squeeze": squeezed, "Sub": calculated("Sub", np.add), "Transpose": transposed,
    "Unsqueeze": unsqueezed,
}  # fmt: skip
