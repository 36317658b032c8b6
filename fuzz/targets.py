"""The fuzz targets: for each reader, a function of a file's bytes, and the files to start with.

A bad file must raise one of npgrad's own errors, with a line that names the file. Every other exception is a finding,
and so is a line without the file name, more than a second of work, or too much memory. The seeds are generated: the
files of tests/robustness/attacks, good and bad, small ONNX graphs, and files whose tensors have the names of known
networks.
"""

import hashlib
import io
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LONGEST = 1  # second of processor time for one file
LONGEST_REFUSAL = 1000  # characters
LARGEST_SEED = 1 << 16  # bytes; libFuzzer learns slowly from larger ones


@dataclass(frozen=True)
class Target:
    """read: a function of bytes. kinds: the attack files to start with. largest: their largest size in bytes."""

    read: Callable[[bytes], object]
    kinds: tuple
    largest: int = LARGEST_SEED


def _sealed_h5(data):
    """Reads an .h5 after correcting its SHA-256, as an attacker would; otherwise the hash would stop every input."""
    from npgrad.io.formats import hdf5

    body = data[hdf5.HEADER :] if data.startswith(b"npgrad weights") else data
    head = f"npgrad weights, version 1\nsha256 of what follows these 512 bytes: {hashlib.sha256(body).hexdigest()}\n"
    return hdf5.from_bytes(head.encode().ljust(hdf5.HEADER, b"\n") + body, "fuzz.h5")


def _pickle(data):
    from npgrad.io.formats import _pickles as pickles
    from npgrad.io.formats._torch_globals import GLOBALS, Declared

    return pickles.load_whole(data, "fuzz.pkl", GLOBALS, Declared(skip=True), lenient=True)


def _torch_pth(data):
    from npgrad.io.formats import torch_pth

    return torch_pth.read(data, "fuzz.pth")


def _caffe(data):
    from npgrad.io.formats import caffe

    return caffe.read(data, "fuzz.caffemodel")


def _deep_compression(data):
    from npgrad.io.formats import deep_compression

    return deep_compression.read(data, "fuzz.net")


def _npz(data):
    from npgrad.io.formats import npz

    return npz.read(data, "fuzz.npz")


def _photos(data):
    from npgrad.course import load_imagenet_val

    return load_imagenet_val(path=_file(data, ".npz"))


def _safetensors(data):
    from npgrad.io.formats import safetensors

    return safetensors.read(data, "fuzz.safetensors")


def _onnx(data):
    from npgrad.io.formats import onnx

    return onnx.from_bytes(data, "fuzz.onnx")


def _image(data):
    import npgrad

    return npgrad.Preprocessing(resize=16, crop=12).apply(_file(data, ".png"))


def _any_weights(data):
    """What `npgrad convert` does: detect the format, read, convert."""
    from npgrad.io.converting import convert

    return convert(_file(data, ".pth"))


TARGETS = {
    "hdf5": Target(_sealed_h5, ("hdf5",)),
    "pickle": Target(_pickle, ("pickles",)),
    "torch_pth": Target(_torch_pth, ("torch_pth", "pickles")),
    "caffe": Target(_caffe, ("caffe",)),
    "deep_compression": Target(_deep_compression, ("deep_compression",), largest=1 << 20),
    "npz": Target(_npz, ("npz",)),
    "photos": Target(_photos, ("npz",)),
    "safetensors": Target(_safetensors, ("safetensors",)),
    "onnx": Target(_onnx, ("onnx",)),
    "image": Target(_image, ("images",)),
    "convert": Target(_any_weights, ("torch_pth", "caffe", "npz", "safetensors", "networks")),
}


def one(name, data):
    """Pass bytes to a reader. npgrad's own errors are expected; all other exceptions propagate."""
    from npgrad.errors import NpgradError

    began = time.process_time()
    try:
        TARGETS[name].read(data)
    except NpgradError as error:
        message = str(error)
        if "fuzz." not in message or not message.isprintable() or len(message) > LONGEST_REFUSAL:
            raise AssertionError(f"not one short line that names the file: {message!r}") from error
    if (seconds := time.process_time() - began) > LONGEST:
        raise AssertionError(f"{len(data)} bytes took {seconds:.1f} s")


def seeds(name):
    """The files to start with, as bytes, always in the same order; none larger than the target's `largest`."""
    tests = Path(__file__).resolve().parents[1] / "tests"
    sys.path[:0] = folders = [str(tests / "robustness"), str(tests / "support")]
    try:
        found = [data for kind in TARGETS[name].kinds for data in _of_kind(kind)]
    finally:
        del sys.path[: len(folders)]
    if name == "pickle":
        found = [_pickle_in(data) for data in found]
    return [data for data in dict.fromkeys(found) if 0 < len(data) <= TARGETS[name].largest]


def _of_kind(kind):
    if kind == "onnx":
        return _graphs()
    if kind == "networks":
        return seeds_of_networks()
    import attacks

    contents = [content for _, _, content in attacks.good_files(kind)]
    contents += [attack.content for attack in attacks.attacks(kind).values()]
    return [content for content in contents if isinstance(content, bytes)]


def _graphs():
    """Small ONNX graphs."""
    import onnx_files

    good = [onnx_files.graph(*graph) for graph in onnx_files.LITTLE.values()]
    return good + [data for data, _ in onnx_files.LIES.values()]


def seeds_of_networks():
    """Files that are recognized as each of the known networks, with tensors that are small or missing."""
    import numpy as np

    first, last = (1, 1, 1, 3), (2, 1)
    convolutions = {f"features.{i}.weight": first for i in range(8)}
    networks = [
        {"conv1.weight": (96, 1, 1, 7), "conv10.weight": (2, 1, 1, 1)},
        {"conv1.weight": (64, 1, 1, 3), "conv1.bias": (64,), "conv10.weight": (2, 1, 1, 1)},
        {"features.0.weight": (1, 1, 1, 11), "classifier.6.weight": last},
        {**convolutions, "classifier.6.weight": last, "features.1.running_mean": (1,)},
        {"conv1.weight": first, "layer1.0.conv1.weight": first, "fc.weight": last},
        {
            "conv1.weight": first,
            "conv2_1.conv1.weight": first,
            "conv2_1.conv3.weight": first,
            "fc.weight": last,
        },
        {"features.0.0.weight": first, "features.1.conv.1.weight": first, "classifier.1.weight": last},
    ]
    found = []
    for shapes in networks:
        file = io.BytesIO()
        np.savez(file, **{name: np.ones(shape, np.float32) for name, shape in shapes.items()})
        found.append(file.getvalue())
    return found


def _pickle_in(data):
    """The pickle in a .pth or .npz file: data.pkl of a readable zip archive, or else everything from PROTO on."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as file:
            name = next(name for name in file.namelist() if name.endswith("data.pkl"))
            return file.read(name)
    except (
        zipfile.BadZipFile,
        StopIteration,
        NotImplementedError,
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
    ):
        return data[data.find(b"\x80") :]


_folder = None


def _file(data, ending):
    """The path of a file with these bytes, always the same one, so that files do not accumulate."""
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="npgrad-fuzz-")
    path = Path(_folder.name, f"fuzz{ending}")
    path.write_bytes(data)
    return path
