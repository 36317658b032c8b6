"""Safetensors files: read through the package, with the header checked before it."""

import json
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from npgrad.errors import WeightsError
from npgrad.io.formats import safetensors

package = pytest.importorskip("safetensors.numpy", reason="the extra npgrad[safetensors] is not installed")


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


def test_what_the_package_writes(rng):
    expected = {
        "conv1.weight": rng.standard_normal((4, 3, 2, 2), np.float32),
        "conv1.bias": rng.standard_normal(4),
        "half": rng.standard_normal(5).astype(np.float16),
        "scalar": np.array(3, np.float32),
        "empty": np.zeros((0, 3), np.float32),
    }
    data = package.save(expected, metadata={"format": "np"})
    assert safetensors.matches(data[:20])
    found = safetensors.read(data, "f.safetensors")
    assert set(found) == set(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype
        assert found[key].flags.writeable
        np.testing.assert_array_equal(found[key], array)


def test_bfloat16_as_torch_reads_it():
    torch = pytest.importorskip("torch")
    from safetensors.torch import save

    values = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    values[0, 0], values[0, 1], values[0, 2] = float("inf"), -0.0, 1e-40
    found = safetensors.read(save({"w": values}), "f")["w"]
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found.view(np.uint32), values.float().numpy().view(np.uint32))


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    data = build({"w": entry()}, bytes(8))
    with pytest.raises(WeightsError, match=r"^f: .*pip install safetensors$"):
        safetensors.read(data, "f")


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


@pytest.mark.parametrize("what", ATTACKS)
def test_refused(what):
    data, words = ATTACKS[what]
    began = time.process_time()
    with pytest.raises(WeightsError) as caught:
        safetensors.read(data, "attack.safetensors")
    assert time.process_time() - began < 2
    message = str(caught.value)
    assert message.startswith("attack.safetensors: ")
    assert words in message
    assert message.isprintable()
    assert len(message) < 400


def test_matches():
    assert safetensors.matches(build(GOOD, b""))
    for other in (b"", b"{", build("[1]", b""), b"\xff" * 8 + b'{"', b'12345678{"text": 1}'):
        assert not safetensors.matches(other)


SMALL = build(
    {"w": entry(), "b": entry((2, 1), 8, 12, "BF16")}, np.arange(3, dtype="<f4").tobytes(), {"a": "b"}
)


def read_or_refuse(data):
    safetensors.matches(data)
    try:
        tensors = safetensors.read(data, "some file")
    except WeightsError as error:
        assert str(error).startswith("some file: ")
        assert str(error).isprintable()
    else:
        assert all(array.dtype.kind == "f" for array in tensors.values())


@given(st.binary(max_size=100).flatmap(lambda tail: st.sampled_from([tail, build(b"{" + tail, b"")])))
@settings(deadline=None, max_examples=200)
def test_random_bytes(data):
    read_or_refuse(data)


@given(st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=3))
@settings(deadline=None, max_examples=500)
def test_changed_bytes(changes):
    data = bytearray(SMALL)
    for place, byte in changes:
        data[place] = byte
    read_or_refuse(bytes(data))


@pytest.mark.parametrize("end", range(len(SMALL)))
def test_cut_anywhere(end):
    with pytest.raises(WeightsError):
        safetensors.read(SMALL[:end], "cut")


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


@given(st.dictionaries(st.text(max_size=8), entries | json_values, max_size=3), st.binary(max_size=20))
@settings(deadline=None, max_examples=300)
def test_random_headers(header, data):
    read_or_refuse(build(header, data))
