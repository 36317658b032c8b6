"""The .npz reader: NumPy's own files, and what it must refuse."""

import io
import struct
import tracemalloc
from zipfile import ZipFile, ZipInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from npy_writer import header, npy
from npz_files import HOSTILE, REFUSED
from refusals import line
from zip_writer import DEFLATED, Entry, archive, deflate, write

from npgrad import WeightsError
from npgrad.io.formats import _zips as zips
from npgrad.io.formats import npz

ARRAYS = {
    "float32": np.arange(6, dtype=np.float32).reshape(2, 3),
    "big-endian": np.arange(6, dtype=">f8").reshape(3, 2),
    "half": np.array([0.5, -2], np.float16),
    "bytes": np.arange(4, dtype=np.uint8),
    "negative": np.array([[-1], [-(2**62)]]),
    "complex": np.array([1 + 2j], np.complex64),
    "logical": np.array([[True, False]]),
    "scalar": np.array(7.0),
    "empty": np.zeros((0, 5), np.float32),
    "fortran": np.asfortranarray(np.arange(24.0).reshape(2, 3, 4)),
    "fortran view": np.arange(6.0).reshape(2, 3).T,
    "in/a folder": np.ones(2),
}


def saved(save=np.savez, **arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_come_back_as_numpy_saved_them(save):
    data = saved(save, **ARRAYS)
    found = npz.read(data, "w.npz")
    assert list(found) == list(ARRAYS)
    for name, array in found.items():
        assert array.dtype == ARRAYS[name].dtype.newbyteorder("=") and array.dtype.isnative, name
        np.testing.assert_array_equal(array, ARRAYS[name])
        assert array.shape == ARRAYS[name].shape and array.flags.c_contiguous and array.flags.writeable, name


NUMBERS = hnp.integer_dtypes() | hnp.floating_dtypes(sizes=(16, 32, 64)) | hnp.boolean_dtypes()


@given(hnp.arrays(NUMBERS, hnp.array_shapes(min_dims=0, min_side=0)))
def test_any_array_of_numbers(array):
    found = npz.read(saved(a=array), "w.npz")["a"]
    assert found.dtype == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_versions_of_npy_and_python_2_shapes(version):
    content = struct.pack("<2f", 1, 2)
    data = archive({"a.npy": npy(header=header(shape="(2L, 1L)"), content=content, version=version)})
    np.testing.assert_array_equal(npz.read(data, "w.npz")["a"], [[1], [2]])


def test_comments_and_extra_fields_of_other_programs():
    file = io.BytesIO()
    with ZipFile(file, "w") as made:
        for name, array in ARRAYS.items():
            info = ZipInfo(f"{name}.npy")
            info.comment, info.extra = b"a comment", struct.pack("<2H4s", 0x9999, 4, b"more")
            made.writestr(info, npy(array))
        made.comment = b"of the archive"
    found = npz.read(file.getvalue(), "w.npz")
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)


def test_a_byte_of_two_is_true():
    found = npz.read(archive({"a.npy": npy(header=header("|b1"), content=b"\x02\x00")}), "w.npz")["a"]
    assert found.view(np.uint8).tolist() == [1, 0]


@pytest.mark.parametrize("what", REFUSED)
def test_refused_member(what):
    content, word = REFUSED[what]
    check_refused(archive({"good.npy": npy(np.ones(2)), "bad.npy": content}), word, "bad.npy")


def test_only_npy_files():
    check_refused(archive({"a.npy": npy(np.ones(2)), "run.py": b"import os"}), "run.py")


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive(what):
    data, word = HOSTILE[what]
    check_refused(data, word)


def test_a_hundredfold_and_no_more():
    assert npz.read(archive({"a.npy": npy(np.zeros(1000))}, DEFLATED), "w.npz")["a"].shape == (1000,)
    check_refused(archive({"a.npy": npy(np.zeros(10**6))}, DEFLATED), "times the file")


def check_refused(data, *words):
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as error:
            npz.read(data, "folder/w.npz")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(error.value)
    assert message.startswith("folder/w.npz: ") and "\n" not in message and len(message) < 400
    assert "expected" in message and all(word in message for word in words), message
    assert peak < 1_000_000 + 110 * len(data)


# Damage

GOOD = [saved(**ARRAYS), saved(np.savez_compressed, **ARRAYS)]


@given(st.sampled_from(GOOD), st.data())
@settings(max_examples=300)
def test_any_flipped_byte_is_refused_or_harmless(good, data):
    at = data.draw(st.integers(0, len(good) - 1))
    damaged = bytearray(good)
    damaged[at] ^= data.draw(st.integers(1, 255))
    try:
        found = npz.read(bytes(damaged), "w.npz")
    except WeightsError:
        return
    # Only what no reader uses can differ, as dates; a changed number is seen by its CRC.
    for name, array in found.items():
        np.testing.assert_array_equal(array, ARRAYS[name])


@given(st.binary(max_size=400))
def test_noise(noise):
    packed = archive({"a.npy": noise}), archive({"a.npy": npy(header=noise)})
    for data in (noise, b"PK\x03\x04" + noise, *packed):
        with pytest.raises(WeightsError, match="^w.npz: "):
            npz.read(data, "w.npz")


def test_a_deflated_member_is_not_taken_further_than_it_says():
    import tracemalloc

    data = write([Entry(b"a.npy", bytes(100), DEFLATED, body=deflate(bytes(50 << 20)))])
    tracemalloc.start()
    try:
        found = line(npz.read, data, "f")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == "f: 'a.npy': expected 100 deflated bytes, found another number"
    assert peak < 1 << 20
    for drive in (b"c:a.npy", b"Z:a.npy"):
        assert "expected a member name inside the archive" in line(npz.read, write([Entry(drive, b"")]), "f")


def test_the_end_of_an_archive_is_the_last_that_looks_like_one():
    inside = np.frombuffer(b"PK\x05\x06" * 30, np.float32).copy()
    inside = np.nan_to_num(inside)
    archive = write([Entry(b"a.npy", npy(inside))])
    assert archive.count(b"PK\x05\x06") > 1
    assert np.array_equal(npz.read(archive, "f")["a"], inside)


def test_bounds_of_the_zip_reader():
    good = npy(np.ones(2))
    name = "n" * (zips.MAX_NAME - 4) + ".npy"
    assert list(npz.read(archive({name: good}), "f")) == [name[:-4]]
    assert line(npz.read, archive({"n" + name: good}), "f").startswith(
        "f: expected names of at most 200 characters"
    )
    comment = write([Entry(b"a.npy", good)], comment=b"c" * 0xFFFF)
    assert list(npz.read(comment, "f")) == ["a"]
    many = archive({f"{i}.npy": good for i in range(300)}, DEFLATED)
    assert len(npz.read(many, "f")) == 300
    with pytest.raises(
        WeightsError, match="^f: expected a zip archive, found no end record: cut short, or not a zip$"
    ):
        zips.Zip(b"", "f")
