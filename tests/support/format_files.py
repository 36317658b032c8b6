"""The same tensors in every format, WRITERS, and files of other kinds, STRANGERS."""

import gzip
import io
import tarfile
import zipfile

import caffe_writer
import numpy as np
import pytest
from PIL import Image

TENSORS = {
    "conv1.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2),
    "conv1.bias": np.array([0.5, -2], np.float32),
}


def npz(**tensors):
    out = io.BytesIO()
    np.savez_compressed(out, **tensors)
    return out.getvalue()


def torch_pth(tensors, legacy=False):
    torch = pytest.importorskip("torch")
    out = io.BytesIO()
    state = {key: torch.from_numpy(array.copy()) for key, array in tensors.items()}
    torch.save(state, out, _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


def safetensors(tensors):
    return pytest.importorskip("safetensors.numpy").save(tensors)


def caffemodel(tensors):
    blobs = [caffe_writer.blob(array) for array in tensors.values()]
    options = caffe_writer.convolution_param(kernel_size=2, pad=1)
    return caffe_writer.network([caffe_writer.layer("conv1", blobs, options)])


WRITERS = {
    "torch .pth (zip)": torch_pth,
    "torch .pth (legacy)": lambda tensors: torch_pth(tensors, legacy=True),
    "NumPy .npz": lambda tensors: npz(**tensors),
    "safetensors": safetensors,
    "Caffe .caffemodel": caffemodel,
}


def image(kind):
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind)
    return out.getvalue()


def tar():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("weights.pth"))
    return out.getvalue()


def npy():
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def zipped(**members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 4996842\n"
STRANGERS = {
    "empty": (b"", "an empty file"),
    "one byte": (b"\x80", "a single byte (0x80)"),
    "two bytes": (b"\x80\x02", "a bare Python pickle"),
    "HTML": (b"\n<!DOCTYPE html>\n<title>404</title>", "an HTML page"),
    "HTML in Latin-1": (b"<HTML><body>caf\xe9 ferm\xe9", "an HTML page"),
    "Git-LFS": (LFS, "a Git-LFS pointer"),
    "PNG": (image("PNG"), "a PNG image"),
    "JPEG": (image("JPEG"), "a JPEG image"),
    "GIF": (image("GIF"), "a GIF image"),
    "gzip": (gzip.compress(caffemodel(TENSORS)), "gzip-compressed"),
    "tar": (tar(), "a tar archive"),
    "zip": (zipped(**{"word/document.xml": "<x/>"}), "a zip archive (first member 'word/document.xml')"),
    "zip of a bad name": (b"PK\x03\x04" + bytes(22) + b"\x02\x00\x00\x00\n\xff", "a zip archive"),
    "zip of nothing": (zipped(), "an empty zip archive"),
    "npy": (npy(), "a single NumPy array"),
    "pickle": (b"\x80\x04\x95\x05\x00\x00", "a bare Python pickle"),
    "ONNX": (b"\x08\x07\x12\x07pytorch\x1a\x03" + b"1.9" + bytes(99), "an ONNX model"),
    "prototxt": (b'name: "SqueezeNet"\nlayer {\n  name: "conv1"\n}\n', "a Caffe .prototxt"),
    "text": ("Größe:\t12\n".encode(), "text beginning 'Größe: 12'"),
    "text, cut in a character": ("é".encode() * 40_000, "text beginning 'éééé"),
    "text with a mark": (b"\xef\xbb\xbfhello there", "text beginning 'hello there'"),
    "long text": (b"a" * 100_000, f"text beginning '{'a' * 40}'"),
    "blank": (b" \n \n", "blank text"),
    "zeros": (bytes(100_000), "binary data beginning 00 00 00 00 00 00 00 00"),
    "other": (b"\xde\xad\xbe\xef", "binary data beginning de ad be ef"),
    "a control sequence": (b"\x1b[2Jgone", "binary data beginning 1b 5b"),
}
