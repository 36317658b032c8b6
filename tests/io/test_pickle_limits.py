"""How much a pickle may ask for: instructions, levels, items, names, keys, versions and frames."""

import pytest
from refusals import line

from npgrad.io.formats import _pickles as pickles


def unpickled(program, allowed=()):
    return pickles.load_whole(b"\x80\x02" + program + b".", "f", dict(allowed))


def test_the_most_instructions_of_a_pickle():
    nones = pickles.MAX_WORK - 4  # beside PROTO, MARK, TUPLE and STOP
    assert unpickled(b"(" + b"N" * nones + b"t") == (None,) * nones
    found = line(unpickled, b"(" + b"N" * (nones + 1) + b"t")
    assert (
        found == f"f: byte {nones + 5} (STOP): expected at most 200000 instructions and arguments, found more"
    )


def test_the_most_levels_and_items_of_a_pickle():
    depth = pickles.MAX_DEPTH
    deep = unpickled(b"]" * depth + b"a" * (depth - 1))
    for _ in range(depth - 1):
        (deep,) = deep
    assert deep == []
    assert "at most 100 levels and 200000 items" in line(unpickled, b"]" * (depth + 1) + b"a" * depth)
    shared = b"((" + b"N" * 999 + b"tq\x00" + b"h\x00" * 199 + b"t"  # 200 times 999 items, and 200: MAX_WORK
    assert len(unpickled(shared)) == 200
    assert "items, found more" in line(unpickled, shared[:-1] + b"h\x00t")


def test_bounds_of_the_pickle_reader():
    from npgrad.io.formats._pickle_machine import INSTRUCTIONS, MAX_LONG, MAX_NAME, instruction

    assert unpickled(b"\x8a%c" % MAX_LONG + b"\xff" * MAX_LONG) == -1
    assert line(unpickled, b"\x8a%c" % (MAX_LONG + 1) + bytes(17)).endswith(
        "an integer of at most 16 bytes, found 17"
    )
    module = "m" * (MAX_NAME - 1)
    assert unpickled(f"c{module}\nname\n".encode(), {(module, "name"): 7}) == 7
    assert "a name of less than 200 bytes and a line break" in line(unpickled, f"cm{module}\nname\n".encode())
    result, used = pickles.load(b"xx\x80\x02K\x05.more", "f", {}, start=2)
    assert (result, used) == (5, 5)
    assert instruction(b"\0", "NOTHING")(len) is len and INSTRUCTIONS.pop(0) == ("NOTHING", len)


def test_what_may_be_a_key():
    table = {}
    for key in (2**63 - 1, -(2**63), "", b""):
        pickles.put(table, key, 0)
    for key in (2**63, -(2**63) - 1, True, 1.0, (), None):
        with pytest.raises(
            pickles.Refused, match="^expected a str, bytes or int of 64 bits as a key, found "
        ):
            pickles.put(table, key, 0)
    with pytest.raises(pickles.Refused, match="^expected every key once, found '9223372036854775807' twice$"):
        pickles.put(table, 2**63 - 1, 0)


def test_versions_and_frames_of_pickles():
    for version in range(2, 6):
        assert pickles.load_whole(b"\x80%cN." % version, "f", {}) is None
    for version in (0, 1, 6, 255):
        found = line(pickles.load_whole, b"\x80%cN." % version, "f", {})
        assert found == f"f: byte 0 (PROTO): expected a pickle of protocol 2 to 5, found {version}"
    framed = b"\x80\x04\x95\x02" + bytes(7) + b"K\x05\x95\x01" + bytes(7) + b"."
    assert pickles.load_whole(framed, "f", {}) == 5
    inside = b"\x80\x04\x95\x0b" + bytes(7) + b"N\x95\x01" + bytes(7) + b"."
    assert "in no other, found 1" in line(pickles.load_whole, inside, "f", {})
