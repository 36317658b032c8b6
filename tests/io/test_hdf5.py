"""npgrad's own weights file: what goes in comes out, and nothing else gets in."""

import dataclasses
import json
from pathlib import Path

import h5py
import numpy as np
import pytest
from hdf5_files import ATTACKS, forge, own_network, replace
from refusals import line

import npgrad
from npgrad.errors import InputError, WeightsError
from npgrad.io.formats import hdf5
from npgrad.layers import (
    Layer,
)
from npgrad.models import squeezenet1_0, squeezenet1_1


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "model", [squeezenet1_1(num_classes=7), squeezenet1_0(3, rng=2, conv10_padding=1), own_network()]
)
def test_what_is_saved_is_loaded(model, dtype, tmp_path):
    model = model.astype(dtype)
    model.save(tmp_path / "model.h5")
    back = npgrad.load(tmp_path / "model.h5")
    assert back.layer_names() == model.layer_names()
    assert (back.classes, back.preprocessing, back.source) == (
        model.classes,
        model.preprocessing,
        model.source,
    )
    assert (back.architecture, back.aliases) == (model.architecture, model.aliases)
    arrays = back.network.arrays(buffers=True)
    for name, array in model.network.arrays(buffers=True).items():
        assert arrays[name].dtype == array.dtype == dtype
        np.testing.assert_array_equal(arrays[name], array)
    shape = (2, 4, 12, 6) if model.architecture is None else (2, 3, 24, 24)
    x = np.random.default_rng(0).normal(size=shape).astype(dtype)
    np.testing.assert_array_equal(back(x), model(x))


def test_the_same_model_gives_the_same_bytes():
    assert hdf5.to_bytes(own_network()) == hdf5.to_bytes(own_network())


def test_the_file_says_what_it_is(tmp_path):
    own_network().save(tmp_path / "model.h5")
    head = (tmp_path / "model.h5").read_bytes()[:512]
    assert head.startswith(b"npgrad weights, version 2\n")
    with h5py.File(tmp_path / "model.h5") as file:  # any HDF5 reader can open it
        metadata = json.loads(bytes(file["metadata"][:]))
        assert metadata["classes"] == ["a", "b", "Ärger"]
        assert file["arrays/stem.weight"].shape == (6, 2, 3, 5)


def test_any_changed_byte_is_seen(rng):
    data = hdf5.to_bytes(own_network())
    places = [*range(512), *rng.choice(np.arange(512, len(data)), 400, replace=False)]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.integers(8)
        with pytest.raises(WeightsError, match="model.h5"):
            hdf5.from_bytes(bytes(changed), "model.h5")


@pytest.mark.parametrize("length", [0, 1, 100, 511, 512, 600, 5000, -1])
def test_a_file_cut_off_is_refused(length):
    with pytest.raises(WeightsError, match="model.h5: "):
        hdf5.from_bytes(hdf5.to_bytes(own_network())[:length], "model.h5")


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_forged_file_is_refused(attack):
    change, message = ATTACKS[attack]
    if attack == "a group for an array":

        def change(file):
            del file["arrays/last.weight"]
            file["arrays"].create_group("last.weight")

    with pytest.raises(WeightsError, match=message) as caught:
        hdf5.from_bytes(forge(change), "forged.h5")
    assert str(caught.value).startswith("forged.h5: ")
    assert "\n" not in str(caught.value)


def test_forging_nothing_is_accepted():
    """The test of the tests above: it is the change that is refused."""
    assert hdf5.from_bytes(forge(lambda file: None), "x").layer_names() == own_network().layer_names()
    assert hdf5.from_bytes(forge(replace("arrays/last.weight")), "x").num_classes == 3


def test_other_files_are_named(tmp_path):
    for content, looks in (
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"", "empty"),
        (b"\x89HDF\r\n\x1a\n" + bytes(600), "HDF5"),
    ):
        (tmp_path / "w.h5").write_bytes(content)
        with pytest.raises(WeightsError, match=f"w.h5: not an npgrad weights file: it looks like .*{looks}"):
            npgrad.load(tmp_path / "w.h5")
    with pytest.raises(WeightsError, match="missing.h5: .*No such file"):
        npgrad.load(tmp_path / "missing.h5")


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no such device here")
def test_a_device_or_folder_is_not_read(tmp_path):
    with pytest.raises(WeightsError, match="/dev/zero: expected a weights file, found a device or a pipe"):
        npgrad.load(Path("/dev/zero"))
    with pytest.raises(WeightsError, match="expected a weights file, found a folder"):
        npgrad.load(tmp_path)


def test_saving_keeps_what_is_there_if_it_fails(tmp_path):
    path = tmp_path / "model.h5"
    own_network().save(path)
    before = path.read_bytes()

    class Strange(Layer):
        pass

    with pytest.raises(InputError, match="Strange"):
        npgrad.Model(Strange()).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(InputError, match="no-such-folder"):
        own_network().save(tmp_path / "no-such-folder" / "model.h5")


def test_the_default_layer_and_presets_are_kept(tmp_path):
    fresh = squeezenet1_1(num_classes=2, rng=1)
    assert (fresh.default_layer, len(fresh.presets)) == ("fire9", 4)
    for own in (
        dataclasses.replace(fresh, default_layer="fire5", presets=("the_scream",)),
        dataclasses.replace(fresh, architecture=None, default_layer="fire5", presets=("the_scream",)),
    ):
        own.save(tmp_path / "own.h5")
        loaded = npgrad.load(tmp_path / "own.h5")
        assert (loaded.default_layer, loaded.presets) == ("fire5", ("the_scream",))
    with pytest.raises(
        InputError, match="default_layer: expected a layer of this network or None, found 'fire44'"
    ):
        dataclasses.replace(fresh, default_layer="fire44")


def test_names_that_are_no_text(tmp_path):
    import h5py

    from npgrad.io.formats import hdf5

    found = line(hdf5.from_bytes, forge(lambda file: h5py.h5g.create(file.id, b"\xff")), "f")
    assert found == "f: expected 'metadata' and 'arrays', found ['arrays', 'metadata', '\ufffd']"


def test_the_metadata_of_a_file_word_for_word(tmp_path):
    path = tmp_path / "f.h5"
    own_network().save(path)
    with h5py.File(path) as file:
        text = bytes(file["metadata"][:])
    metadata = json.loads(text)
    assert list(metadata) == [
        "format", "version", "architecture", "classes", "preprocessing", "source", "network",
    ]  # fmt: skip
    assert (metadata["format"], metadata["version"], metadata["architecture"]) == ("npgrad weights", 2, None)
    assert "Ärger".encode() in text
    assert (
        path.read_bytes()[:130]
        .decode()
        .splitlines()[1]
        .startswith("sha256 of what follows these 512 bytes: ")
    )


def test_a_size_that_overflows_64_bits_is_not_0():
    def change(file):
        del file["arrays/last.weight"]
        file.create_dataset("arrays/last.weight", (1 << 32, 1 << 32), "<f4")

    found = line(hdf5.from_bytes, forge(change), "f")
    assert found == f"f: last.weight: expected {4 << 64} bytes, found 0"


def test_names_and_half_floats_in_an_h5(tmp_path):
    assert hdf5._key("a/b%2F/") == "a%2Fb%252F%2F"  # as files have it that are read for years to come
    own = own_network()

    def halves(file):
        for key in list(file["arrays"]):
            values = file["arrays"][key][()].astype("<f2")
            del file["arrays"][key]
            file["arrays"][key] = values

    path = tmp_path / "half.h5"
    path.write_bytes(forge(halves))
    found = hdf5.load(path).network.arrays(buffers=True)
    for key, array in own.network.arrays(buffers=True).items():
        assert found[key].dtype == np.float32
        assert np.array_equal(found[key], array.astype(np.float16).astype(np.float32))


@pytest.mark.exhaustive
def test_a_saved_file_has_no_times_in_it():
    import time

    before = hdf5.to_bytes(own_network())
    time.sleep(1.1)  # HDF5 would note whole seconds
    assert hdf5.to_bytes(own_network()) == before
