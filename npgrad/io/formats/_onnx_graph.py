"""Read the graph of an ONNX model: collect its constants, and turn each node into a layer of npgrad's Graph."""

from collections import Counter

from npgrad.errors import NpgradError, WeightsError
from npgrad.io.formats._onnx_formulas import Step
from npgrad.io.formats._onnx_node import Node, same
from npgrad.io.formats._onnx_operators import OPERATORS
from npgrad.io.formats._onnx_sizes import BATCH, Size, product, settled, text
from npgrad.io.formats._onnx_tensors import MOST_DIMENSIONS
from npgrad.layers import Permute

INPUT_TYPES = {1: "FLOAT", 10: "FLOAT16", 11: "DOUBLE"}
MOST_VALUES = 1 << 30  # of one image in one value
IMAGES = "images (N, C, H, W)"  # the network's input where the file's own has the channels last
POINTWISE = {"Add", "Cast", "Div", "Identity", "Mul", "Sub"}
STANDARD = ("", "ai.onnx")  # names of the domain of the standard's operators


class GraphReader:
    """Converts one graph to a dict of nodes.

    constants: {value: array}, weights and shapes. made_by: {value: name of the node that outputs it}.
    by_batch: {value: its array for a batch of `PROBE` images}, for what is computed from the size of an open batch.
    sources: {name of a node: the value or values that it takes}.
    shapes: {value: its shape without the batch axis}. batch: the declared batch size, or BATCH if it is open.
    used: {value: how many nodes take it as an input, plus 1 for the graph's output}.
    roots: {value: the first of its names}, where Identity nodes rename it.
    computed: how many elements the constants have that nodes compute.
    channels_last: whether the file takes (N, H, W, C) and permutes it at once, as TensorFlow's networks do; the network
    that is read takes (N, C, H, W) all the same. shape: the shape of its input, with None for what is open.
    """

    def __init__(self, proto, tensors):
        self.graph, self.tensors, self.nodes, self.aliases = proto.graph, tensors, {}, {}
        self.opset = _opset(proto)
        self.constants, self.by_batch, self.roots, self.computed = {}, {}, {}, 0
        for tensor in [*self.graph.initializer, *_refuse_sparse(self.graph)]:
            self._constant(tensor.name, tensors.array(tensor))
        inputs = [value for value in self.graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise WeightsError(f"expected one input, found {[value.name for value in inputs][:4]}")
        self.made_by, self.sources = {inputs[0].name: "input"}, {}
        self.batch, *shape = _declared_shape(inputs[0])
        self.shapes = {inputs[0].name: tuple(shape)}
        self.channels_last = _channels_last(self.graph, inputs[0].name, shape)
        if self.channels_last:
            shape = [shape[2], *shape[:2]]
            self.nodes["channels_last"], self.sources["channels_last"] = (
                (Permute((0, 2, 3, 1)), "input"),
                IMAGES,
            )
            self.made_by |= {inputs[0].name: "channels_last", IMAGES: "input"}
            self.shapes[IMAGES] = tuple(shape)
        self.shape = [length if isinstance(length, int) else None for length in (self.batch, *shape)]
        self.used = Counter(name for node in self.graph.node for name in node.input if name)
        self.used.update(value.name for value in self.graph.output)

    def network(self):
        """(nodes for a Graph, aliases)."""
        if len(self.graph.output) != 1:
            found = [value.name for value in self.graph.output][:4]
            raise WeightsError(f"expected one output, found {len(self.graph.output)}: {found}")
        for i, proto in enumerate(self.graph.node):
            self._node(i, proto)
        last = self.made_by.get(self.graph.output[0].name)
        if last in (None, "input"):
            raise WeightsError(f"output {self.graph.output[0].name[:60]!r}: no node computes it")
        nodes = _leading_to(last, self.nodes)
        for layer, _ in nodes.values():
            if isinstance(layer, Step):
                raise layer.refusal
        aliases = {alias: own for alias, own in self.aliases.items() if own in nodes and alias not in nodes}
        return nodes, aliases

    def _node(self, i, proto):
        output = proto.output[0] if proto.output else ""
        name = proto.name or output or f"node {i}"
        label = f"{name[:60]!r} ({proto.op_type})"
        if proto.domain not in STANDARD or proto.op_type not in OPERATORS:
            domain = f"{proto.domain}." if proto.domain else ""
            raise WeightsError(
                f"node {name[:60]!r}: expected an operator that layers of npgrad compute, found "
                f"{domain[:40]}{proto.op_type[:40]}"
            )
        for one in {output, *filter(None, proto.output)}:
            if not one or one in self.made_by or one in self.constants or one in self.by_batch:
                raise WeightsError(f"node {label}: output {one[:60]!r} is computed twice, or has no name")
        inputs = [one for one in proto.input if one]
        varying = any(one in self.by_batch for one in inputs)
        missing = [
            one for one in inputs
            if one not in self.made_by and one not in self.constants and one not in self.by_batch
        ]  # fmt: skip
        if missing:
            raise WeightsError(f"node {label}: takes {missing[0][:60]!r}, which no node before it computes")
        node, operator = Node(proto, name, label, self), OPERATORS[proto.op_type]
        if node.version > operator.newest:
            raise node.refuse(f"expected version {operator.newest} or older, found {node.version}")
        known = proto.op_type == "Shape" or not any(one in self.made_by for one in inputs)
        try:
            if known and varying and operator.fold is not None:
                node.constants = {**self.constants, **self.by_batch}
                self.by_batch[output] = operator.fold(node)
            elif known and operator.fold is not None:
                if (array := operator.fold(node)) is not None:
                    self._constant(output, settled(array))
            elif operator.build is not None:
                self._layers(node, operator.build(node))
            else:
                raise node.refuse("expected constants, found an input that is computed")
        except WeightsError:
            raise
        except (NpgradError, ValueError, TypeError, ArithmeticError, LookupError) as error:
            raise WeightsError(f"node {label}: {error}") from None

    def _layers(self, node, built):
        """One layer for the first output; or a list of one for every output, each with the output's name."""
        outputs = node.proto.output
        if isinstance(built, list):
            for output, one in zip(outputs, built, strict=True):
                if output in self.used:
                    self._layer(node, output, output, *one)
            return
        for extra in outputs[1:]:
            if extra in self.used:
                raise node.refuse(f"its output {extra[:60]!r} is used; only the first output is supported")
        self._layer(node, node.name, outputs[0], *built)

    def _layer(self, node, name, output, layer, sources, shape):
        if layer is same:
            self._rename(node, sources, output)
            return
        if name in self.nodes or name == "input":
            raise node.refuse("expected a unique name, found one used before")
        if product(shape)[0] > MOST_VALUES:
            raise node.refuse(f"expected at most {MOST_VALUES} values per image, found shape {text(shape)}")
        several = isinstance(sources, tuple)
        own = tuple(self.made_by[one] for one in sources) if several else self.made_by[sources]
        self.nodes[name], self.sources[name] = (layer, own), sources
        self.made_by[output], self.shapes[output] = name, shape
        self.aliases.setdefault(output, name)
        for weight in node.proto.input:
            if weight in self.constants and weight.endswith(
                ".weight"
            ):  # the module that it was exported from
                self.aliases.setdefault(weight.removesuffix(".weight"), name)

    def made(self, value):
        """(the layer that computes `value`, a tuple of the values that it takes); (None, (None,)) for the input."""
        if (name := self.made_by.get(value, "input")) == "input":
            return None, (None,)
        sources = self.sources[name]
        return self.nodes[name][0], sources if isinstance(sources, tuple) else (sources,)

    def same_value(self, a, b):
        """Whether two names stand for one value."""
        return a is not None and b is not None and self._root(a) == self._root(b)

    def replace(self, value, layer):
        """Replace the layer that computes `value`."""
        name = self.made_by[value]
        self.nodes[name] = (layer, self.nodes[name][1])

    def made_only_for_one(self, value):
        """The layer that computes `value`, if a single node takes it; else None."""
        name = self.made_by[value]
        return self.nodes[name][0] if name != "input" and self.used[self._root(value)] == 1 else None

    def _constant(self, name, array):
        if name in self.constants:
            raise WeightsError(f"tensor {name[:60]!r} occurs twice")
        self.constants[name] = array

    def _root(self, value):
        """The first of the names of a value; its uses are counted under that name."""
        return self.roots.get(value, value)

    def _rename(self, node, value, output):
        self.made_by[output], root = self.made_by[value], self._root(value)
        self.shapes[output], self.roots[output] = self.shapes[value], root
        self.used[root] += self.used[output] - (value in node.proto.input)
        self.aliases.setdefault(output, self.made_by[value])


def _opset(proto):
    """The version of the standard's operators that the graph uses."""
    import onnx

    opsets = [opset.version for opset in proto.opset_import if opset.domain in STANDARD]
    newest = onnx.defs.onnx_opset_version()
    if len(opsets) != 1 or not 1 <= opsets[0] <= newest:
        raise WeightsError(f"expected one opset from 1 to {newest}, found {opsets[:4]}")
    if any(function.domain in STANDARD for function in proto.functions):
        raise WeightsError("expected the standard's operators, found the model's own definition of one")
    return opsets[0]


def _leading_to(last, nodes):
    """The nodes that `last` depends on, in their order."""
    needed = {last}
    for name in reversed(nodes):
        source = nodes[name][1]
        if name in needed:
            needed.update(source if isinstance(source, tuple) else (source,))
    return {name: node for name, node in nodes.items() if name in needed}


def _channels_last(graph, images, shape):
    """Whether (N, H, W, C) becomes (N, C, H, W) before anything but arithmetic is done."""
    if len(shape) != 3 or shape[2] not in (1, 3) or shape[0] in (1, 3):
        return False
    reached, turned = {images}, False
    for node in graph.node:
        if not reached.isdisjoint(node.input):
            perm = [list(attribute.ints) for attribute in node.attribute if attribute.name == "perm"]
            if node.op_type in POINTWISE:
                reached.update(node.output)
            elif (node.op_type, perm) != ("Transpose", [[0, 3, 1, 2]]):
                return False
            else:
                turned = True
    return turned


def _refuse_sparse(graph):
    if graph.sparse_initializer:
        raise WeightsError("expected dense tensors, found sparse ones")
    return ()


def _declared_shape(value):
    """The input's shape: ints, and Sizes for the sizes that the file leaves open."""
    tensor, label = value.type.tensor_type, f"input {value.name[:60]!r}"
    if tensor.elem_type not in INPUT_TYPES:
        raise WeightsError(f"{label}: expected floats, found another type")
    if not tensor.HasField("shape") or not 2 <= len(tensor.shape.dim) <= MOST_DIMENSIONS:
        found = f"{len(tensor.shape.dim)} axes" if tensor.HasField("shape") else "no shape"
        raise WeightsError(f"{label}: expected a shape (N, C, H, W) or (N, C), found {found}")
    shape = []
    for i, dim in enumerate(tensor.shape.dim):
        name = repr(dim.dim_param) if 0 < len(dim.dim_param) <= 40 else f"axis {i}"
        shape.append(dim.dim_value if dim.dim_value > 0 else Size(name) if i else BATCH)
    return shape
