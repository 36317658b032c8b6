"""Networks described by an ONNX file: a feed-forward graph of layers that npgrad has, with the graph's own names.

The onnx package (`pip install npgrad[onnx]`) takes the bytes apart; it is never asked to open a file, so nothing beside
the file is read. What each operator becomes stands in `onnx_operators.py`.
"""

import dataclasses
import math
from collections import Counter
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.errors import NpgradError, WeightsError
from npgrad.io.formats.onnx_operators import OPERATORS, Node, same
from npgrad.io.formats.reading import read_regular_file

MOST_NODES = 20_000
MOST_DIMENSIONS = 8
FLOATS, WHOLE = ("float16", "float32", "float64"), ("int32", "int64")


def matches(path):
    """Whether a file is called .onnx, or begins as such files do."""
    from npgrad.io.formats import signatures

    if Path(path).suffix.lower() == ".onnx":
        return True
    if not Path(path).is_file():
        return False  # not to wait for a pipe; whoever reads it will say so
    try:
        with Path(path).open("rb") as file:
            return signatures.describe(file.read(64)) == "an ONNX model"
    except OSError:
        return False  # whoever reads it will say so


def load(path, classes=None):
    """The Model in an .onnx file. WeightsError says in one line what is wrong, and with which node.

    classes: names of the classes; ImageNet's for 1,000 classes without them.
    """
    name = shown(path)
    return from_bytes(read_regular_file(path, name), name, classes, Path(path).name)


def from_bytes(data, name, classes=None, file=None):
    """The Model in an ONNX file's content; `name` is the file's, for messages."""
    import hashlib

    from npgrad.images import Preprocessing
    from npgrad.io.labels import imagenet_classes
    from npgrad.layers import Graph
    from npgrad.model import Model

    proto = _parse(data, name)
    try:
        nodes, aliases, side = _Reading(proto.graph).network()
        source = {"file": file, "format": "ONNX", "sha256": hashlib.sha256(data).hexdigest()}
        model = Model(Graph(nodes), aliases=aliases, source=source)
        if classes is None and model.num_classes == 1000:
            classes = imagenet_classes()
        if side is not None:
            model = dataclasses.replace(
                model, preprocessing=Preprocessing(resize=round(side / 0.875), crop=side)
            )
        return dataclasses.replace(model, classes=classes)
    except NpgradError as error:
        raise WeightsError(f"{name}: {error}") from None


def _parse(data, name):
    try:
        import onnx
    except ImportError:
        raise WeightsError(
            f"{name}: reading ONNX takes the onnx package: pip install 'npgrad[onnx]'"
        ) from None
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise WeightsError(f"{name}: expected an ONNX model: damaged: {reason}") from None
    if not proto.HasField("graph") or not proto.graph.node:
        from npgrad.io.formats import signatures

        raise WeightsError(f"{name}: expected an ONNX model with nodes, found {signatures.describe(data)}")
    if len(proto.graph.node) > MOST_NODES:
        raise WeightsError(f"{name}: expected at most {MOST_NODES} nodes, found {len(proto.graph.node)}")
    return proto


class _Reading:
    """One graph on its way to a dict of nodes.

    constants: {value: array}, weights and shapes. made_by: {value: name of the node whose output it is}.
    used: how many nodes (or the graph, as its output) take a value. roots: {other name of a value: its first}.
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
        """(nodes for a Graph, aliases, side of the declared input or None)"""
        if len(self.graph.output) != 1:
            found = [value.name for value in self.graph.output][:4]
            raise WeightsError(f"expected one output, found {len(self.graph.output)}: {found}")
        for i, proto in enumerate(self.graph.node):
            self._node(i, proto)
        last = self.made_by.get(self.graph.output[0].name)
        if last in (None, "input"):
            raise WeightsError(f"output {self.graph.output[0].name[:60]!r}: no node makes it")
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
                f"node {name[:60]!r}: the operator {domain[:40]}{proto.op_type[:40]} is not among those that "
                f"exist here: {', '.join(OPERATORS)}"
            )
        if not output or output in self.made_by or output in self.constants:
            raise WeightsError(f"node {label}: output {output[:60]!r} is made twice, or has no name")
        if proto.op_type == "Constant":
            self._constant(output, _constant_of(proto, label))
            return
        missing = [
            one for one in proto.input if one and one not in self.made_by and one not in self.constants
        ]
        if missing:
            raise WeightsError(f"node {label}: takes {missing[0][:60]!r}, which nothing before it makes")
        if proto.op_type == "Identity":
            if len(proto.input) != 1 or not proto.input[0]:
                raise WeightsError(f"node {label}: expected one input, found {list(proto.input)[:4]}")
            self._rename(proto.input[0], output)
            return
        if name in self.nodes or name == "input":
            raise WeightsError(f"node {label}: this name is taken")
        self._layer(Node(proto, name, label, self), output)

    def _layer(self, node, output):
        for extra in node.proto.output[1:]:
            if extra in self.used:
                raise WeightsError(
                    f"node {node.label}: its second output {extra[:60]!r} is used; only the first can be"
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
        """Put another layer in the place of the one that makes `value`."""
        name = self.made_by[value]
        self.nodes[name] = (layer, self.nodes[name][1])

    def made_only_for_one(self, value):
        """The layer that makes `value`, if a single node takes it; else None."""
        name = self.made_by.get(value, "input")
        return self.nodes[name][0] if name != "input" and self.used[self._root(value)] == 1 else None

    def _constant(self, name, array):
        if name in self.constants:
            raise WeightsError(f"tensor {name[:60]!r} stands there twice")
        self.constants[name] = array

    def _root(self, value):
        """The first of the names that one and the same value has, for the sake of counting who takes it."""
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
    """The nodes that `last` needs, in their order."""
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
    """A TensorProto's numbers. Its bytes must be as many as its shape says before anything is made of them."""
    import onnx

    label = f"tensor {tensor.name[:60]!r}"
    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise WeightsError(
            f"{label}: its data lie in another file, which is never opened; export with them inside"
        )
    kinds = {number: kind for kind, number in onnx.TensorProto.DataType.items()}
    kind = kinds.get(tensor.data_type, f"type {tensor.data_type}")
    dtype = {"FLOAT": "float32", "DOUBLE": "float64"}.get(kind, kind.lower())
    if dtype not in (*FLOATS, *WHOLE):
        raise WeightsError(f"{label}: expected floats or whole numbers, found {kind}")
    if len(tensor.dims) > MOST_DIMENSIONS or any(side < 0 for side in tensor.dims):
        raise WeightsError(f"{label}: expected a shape, found {list(tensor.dims)[:6]}")
    count = math.prod(tensor.dims)
    field = {"float32": tensor.float_data, "float64": tensor.double_data, "int64": tensor.int64_data}.get(
        dtype, tensor.int32_data
    )
    stored = len(tensor.raw_data) / np.dtype(dtype).itemsize if tensor.raw_data else len(field)
    if stored != count:
        raise WeightsError(f"{label}: shape {list(tensor.dims)[:6]} has {count} numbers, found {stored:g}")
    array = onnx.numpy_helper.to_array(tensor)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise WeightsError(f"{label}: expected finite numbers, found NaN or Inf")
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _declared_shape(value):
    """The input's shape, None for what is left open."""
    return [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]
