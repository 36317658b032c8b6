"""The stack machine that interprets a pickle: one method per instruction, and only harmless instructions.

The instructions have the names and meanings of the standard library's pickletools; those not listed here (POP, INST,
OBJ, EXT1, NEWOBJ_EX, ...) are refused. Each instruction takes time and memory in proportion to the bytes it reads and
the values it pops, and so does the whole program.
"""

import struct

from npgrad.io.formats._pickle_values import MAX_NAME, Inert, Refused, as_key, first_inert, kind, put

MAX_WORK = 200_000  # instructions, and items copied by calls; also items of the result, without sharing
NAMING = 4  # instructions that a global counts as: its names are searched and copied
MAX_DEPTH = 100  # levels of nested containers
MAX_LONG = 16  # bytes of an integer; torch's magic number has 10

INSTRUCTIONS = {}  # opcode -> (name, method of Machine), filled by the decorator below


def instruction(opcode, name):
    """Register a method for an opcode."""

    def register(method):
        INSTRUCTIONS[ord(opcode)] = name, method
        return method

    return register


class Machine:
    """The state of a running pickle: a stack, the stacks set aside by marks, and the memo of values to reuse."""

    def __init__(self, data, globals, persistent, start, lenient):
        self.data, self.globals, self.persistent, self.lenient = data, globals, persistent, lenient
        self.at, self.end, self.framed = start, len(data), False
        self.began, self.instruction = start, "start"
        self.stack, self.aside, self.memo = [], [], {}
        self.work, self.done = 0, False

    def run(self):
        """The object that the pickle builds."""
        first = self.at
        while not self.done:
            self.began = self.at
            if self.framed and self.at == self.end:
                self.end, self.framed = len(self.data), False
            opcode = self.take(1)[0]
            self.instruction, method = INSTRUCTIONS.get(opcode, (f"opcode 0x{opcode:02x}", None))
            if (self.instruction == "PROTO") != (self.began == first):
                raise Refused(f"expected PROTO at byte {first} and nowhere else, found {self.instruction}")
            if method is None:
                raise Refused("expected an instruction that builds plain data, found another")
            self.spend(1)
            method(self)
        return self.stack[0]

    def spend(self, work):
        self.work += work
        if self.work > MAX_WORK:
            raise Refused(f"expected at most {MAX_WORK} instructions and arguments, found more")

    # Reading the program

    def take(self, count):
        """The next `count` bytes."""
        if count > self.end - self.at:
            what = "frame" if self.framed else "file"
            raise Refused(
                f"expected {count} more bytes, found {self.end - self.at} before the end of the {what}"
            )
        self.at += count
        return bytes(self.data[self.at - count : self.at])

    def number(self, layout):
        return struct.unpack(layout, self.take(struct.calcsize(layout)))[0]

    def text(self, size, encoding="utf-8"):
        try:
            return str(self.take(size), encoding)
        except UnicodeDecodeError:
            raise Refused(f"expected text in {encoding}, found other bytes") from None

    def line(self):
        size = bytes(self.data[self.at : min(self.at + MAX_NAME, self.end)]).find(b"\n")
        if size < 0:
            raise Refused(f"expected a name of less than {MAX_NAME} bytes and a line break, found none")
        return self.text(size + 1)[:-1]

    # The stack

    def push(self, value):
        self.stack.append(value)

    def top(self, wanted=object):
        """The top of the stack, which must be of this type."""
        if not self.stack or wanted not in (object, type(self.stack[-1])):
            found = kind(self.stack[-1]) if self.stack else "an empty stack"
            raise Refused(f"expected a value of type {wanted.__name__}, found {found}")
        return self.stack[-1]

    def pop(self, wanted=object):
        self.top(wanted)
        return self.stack.pop()

    def pop_to_mark(self):
        """The values since the last mark."""
        if not self.aside:
            raise Refused("expected a MARK before, found none")
        values, self.stack = self.stack, self.aside.pop()
        return values

    def push_last(self, count):
        """Replace the top values by a tuple of them."""
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def push_global(self, module, name):
        known = self.globals.get((module, name), Inert(module, name))
        self.work += NAMING
        if type(known) is Inert and not self.lenient:
            raise Refused(f"expected one of the {len(self.globals)} allowed globals, found {known}")
        self.push(known)

    def extend(self, values):
        """Append to the list on the top of the stack."""
        if not first_inert(*self.stack[-1:]):
            self.top(list).extend(values)

    def update(self, pairs):
        """Set items of the dict on the top of the stack."""
        if not first_inert(*self.stack[-1:]):
            table = self.top(dict)
            for key, value in pairs:
                put(table, as_key(key) if self.lenient else key, value)

    # The instructions

    @instruction(b"\x80", "PROTO")
    def proto(self):
        version = self.number("<B")
        if not 2 <= version <= 5:
            raise Refused(f"expected a pickle of protocol 2 to 5, found {version}")

    @instruction(b"\x95", "FRAME")
    def frame(self):
        size = self.number("<Q")
        if self.framed or size > self.end - self.at:
            raise Refused(f"expected a frame of at most {self.end - self.at} bytes in no other, found {size}")
        self.end, self.framed = self.at + size, True

    @instruction(b".", "STOP")
    def stop(self):
        if len(self.stack) != 1 or self.aside:
            raise Refused("expected one object on the stack, found another number")
        if self.framed and self.at != self.end:
            raise Refused(f"expected the frame's end, found {self.end - self.at} bytes more in it")
        self.done = True

    @instruction(b"(", "MARK")
    def mark(self):
        if len(self.aside) == MAX_DEPTH:
            raise Refused(f"expected at most {MAX_DEPTH} levels, found more")
        self.aside.append(self.stack)
        self.stack = []

    @instruction(b"\x8a", "LONG1")
    def long1(self):
        size = self.number("<B")
        if size > MAX_LONG:
            raise Refused(f"expected an integer of at most {MAX_LONG} bytes, found {size}")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    @instruction(b"a", "APPEND")
    def append(self):
        value = self.pop()
        self.extend([value])

    @instruction(b"e", "APPENDS")
    def appends(self):
        self.extend(self.pop_to_mark())

    @instruction(b"s", "SETITEM")
    def setitem(self):
        value, key = self.pop(), self.pop()
        self.update([(key, value)])

    @instruction(b"u", "SETITEMS")
    def setitems(self):
        values = self.pop_to_mark()
        if len(values) % 2:
            raise Refused(f"expected keys and values in pairs, found {len(values)} of them")
        self.update(zip(values[::2], values[1::2], strict=True))

    @instruction(b"c", "GLOBAL")
    def global_(self):
        self.push_global(self.line(), self.line())

    @instruction(b"\x93", "STACK_GLOBAL")
    def stack_global(self):
        name, module = self.pop(str), self.pop(str)
        self.push_global(module, name)

    @instruction(b"\x81", "NEWOBJ")
    @instruction(b"R", "REDUCE")
    def reduce(self):
        arguments, function = self.pop(tuple), self.pop()
        # What is made by something inert, or of it, is inert: nothing is called.
        if inert := first_inert(function, *arguments):
            self.push(inert)
            return
        if not callable(function) or not any(function is known for known in self.globals.values()):
            raise Refused(f"expected a function of the allowed globals, found {kind(function)}")
        # A function may copy its arguments, so copying the same long list many times must count.
        self.spend(sum(len(value) for value in arguments if type(value) in (str, bytes, tuple, list, dict)))
        self.push(function(*arguments))

    @instruction(b"b", "BUILD")
    def build(self):
        state, target = self.pop(), self.top()
        if type(target) is Inert:
            pass
        elif hasattr(target, "set_state") and not isinstance(target, type):
            target.set_state(state)
        elif not (
            type(target) is dict and type(state) is dict
        ):  # attributes of an OrderedDict are not needed
            raise Refused(f"expected an object that has a state, found {kind(target)} and {kind(state)}")

    @instruction(b"Q", "BINPERSID")
    def binpersid(self):
        if self.persistent is None:
            raise Refused("expected no persistent ids, found one")
        self.push(self.persistent(self.pop()))

    def remember(self, index):
        self.memo[index] = self.top()

    def recall(self, index):
        if index not in self.memo:
            raise Refused(f"expected a value in the memo at {index}, found none")
        self.push(self.memo[index])


_SHORT = {
    (b"N", "NONE"): lambda machine: machine.push(None),
    (b"\x88", "NEWTRUE"): lambda machine: machine.push(True),
    (b"\x89", "NEWFALSE"): lambda machine: machine.push(False),
    (b"J", "BININT"): lambda machine: machine.push(machine.number("<i")),
    (b"K", "BININT1"): lambda machine: machine.push(machine.number("<B")),
    (b"M", "BININT2"): lambda machine: machine.push(machine.number("<H")),
    (b"G", "BINFLOAT"): lambda machine: machine.push(machine.number(">d")),
    (b"X", "BINUNICODE"): lambda machine: machine.push(machine.text(machine.number("<I"))),
    (b"\x8c", "SHORT_BINUNICODE"): lambda machine: machine.push(machine.text(machine.number("<B"))),
    # str of Python 2; latin-1 preserves every byte
    (b"T", "BINSTRING"): lambda machine: machine.push(machine.text(machine.number("<I"), "latin-1")),
    (b"U", "SHORT_BINSTRING"): lambda machine: machine.push(machine.text(machine.number("<B"), "latin-1")),
    (b"B", "BINBYTES"): lambda machine: machine.push(machine.take(machine.number("<I"))),
    (b"C", "SHORT_BINBYTES"): lambda machine: machine.push(machine.take(machine.number("<B"))),
    (b"]", "EMPTY_LIST"): lambda machine: machine.push([]),
    (b"}", "EMPTY_DICT"): lambda machine: machine.push({}),
    (b")", "EMPTY_TUPLE"): lambda machine: machine.push(()),
    (b"\x85", "TUPLE1"): lambda machine: machine.push_last(1),
    (b"\x86", "TUPLE2"): lambda machine: machine.push_last(2),
    (b"\x87", "TUPLE3"): lambda machine: machine.push_last(3),
    (b"t", "TUPLE"): lambda machine: machine.push(tuple(machine.pop_to_mark())),
    (b"q", "BINPUT"): lambda machine: machine.remember(machine.number("<B")),
    (b"r", "LONG_BINPUT"): lambda machine: machine.remember(machine.number("<I")),
    (b"\x94", "MEMOIZE"): lambda machine: machine.remember(len(machine.memo)),
    (b"h", "BINGET"): lambda machine: machine.recall(machine.number("<B")),
    (b"j", "LONG_BINGET"): lambda machine: machine.recall(machine.number("<I")),
}
INSTRUCTIONS.update({ord(opcode): (name, method) for (opcode, name), method in _SHORT.items()})
