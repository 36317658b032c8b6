"""ONNX: tensors, attributes, nodes and protocol buffers that say what cannot be."""

import numpy as np
from onnx import ModelProto, TensorProto, helper
from onnx_files import CONV, LIES, LITTLE, RELU, W, constant, declared, graph, value

from attacks import Attack
from attacks.torch_pth import cut

MESSAGE = (
    "expected|computed twice|has no name|no node computes it|has .* elements|which "
    "no node before it computes|does not divide"
)
ODD = {  # operator: (its inputs, {attribute: numbers that no layer here has})
    "Conv": (["x", "w"], {"strides": (0, -1, -(2**63), 65, 2**40), "pads": (-1, 65, 2**31, 2**62),
                          "dilations": (0, 65, 2**62), "kernel_shape": (0, 2, 2**62),
                          "group": (0, -1, 2, 2**31, 2**62)}),
    "MaxPool": (["x"], {"strides": (0, -1, 2**62), "pads": (-1, 2, 65, 2**62), "dilations": (0, 65, 2**62),
                        "kernel_shape": (0, -1, -(2**63)), "storage_order": (1, -1)}),
    "AveragePool": (["x"], {"strides": (0, -1), "pads": (-1, 2, 65, 2**62), "dilations": (2,),
                            "kernel_shape": (0, -1)}),
    "Concat": (["x", "x"], {"axis": (0, -4, -5, 4, 2**62)}),
    "Flatten": (["x"], {"axis": (0, 2, -1, 2**62)}),
    "Softmax": (["x"], {"axis": (0, 4, -4, 2**62)}),
    "ReduceMean": (["x"], {"axes": (0, 1, 4, 2**62)}),
    "Transpose": (["x"], {"perm": (0, 2, -1, 2**62)}),
    "LRN": (["x"], {"size": (0, 2, -1, 2**62)}),
    "GroupNormalization": (["x", "w", "w"], {"num_groups": (0, -1, 2**62)}),
}  # fmt: skip
ALONE = ("group", "storage_order", "axis", "size", "num_groups")  # one number; the others are lists
USUAL = {"MaxPool": {"kernel_shape": [2, 2]}, "AveragePool": {"kernel_shape": [2, 2]}}


def attributes():
    """{what: bytes}"""
    found = {}
    for operator, (inputs, names) in ODD.items():
        for name, numbers in names.items():
            length = 4 if name == "pads" else 2
            given = [number if name in ALONE else [number] * length for number in numbers]
            given += [
                "a word",
                0.5,
                [0.5] * length,
                [1] * 9,
                [2] if name in ALONE else 2,
                constant("t", [2.0]),
            ]
            for odd in given:
                made = {**USUAL.get(operator, {}), name: odd}
                node = helper.make_node(operator, inputs, ["y"], name="y", **made)
                shown = "a tensor" if isinstance(odd, TensorProto) else repr(odd)[:40]
                found[f"{operator} with {name} {shown}"] = graph([node], [W])
    return found


def tensors():
    """{what: bytes}: weights whose shape, type and bytes do not fit together."""
    found = {}
    for kind in sorted({*TensorProto.DataType.values(), 99, -1} - {TensorProto.FLOAT}):
        tensor = TensorProto(name="w", data_type=kind, dims=[3, 2, 3, 3], raw_data=bytes(54))
        found[f"data of type {kind}"] = graph(CONV, [tensor])
    shapes = (
        [],
        [0],
        [54],
        [0, 2, 3, 3],
        [3, 2, 3, 3, 1],
        [2**62, 4, 1, 1],
        [2**32] * 2,
        [2**32] * 8,
        [1] * 70000,
    )
    for dims in (*shapes, [3, 2, 3, -3], [-(2**63)] * 4):
        found[f"a weight of shape {str(dims)[:50]}"] = graph(CONV, [declared(*dims)])
    for size in (0, 1, 215, 217, 4 * 10**6):
        found[f"a weight of {size} bytes"] = graph(CONV, [declared(3, 2, 3, 3, raw=bytes(size))])
    for number in (np.nan, np.inf, -np.inf):
        found[f"{number} in a weight"] = graph(CONV, [constant("w", np.full((3, 2, 3, 3), number))])
    outside = constant("w", np.zeros((3, 2, 3, 3)))
    for key, where in {
        "location": "./secret.h5",
        "offset": "0",
        "length": "9",
        "checksum": "x",
        "": "",
    }.items():
        outside.external_data.add(key=key, value=where)
        found[f"data elsewhere, {len(outside.external_data)} entries"] = graph(CONV, [outside])
        found[f"data elsewhere, {len(outside.external_data)} entries, in a node"] = graph(
            [helper.make_node("Constant", [], ["w"], value=outside), *CONV]
        )
    sparse = ModelProto.FromString(graph(RELU))
    sparse.graph.sparse_initializer.add(dims=[2**40, 2**20])
    return {**found, "a sparse weight": sparse.SerializeToString()}


def constants():
    """{what: bytes}: numbers in the wrong places, and of the wrong number."""
    found = {}
    for what, odd in {
        "one number": 1.0, "no numbers": [], "four": [1, 2, 3, 4], "a cube": np.ones((2, 2, 2)),
        "two rows": np.ones((2, 2)),
    }.items():  # fmt: skip
        some, good = constant("odd", odd), constant("good", [1, 2])
        pairs = constant("m", np.ones((32, 2)))
        found[f"{what} as a convolution's weight"] = graph([("Conv", ["x", "odd"], "y")], [some])
        found[f"{what} as a mean"] = graph(
            [("BatchNormalization", ["x", "good", "good", "odd", "good"], "y")], [good, some]
        )
        found[f"{what} as a scale"] = graph(
            [("BatchNormalization", ["x", "odd", "good", "good", "good"], "y")], [good, some]
        )
        flat = ("Flatten", ["x"], "f")
        if np.size(odd) != 1:
            found[f"{what} as a convolution's bias"] = graph([("Conv", ["x", "w", "odd"], "y")], [W, some])
            found[f"{what} as a bound"] = graph([("Clip", ["x", "odd"], "y")], [some])
            found[f"{what} as Gemm's bias"] = graph([flat, ("Gemm", ["f", "m", "odd"], "y")], [pairs, some])
            found[f"{what} added"] = graph(
                [flat, ("MatMul", ["f", "m"], "p"), ("Add", ["p", "odd"], "y")], [pairs, some]
            )
        if np.ndim(odd) != 2:
            found[f"{what} as a matrix"] = graph([flat, ("MatMul", ["f", "odd"], "y")], [some])
            found[f"{what} as Gemm's matrix"] = graph([flat, ("Gemm", ["f", "odd"], "y")], [some])
        found[f"{what} as a shape"] = graph(
            [("Reshape", ["x", "odd"], "y")], [constant("odd", odd, np.int64)]
        )
    for epsilon in (-1.0, np.nan, np.inf):
        node = ("BatchNormalization", ["x", "g", "g", "g", "g"], "y", {"epsilon": epsilon})
        found[f"epsilon {epsilon}"] = graph([node], [constant("g", [1, 2])])
    found["a variance below 0"] = graph(
        [("BatchNormalization", ["x", "g", "g", "g", "v"], "y")],
        [constant("g", [1, 2]), constant("v", [1, -2])],
    )
    for ratio in (-1.0, 2.0, np.nan, np.inf):
        found[f"dropout of {ratio}"] = graph([("Dropout", ["x", "r"], "y")], [constant("r", ratio)])
    for factor in ({"alpha": np.nan}, {"alpha": np.inf}, {"beta": -np.inf}, {"alpha": 1e38}):
        node = ("Gemm", ["f", "m", "b"], "y", factor)
        numbers = [constant("m", np.full((32, 2), 1e5)), constant("b", [1, 2])]
        found[f"a Gemm with {factor}"] = graph([("Flatten", ["x"], "f"), node], numbers)
    return found


def resized():
    """{what: bytes}: borders, scales, sizes and parts that no memory has, or that are none."""
    found = {}
    for number in (-1, 65, 2**31, 2**62, -(2**63)):
        found[f"a border of {number}"] = graph(
            [("Pad", ["x", "p"], "y")], [constant("p", [0, 0, number, 0, 0, 0, 0, number], np.int64)]
        )
        found[f"a size of {number * 64}"] = graph(
            [("Resize", ["x", "", "", "s"], "y", {"mode": "linear"})],
            [constant("s", [1, 2, max(number * 64, -(2**63)) % 2**63, 4], np.int64)], x=(1, 2, 4, 4),
        )  # fmt: skip
        found[f"a part from {number}"] = graph(
            [("Slice", ["x", "b", "b", "a"], "y")],
            [constant("b", [number], np.int64), constant("a", [2], np.int64)],
        )
        found[f"sides of {number}"] = graph(
            [("Reshape", ["x", "s"], "y")], [constant("s", [0, number, 3], np.int64)]
        )
    for scale in (0.0, -1.0, 1e-30, 0.3, 65.0, 1e30):
        found[f"a scale of {scale}"] = graph(
            [("Resize", ["x", "", "s"], "y", {"mode": "linear"})], [constant("s", [1, 1, scale, 2])]
        )
    return found


def nodes():
    """{what: bytes}: too many, too deep, of strange names, taking what is not there."""
    found = {}
    for name in ("", "x", "input", "y", "nowhere", "n" * 10**6, "../w", "\x1b[2J", "a\nb", "\0", "\u2028"):
        shown = repr(name)[:20]
        found[f"takes {shown}"] = graph([("Conv", [name, "w"], "z")], [W], inputs=[value("other")])
        found[f"a weight {shown} that is not there"] = graph([("Conv", ["x", name + "?"], "z")])
        found[f"an operator {shown}"] = graph([helper.make_node("Op" + name, ["x"], ["y"], name=name)])
        found[f"an operator of {shown}"] = graph(
            [helper.make_node("Relu", ["x"], ["y"], domain="of." + name)]
        )
        found[f"the output {shown} of nothing"] = graph(RELU, outputs=[value(name + "?")])
    deep = helper.make_graph([], "g", [], [])
    for depth in range(1, 31):
        deep = helper.make_graph(
            [helper.make_node("If", ["x"], ["y"], then_branch=deep)], "g", [], [value("y")]
        )
        if depth in (1, 10, 30):
            model = helper.make_model(deep)
            found[f"{depth} graphs in one another"] = model.SerializeToString()
    chain = [("Relu", [f"v{i}" if i else "x"], f"v{i + 1}") for i in range(20_001)]
    found["20,001 nodes"] = graph(chain)
    found["20,000 nodes of a stranger"] = graph([*chain[:-2], ("LSTM", ["v5"], "z")])
    found["a weight added to each of 4,000 convolutions, but for one"] = graph(
        [node for i in range(4000) for node in (
            ("Conv", ["x", "w"], f"c{i}"), ("Add", [f"c{i}", "b" if i < 3999 else "w"], f"a{i}"))],
        [W, constant("b", np.ones((3, 1, 1)))],
    )  # fmt: skip
    found["a sum of a million"] = graph([("Add", ["x"] * 10**6, "y")])
    found["a million outputs"] = graph(RELU, outputs=[value("y")] * 10**5)
    found["a million inputs"] = graph(RELU, inputs=[value(f"x{i}") for i in range(10**5)])
    found["a concatenation of nothing"] = graph([("Concat", [], "y", {"axis": 1})])
    found["nodes without outputs"] = graph([helper.make_node("Relu", ["x"], [])], outputs=[value("y")])
    return found


def buffers():
    """{what: bytes}: what no protocol buffer is."""
    good = graph(*LITTLE["MatMul and Add"])
    found = {"tags without end": b"\x08\x08" + b"\x3a" * 10**5, "groups": b"\x08\x08" + b"\x3b" * 10**5}
    found["deep messages"] = b"\x08\x08"
    for _ in range(2000):  # field 7 (graph) within field 7, each as long as what is in it
        inside = found["deep messages"]
        length, size = b"", len(inside)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        found["deep messages"] = b"\x3a" + length + bytes([size]) + inside
    for field in (1, 7, 8, 14, 20):
        for length in (2**14, 2**31 - 1, 2**31, 2**32 - 1, 2**63):
            tag = bytes([field << 3 & 127 | 2 | (128 if field > 15 else 0), *([1] if field > 15 else [])])
            size = b"".join(bytes([length >> shift & 127 | 128]) for shift in range(0, 63, 7)) + b"\x00"
            found[f"field {field} of {length} bytes"] = b"\x08\x08" + tag + size + b"\x0a\x00"
    return {
        **found,
        **{f"the graph {what}": data for what, data in cut(good[: len(good) * 3 // 4], 20).items()},
    }


def attacks():
    for what, (data, message) in LIES.items():
        yield Attack(what, "w.onnx", data, "npgrad.load", message)
    for what, data in {
        **tensors(),
        **attributes(),
        **constants(),
        **resized(),
        **nodes(),
        **buffers(),
    }.items():
        yield Attack(f"of its own: {what}", "w.onnx", data, "npgrad.load", MESSAGE)


def good_files():
    return [("npgrad.load", "w.onnx", graph(*what)) for what in LITTLE.values()]
