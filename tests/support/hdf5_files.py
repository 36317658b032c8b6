"""npgrad's own .h5 files: a small network, and changes that are refused, ATTACKS."""

import hashlib
import io
import json

import h5py
import numpy as np

import npgrad
from npgrad.io.formats import hdf5
from npgrad.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Fire,
    Flatten,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)


def own_network(rng=0):
    """A network without a name: every kind of option and array."""
    norm = BatchNorm2d.init(6)
    return npgrad.Model(
        Sequential(
            {
                "stem": Conv2d.init(4, 6, (3, 5), stride=(2, 1), padding=(1, 2), groups=2, rng=rng),
                "norm": norm.map_arrays(lambda name, array: array + 0.5),
                "block": Sequential({"relu": ReLU(), "pool": MaxPool2d(3, 2, padding=1, ceil_mode=True)}),
                "fire": Fire.init(6, 3, 4, 5, rng=rng),
                "mean": AvgPool2d(2, count_include_pad=False),
                "flatten": Flatten(),
                "last": Linear(np.random.default_rng(rng).normal(size=(3, 36)), None),
            }
        ),
        classes=["a", "b", "Ärger"],
        preprocessing=npgrad.Preprocessing(mean=(0.1, 0.2, 0.3), std=(1, 2, 3), resize=16, crop=12),
        source={"url": "https://example.org/x", "license": "none"},
    )


def forge(change):
    """The file of a small model after `change(h5py file)`, with a header that fits again."""
    buffer = io.BytesIO(hdf5.to_bytes(own_network()))
    with h5py.File(buffer, "r+") as file:
        change(file)
    body = buffer.getvalue()[hdf5.HEADER :]
    return hdf5._header(hashlib.sha256(body).hexdigest()) + body


def replace(name, **options):
    def change(file):
        values = file[name][()]
        del file[name]
        file.create_dataset(name, data=values, **options)

    return change


def put(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def external_storage(file):
    del file["arrays/last.weight"]
    file.create_dataset("arrays/last.weight", (3, 36), "<f4", external=[("/etc/hostname", 0, 3 * 36 * 4)])


def virtual(file):
    del file["arrays/last.weight"]
    layout = h5py.VirtualLayout((3, 36), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 36))
    file.create_virtual_dataset("arrays/last.weight", layout)


def declared_huge(file):
    del file["arrays/last.weight"]
    file.create_dataset("arrays/last.weight", (1 << 20, 1 << 14), "<f4")  # 64 GiB, none of it written


def vlen_text(file):
    del file["metadata"]
    file["metadata"] = "{}"


def edit_metadata(edit):
    def change(file):
        metadata = json.loads(bytes(file["metadata"][:]))
        edit(metadata)
        del file["metadata"]
        file["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)

    return change


def deep(metadata):
    layer = {"type": "ReLU"}
    for _ in range(50):
        layer = {"type": "Sequential", "layers": {"a": layer}}
    metadata["network"] = layer


SMALL = {"name": "squeezenet1_1", "options": {"num_classes": 7}}
ATTACKS = {
    "soft link": (put("arrays/last.weight", h5py.SoftLink("/arrays/stem.weight")), "soft or external link"),
    "external link": (
        put("arrays/last.weight", h5py.ExternalLink("/etc/passwd", "/x")),
        "soft or external link",
    ),
    "soft link to a group": (put("arrays", h5py.SoftLink("/elsewhere")), "soft or external link"),
    "external metadata": (
        put("metadata", h5py.ExternalLink("other.h5", "/metadata")),
        "soft or external link",
    ),
    "hard link twice": (
        lambda file: put("arrays/last.weight", file["arrays/stem.weight"])(file),
        "links, expected one",
    ),
    "cycle": (lambda file: put("arrays/last.weight", file["/"])(file), "links, expected one"),
    "external storage": (external_storage, "last.weight: expected plain contiguous storage"),
    "virtual dataset": (virtual, "last.weight: expected plain contiguous storage"),
    "declared huge": (declared_huge, "last.weight: expected 68719476736 bytes, found 0"),
    "compressed": (replace("arrays/last.weight", compression="gzip"), "expected plain contiguous storage"),
    "chunked": (replace("arrays/last.weight", chunks=(1, 36)), "expected plain contiguous storage"),
    "object type": (vlen_text, "metadata: expected"),
    "compound": (put("arrays/last.weight", np.zeros(3, [("a", "f4")])), "last.weight: expected floats"),
    "big-endian": (put("arrays/last.weight", np.zeros((3, 36), ">f4")), "last.weight: expected floats"),
    "integers": (put("arrays/last.weight", np.zeros((3, 36), np.uint8)), "last.weight: expected floats"),
    "a group for an array": (lambda file: put("arrays/last.weight", None)(file) or None, "last.weight"),
    "missing": (lambda file: file["arrays"].pop("last.weight"), "last.weight is missing"),
    "extra": (
        lambda file: file["arrays"].create_dataset("more", data=np.zeros(3, "f4")),
        "more is not of this network",
    ),
    "transposed": (
        put("arrays/last.weight", np.zeros((36, 3), "f4")),
        r"\(3, 36\), found \(36, 3\) \(transposed",
    ),
    "NaN": (put("arrays/last.weight", np.full((3, 36), np.nan)), "last.weight: expected finite numbers"),
    "Inf": (put("arrays/norm.running_var", np.full(6, np.inf)), "norm.running_var: expected finite numbers"),
    "more in the root": (lambda file: file.create_group("more"), "expected 'metadata' and 'arrays'"),
    "no JSON": (put("metadata", np.frombuffer(b"{", np.uint8)), "metadata: expected JSON"),
    "deep JSON": (put("metadata", np.frombuffer(b"[" * 100_000, np.uint8)), "metadata: expected JSON"),
    "no object": (
        put("metadata", np.frombuffer(b"3", np.uint8)),
        "metadata: expected npgrad weights, version 2",
    ),
    "version 1 under a header of 2": (edit_metadata(lambda m: m.update(version=1)), "version 2"),
    "unknown layer": (
        edit_metadata(lambda m: m.update(network={"type": "os.system"})),
        "metadata: structure: expected one",
    ),
    "base class": (edit_metadata(lambda m: m.update(network={"type": "Layer"})), "metadata: structure"),
    "deep network": (edit_metadata(deep), "at most 20 levels"),
    "unknown option": (
        edit_metadata(lambda m: m["network"]["layers"]["mean"].update(x=1)),
        "AvgPool2d has no",
    ),
    "bad option": (
        edit_metadata(lambda m: m["network"]["layers"]["mean"].update(stride=-1)),
        "AvgPool2d stride",
    ),
    "huge shape": (
        edit_metadata(lambda m: m["network"]["layers"]["last"]["arrays"].update(weight=[10**9, 10**9])),
        "more elements than the file",
    ),
    "a shape of text": (
        edit_metadata(lambda m: m["network"]["layers"]["last"]["arrays"].update(weight=["3", 36])),
        "expected a shape",
    ),
    "unknown architecture": (
        edit_metadata(lambda m: m.update(architecture={"name": "squeezenet", "options": {}})),
        "no architecture 'squeezenet'; nearest",
    ),
    "huge architecture": (
        edit_metadata(
            lambda m: m.update(architecture={"name": "squeezenet1_1", "options": {"num_classes": 10**12}})
        ),
        "its weights have more elements than the file",
    ),
    "classes of numbers": (
        edit_metadata(lambda m: m.update(classes=[1, 2, 3])),
        "classes: expected a list of names",
    ),
    "too few classes": (
        edit_metadata(lambda m: m.update(architecture=SMALL, classes=["a"])),
        "classes: expected 7 names, found 1",
    ),
    "std of 0": (edit_metadata(lambda m: m["preprocessing"].update(std=[0, 1, 1])), "metadata: .*std"),
    "no preprocessing": (edit_metadata(lambda m: m.update(preprocessing=None)), "metadata: .*preprocessing"),
}
