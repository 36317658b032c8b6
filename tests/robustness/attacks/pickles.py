"""Pickles that would import, call, or take memory: each in a zip .pth, and many in the other places a pickle can be.

Every opcode that is not allowed, every way to name and call a function, and damage of every sort.
"""

import pickle
import pickletools
import re
import struct

import numpy as np
from npy_writer import header, npy
from pickle_table import REFUSED
from pickle_writer import Code, build, call, encode, named, program
from torch_writer import LEGACY_HEAD, SYSTEM, one, zip_file
from zip_writer import archive

from attacks import Attack
from npgrad.io.formats._pickle_machine import INSTRUCTIONS, MAX_WORK

FORBIDDEN = [
    ("os", "system", "exit 1"), ("posix", "system", "exit 1"), ("nt", "system", "exit 1"), ("os", "popen", "exit 1"),
    ("os", "execv", "/bin/false"), ("os", "remove", "secret.txt"), ("os", "rmdir", "."), ("os", "kill", 0, 9),
    ("os", "_exit", 1), ("os", "putenv", "A", "b"), ("os", "fork"), ("os", "spawnv", 0, "/bin/false"),
    ("sys", "exit", 1), ("sys", "settrace", None), ("subprocess", "Popen", "false"), ("subprocess", "run", "false"),
    ("subprocess", "check_output", "false"), ("pty", "spawn", "false"), ("commands", "getoutput", "false"),
    ("builtins", "eval", "1/0"), ("builtins", "exec", "1/0"), ("builtins", "compile", "1/0", "x", "exec"),
    ("builtins", "getattr", "x", "upper"), ("builtins", "setattr", "x", "y", 1), ("builtins", "__import__", "os"),
    ("builtins", "open", "secret.txt"), ("builtins", "breakpoint"), ("builtins", "globals"), ("builtins", "vars"),
    ("builtins", "map", None, None), ("builtins", "type", "X", (), {}), ("builtins", "object"), ("builtins", "input"),
    ("builtins", "bytearray", 10**9), ("builtins", "range", 10**9), ("builtins", "list", "abc"), ("builtins", "set"),
    ("__builtin__", "eval", "1/0"), ("__builtin__", "file", "secret.txt"), ("__builtin__", "apply", None),
    ("__main__", "main"), ("", ""), (" ", "x"), ("importlib", "import_module", "os"), ("imp", "load_source", "x", "y"),
    ("runpy", "run_path", "x.py"), ("pickle", "loads", "x"), ("_pickle", "loads", "x"), ("marshal", "loads", "x"),
    ("types", "FunctionType", None), ("types", "CodeType", 0), ("code", "interact"), ("pdb", "run", "1/0"),
    ("timeit", "timeit", "1/0"), ("cProfile", "run", "1/0"), ("doctest", "debug_script", "1/0"),
    ("functools", "partial", None), ("functools", "reduce", None, []), ("operator", "attrgetter", "__class__"),
    ("operator", "methodcaller", "upper"), ("operator", "itemgetter", 0), ("_operator", "attrgetter", "x"),
    ("codecs", "decode", "x", "rot13"), ("codecs", "open", "secret.txt"), ("_codecs", "decode", "x"),
    ("base64", "b64decode", "aaaa"), ("zlib", "decompress", "x"), ("copyreg", "_reconstructor", 1, 2, 3),
    ("copyreg", "__newobj__", 1), ("copy_reg", "add_extension", "os", "system", 1), ("ctypes", "CDLL", "libc.so.6"),
    ("socket", "create_connection", ("127.0.0.1", 9)), ("urllib.request", "urlopen", "http://127.0.0.1:9"),
    ("shutil", "rmtree", "."), ("pathlib", "Path", "secret.txt"), ("io", "open", "secret.txt"), ("_io", "FileIO", "x"),
    ("tempfile", "mktemp"), ("webbrowser", "open", "http://127.0.0.1:9"), ("threading", "Thread"),
    ("multiprocessing.util", "spawnv_passfds", "x", (), ()), ("asyncio", "run", None), ("logging.config", "listen", 9),
    ("numpy", "load", "secret.npy"), ("numpy", "fromfile", "secret.txt"), ("numpy", "memmap", "secret.txt"),
    ("numpy", "zeros", 2**40), ("numpy.testing._private.utils", "runstring", "1/0", {}),
    ("numpy.lib.npyio", "loadtxt", "secret.txt"), ("numpy.f2py", "compile", "x"),
    ("torch", "load", "x.pth"), ("torch.hub", "load", "a/b", "c"), ("torch", "zeros", 2**40),
    ("torch.serialization", "load", "x"), ("torch.storage", "_load_from_bytes", "x"),
    ("torch._utils", "_rebuild_device_tensor_from_numpy", 1), ("torch._utils", "_rebuild_parameter_with_state", 1),
    ("torch.jit", "load", "x"), ("torch.package", "PackageImporter", "x"), ("torch.nn", "Linear", 1, 1),
    ("torch.nn.parameter", "Parameter.__init__"), ("torch", "Size.__class__"), ("torch._utils", "os.system", "exit 1"),
    ("collections", "namedtuple", "x", "y"), ("collections", "OrderedDict.__class__"), ("collections", "Counter"),
    ("npgrad", "load", "secret.h5"), ("npgrad.io.formats._torch_globals", "make_dict"),
    ("npgrad._files", "atomic_write"),
    ("PIL.ImageMath", "eval", "1/0"), ("h5py", "File", "secret.h5"), ("__main__", "__builtins__.eval", "1/0"),
    ("builtins", "getattr.__self__"), ("os.path", "os.system", "exit 1"), ("torch", "FloatStorage.__class__"),
]  # fmt: skip

BOTH = ("GLOBAL, REDUCE", "STACK_GLOBAL, REDUCE")

# What each kind of argument could be; a refusal comes before it is looked at.
ARGUMENTS = {
    "decimalnl_short": b"1\n", "decimalnl_long": b"1L\n", "floatnl": b"1.5\n", "stringnl": b"'a'\n",
    "stringnl_noescape": b"a\n", "stringnl_noescape_pair": b"os\nsystem\n", "unicodestringnl": b"a\n",
    "uint1": b"\1", "uint2": b"\1\0", "int4": b"\1\0\0\0", "uint4": b"\1\0\0\0", "uint8": b"\1" + bytes(7),
    "long4": b"\1\0\0\0\1", "bytes8": b"\1" + bytes(7) + b"a", "bytearray8": b"\1" + bytes(7) + b"a",
    "unicodestring8": b"\1" + bytes(7) + b"a",
}  # fmt: skip


def forms(module, name, *arguments):
    """{way of calling: (pickle, what the message tells)}: every way that pickles know."""
    function, given = named(module, name), encode(arguments)
    by_text = Code(encode(module) + encode(name) + b"\x93")
    by_memo = Code(b"](" + encode(module) + b"q\1" + encode(name) + b"q\2" + b"e0"[:1] + b"h\1h\2\x93\x86")
    its_name = re.escape(repr(f"{module}.{name}"))
    return {
        "GLOBAL, REDUCE": (program(call(function, *arguments)), its_name),
        "STACK_GLOBAL, REDUCE": (program(call(by_text, *arguments), 4), its_name),
        "a name from the memo": (program(Code(by_memo), 4), its_name),
        "NEWOBJ": (program(Code(function + given + b"\x81")), its_name),
        "NEWOBJ_EX": (program(Code(function + given + b"}\x92"), 4), "0x92"),
        "INST": (program(Code(b"(" + given + f"i{module}\n{name}\n".encode())), "0x69"),
        "OBJ": (program(Code(b"(" + function + given + b"o")), "0x6f"),
        "BUILD": (program(build(function, {"x": 1})), its_name),
        "as a value": (program({"w": one()["w"], "x": function}), its_name),
        "as a key": (program(Code(b"}" + function + b"Ns")), its_name),
        "called amid a state dict": (program({**one(), "x": call(function, *arguments)}), its_name),
        "as a storage": (program(one(stored=call(function, *arguments))), its_name),
        "as a persistent id": (program(Code(call(function, *arguments) + b"Q")), its_name),
    }


def opcodes():
    """{what: (pickle, message)} of every opcode that is not allowed, and of every byte that is none."""
    found = {}
    for opcode in pickletools.opcodes:
        code = opcode.code.encode("latin-1")
        if code[0] not in INSTRUCTIONS:
            argument = ARGUMENTS[opcode.arg.name] if opcode.arg else b""
            found[f"opcode {opcode.name}"] = b"\x80\x04(NN" + code + argument + b".", f"0x{code[0]:02x}"
    known = {ord(opcode.code) for opcode in pickletools.opcodes}
    for code in set(range(256)) - known:
        found[f"no opcode 0x{code:02x}"] = b"\x80\x04NN" + bytes([code]) + b".", f"0x{code:02x}"
    return found


def bombs():
    """{what: (pickle, message)}: small files that would become large, or never end."""
    ten = b"".join(b"](" + b"h%c" % n * 10 + b"eq%c" % (n + 1) for n in range(1, 12))
    size = struct.pack("<Q", 2**62)
    return {
        "lists of ten lists of ten": (b"\x80\x02]q\x01" + ten + b".", "one object|items|levels"),
        "a million lists": (b"\x80\x02(" + b"]" * 10**6 + b"l.", f"{MAX_WORK} instructions"),
        "a million marks": (b"\x80\x02" + b"(" * 10**6, "levels"),
        "a million memos": (b"\x80\x02N" + b"\x94" * 10**6 + b".", f"{MAX_WORK} instructions"),
        "a million unknown names": (b"\x80\x02(" + b"ca\nb\n" * 10**6 + b"l.", f"{MAX_WORK} instructions"),
        "an unknown name of a million bytes, often": (
            b"\x80\x04"
            + encode("m" * 10**6)
            + encode("n" * 10**6)
            + b"\x93q\x00("
            + b"h\x00)R" * 60_000
            + b"t\x86.",
            "expected a state dict",
        ),
        "a memo at 2**32 - 1": (b"\x80\x02Nr\xff\xff\xff\xff.", "expected a state dict"),
        "BINUNICODE8 of 2**62": (b"\x80\x04\x8d" + size + b".", "0x8d"),
        "BINBYTES8 of 2**62": (b"\x80\x04\x8e" + size + b".", "0x8e"),
        "BYTEARRAY8 of 2**62": (b"\x80\x05\x96" + size + b".", "0x96"),
        "LONG4 of 2**31 - 1": (b"\x80\x02\x8b\xff\xff\xff\x7f.", "0x8b"),
        "LONG4 of minus one": (b"\x80\x02\x8b\xff\xff\xff\xff.", "0x8b"),
        "LONG1 of 255": (b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", "at most 16 bytes"),
        "INT of a megabyte": (b"\x80\x02I" + b"9" * 10**6 + b"\n.", "0x49"),
        "LONG of a megabyte": (b"\x80\x02L" + b"9" * 10**6 + b"L\n.", "0x4c"),
        "a frame of 2**62": (b"\x80\x04\x95" + size + b"N.", "FRAME"),
        "a frame of nothing": (b"\x80\x04\x95" + bytes(8) + b"\x95" * 9, "FRAME"),
        "frames without end": (b"\x80\x04" + (b"\x95" + bytes(8)) * 10**5, f"file's end|{MAX_WORK}|FRAME"),
        "a string of 4 GiB": (b"\x80\x02X\xff\xff\xff\xff.", "BINUNICODE"),
        "bytes of 4 GiB": (b"\x80\x03B\xff\xff\xff\xff.", "BINBYTES"),
        "a tuple in itself": (b"\x80\x02](h\x00\x85q\x00e.", "memo"),
        "deep tuples in keys": (b"\x80\x02}" + b")" + b"\x85" * 90 + b"Ns.", "as a key"),
        "keys of one hash": (
            program(Code(b"}(" + b"".join(encode(n * (2**61 - 1)) + b"N" for n in range(1, 5000)) + b"u")),
            "64 bits|twice",
        ),
    }


def everything():
    """{what: (pickle, message)}"""
    known = {
        # an unknown name is refused where it would stand among the weights, not where it occurs
        what: (data, ".*".join(map(re.escape, words[what.startswith("names itself") :])))
        for what, (data, words) in REFUSED.items()
        # what is made for the little table of that test stays there
        if b"here" not in data and what not in ("laughs by copying", "a persistent id")
    }
    called = {}
    for number, (module, name, *arguments) in enumerate(FORBIDDEN):
        for form, made in forms(module, name, *arguments).items():
            if form in BOTH or number % 6 == 0:  # some in every form, every one in two forms
                called[f"{module}.{name}: {form}"] = made
    return {**known, **opcodes(), **bombs(), **called}


def in_zip(data):
    return zip_file(None, **{"data.pkl": data})


def in_legacy(data):
    return LEGACY_HEAD + SYSTEM + data + program([])


def in_label_map(data):
    labels = npy(header=header("|O", shape="()"), content=data)
    arrays = {"X.npy": npy(np.zeros((2, 4, 5, 3), np.uint8)), "y.npy": npy(np.array([0, 7]))}
    return archive({**arrays, "label_map.npy": labels})


def inert():
    """{what: pickle} of checkpoints that are read: what they name beside the weights is neither imported nor called."""
    found = {}
    for number, (module, name, *arguments) in enumerate(FORBIDDEN):
        function = named(module, name)
        called = call(function, *arguments)
        filled = Code(called + b"(" + encode("a") * 2 + b"u(" + encode("a") + b"e")
        values = {
            "called": called,
            "named": function,
            "made, with a state": build(
                Code(function + encode(tuple(arguments)) + b"\x81"), {"__setstate__": function}
            ),
            "filled": filled,
            "called with what a call gave": call(function, called),
            "what a call gave is called": call(called, *arguments),
            "in a known call": call(
                named("torch._utils", "_rebuild_tensor_v2"), called, 0, (1,), (1,), False, None
            ),
            "as keys": Code(b"}(" + (function + b"N") * 3 + b"u"),
            "as a persistent id": Code(encode(("storage", function, "7", "cpu", 2**40)) + b"Q"),
        }
        for form, value in values.items():
            if form == "called" or number % 6 == 0:
                beside = {"net": one(), "x": value, "list": [value, {"again": value}]}
                found[f"{module}.{name}: {form}, beside the weights"] = program(beside)
    return found


def attacks():
    for what, data in inert().items():
        yield Attack(what, "w.pth", in_zip(data), "formats.read", None)
    for what, (data, message) in everything().items():
        yield Attack(f"{what}, in a zip", "w.pth", in_zip(data), "convert", message)
        if ": " not in what or what.endswith(BOTH[1]):
            yield Attack(f"{what}, in a legacy file", "w.pth", in_legacy(data), "convert", "expected .*found")
            yield Attack(
                f"{what}, as labels", "val.npz", in_label_map(data), "load_imagenet_val", "expected .*found"
            )


def good_files():
    from attacks.torch_pth import good_files as of_torch

    labels = pickle.dumps(np.array({0: "tench"}, object), 4)
    return [*of_torch(), ("load_imagenet_val", "val.npz", in_label_map(labels))]
