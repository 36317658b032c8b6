"""Pickles written by hand, instruction by instruction, those that no honest program would write included."""

import struct


class Code(bytes):
    """Instructions that leave one value on the stack."""


def encode(value):
    """The instructions for plain data, in which Code stands for itself."""
    if isinstance(value, Code):
        return value
    if value is None or isinstance(value, bool):
        return Code({None: b"N", True: b"\x88", False: b"\x89"}[value])
    if isinstance(value, int):
        raw = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return Code(b"K%c" % value if 0 <= value < 256 else b"\x8a%c" % len(raw) + raw)
    if isinstance(value, str):
        raw = value.encode()
        return Code(b"X" + struct.pack("<I", len(raw)) + raw)
    if isinstance(value, tuple):
        return Code(b"(" + b"".join(map(encode, value)) + b"t")
    if isinstance(value, list):
        return Code(b"](" + b"".join(map(encode, value)) + b"e")
    items = b"".join(encode(key) + encode(item) for key, item in value.items())
    return Code(b"}(" + items + b"u")


def python2(text):
    """Python 2's str."""
    return Code(b"U%c" % len(text) + text.encode("latin-1"))


def named(module, name):
    """A global, by name."""
    return Code(f"c{module}\n{name}\n".encode())


def call(function, *arguments):
    """What the function returns."""
    return Code(function + encode(arguments) + b"R")


def build(target, state):
    """The target after BUILD with this state."""
    return Code(target + encode(state) + b"b")


def program(value, protocol=2):
    """A whole pickle."""
    return b"\x80%c" % protocol + encode(value) + b"."
