"""Random small ONNX graphs of every operator that npgrad reads, at every opset, good ones and bad ones.

`Drawing(seed)` draws nodes one after another, each on values drawn before, with attributes that are given or left out.
The shapes that it needs for weights come from onnx's own shape inference, so nothing here knows what npgrad accepts.
"""

import numpy as np
import onnx
import onnx_draws
import onnx_folds
from onnx import TensorProto, helper, numpy_helper, shape_inference

OLDEST, NEWEST = 7, 25  # opsets that ONNX Runtime runs
BATCH = 3
OPERATORS = (*onnx_draws.DRAWS,)
OFTEN = tuple(name for name in OPERATORS if name not in ("Unsqueeze", "Squeeze", "Reshape", "Flatten"))


class Drawing:
    """rng: draws. values: {computed value: its shape for a batch of 3}. opset, batch: as the file declares them.
    odd: whether it may have what is seldom or wrong.
    """

    def __init__(self, seed, focus=None):
        self.rng = np.random.default_rng(seed)
        self.opset, self.odd = self.one(7, 8, 14, 18, 22, self.integer(OLDEST, NEWEST)), self.chance(0.3)
        while focus is not None and not onnx.defs.has(focus, self.opset, ""):
            self.opset = self.integer(self.opset, NEWEST)
        self.nodes, self.constants, self.values, self.count = [], [], {}, 0
        self.batch = self.one("n", "n", "n", 1, BATCH)
        rank = self.one(4, 4, 4, 4, 4, 2, 2, 3)
        named = self.chance(0.25)
        sides = [self.integer(6, 9) if named else self.integer(1, 9) for _ in range(rank - 2)]
        self.x = (self.batch if self.batch != "n" else BATCH, self.integer(1, 4), *sides)
        self.declared = (self.batch, self.x[1], *(f"s{i}" if named else side for i, side in enumerate(sides)))
        self.values["x"] = self.x
        for _ in range(self.integer(1, 6)):
            self.node(self.one(*OFTEN))
        if focus is not None:
            for _ in range(4):
                if self.node(focus):
                    break
        if self.chance(0.3):
            self.node(self.one(*OFTEN))

    def model(self):
        """The bytes of the model; the last value is its output."""
        last = list(self.values)[-1]
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(self.declared))],
            [helper.make_tensor_value_info(last, TensorProto.FLOAT, None)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        return model.SerializeToString()

    def used(self):
        """The operators that the output depends on, and their attributes as operator.attribute."""
        needed, found = {list(self.values)[-1]}, set()
        for node in reversed(self.nodes):
            if not needed.isdisjoint(node.output):
                needed.update(node.input)
                found |= {node.op_type, *(f"{node.op_type}.{attribute.name}" for attribute in node.attribute)}
        return found

    # What is drawn.

    def chance(self, probability):
        return self.rng.random() < probability

    def maybe(self, probability, value):
        return value if self.chance(probability) else None

    def pick(self, usual, odd):
        """One of the usual choices; in one graph of three, often one that may be wrong."""
        return self.one(*(odd if self.odd and self.chance(0.5) else usual))

    def slip(self):
        """0, or rarely 1 in the graphs that may be wrong."""
        return int(self.odd and self.chance(0.1))

    def integer(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def one(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def value(self, *ranks):
        """A computed value, mostly the last, mostly of one of these ranks; LookupError if there is none."""
        names = list(self.values)
        if ranks and not self.slip():
            names = [name for name in names if len(self.values[name]) in ranks]
        if not names:
            raise LookupError(ranks)
        return names[-1] if self.chance(0.7) else self.one(*names)

    def row(self):
        """A value (N, C); if there is none, one that is flattened."""
        if all(len(shape) != 2 for shape in self.values.values()):
            self.node("Flatten")
        return self.value(2)

    def shape(self, value):
        """The shape of a value, with at least two axes."""
        shape = self.values[value]
        return (*shape, 1, 1)[: max(len(shape), 2)]

    def weight(self, *shape, array=None):
        """The name of a constant: an initializer, a Constant node, or what nodes on constants give."""
        array = self.rng.normal(size=shape).astype(np.float32) if array is None else np.asarray(array)
        whole = array.dtype.kind == "i"
        if not whole and array.ndim and array.size and self.chance(0.3):
            return self.folded(array)
        name = self.name()
        if self.chance(0.15):
            self.append("Constant", [], name, value=numpy_helper.from_array(array, name))
        else:
            self.constants.append(numpy_helper.from_array(array, name))
        return name

    def wholes(self, *numbers):
        return self.weight(array=np.array(numbers, np.int64))

    def folded(self, array):
        """A constant that nodes compute: the name of one that is equal to `array`."""
        return onnx_folds.FOLDED[self.one(*onnx_folds.FOLDED)](self, array)

    def name(self):
        self.count += 1
        return f"v{self.count}"

    def append(self, operator, inputs, output=None, parts=1, **attributes):
        """Add a node, and return the name of its output; of several `parts`, of one of them."""
        given = {name: value for name, value in attributes.items() if value is not None}
        output = output or self.name()
        outputs = [f"{output}.{i}" for i in range(parts - 1)]
        outputs.insert(self.integer(0, parts - 1) if parts > 1 else 0, output)
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=output, **given))
        return output

    def node(self, operator, **options):
        """Draw a node; it is left out if the opset has no such operator, and mostly if onnx finds no output's shape."""
        if not onnx.defs.has(operator, self.opset, "") and not self.slip():
            return False
        before = len(self.nodes), len(self.constants)
        try:
            inputs, attributes = onnx_draws.DRAWS[operator](self, **options)
        except LookupError:
            return False
        output = self.append(operator, inputs, **attributes)
        shape = self.shape_of(output)
        if shape is None and self.chance(0.9):
            del self.nodes[before[0] :], self.constants[before[1] :]
            return False
        known = (self.values[name] for name in inputs if name in self.values)
        self.values[output] = shape or next(known, ())
        return True

    def shape_of(self, output):
        """The shape of an output of the last node, as onnx infers it; None if it finds the node wrong."""
        graph = helper.make_graph(
            self.nodes,
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, self.x)],
            [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)
        try:
            inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
        except (shape_inference.InferenceError, onnx.checker.ValidationError, RuntimeError):
            return None
        tensor = inferred.graph.output[0].type.tensor_type
        shape = tuple(dim.dim_value for dim in tensor.shape.dim)
        return shape if tensor.HasField("shape") and min(shape, default=0) > 0 else None
