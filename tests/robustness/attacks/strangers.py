"""What is handed in by mistake: files of other kinds, and names behind which there is no file at all."""

import os


def files():
    """{what: bytes}"""
    return {
        "nothing": b"",
        "a byte": b"\x89",
        "zeros": bytes(5000),
        "noise": bytes((i * 7919) % 251 for i in range(3000)),
        "an HTML page": b"<!DOCTYPE html><html>not found</html>",
        "a Git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
        "text": b"hello " * 99,
        "text that commands a terminal": b"\x1b[2J\x1b]0;x\x07" * 9,
        "UTF-16": "hello".encode("utf-16"),
        "a PDF": b"%PDF-1.7 ",
        "gzip": b"\x1f\x8b\x08" + bytes(99),
        "a tar": bytes(257) + b"ustar" + bytes(250),
        "a pickle": b"\x80\x04cos\nsystem\n(X\x06\0\0\0exit 1tR.",
        "a pickle of protocol 0": b"cos\nsystem\n(S'exit 1'\ntR.",
        "a .npy file": b"\x93NUMPY\x01\0" + bytes(99),
        "an empty zip": b"PK\x05\x06" + bytes(18),
        "a zip of something": b"PK\x03\x04" + bytes(22) + b"\5\0\0\0a.txt",
        "a GGUF model": b"GGUF" + bytes(99),
        "a Python file": b"import os\nos.system('exit 1')\n",
    }


def places():
    """{what: (a function that makes it at a path, a regular expression of the message)}"""
    return {
        "a folder": (lambda path: path.mkdir(), "a folder|regular file|no such file"),
        "a pipe": (lambda path: os.mkfifo(path), "device or a? ?pipe|regular file|no such file"),
        "a device": (
            lambda path: path.symlink_to("/dev/zero"),
            "device or a? ?pipe|regular file|no such file",
        ),
        "a link to itself": (
            lambda path: path.symlink_to(path),
            "[Nn]o such file|cannot be read|regular file",
        ),
        "a link to nothing": (lambda path: path.symlink_to("nowhere"), "[Nn]o such file|regular file"),
        "nothing there": (lambda path: None, "[Nn]o such file|regular file"),
    }
