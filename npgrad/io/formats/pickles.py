"""Read a pickle as data, without running anything: numbers, strings, tuples, lists, dicts, and no more.

A pickle is a program; Python's own unpickler imports and calls whatever that program names. The machine
that reads it here (pickle_machine.py) is our own. Where the program names a global, as in
"torch._utils _rebuild_tensor_v2", the name is looked up in the caller's table and stands for what the
table holds: nothing is imported, and only functions of the table are called.
"""

from npgrad.errors import WeightsError
from npgrad.io.formats.pickle_machine import MAX_DEPTH, MAX_WORK, Machine, Refused, kind, put

__all__ = ["Refused", "kind", "load", "load_whole", "put", "unpack"]


def load(data, name, globals, persistent=None, start=0):
    """Read the pickle at byte `start` of `data`: returns (object, number of bytes used).

    name: the file's name, for messages. globals: {(module, name): function or marker}, all that the pickle
    may name. A function is called with the pickle's arguments, so it takes any number (see unpack); what it
    returns may have a method `set_state(state)`; both may raise Refused. persistent: the function that a
    persistent id is given to, if there may be any.
    Raises WeightsError for anything unknown, unsafe, damaged or out of proportion.
    """
    machine = Machine(data, globals, persistent, start)
    try:
        result = machine.run()
        check_nesting(result)
    except Refused as wrong:
        raise WeightsError(f"{name}: byte {machine.began} ({machine.instruction}): {wrong}") from None
    return result, machine.at - start


def load_whole(data, name, globals, persistent=None):
    """The object of a pickle that must fill `data` to its end; see load."""
    result, used = load(data, name, globals, persistent)
    if used != len(data):
        raise WeightsError(f"{name}: byte {used}: expected the end, found {len(data) - used} bytes more")
    return result


def unpack(values, what, *types):
    """The tuple `values` if it holds exactly one value of each of these types (object: any), else Refused."""
    if type(values) is not tuple:
        raise Refused(f"expected {what}, found {kind(values)}")
    if len(values) == len(types) and all(
        wanted in (object, type(value)) for value, wanted in zip(values, types, strict=True)
    ):
        return values
    names = ", ".join(wanted.__name__ for wanted in types)
    raise Refused(f"expected {what} ({names}), found ({', '.join(map(kind, values[:8]))})")


def check_nesting(result):
    """Refuse plain data that contains itself, is nested too deeply, or is small only because it shares parts.

    A list of two references to a list of two references, thirty times over, is small in memory, but
    whoever goes through it in full never comes to an end.
    """
    measured = {}  # id of a container -> its depth, its items written out in full
    opened, pending = set(), [result]
    while pending:
        node = pending[-1]
        if id(node) in measured:
            pending.pop()
            continue
        parts = node.values() if type(node) is dict else node if type(node) in (tuple, list) else ()
        inside = [part for part in parts if type(part) in (tuple, list, dict)]
        unknown = [part for part in inside if id(part) not in measured]
        if not unknown:
            depth = 1 + max((measured[id(part)][0] for part in inside), default=0)
            items = len(parts) + sum(measured[id(part)][1] for part in inside)
            if depth > MAX_DEPTH or items > MAX_WORK:
                raise Refused(f"expected at most {MAX_DEPTH} levels and {MAX_WORK} items, found more")
            measured[id(node)] = depth, items
        elif id(node) in opened:
            raise Refused("expected plain data, found a container inside itself")
        opened.add(id(node))
        pending += unknown
