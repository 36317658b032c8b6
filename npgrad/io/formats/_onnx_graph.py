"""Read the graph of an ONNX model: collect its constants, and turn each node into a layer of npgrad's Graph."""

import math
from collections import Counter

import numpy as np

from npgrad.errors import NpgradError, WeightsError
from npgrad.io.formats._onnx_operators import OPERATORS, same

MOST_DIMENSIONS = 8
FLOATS, WHOLES = ("float16", "float32", "float64"), ("int32", "int64")

FLOAT, INT, STRING, INTS = 1, 2, 3, 7  # ONNX's numbers for the types of attributes
WHOLE = INT, "i", "a whole number"
KINDS = {  # attribute: (type, field that contains it, description); WHOLE for all others
    "auto_pad": (STRING, "s", "a word"),
    **dict.fromkeys(
        ("alpha", "beta", "epsilon", "momentum", "min", "max", "ratio"), (FLOAT, "f", "a finite number")
    ),
    **dict.fromkeys(
        ("axes", "dilations", "kernel_shape", "pads", "strides"), (INTS, "ints", "whole numbers")
    ),
}


class GraphReader:
    """Converts one graph to a dict of nodes.

    constants: {value: array}, weights and shapes. made_by: {value: name of the node that outputs it}.
    used: {value: how many nodes take it as an input, plus 1 for the graph's output}.
    roots: {value: the first of its names}, where Identity nodes rename it.
    """

    def __init__(self, graph):
        self.graph, self.nodes, self.aliases = graph, {}, {}
        self.constants, self.roots = {}, {}
        for tensor in [*graph.initializer, *_refuse_sparse(graph)]:
            self._constant(tensor.name, _array(tensor))
        inputs = [value for value in graph.input if value.name not in self.constants]
        if len(inputs) != 1:
            raise WeightsError(f"expected one input, found {[value.name for value in inputs][:4]}")
        self.made_by = {inputs[0].name: "input"}
        self.shape = _declared_shape(inputs[0])
        self.used = Counter(name for node in graph.node for name in node.input)
        self.used.update(value.name for value in graph.output)

    def network(self):
        """(nodes for a Graph, aliases, side of the declared input or None)."""
        if len(self.graph.output) != 1:
            found = [value.name for value in self.graph.output][:4]
            raise WeightsError(f"expected one output, found {len(self.graph.output)}: {found}")
        for i, proto in enumerate(self.graph.node):
            self._node(i, proto)
        last = self.made_by.get(self.graph.output[0].name)
        if last in (None, "input"):
            raise WeightsError(f"output {self.graph.output[0].name[:60]!r}: no node computes it")
        nodes = _leading_to(last, self.nodes)
        aliases = {alias: own for alias, own in self.aliases.items() if own in nodes and alias not in nodes}
        side = self.shape[2] if len(self.shape) == 4 and self.shape[2] == self.shape[3] else None
        return nodes, aliases, side if side is not None and 1 <= side <= 3584 else None

    def _node(self, i, proto):
        output = proto.output[0] if proto.output else ""
        name = proto.name or output or f"node {i}"
        label = f"{name[:60]!r} ({proto.op_type[:40]})"
        if proto.domain not in ("", "ai.onnx") or proto.op_type not in (*OPERATORS, "Constant", "Identity"):
            domain = f"{proto.domain}." if proto.domain else ""
            raise WeightsError(
                f"node {name[:60]!r}: expected an operator among {', '.join(OPERATORS)}; "
                f"found {domain[:40]}{proto.op_type[:40]}"
            )
        if not output or output in self.made_by or output in self.constants:
            raise WeightsError(f"node {label}: output {output[:60]!r} is computed twice, or has no name")
        if proto.op_type == "Constant":
            self._constant(output, _constant_of(proto, label))
            return
        missing = [
            one for one in proto.input if one and one not in self.made_by and one not in self.constants
        ]
        if missing:
            raise WeightsError(f"node {label}: takes {missing[0][:60]!r}, which no node before it computes")
        if proto.op_type == "Identity":
            if len(proto.input) != 1 or not proto.input[0]:
                raise WeightsError(f"node {label}: expected one input, found {list(proto.input)[:4]}")
            self._rename(proto.input[0], output)
            return
        if name in self.nodes or name == "input":
            raise WeightsError(f"node {label}: expected a unique name, found one used before")
        self._layer(Node(proto, name, label, self), output)

    def _layer(self, node, output):
        for extra in node.proto.output[1:]:
            if extra in self.used:
                raise WeightsError(
                    f"node {node.label}: its output {extra[:60]!r} is used; only the first output is supported"
                )
        try:
            layer, sources = OPERATORS[node.proto.op_type](node)
        except WeightsError:
            raise
        except (NpgradError, ValueError, TypeError, OverflowError) as error:
            raise WeightsError(f"node {node.label}: {error}") from None
        if layer is same:
            self._rename(sources, output)
            return
        own = (
            tuple(self.made_by[one] for one in sources)
            if isinstance(sources, tuple)
            else self.made_by[sources]
        )
        self.nodes[node.name] = (layer, own)
        self.made_by[output] = node.name
        self.aliases.setdefault(output, node.name)
        for weight in node.proto.input:
            if weight in self.constants and weight.endswith(
                ".weight"
            ):  # the module that it was exported from
                self.aliases.setdefault(weight.removesuffix(".weight"), node.name)

    def replace(self, value, layer):
        """Replace the layer that computes `value`."""
        name = self.made_by[value]
        self.nodes[name] = (layer, self.nodes[name][1])

    def made_only_for_one(self, value):
        """The layer that computes `value`, if a single node takes it; else None."""
        name = self.made_by.get(value, "input")
        return self.nodes[name][0] if name != "input" and self.used[self._root(value)] == 1 else None

    def _constant(self, name, array):
        if name in self.constants:
            raise WeightsError(f"tensor {name[:60]!r} occurs twice")
        self.constants[name] = array

    def _root(self, value):
        """The first of the names of a value; its uses are counted under that name."""
        return self.roots.get(value, value)

    def _rename(self, value, output):
        if value in self.constants:
            self._constant(output, self.constants[value])
        else:
            self.made_by[output], root = self.made_by[value], self._root(value)
            self.roots[output] = root
            self.used[root] += self.used[output] - 1
            self.aliases.setdefault(output, self.made_by[value])


def _leading_to(last, nodes):
    """The nodes that `last` depends on, in their order."""
    needed = {last}
    for name in reversed(nodes):
        source = nodes[name][1]
        if name in needed:
            needed.update(source if isinstance(source, tuple) else (source,))
    return {name: node for name, node in nodes.items() if name in needed}


def _refuse_sparse(graph):
    if graph.sparse_initializer:
        raise WeightsError("expected dense tensors, found sparse ones")
    return ()


def _constant_of(proto, label):
    """The array of a Constant node."""
    for attribute in proto.attribute:
        if attribute.name == "value":
            return _array(attribute.t)
        if attribute.name in ("value_int", "value_float"):
            return np.array(attribute.i if attribute.name == "value_int" else attribute.f)
        if attribute.name in ("value_ints", "value_floats"):
            return np.array(attribute.ints if attribute.name == "value_ints" else attribute.floats)
    raise WeightsError(f"node {label}: expected a value of numbers, found none")


def _array(tensor):
    """The array of a TensorProto. The number of bytes is compared with its shape before anything is allocated."""
    import onnx

    label = f"tensor {tensor.name[:60]!r}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise WeightsError(
            f"{label}: its data are in another file, which is never opened; export with the data inside"
        )
    kinds = {number: kind for kind, number in onnx.TensorProto.DataType.items()}
    kind = kinds.get(tensor.data_type, f"type {tensor.data_type}")
    dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(kind, kind.lower())
    if dtype not in (*FLOATS, *WHOLES):
        raise WeightsError(f"{label}: expected floats or whole numbers, found {kind}")
    if len(tensor.dims) > MOST_DIMENSIONS or any(side < 0 for side in tensor.dims):
        raise WeightsError(f"{label}: expected a shape, found {list(tensor.dims)[:6]}")
    count = math.prod(tensor.dims)
    field = {"float32": tensor.float_data, "float64": tensor.double_data, "int64": tensor.int64_data}.get(
        dtype, tensor.int32_data
    )
    stored = len(tensor.raw_data) / np.dtype(dtype).itemsize if tensor.raw_data else len(field)
    if stored != count:
        raise WeightsError(f"{label}: shape {list(tensor.dims)[:6]} has {count} elements, found {stored:g}")
    array = onnx.numpy_helper.to_array(tensor)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise WeightsError(f"{label}: expected finite numbers, found NaN or Inf")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _declared_shape(value):
    """The input's shape, with None for symbolic dimensions."""
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]


class Node:
    """A node for the functions in `_onnx_operators`: its constants, its other inputs, its attributes."""

    def __init__(self, proto, name, label, reading):
        self.proto, self.name, self.label, self.reading = proto, name, label, reading
        self.attributes = {attribute.name: attribute for attribute in proto.attribute}

    def attribute(self, name, default=None):
        """The value of an attribute: a number, numbers or text."""
        if name not in self.attributes:
            return default
        attribute = self.attributes[name]
        kind, field, words = KINDS.get(name, WHOLE)
        value = getattr(attribute, field)
        if attribute.type != kind or (kind == FLOAT and not np.isfinite(value)):
            shown = {FLOAT: attribute.f, INT: attribute.i, STRING: attribute.s, INTS: list(attribute.ints)}
            found = shown.get(attribute.type, "another kind of attribute")
            raise self.refuse(f"{name}: expected {words}, found {str(found)[:60]}")
        if kind == STRING:
            return value.decode("utf-8", "replace")
        return tuple(value) if kind == INTS else value

    def expect(self, name, *allowed):
        """Refuse all but the allowed values of an attribute; the first is its default."""
        if (value := self.attribute(name, allowed[0])) not in allowed:
            raise self.refuse(f"{name}: expected {' or '.join(map(str, allowed))}, found {str(value)[:40]}")

    def constant(self, place, needed=True):
        """The constant at an index of the inputs, or None."""
        given = self.proto.input[place] if place < len(self.proto.input) else ""
        if given in self.reading.constants:
            return self.reading.constants[given]
        if given or needed:
            raise self.refuse(f"input {place}: expected a constant, found {given[:60]!r}")
        return None

    def number(self, place, name):
        """A number that is an attribute in older files and an input in newer ones; None if it is missing."""
        value = self.attribute(name)
        if value is None and (array := self.constant(place, needed=False)) is not None:
            if array.size != 1:
                raise self.refuse(f"{name}: expected one number, found shape {array.shape}")
            value = array.item()
        return value

    def is_constant(self, place):
        return place < len(self.proto.input) and self.proto.input[place] in self.reading.constants

    def value(self, place=0):
        """The name of the computed value at an index of the inputs."""
        given = self.proto.input[place] if place < len(self.proto.input) else ""
        if given not in self.reading.made_by:
            raise self.refuse(f"input {place}: expected the output of another node, found {given[:60]!r}")
        return given

    def refuse(self, reason):
        return WeightsError(f"node {self.label}: {reason}")
