"""Read a pickle as data, without running anything: only numbers, strings, tuples, lists and dicts.

A pickle is a program; Python's unpickler imports and calls whatever it names. Here, `_pickle_machine.py` interprets it.
A global such as "torch._utils _rebuild_tensor_v2" is looked up in the caller's table: nothing is imported, and only
functions in the table are called. A global that is not in the table is refused; or, where the caller asks for it, it
becomes an `Inert` object: calling it, or giving it a state, does nothing and keeps nothing.
"""

from npgrad.errors import WeightsError
from npgrad.io.formats._pickle_machine import MAX_DEPTH, MAX_WORK, Machine
from npgrad.io.formats._pickle_values import Inert, Refused, first_inert, kind, put

__all__ = ["Inert", "Refused", "first_inert", "kind", "load", "load_whole", "put", "unpack"]


def load(data, name, globals, persistent=None, start=0, lenient=False):
    """Read the pickle at byte `start` of `data`: (object, number of bytes used).

    name: the file, for messages. globals: {(module, name): function or marker}, what the pickle may name. A function is
    called with the pickle's arguments and must accept any number of them (see unpack); its result may have a method
    `set_state(state)`; both may raise Refused. persistent: the function called with persistent ids, or None to refuse
    them. lenient: whether other globals become Inert instead of being refused. Raises WeightsError for anything
    unknown, unsafe, damaged or disproportionate.
    """
    machine = Machine(data, globals, persistent, start, lenient)
    try:
        result = machine.run()
        check_nesting(result)
    except Refused as wrong:
        raise WeightsError(f"{name}: byte {machine.began} ({machine.instruction}): {wrong}") from None
    return result, machine.at - start


def load_whole(data, name, globals, persistent=None, lenient=False):
    """The object of a pickle that must fill `data` to its end; see load."""
    result, used = load(data, name, globals, persistent, lenient=lenient)
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

    Lists of two references to the same list, nested thirty times, are small in memory but take forever to traverse.
    """
    measured = {}  # id of a container -> its depth, its number of items without sharing
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
