"""What is fuzzed: for each reader a function of a file's bytes, and the files to begin with.

A target lets npgrad's own errors pass, which is what a bad file must get; whatever else comes out is a finding. The
seeds are made by code: the files of tests/attacks, good and bad, and a small ONNX graph.
"""

import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

LONGEST = 1  # second of the processor's time, for one file
LARGEST_SEED = 1 << 16  # bytes; libFuzzer learns slowly from larger ones


@dataclass(frozen=True)
class Target:
    """read: a function of bytes. kinds: the kinds of attack files that it begins with. largest: of these, in bytes."""

    read: Callable[[bytes], object]
    kinds: tuple
    largest: int = LARGEST_SEED


def _sealed_h5(data):
    """An .h5 whose SHA-256 is right, as whoever wants to mislead would make it; else the hash would stop everything."""
    from npgrad.formats import hdf5

    body = data[hdf5.HEADER :] if data.startswith(b"npgrad weights") else data
    head = f"npgrad weights, version 1\nsha256 of what follows these 512 bytes: {hashlib.sha256(body).hexdigest()}\n"
    return hdf5.from_bytes(head.encode().ljust(hdf5.HEADER, b"\n") + body, "fuzz.h5")


def _pickle(data):
    from npgrad.formats import pickles
    from npgrad.formats.torch_globals import GLOBALS, Declared

    return pickles.load_whole(data, "fuzz.pkl", GLOBALS, Declared())


def _torch_pth(data):
    from npgrad.formats import torch_pth

    return torch_pth.read(data, "fuzz.pth")


def _caffe(data):
    from npgrad.formats import caffe

    return caffe.read(data, "fuzz.caffemodel")


def _deep_compression(data):
    from npgrad.formats import deep_compression

    return deep_compression.read(data, "fuzz.net")


def _npz(data):
    from npgrad.formats import npz

    return npz.read(data, "fuzz.npz")


def _photos(data):
    from npgrad.course import load_imagenet_val

    return load_imagenet_val(path=_file(data, ".npz"))


def _safetensors(data):
    from npgrad.formats import safetensors

    return safetensors.read(data, "fuzz.safetensors")


def _onnx(data):
    from npgrad.formats import onnx

    return onnx.from_bytes(data, "fuzz.onnx")


def _picture(data):
    import npgrad

    return npgrad.Preprocessing(resize=16, crop=12).apply(_file(data, ".png"))


def _any_weights(data):
    """What `scripts/convert_weights.py` does: recognise, read, convert."""
    from npgrad.formats.convert import convert

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
    "picture": Target(_picture, ("pictures",)),
    "convert": Target(_any_weights, ("torch_pth", "caffe", "npz", "safetensors")),
}


def one(name, data):
    """Give bytes to a reader. Its own refusals are as they should be; any other exception goes on."""
    from npgrad.errors import NpgradError

    began = time.process_time()
    try:
        TARGETS[name].read(data)
    except NpgradError as error:
        message = str(error)
        if "\n" in message:
            raise AssertionError(f"a refusal of two lines: {message!r}") from error
    if (seconds := time.process_time() - began) > LONGEST:
        raise AssertionError(f"{len(data)} bytes took {seconds:.1f} s")


def seeds(name):
    """The files to begin with, as bytes, always in the same order; none larger than the reader's `largest`."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    try:
        found = [data for kind in TARGETS[name].kinds for data in _of_kind(kind)]
    finally:
        sys.path.pop(0)
    if name == "pickle":
        found = [data[data.index(b"\x80") :] for data in found if b"\x80" in data]
    return [data for data in dict.fromkeys(found) if 0 < len(data) <= TARGETS[name].largest]


def _of_kind(kind):
    if kind == "onnx":
        return _graphs()
    import attacks

    contents = [content for _, _, content in attacks.good_files(kind)]
    contents += [attack.content for attack in attacks.attacks(kind).values()]
    return [content for content in contents if isinstance(content, bytes)]


def _graphs():
    """Small ONNX graphs."""
    import onnx_files

    good = [onnx_files.graph(*graph) for graph in onnx_files.LITTLE.values()]
    return good + [data for data, _ in onnx_files.LIES.values()]


_folder = None


def _file(data, ending):
    """The path of a file with these bytes: always the same one, so that nothing piles up."""
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="npgrad-fuzz-")
    path = Path(_folder.name, f"fuzz{ending}")
    path.write_bytes(data)
    return path
