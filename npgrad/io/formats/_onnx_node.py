"""A node of an ONNX graph as the functions in `_onnx_operators` see it: attributes, constants, shapes of its inputs.

What attributes an operator has, of which type and with which default, and how many inputs, differs between the
versions of an operator. All of it is looked up in the operator's specification at the file's opset, which the onnx
package contains (``onnx.defs``).
"""

import functools

import numpy as np

from npgrad.errors import WeightsError
from npgrad.io.formats._onnx_formulas import Step
from npgrad.io.formats._onnx_sizes import Size, text

same = object()  # returned instead of a layer by a builder if the node's output equals its input

KINDS = {  # type of an attribute: (field that contains it, description)
    "FLOAT": ("f", "a finite number"),
    "INT": ("i", "a whole number"),
    "STRING": ("s", "a word"),
    "TENSOR": ("t", "a tensor"),
    "FLOATS": ("floats", "finite numbers"),
    "INTS": ("ints", "whole numbers"),
}


@functools.cache
def schema_of(operator, opset):
    """(the operator's specification at this opset, {attribute: (kind, required, default)}); None if it has none yet."""
    import onnx

    if not onnx.defs.has(operator, opset, ""):
        return None
    schema = onnx.defs.get_schema(operator, opset, "")
    attributes = {}
    for name, attribute in schema.attributes.items():
        default = attribute.default_value if attribute.default_value.name else None
        attributes[name] = (attribute.type.name, attribute.required, default)
    return schema, attributes


class Node:
    """One node: `version` is the opset that introduced this version of its operator."""

    def __init__(self, proto, name, label, reading):
        self.proto, self.name, self.label, self.reading = proto, name, label, reading
        self.constants = reading.constants
        if not (found := schema_of(proto.op_type, reading.opset)):
            raise self.refuse(f"expected an operator of opset {reading.opset}, found one of a later opset")
        schema, specified = found
        self.version = schema.since_version
        least, most = schema.min_input, schema.max_input
        if not least <= len(proto.input) <= most:
            expected = f"{least} to {most}" if least < most else least
            raise self.refuse(f"expected {expected} inputs, found {len(proto.input)}")
        self.attributes = dict(self._attributes(specified))

    def _attributes(self, specified):
        """(name, value) of every attribute that is given or has a default."""
        given = {attribute.name: attribute for attribute in self.proto.attribute}
        if len(given) < len(self.proto.attribute):
            raise self.refuse("expected every attribute once, found one twice")
        for name in given:
            if name not in specified:
                raise self.refuse(f"expected an attribute of opset {self.reading.opset}, found {name[:40]}")
        for name, (kind, required, default) in specified.items():
            if name in given or default is not None:
                yield name, self._value(given.get(name, default), kind)
            elif required:
                raise self.refuse(f"{name}: expected {KINDS[kind][1]}, found none")

    def _value(self, attribute, kind):
        found, (field, words) = attribute.AttributeType.Name(attribute.type), KINDS.get(kind, ("", "nothing"))
        known = found in KINDS and not attribute.ref_attr_name
        value = getattr(attribute, KINDS[found][0]) if known else None
        if not known or found != kind or (field in ("f", "floats") and not np.isfinite(value).all()):
            value = list(value[:9]) if known and found in ("FLOATS", "INTS") else value
            shown = str(value)[:60] if known and found != "TENSOR" else "another kind of attribute"
            raise self.refuse(f"{attribute.name}: expected {words}, found {shown}")
        if kind == "TENSOR":
            return self.reading.tensors.array(value)
        if kind == "STRING":
            return value.decode("utf-8", "replace")
        return tuple(value) if kind in ("FLOATS", "INTS") else value

    def attribute(self, name, default=None):
        """The value of an attribute, or its default in the specification, or `default` if that has none."""
        return self.attributes.get(name, default)

    def expect(self, name, *allowed):
        """Refuse all but the allowed values of an attribute; the first is meant if it is missing."""
        if (value := self.attribute(name, allowed[0])) not in allowed:
            raise self.refuse(f"{name}: expected {' or '.join(map(str, allowed))}, found {str(value)[:40]}")

    def _input(self, place):
        return self.proto.input[place] if place < len(self.proto.input) else ""

    def is_constant(self, place):
        return self._input(place) in self.constants

    def constant(self, place, needed=True):
        """The constant at an index of the inputs, or None."""
        if self.is_constant(place):
            return self.constants[self._input(place)]
        if self._input(place) or needed:
            raise self.refuse(f"input {place}: expected a constant, found {self._input(place)[:60]!r}")
        return None

    def wholes(self, name, place, open_sizes=False):
        """Whole numbers that are an attribute in older versions and an input in newer ones; None if missing.

        With `open_sizes`, a Size may be among them.
        """
        value = self.attribute(name)
        if value is None and (array := self.constant(place, needed=False)) is not None:
            value = tuple(array.ravel()[:32].tolist())
            known = all(type(one) is int or (open_sizes and isinstance(one, Size)) for one in value)
            if array.ndim > 1 or array.size > 32 or not known:
                raise self.refuse(f"{name}: expected whole numbers, found {str(value[:6])[:60]}")
        return value

    def number(self, place, name):
        """A number that is an attribute in older versions and an input in newer ones; None if missing."""
        value = self.attribute(name)
        if value is None and (array := self.constant(place, needed=False)) is not None:
            if array.size != 1 or array.dtype.kind == "O":
                raise self.refuse(f"{name}: expected one number, found shape {array.shape}")
            value = array.item()
        return value

    def value(self, place=0):
        """The name of the computed value at an index of the inputs."""
        if self._input(place) not in self.reading.made_by:
            raise self.refuse(
                f"input {place}: expected the output of another node, found {self._input(place)[:60]!r}"
            )
        return self._input(place)

    def shape(self, place=0):
        """The shape of a computed value without the batch axis: ints, and Sizes where the file says none."""
        layer, _ = self.reading.made(self.value(place))
        if isinstance(layer, Step) and layer.name == "flat":  # its first axis is not the batch
            raise layer.refusal
        return self.reading.shapes[self.value(place)]

    def shown(self, place=0):
        """The shape of a computed value for messages, such as (N, 3, 224, 224)."""
        return text((self.reading.batch, *self.shape(place)))

    def image(self):
        """The shape (C, H, W) of the first input, which must be images."""
        if len(self.shape()) != 3:
            raise self.refuse(f"expected an input (N, C, H, W), found shape {self.shown()}")
        return self.shape()

    def one_shape(self, of=lambda shape: shape):
        """The shape that all inputs share; `of` says which part of a shape must be equal."""
        for place in range(1, len(self.proto.input)):
            one, other = self.shape(), self.shape(place)
            if len(one) != len(other) or of(one) != of(other):
                raise self.refuse(
                    f"expected inputs of equal shapes, found {self.shown()} and {self.shown(place)}"
                )
        return self.shape()

    def expect_count(self, found, expected, what):
        """Refuse a known size that differs; one that the file leaves open is checked in the forward pass."""
        if isinstance(found, int) and found != expected:
            raise self.refuse(f"expected an input of {expected} {what}, found {found}")

    def axes(self, axes, rank, oldest_negative):
        """Axes as numbers >= 0, each once; negative ones count from the end from version `oldest_negative` on."""
        low = -rank if self.version >= oldest_negative else 0
        found = [axis % rank for axis in axes if low <= axis < rank]
        if len(found) < len(axes) or len(set(found)) < len(found):
            raise self.refuse(f"expected different axes from {low} to {rank - 1}, found {list(axes)[:6]}")
        return found

    def refuse(self, reason):
        return WeightsError(f"node {self.label}: {reason}")
