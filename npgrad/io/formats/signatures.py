"""Detect the format of a file from its first bytes, never from its name."""

import codecs

from npgrad.io.formats import caffe, deep_compression, safetensors

HEAD = 65536  # the number of first bytes that detection needs at most

# (format, its magic bytes)
MAGIC = [
    ("npgrad", b"npgrad weights, version "),
    ("hdf5", b"\x89HDF\r\n\x1a\n"),
    ("zip", b"PK\x03\x04"),
    ("legacy pth", b"\x80\x02\x8a\x0a"),  # a pickle whose first value is an integer of ten bytes
]

WORDS = {
    "npgrad": "npgrad's own .h5",
    "hdf5": "an HDF5 file that is not npgrad's own",
    "legacy pth": "a torch .pth file",
    "safetensors": "a .safetensors file",
    "deep compression": "a Deep Compression .net file",
    "caffe": "a Caffe .caffemodel",
}

# Other files, for messages: (offset, magic bytes, description).
STRANGERS = [
    (0, b"PK\x05\x06", "an empty zip archive"),
    (0, b"\x89PNG\r\n\x1a\n", "a PNG image"),
    (0, b"\xff\xd8\xff", "a JPEG image"),
    (0, b"GIF8", "a GIF image"),
    (0, b"%PDF", "a PDF document"),
    (0, b"\x1f\x8b", "gzip-compressed data, to be unpacked first"),
    (0, b"BZh", "bzip2-compressed data, to be unpacked first"),
    (0, b"\xfd7zXZ\x00", "xz-compressed data, to be unpacked first"),
    (0, b"\x28\xb5\x2f\xfd", "zstd-compressed data, to be unpacked first"),
    (257, b"ustar", "a tar archive, to be unpacked first"),
    (0, b"\x93NUMPY", "a single NumPy array (.npy); a network's arrays go into one .npz"),
    (0, b"GGUF", "a GGUF model"),
    (4, b"TFL3", "a TensorFlow Lite model"),
]


def detect(head: bytes) -> str | None:
    """Detect the format of a weights file.

    Parameters
    ----------
    head : bytes
        The first `HEAD` bytes of the file.

    Returns
    -------
    str or None
        "npgrad", "hdf5", "zip", "legacy pth", "safetensors", "deep compression" or "caffe"; None if it is not a weights
        file.

    Examples
    --------
    >>> detect(b"npgrad weights, version 1")
    'npgrad'
    """
    for format_, magic in MAGIC:
        if head.startswith(magic):
            return format_
    # Without magic bytes, the beginning is checked for plausibility, the most reliable check first.
    if safetensors.matches(head):
        return "safetensors"
    if deep_compression.matches(head):
        return "deep compression"
    if caffe.matches(head):
        return "caffe"
    return None


def first_member(head: bytes) -> str:
    """Return the name of a zip archive's first member.

    Parameters
    ----------
    head : bytes
        The first bytes of the archive.

    Returns
    -------
    str
    """
    length = int.from_bytes(head[26:28], "little")
    return head[30 : 30 + length].decode("utf-8", "replace")


def describe(data: bytes) -> str:
    """Describe in words what kind of file some bytes look like.

    Parameters
    ----------
    data : bytes
        The whole file, or its first `HEAD` bytes.

    Returns
    -------
    str

    Examples
    --------
    >>> describe(b"<!DOCTYPE html>")
    'an HTML page, as a failed download leaves'
    """
    data = data[:HEAD]
    if len(data) < 2:
        return f"a single byte (0x{data[0]:02x})" if data else "an empty file"
    format_ = detect(data)
    if format_ == "zip":
        return f"a zip archive (first member {first_member(data)[:60]!r})"
    if format_:
        return WORDS[format_]
    for place, signature, words in STRANGERS:
        if data[place : place + len(signature)] == signature:
            return words
    if data[0] == 0x80 and 2 <= data[1] <= 5:
        return "a bare Python pickle"
    if _is_onnx(data):
        return "an ONNX model"
    start = data[:1000].lstrip().lower()
    if start.startswith(b"<!doctype html") or b"<html" in start:
        return "an HTML page, as a failed download leaves"
    text = _text(data)
    return f"binary data beginning {data[:8].hex(' ')}" if text is None else _describe_text(text)


def _is_onnx(data):
    """A protocol buffer that begins with a small ir_version (field 1) and a producer_name (field 2)."""
    return len(data) > 4 and data[0] == 0x08 and data[2] == 0x12 and data[4 : 4 + data[3]].isalpha()


def _text(data):
    """The text of `data`, which may end within a character, or None if it is not text."""
    try:
        text = codecs.getincrementaldecoder("utf-8-sig")().decode(data)
    except UnicodeDecodeError:
        return None
    return text if all(character.isprintable() or character.isspace() for character in text) else None


def _describe_text(text):
    if text.startswith("version https://git-lfs"):
        return "a Git-LFS pointer, not the file itself; download that with `git lfs pull`"
    if "layer {" in text or "layers {" in text:
        return "a Caffe .prototxt, which holds no weights; they are in a .caffemodel"
    words = " ".join(text[:1000].split())
    return f"text beginning {words[:40]!r}" if words else "blank text"
