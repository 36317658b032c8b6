""".safetensors files: a builder, good ones, and files that are refused, ATTACKS."""

import json

from hypothesis import strategies as st


def build(entries, data, metadata=None):
    """A file from header entries {name: {...}}, or from the header's text, and the bytes after it."""
    if not isinstance(entries, (str, bytes)):
        if metadata is not None:
            entries = {"__metadata__": metadata, **entries}
        entries = json.dumps(entries)
    header = entries.encode() if isinstance(entries, str) else entries
    return len(header).to_bytes(8, "little") + header + data


def entry(shape=(2,), begin=0, end=8, dtype="F32"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


GOOD = {"w": entry()}
ONE = json.dumps(entry())
ATTACKS = {
    "empty": (b"", "8 bytes of header length"),
    "seven bytes": (bytes(7), "8 bytes of header length"),
    "a huge header": ((2**63).to_bytes(8, "little") + b"{}", "at most 2000000"),
    "a header past the end": ((50).to_bytes(8, "little") + b"{}", "expected 50 bytes, found 2"),
    "no JSON": (build("{'w': 1}", b""), "expected JSON"),
    "no UTF-8": (build(b'{"\xff": 1}', b""), "expected JSON"),
    "a list": (build("[1]", b""), "found a list"),
    "deep nesting": (build("[" * 1_000_000, b""), "expected JSON"),
    "a number of 5000 digits": (build('{"w": ' + "9" * 5000 + "}", b""), "header"),
    "a name twice": (build(f'{{"w": {ONE}, "w": {ONE}}}', bytes(8)), "names 'w' twice"),
    "a name twice, once escaped": (build(f'{{"w": {ONE}, "\\u0077": {ONE}}}', bytes(8)), "names 'w' twice"),
    "a field twice": (build('{"w": {"dtype": "F32", "dtype": "F64"}}', bytes(8)), "names 'dtype' twice"),
    "metadata twice": (build('{"__metadata__": {}, "__metadata__": {}}', b""), "twice"),
    "an entry that is a number": (build({"w": 5}, b""), "tensor 'w'"),
    "an entry without a shape": (
        build({"w": {"dtype": "F32", "data_offsets": [0, 8]}}, bytes(8)),
        "tensor 'w'",
    ),
    "an entry with more": (build({"w": {**entry(), "file": "/etc/passwd"}}, bytes(8)), "nothing else"),
    "integers": (build({"w": entry(dtype="I32")}, bytes(8)), "found 'I32'"),
    "a type that is a list": (build({"w": entry(dtype=["F32"])}, bytes(8)), "dtype"),
    "a negative shape": (build({"w": entry([-2])}, bytes(8)), "list of sizes"),
    "a shape of truth values": (build({"w": entry([True, 2])}, bytes(8)), "list of sizes"),
    "a fractional shape": (build({"w": entry([2.0])}, bytes(8)), "list of sizes"),
    "a shape of text": (build({"w": {**entry(), "shape": "2"}}, bytes(8)), "list of sizes"),
    "a thousand dimensions": (build({"w": entry([1] * 1000, 0, 4)}, bytes(4)), "list of sizes"),
    "dimensions of 4000 digits": (build({"w": entry([10**4000] * 4)}, bytes(8)), "list of sizes"),
    "a shape of 64 GiB": (build({"w": entry([2**34])}, bytes(8)), "expected 68719476736 bytes"),
    "a shape that wraps around": (build({"w": entry([2**62, 4])}, bytes(8)), "tensor 'w'"),
    "three offsets": (build({"w": {**entry(), "data_offsets": [0, 4, 8]}}, bytes(8)), "two places"),
    "past the end": (build({"w": entry([4], 0, 16)}, bytes(8)), "within 8 bytes"),
    "cut short": (build(GOOD, bytes(7)), "within 7 bytes"),
    "backwards": (build({"w": entry([0], 8, 4)}, bytes(8)), "within"),
    "too few bytes for the shape": (build({"w": entry([3])}, bytes(8)), "expected 12 bytes"),
    "bytes left over": (build(GOOD, bytes(9)), "damaged .safetensors"),
    "a hole": (build({"a": entry(), "b": entry(begin=12, end=20)}, bytes(20)), "damaged .safetensors"),
    "the same bytes twice": (build({"a": entry(), "b": entry()}, bytes(8)), "damaged .safetensors"),
    "metadata that is no text": (build(GOOD, bytes(8), {"a": 5}), "damaged .safetensors"),
    "half a character as a name": (build({"\ud800": entry()}, bytes(8)), "damaged .safetensors"),
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BF16", "F64", "I8", "X"]) | json_values,
        "shape": st.lists(st.integers(-1, 4), max_size=3) | json_values,
        "data_offsets": st.lists(st.integers(-1, 20), min_size=2, max_size=2) | json_values,
    }
)
