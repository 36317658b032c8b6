"""Safetensors files: read through the package, with the header checked before it."""

import json
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from refusals import line
from safetensors_files import ATTACKS, GOOD, build, entries, entry, json_values

from npgrad.errors import WeightsError
from npgrad.io.formats import (
    safetensors,
)

package = pytest.importorskip("safetensors.numpy", reason="the extra npgrad[safetensors] is not installed")


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


@pytest.mark.sampled(20)
@pytest.mark.parametrize("end", range(len(SMALL)))
def test_cut_anywhere(end):
    with pytest.raises(WeightsError):
        safetensors.read(SMALL[:end], "cut")


@pytest.mark.exhaustive
@given(st.dictionaries(st.text(max_size=8), entries | json_values, max_size=3), st.binary(max_size=20))
@settings(deadline=None, max_examples=300)
def test_random_headers(header, data):
    read_or_refuse(build(header, data))


def test_bounds_of_safetensors():
    limit = safetensors.MAX_HEADER
    header = json.dumps({"w": entry()})
    assert list(safetensors.read(build(header.ljust(limit), bytes(8)), "f")) == ["w"]
    found = line(safetensors.read, build(header.ljust(limit + 1), bytes(8)), "f")
    assert found == f"f: the header: expected at most {limit} bytes, found {limit + 1}"
    assert line(safetensors.read, bytes(7), "f").endswith(
        "expected 8 bytes of header length and more, found 7 bytes"
    )
    assert line(safetensors.read, build({"w": entry([1] * 33, 0, 4)}, bytes(4)), "f").endswith(
        "places as data_offsets"
    )
    assert safetensors.read(build({"w": entry([1] * 32, 0, 4)}, bytes(4)), "f")["w"].ndim == 32
    empty = safetensors.read(build({"w": entry([0], 0, 0)}, b""), "f")["w"]
    assert empty.shape == (0,) and empty.dtype == np.float32
