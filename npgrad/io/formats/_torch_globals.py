"""The globals that the pickle in a torch .pth file may name, and npgrad's replacements for them.

Each tensor in the pickle is a view (offset, shape, strides) of a storage: a flat array identified by a key, whose bytes
are elsewhere in the file. This module does not read those bytes, and does not trust any size yet.
Source: torch/_utils.py, and `persistent_id` in torch/serialization.py.
"""

from dataclasses import dataclass

import numpy as np

from npgrad.io.formats._pickles import Refused, first_inert, put, unpack


@dataclass(frozen=True)
class Element:
    """The element type of a storage: torch's name for it, and the NumPy type in the file."""

    name: str
    dtype: np.dtype


@dataclass(frozen=True)
class Storage:
    """`count` elements, starting at `first`, of the flat array with this key."""

    element: Element
    key: str
    first: int
    count: int


@dataclass(frozen=True)
class Tensor:
    """A view of a storage; offset and strides are in elements."""

    storage: Storage
    offset: int
    shape: tuple
    strides: tuple


class Parameter:
    """An nn.Parameter as pickled by torch before 0.4: the Tensor is an argument, or in the state."""

    def __init__(self, *arguments):
        self.tensor = unpack(arguments, "a Parameter of", Tensor)[0] if arguments else None

    def set_state(self, state):
        if type(state) is tuple and len(state) == 5:
            self.tensor = unpack(state, "a Parameter's state", Tensor, *[object] * 4)[0]


class Declared:
    """Creates a Storage from each persistent id of a pickle, and collects {key: (element, count)} in `storages`.

    With skip=True, a storage of unknown elements is inert; else it is refused.
    """

    def __init__(self, skip=False):
        self.storages, self.skip = {}, skip

    def __call__(self, identity):
        inert = first_inert(*identity) if type(identity) is tuple else None
        # in the container before torch 1.6: a class of modules with its source code
        if inert and (self.skip or (len(identity) == 4 and identity[0] == "module")):
            return inert
        if type(identity) is tuple and len(identity) == 5:
            identity += (None,)  # the zip container omits the view
        word, element, key, _, count, view = unpack(
            identity, "a storage of", str, Element, str, object, int, object
        )
        _, first, used = (None, 0, count) if view is None else unpack(view, "a view of", str, int, int)
        if word != "storage" or first < 0 or used < 0 or first + used > count:
            raise Refused(f"expected a storage of {count} elements, found {used} in use from {first} on")
        if self.storages.setdefault(key, (element, count)) != (element, count):
            raise Refused(f"expected one type and size for storage {key[:80]!r}, found two")
        return Storage(element, key, first, used)


def make_dict(*arguments):
    """collections.OrderedDict; Python 2 passes a list of [key, value] as an argument."""
    table = {}
    for pair in unpack(arguments, "an OrderedDict of", list)[0] if arguments else ():
        if type(pair) is not list or len(pair) != 2:
            raise Refused("expected [key, value] in an OrderedDict, found something else")
        put(table, *pair)
    return table


def make_size(*arguments):
    """torch.Size."""
    return unpack(arguments, "a Size of", tuple)[0]


def rebuild_tensor(*arguments):
    """torch._utils._rebuild_tensor: storage, offset, shape, strides."""
    return Tensor(*unpack(arguments, "a tensor of", Storage, int, tuple, tuple))


def rebuild_tensor_v2(*arguments):
    """torch._utils._rebuild_tensor_v2: the same, then requires_grad, hooks and, since torch 2, metadata."""
    if len(arguments) == 6:
        arguments += (None,)
    *view, _, _, metadata = unpack(arguments, "a tensor of", *[object] * 7)
    if metadata:
        raise Refused("expected a plain tensor, found one to be conjugated or negated")
    return rebuild_tensor(*view)


def rebuild_parameter(*arguments):
    """torch._utils._rebuild_parameter: tensor, requires_grad, hooks."""
    return unpack(arguments, "a Parameter of", Tensor, object, object)[0]


ELEMENTS = {
    "FloatStorage": "f4",
    "DoubleStorage": "f8",
    "HalfStorage": "f2",
    "BFloat16Storage": "u2",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "u1",
}

GLOBALS = {
    ("collections", "OrderedDict"): make_dict,
    ("torch", "Size"): make_size,
    ("torch._utils", "_rebuild_tensor"): rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    ("torch.nn.parameter", "Parameter"): Parameter,
    **{("torch", name): Element(name, np.dtype(code)) for name, code in ELEMENTS.items()},
}
