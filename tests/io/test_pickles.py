"""The pickle reader: plain data as Python's own reader has it, and any noise read or refused."""

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pickle_table import BOX, MARKER, ORDERED, read
from pickle_writer import build, call, encode, program

from npgrad import WeightsError
from npgrad.io.formats import _pickles as pickles
from npgrad.io.formats._pickle_machine import INSTRUCTIONS, MAX_DEPTH, MAX_WORK

KEYS = st.text() | st.integers(0, 2**40)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**100), 2**100) | st.floats(allow_nan=False) | st.text(),
    lambda inside: st.lists(inside) | st.lists(inside).map(tuple) | st.dictionaries(KEYS, inside),
)


@given(PLAIN, st.integers(2, 5))
def test_plain_data_as_python_reads_it(value, protocol):
    data = pickle.dumps(value, protocol)
    found = read(data)
    assert found == value and repr(found) == repr(value)  # repr: True is no 1
    assert pickles.load(b"before" + data + b"after", "w.pth", {}, start=6) == (value, len(data))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_bytes_and_what_lies_outside_of_frames(protocol):
    long = ["t" * 100_000, b"b" * 100_000, b"l" * 300]
    value = [b"short", *long, ["t"] * 2000, {str(i): i for i in range(3000)}]
    assert read(pickle.dumps(value, protocol)) == value


def test_strings_of_python_2_keep_every_byte():
    assert read(b"\x80\x02U\x02a\xe9.") == read(b"\x80\x02T\x02\x00\x00\x00a\xe9.") == "a\xe9"


def test_a_shared_list_is_one_list():
    shared = [1, 2]
    found = read(pickle.dumps([shared, shared, {"again": shared}], 2))
    assert found[0] is found[1] is found[2]["again"]


def test_globals_come_from_the_table_and_keep_their_state():
    found = read(program([MARKER, build(call(BOX, 1, "two"), ("state",)), call(BOX, 1)]))
    assert found[0] == "marker" and found[1].state == "state" and found[2].state == (1,)
    assert read(b"\x80\x04\x8c\x04here\x8c\x06marker\x93.") == "marker"
    assert read(b"\x80\x02" + BOX + b")\x81.").state == ()  # NEWOBJ


def test_attributes_of_a_dict_are_passed_over():
    assert read(program(build(call(ORDERED, [("a", 1)]), {"_metadata": {}}))) == {"a": 1}


def test_persistent_ids():
    assert read(b"\x80\x02" + encode(("storage", 3)) + b"Q.", persistent=lambda values: values[1]) == 3


def nested(depth):
    return b"\x80\x02" + b"]" * depth + b"a" * (depth - 1) + b"."


def long_program(instructions):
    return b"\x80\x02(" + b"N" * (instructions - 4) + b"t."


def test_limits_hold_exactly():
    for good, one_more in [
        (nested(MAX_DEPTH), nested(MAX_DEPTH + 1)),
        (b"\x80\x02\x8a\x10" + bytes(16) + b".", b"\x80\x02\x8a\x11" + bytes(17) + b"."),
        (long_program(MAX_WORK), long_program(MAX_WORK + 1)),
    ]:
        read(good)
        with pytest.raises(WeightsError, match="expected"):
            read(one_more)


OPCODES = st.sampled_from([bytes([opcode]) for opcode in INSTRUCTIONS if opcode != 0x80])
VALUES = st.sampled_from([BOX, MARKER, ORDERED, encode("a"), encode(1), encode(("a",))])
PIECES = st.one_of(OPCODES, OPCODES, VALUES, st.binary(max_size=3))


@pytest.mark.exhaustive
@given(st.lists(PIECES, max_size=40), st.integers(2, 5))
@settings(max_examples=500)
def test_any_program_is_read_or_refused(pieces, protocol):
    check_read_or_refused(b"\x80%c" % protocol + b"".join(pieces) + b".")


VALID = [
    pickle.dumps({"a": [1, 2.5, None, True], "b": ("text", -5, 2**70), "c": [{}, [], ()]}, protocol)
    for protocol in (2, 4)
] + [program([build(call(BOX, 1), ("s",)), call(ORDERED, [("a", 1)]), MARKER])]


@given(st.sampled_from(VALID), st.data())
@settings(max_examples=500)
def test_any_flipped_byte_is_read_or_refused(valid, draw):
    damaged = bytearray(valid)
    damaged[draw.draw(st.integers(0, len(valid) - 1))] ^= draw.draw(st.integers(1, 255))
    check_read_or_refused(bytes(damaged))
    check_read_or_refused(valid[: draw.draw(st.integers(0, len(valid)))])


@given(st.binary())
def test_any_bytes(data):
    check_read_or_refused(data)
    check_read_or_refused(b"\x80\x02" + data)


def check_read_or_refused(data):
    try:
        read(data, persistent=lambda identity: identity)
    except WeightsError as error:
        assert str(error).startswith("w.pth: byte ")
