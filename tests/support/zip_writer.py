"""Zip archives written by hand, with any field at will, and the hostile ones among them."""

import struct
import zlib
from dataclasses import dataclass

STORED, DEFLATED = 0, 8


@dataclass
class Entry:
    """A member and what its headers say of it; None: the truth."""

    name: bytes
    content: bytes
    method: int = STORED
    flags: int = 0
    crc: int = None
    packed: int = None
    size: int = None
    offset: int = None
    local_name: bytes = None
    local_flags: int = None
    body: bytes = None
    in_place: bool = True  # False: only the directory has it


def deflate(content):
    return zlib.compress(content, 9)[2:-4]  # without zlib's own header and checksum


def local_header(entry):
    name = entry.name if entry.local_name is None else entry.local_name
    flags = entry.flags if entry.local_flags is None else entry.local_flags
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, flags, *numbers(entry), len(name), 0) + name


def numbers(entry):
    """Method, time, date, CRC-32, packed size, size."""
    crc = zlib.crc32(entry.content) if entry.crc is None else entry.crc
    packed = len(body(entry)) if entry.packed is None else entry.packed
    size = len(entry.content) if entry.size is None else entry.size
    return entry.method, 0, 0, crc, packed, size


def body(entry):
    if entry.body is not None:
        return entry.body
    return deflate(entry.content) if entry.method == DEFLATED else entry.content


def write(entries, comment=b"", **end):
    """The bytes of an archive; `end` replaces fields of the end record."""
    out, directory = b"", b""
    for entry in entries:
        offset = len(out) if entry.offset is None else entry.offset
        rest = (len(entry.name), 0, 0, 0, 0, 0, offset)
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, entry.flags, *numbers(entry), *rest)
        directory += entry.name
        if entry.in_place:
            out += local_header(entry) + body(entry)
    end = {"count": len(entries), "start": len(out), **end}
    counts = (0, 0, end["count"], end["count"])
    record = struct.pack("<4s4H2IH", b"PK\5\6", *counts, len(directory), end["start"], len(comment))
    return out + directory + record + comment


def archive(members, method=STORED):
    """An archive of {name: content} with nothing wrong in it."""
    return write([Entry(name.encode(), content, method) for name, content in members.items()])


def hostile(members):
    """{what is wrong: (archive, word of the message)}; what is changed in them is the last of the members."""
    *others, (name, content) = [(name.encode(), content) for name, content in members.items()]
    others = [Entry(*member) for member in others]
    plain = Entry(name, content)

    def changed(**fields):
        return write([*others, Entry(**{"name": name, "content": content, **fields})])

    def all_of(**fields):
        return write([*others, plain], **fields)

    good = all_of()
    inner = Entry(b"inner.npy", content)
    outer = Entry(b"outer.npy", local_header(inner) + content)
    inner.offset, inner.in_place = len(local_header(outer)), False
    zeros = bytes(400 * len(good))
    pieces = [Entry(b"%d.npy" % number, zeros[: len(zeros) // 4], DEFLATED) for number in range(9)]
    return {
        "a name twice": (write([*others, plain, plain]), "twice"),
        "wrong CRC": (changed(crc=1), "CRC"),
        "encrypted": (changed(flags=1), "encrypted"),
        "strongly encrypted": (changed(flags=0x41), "encrypted"),
        "encrypted by its own header": (changed(local_flags=1), "agrees"),
        "up and out": (changed(name=b"../" + name), "inside the archive"),
        "up in the middle": (changed(name=b"a/../../" + name), "inside the archive"),
        "absolute": (changed(name=b"/etc/" + name), "inside the archive"),
        "a Windows drive": (changed(name=b"C:" + name), "inside the archive"),
        "backslashes": (changed(name=b"..\\" + name), "inside the archive"),
        "no name": (changed(name=b""), "inside the archive"),
        "a zero byte": (changed(name=name + b"\0.txt"), "inside the archive"),
        "a long name": (changed(name=b"n" * 60000), "at most"),
        "a name that is no text": (changed(name=b"\xff\xfe"), "UTF-8"),
        "another name in its own header": (changed(local_name=b"x" * len(name)), "agrees"),
        "expansion": (changed(content=zeros, method=DEFLATED), "times the file"),
        "expansion in pieces": (write([*others, plain, *pieces]), "times the file"),
        "4 GiB of a few bytes": (changed(size=2**32 - 1, method=DEFLATED), "times the file"),
        "an unknown method": (changed(method=14, body=content), "method 14"),
        "more said than there is": (changed(size=len(content) + 1, method=DEFLATED), "deflated"),
        "less said than there is": (changed(size=len(content) - 1, method=DEFLATED), "bytes"),
        "two sizes of one thing": (changed(size=len(content) - 1), "stored"),
        "past the directory": (changed(packed=10**6, size=10**6), "from byte"),
        "4 GiB stored": (changed(packed=2**32 - 1, size=2**32 - 1), "from byte"),
        "damaged deflate": (changed(method=DEFLATED, body=b"\xff" * 40), "deflated"),
        "deflate cut": (changed(method=DEFLATED, body=deflate(content)[:-2]), "deflated"),
        "bytes after the deflate": (changed(method=DEFLATED, body=deflate(content) + b"more"), "deflated"),
        "one member in another": (write([outer, *others, plain, inner]), "expected separate members"),
        "no header where it should be": (changed(offset=1), "header"),
        "a header of another kind": (b"PK\3\5".join(good.rsplit(b"PK\3\4", 1)), "expected its header"),
        "a header past the end": (changed(offset=2**32 - 1), "end of the file"),
        "bytes after the end": (good + b"more", "close the file"),
        "a comment cut": (all_of(comment=b"comment")[:-1], "close the file"),
        "cut at the end": (good[:-1], "end of the file"),
        "cut in the middle": (good[: len(good) // 2], "end record"),
        "only a signature": (b"PK\x03\x04", "end record"),
        "more entries than there are": (all_of(count=len(members) + 9), "directory"),
        "fewer entries than there are": (all_of(count=len(members) - 1), "directory"),
        "a directory past the end": (all_of(start=2**31), "directory"),
        "a directory elsewhere": (all_of(start=0), "directory"),
        "zip64": (all_of(count=0xFFFF), "zip64"),
    }
