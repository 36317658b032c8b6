"""A table of allowed globals to test the pickle reader with."""

import pickle

from pickle_writer import Code, build, call, encode, named, program

from npgrad.io.formats import _pickles as pickles
from npgrad.io.formats._pickle_machine import MAX_DEPTH, MAX_WORK


class Box:
    """What a table's function may give: an object with a state."""

    def __init__(self, *arguments):
        self.state = arguments

    def set_state(self, state):
        (self.state,) = pickles.unpack(state, "a state of", str)


def make_dict(*arguments):
    table = {}
    for key, value in arguments[0] if arguments else ():
        pickles.put(table, key, value)
    return table


GLOBALS = {("here", "Box"): Box, ("here", "marker"): "marker", ("collections", "OrderedDict"): make_dict}
BOX, MARKER, ORDERED = named("here", "Box"), named("here", "marker"), named("collections", "OrderedDict")


def read(data, **options):
    return pickles.load_whole(data, "w.pth", GLOBALS, **options)


DEEP_LIST = b"]" * 200 + b"a" * 199
LAUGHS = b")" + b"q\x00h\x00\x86" * 60  # 60 times over, a pair of the last value and itself
LONG_LIST = encode([(key, None) for key in range(500)]) + b"q\x00"
COLORSYS = encode("colorsys") + encode("rgb_to_hsv") + b"\x93."
CALLS = {
    "os.system": program(call(named("os", "system"), "exit 1")),
    "posix.system": program(call(named("posix", "system"), "exit 1")),
    "builtins.eval": program(call(named("builtins", "eval"), "1/0")),
    "Python 2's exec": program(call(named("__builtin__", "exec"), "1/0")),
    "subprocess": program(call(named("subprocess", "Popen"), ["false"])),
    "an import alone": program(named("colorsys", "rgb_to_hsv")),
    "an import by a string": b"\x80\x04" + COLORSYS,
    "an import in frames": b"\x80\x04\x95%c" % len(COLORSYS) + bytes(7) + COLORSYS,
    "torch's own function": program(call(named("torch._utils", "_rebuild_tensor_v2"))),
    "torch's pickle in a pickle": program(call(named("torch.storage", "_load_from_bytes"), "")),
    "a dotted name": program(named("collections", "OrderedDict.fromkeys")),
    "a module above": program(named("here.Box", "set_state")),
    "a submodule": program(named("here", "Box.set_state.__globals__")),
    "INST": b"\x80\x02(X\x06\x00\x00\x00exit 1ios\nsystem\n.",
    "OBJ": b"\x80\x02(" + BOX + b"K\x01o.",
    "GLOBAL and OBJ": b"\x80\x02(cos\nsystem\nX\x06\x00\x00\x00exit 1o.",
    "NEWOBJ_EX": b"\x80\x04" + BOX + b")}\x92.",
    "EXT1": b"\x80\x02\x82\x01.",
    "EXT2": b"\x80\x02\x83\x01\x00.",
    "EXT4": b"\x80\x02\x84\x01\x00\x00\x00.",
    "a text persistent id": b"\x80\x02Pid\n.",
    "BUILD that sets attributes": program(build(BOX, {"__setstate__": named("os", "system")})),
}
REFUSED = {
    **{f"call: {what}": (data, []) for what, data in CALLS.items()},
    "names itself": (CALLS["os.system"], ["GLOBAL", "'os.system'"]),
    "names itself, by a string": (CALLS["an import by a string"], ["STACK_GLOBAL", "'colorsys.rgb_to_hsv'"]),
    "STACK_GLOBAL of a number": (b"\x80\x04\x8c\x02osK\x01\x93.", ["STACK_GLOBAL", "str", "found int"]),
    "STACK_GLOBAL of a class": (b"\x80\x04" + BOX + b"\x8c\x01x\x93.", ["STACK_GLOBAL", "found type"]),
    "STACK_GLOBAL of nothing": (b"\x80\x04\x93.", ["STACK_GLOBAL", "empty stack"]),
    "calling a string": (program(call(encode("os.system"), "x")), ["REDUCE", "found str"]),
    "calling a marker": (program(call(MARKER)), ["REDUCE", "found str"]),
    "calling an object": (program(call(call(BOX))), ["REDUCE", "found Box"]),
    "calling with a list": (b"\x80\x02" + BOX + b"]R.", ["REDUCE", "type tuple, found list"]),
    "a new object of a string": (b"\x80\x02X\x01\x00\x00\x00a)\x81.", ["NEWOBJ"]),
    "BUILD on a list": (program(build(encode([]), {})), ["BUILD", "found list"]),
    "BUILD on a number": (program(build(encode(1), {})), ["BUILD", "found int"]),
    "BUILD on a class": (program(build(BOX, ("a",))), ["BUILD", "found type and tuple"]),
    "BUILD of a dict with a list": (program(build(encode({}), [])), ["BUILD", "dict and list"]),
    "BUILD with a wrong state": (program(build(call(BOX), (1,))), ["expected a state of (str), found (int)"]),
    "BUILD with two": (program(build(call(BOX), ("a", "b"))), ["a state of (str), found (str, str)"]),
    "BUILD with a number": (program(build(call(BOX), 5)), ["expected a state of, found int"]),
    "SETITEM on a list": (b"\x80\x02]K\x01K\x02s.", ["SETITEM", "found list"]),
    "SETITEM on a string": (b"\x80\x02X\x01\x00\x00\x00aK\x01K\x02s.", ["SETITEM", "found str"]),
    "SETITEM on an object": (b"\x80\x02" + call(BOX) + b"K\x01K\x02s.", ["SETITEM", "found Box"]),
    "SETITEMS on a tuple": (b"\x80\x02)(K\x01K\x02u.", ["SETITEMS", "found tuple"]),
    "SETITEMS of three": (b"\x80\x02}(K\x01K\x02K\x03u.", ["SETITEMS", "pairs"]),
    "APPEND on a dict": (b"\x80\x02}K\x01a.", ["APPEND", "found dict"]),
    "APPEND on a tuple": (b"\x80\x02)K\x01a.", ["APPEND", "found tuple"]),
    "APPENDS on nothing": (b"\x80\x02(K\x01e.", ["APPENDS", "empty stack"]),
    "a key twice": (program(Code(b"}(" + (encode("a") + b"N") * 2 + b"u")), ["SETITEMS", "'a' twice"]),
    "a key twice, one by one": (b"\x80\x02}K\x01NsK\x01Ns.", ["SETITEM", "twice"]),
    "a list as key": (b"\x80\x02}]K\x01s.", ["SETITEM", "found list"]),
    "a tuple as key, slow to hash": (b"\x80\x02}" + LAUGHS + b"K\x01s.", ["SETITEM", "found tuple"]),
    "a vast integer as key": (b"\x80\x02}\x8a\x09" + bytes(8) + b"\x01Ns.", ["SETITEM", "64 bits"]),
    "deep lists": (b"\x80\x02" + DEEP_LIST + b".", [f"{MAX_DEPTH} levels"]),
    "deep tuples": (b"\x80\x02)" + b"\x85" * 5000 + b".", [f"{MAX_DEPTH} levels"]),
    "deep dicts": (b"\x80\x02" + b"}K\x01" * 200 + b"N" + b"s" * 200 + b".", [f"{MAX_DEPTH} levels"]),
    "deep in shared parts": (b"\x80\x02](]q\x00" + b"](h\x00eq\x00" * 200 + b"e.", ["levels"]),
    "deep marks": (b"\x80\x02" + b"(" * 5000 + b".", ["MARK", f"{MAX_DEPTH} levels"]),
    "a billion laughs": (b"\x80\x02" + LAUGHS + b".", [f"{MAX_WORK} items"]),
    "laughs by copying": (
        b"\x80\x02](" + LONG_LIST + (ORDERED + b"h\x00\x85R") * 40000 + b"e.",
        ["REDUCE", f"{MAX_WORK} instructions"],
    ),
    "a list in itself": (b"\x80\x02]q\x00h\x00a.", ["inside itself"]),
    "a dict in itself": (b"\x80\x02}q\x00K\x01h\x00s.", ["inside itself"]),
    "a ring of lists": (b"\x80\x02]q\x00](h\x00ea.", ["inside itself"]),
    "a long program": (b"\x80\x02(" + b"N" * 10**6 + b"t.", ["NONE", f"{MAX_WORK} instructions"]),
    "a memo that is empty": (b"\x80\x02h\x00.", ["BINGET", "memo at 0"]),
    "a memo far away": (b"\x80\x02j\xff\xff\xff\xff.", ["LONG_BINGET", "memo"]),
    "a memo of nothing": (b"\x80\x02q\x00.", ["BINPUT", "empty stack"]),
    "nothing": (b"", ["byte 0", "found 0 before the end of the file"]),
    "no STOP": (b"\x80\x02N", ["byte 3", "before the end of the file"]),
    "STOP with nothing": (b"\x80\x02.", ["STOP", "one object"]),
    "STOP with two": (b"\x80\x02NN.", ["STOP", "one object"]),
    "STOP after a mark": (b"\x80\x02N(N.", ["STOP", "one object"]),
    "bytes after the end": (b"\x80\x02N..", ["byte 4", "found 1 bytes more"]),
    "another pickle after the end": (program(1) + program(2), ["bytes more"]),
    "no PROTO": (b"N.", ["PROTO at byte 0"]),
    "protocol 0": (pickle.dumps([1, 2], 0), ["PROTO at byte 0"]),
    "protocol 1": (b"\x80\x01N.", ["protocol 2 to 5, found 1"]),
    "protocol 6": (b"\x80\x06N.", ["protocol 2 to 5, found 6"]),
    "protocol 255": (b"\x80\xffN.", ["found 255"]),
    "PROTO again": (b"\x80\x02\x80\x02N.", ["PROTO at byte 0 and nowhere else"]),
    "a long integer": (b"\x80\x02\x8a\xff" + b"\x7f" * 255 + b".", ["LONG1", "16 bytes, found 255"]),
    "LONG4": (b"\x80\x02\x8b\x04\x00\x00\x00\x01\x00\x00\x00.", ["0x8b"]),
    "an integer as text": (b"\x80\x02I1\n.", ["0x49"]),
    "a long string": (b"\x80\x02X\xff\xff\xff\xffabc.", ["BINUNICODE", "expected 4294967295 more bytes"]),
    "a longer string": (b"\x80\x04\x8d" + b"\xff" * 8 + b".", ["0x8d"]),
    "long bytes": (b"\x80\x03B\xff\xff\xff\x7fabc.", ["BINBYTES", "found 4"]),
    "a negative length": (b"\x80\x02T\xff\xff\xff\xffabc.", ["BINSTRING", "found 4"]),
    "a string cut": (b"\x80\x04\x8c\x09abc", ["SHORT_BINUNICODE", "expected 9 more bytes, found 3"]),
    "no UTF-8": (b"\x80\x04\x8c\x02\xff\xfe.", ["SHORT_BINUNICODE", "utf-8"]),
    "no UTF-8 in a name": (b"\x80\x02c\xff\nx\n.", ["GLOBAL", "utf-8"]),
    "a name without end": (b"\x80\x02cos", ["GLOBAL", "a line break"]),
    "a name of a megabyte": (b"\x80\x02c" + b"o" * 10**6 + b"\nx\n.", ["GLOBAL", "less than 200 bytes"]),
    "a float cut": (b"\x80\x02G\x00\x00", ["BINFLOAT", "found 2"]),
    "a frame past the end": (b"\x80\x04\x95" + b"\xff" * 8 + b"N.", ["FRAME"]),
    "a frame in a frame": (
        b"\x80\x04\x95\x0c" + bytes(7) + b"\x95\x02" + bytes(7) + b"N0N.",
        ["FRAME", "in no other"],
    ),
    "a string over a frame's end": (
        b"\x80\x04\x95\x03" + bytes(7) + b"\x8c\x05hello.",
        ["the end of the frame"],
    ),
    "a name over a frame's end": (b"\x80\x04\x95\x03" + bytes(7) + b"chere\nBox\n.", ["a line break"]),
    "STOP in a frame": (b"\x80\x04\x95\x04" + bytes(7) + b"N.NN", ["STOP", "frame's end, found 2 bytes"]),
    "a mark that is none": (b"\x80\x02Nt.", ["TUPLE", "MARK"]),
    "a pair of one": (b"\x80\x02N\x86.", ["TUPLE2", "empty stack"]),
    "taken from below a mark": (b"\x80\x02N(\x85.", ["TUPLE1", "empty stack"]),
    "a persistent id": (b"\x80\x02K\x01Q.", ["BINPERSID", "no persistent ids"]),
    "POP": (b"\x80\x02NN0.", ["0x30"]),
    "DUP": (b"\x80\x02N2.", ["0x32"]),
    "POP_MARK": (b"\x80\x02N(N1.", ["0x31"]),
    "a set": (b"\x80\x04\x8f.", ["0x8f"]),
    "a frozenset": (b"\x80\x04(\x91.", ["0x91"]),
    "a bytearray": (b"\x80\x05\x96" + bytes(8) + b".", ["0x96"]),
    "a buffer": (b"\x80\x05\x97.", ["0x97"]),
    "zero bytes": (bytes(100), ["PROTO at byte 0"]),
}
