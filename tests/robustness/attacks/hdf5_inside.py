"""What stands inside npgrad's own .h5: the JSON that describes a network, and the bytes of HDF5 itself."""

import hashlib
import json
import struct

import numpy as np
from hdf5_files import edit_metadata, own_network, put

from attacks.torch_pth import cut
from npgrad.io.formats import hdf5

ODD_VALUES = (
    0, -1, 2**31, 2**63, 10**400, 1.5, 1e308, float("nan"), float("inf"), "3", None, True, [], [3] * 50, {},
)  # fmt: skip
# What means nothing bad: numbers that a network may have, and text that is only ever shown with care.
HARMLESS = {
    *(f"mean {value}" for value in (0, -1, 1.5)),
    *(f"kernel_size {str(value)[:12]}" for value in (2**31, 2**63, 10**400)),  # no image is as large
    "a source that clears the screen",
    "a source named \\x1b",
}


def sealed(body):
    """A file around any HDF5 content, with the hash that it should have."""
    return hdf5._header(hashlib.sha256(body).hexdigest()) + body


def metadata():
    """What the JSON may say and must not."""

    def raw(text):
        return put("metadata", np.frombuffer(text, np.uint8))

    def layer(**options):
        def edit(told):
            told["network"]["layers"]["block"]["layers"]["pool"].update(options)

        return edit_metadata(edit)

    def top(**values):
        return edit_metadata(lambda told: told.update(values))

    found = {f"metadata: {text[:24]!r}": raw(text) for text in (
        b"", b"\xff\xfe", b"\0" * 50, b"null", b"[]", b"true", b"{}", b'{"version": "1"}', b'{"version": NaN}',

        b"9" * 10**6, b"[" * 10**6, b'{"a":' * 10**5, b"Infinity", b'"\\ud800"',
        b"{'version': 1}", b"{} {}", b"\xef\xbb\xbf{}",
    )}  # fmt: skip
    for value in ODD_VALUES:
        found[f"kernel_size {str(value)[:12]}"] = layer(kernel_size=value)
        found[f"num_classes {str(value)[:12]}"] = top(
            architecture={"name": "squeezenet1_1", "options": {"num_classes": value}}
        )
        found[f"crop {str(value)[:12]}"] = edit_metadata(
            lambda told, v=value: told["preprocessing"].update(crop=v)
        )
        found[f"mean {str(value)[:12]}"] = edit_metadata(
            lambda told, v=value: told["preprocessing"].update(mean=[v, v, v])
        )
        found[f"a side {str(value)[:12]}"] = edit_metadata(
            lambda told, v=value: told["network"]["layers"]["last"]["arrays"].update(weight=[v, 36])
        )
    for kind in (
        "Layer",
        "Composite",
        "os.system",
        "",
        "__class__",
        "npgrad.layers.ReLU",
        5,
        None,
        ["ReLU"],
        "R" * 10**5,
    ):
        found[f"a layer of type {str(kind)[:20]}"] = top(network={"type": kind})
    for network in (None, 5, [], {}, {"type": "Sequential"}, {"type": "Sequential", "layers": 5},
                    {"type": "Sequential", "layers": {"a\nb": {"type": "ReLU"}}},
                    {"type": "Sequential", "layers": {"a": {"type": "Conv2d"}}},
                    {"type": "Conv2d", "arrays": 5},
                    {"type": "Conv2d", "arrays": {"weight": [2, 3, 2, 2]}, "bias": "x"},
                    {"type": "ReLU", "forward": "os.system"}, {"type": "ReLU", "__class__": {"type": "ReLU"}},
                    {"type": "Sequential", "layers": {"a": {"type": "ReLU", "\x1b[2J": 1}}},
                    {"type": "Sequential", "layers": {"input": {"type": "ReLU"}}},
                    {"type": "Dropout", "p": "x"}, {"type": "Dropout", "p": 1e308}):  # fmt: skip
        found[f"a network {json.dumps(network)[:70]}"] = top(network=network)
    found |= {
        "classes of text": top(classes="abc"),
        "classes of lists": top(classes=[["a"]]),
        "no classes": top(classes=[]),
        "a class that clears the screen": top(classes=["a", "\x1b[2J", "c"]),
        "a class that breaks the line": top(classes=["a", "b\nc", "c"]),
        "a class that turns the text": top(classes=["a", "\u202eb", "c"]),
        "a source of text": top(source="here"),
        "a source of lists": top(source=[1]),
        "a source that clears the screen": top(source={"url": "\x1b[2J"}),
        "a source named \\x1b": top(source={"\x1b[2J": "x"}),
        "no preprocessing": top(preprocessing=[]),
        "an architecture of text": top(architecture="squeezenet1_1"),
        "an architecture without options": top(architecture={"name": "squeezenet1_1"}),
        "an architecture with more": top(architecture={"name": "squeezenet1_1", "options": {"num_classes": 3, "x": 1}}),
        "an architecture of a list": top(architecture={"name": ["squeezenet1_1"], "options": {}}),
        "an architecture with a path": top(architecture={"name": "../../x", "options": {}}),
        "10,000 layers": top(
            network={"type": "Sequential", "layers": {f"r{i}": {"type": "ReLU"} for i in range(10_000)}}
        ),
    }  # fmt: skip
    return found


def patched(old, new):
    """The good file with some bytes of its HDF5 replaced wherever they stand."""
    body = hdf5.to_bytes(own_network())[hdf5.HEADER :]
    assert old in body
    return sealed(body.replace(old, new))


def damage():
    """{what: file}: HDF5 itself damaged, under a hash that fits."""
    good = hdf5.to_bytes(own_network())
    body = good[hdf5.HEADER :]
    sides, size = struct.pack("<QQ", 3, 36), struct.pack("<Q", 3 * 36 * 8)
    found = {
        "a shape of 64 GiB in place": patched(sides, struct.pack("<QQ", 2**20, 2**14)),
        "a shape that overflows": patched(sides, struct.pack("<QQ", 2**40, 2**40)),
        "64 GiB of storage in place": patched(size, struct.pack("<Q", 2**36)),
        "64 GiB of both": sealed(
            body.replace(sides, struct.pack("<QQ", 2**20, 2**14)).replace(size, struct.pack("<Q", 2**36))
        ),
        "HDF5 without a header": body,
        "a header of another version": good.replace(b"version 2\n", b"version 3\n", 1),
        "a header of another hash": good.replace(b": ", b":  ", 1),
        "no HDF5 after the header": sealed(b"\0" * 5000),
        "text after the header": sealed(b"hello " * 500),
        "nothing after the header": sealed(b""),
        "only HDF5's signature": sealed(b"\x89HDF\r\n\x1a\n"),
    }  # fmt: skip
    found |= {f"under its hash, {what}": sealed(begun) for what, begun in cut(body, 40).items()}
    found |= {f"of the file, {what}": begun for what, begun in cut(good, 40).items()}
    for place in range(96):  # the superblock: sizes of addresses, where the root is, where the file ends
        for value in (0x00, 0xFF):
            if body[place] != value:
                changed = bytearray(body)
                changed[place] = value
                found[f"byte {place} of the superblock is 0x{value:02x}"] = sealed(bytes(changed))
    for signature in (b"OHDR", b"TREE", b"HEAP", b"SNOD"):
        if signature in body:
            found[f"no {signature.decode()}"] = sealed(body.replace(signature, b"XXXX"))
    return found
