"""What a pickle is made into: plain values, and inert objects for everything else."""

MAX_NAME = 200  # bytes of a module's name, or of a function's


class Refused(Exception):
    """What is wrong with a pickle; `_pickles.load` adds the file and the position."""


class Inert:
    """What a pickle makes of a global that is not in the table: it takes any arguments and state, and keeps nothing."""

    __slots__ = ("module", "name")

    def __init__(self, module, name):
        self.module, self.name = module, name

    def __str__(self):
        return repr(f"{self.module[:MAX_NAME]}.{self.name[:MAX_NAME]}"[:MAX_NAME])


def first_inert(*values):
    """The first of the values that is inert, or None."""
    return next((value for value in values if type(value) is Inert), None)


def put(table, key, value):
    """table[key] = value; refused if the key already exists or is not a str, bytes or int of 64 bits."""
    # Other keys could be made slow to look up: deeply nested tuples, huge integers with equal hashes.
    if type(key) not in (str, int, bytes, Inert) or (type(key) is int and not -(2**63) <= key < 2**63):
        raise Refused(f"expected a str, bytes or int of 64 bits as a key, found {kind(key)}")
    if key in table:
        raise Refused(f"expected every key once, found {str(key)[:80]!r} twice")
    table[key] = value


def as_key(key):
    """An inert key for one that could be honest, but is of no use here."""
    if type(key) in (float, bool, type(None)):
        return Inert("builtins", type(key).__name__)
    return Inert(key.module, key.name) if type(key) is Inert else key  # several keys could be of one class


def kind(value):
    """The name of a value's type, for messages; the value itself could have any length."""
    return str(value) if type(value) is Inert else type(value).__name__
