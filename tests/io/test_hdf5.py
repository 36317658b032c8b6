"""npgrad's own weights file: what goes in comes out, and nothing else gets in."""

import dataclasses
import hashlib
import io
import json
from pathlib import Path

import h5py
import numpy as np
import pytest

import npgrad
from npgrad.errors import InputError, WeightsError
from npgrad.io.formats import hdf5
from npgrad.layers import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Fire,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)
from npgrad.models import squeezenet1_0, squeezenet1_1


def own_network(rng=0):
    """A network without a name: every kind of option and array."""
    norm = BatchNorm2d.init(6)
    return npgrad.Model(
        Sequential(
            {
                "stem": Conv2d.init(4, 6, (3, 5), stride=(2, 1), padding=(1, 2), groups=2, rng=rng),
                "norm": norm.map_arrays(lambda name, array: array + 0.5),
                "block": Sequential({"relu": ReLU(), "pool": MaxPool2d(3, 2, padding=1, ceil_mode=True)}),
                "fire": Fire.init(6, 3, 4, 5, rng=rng),
                "mean": AvgPool2d(2, count_include_pad=False),
                "flatten": Flatten(),
                "last": Linear(np.random.default_rng(rng).normal(size=(3, 36)), None),
            }
        ),
        classes=["a", "b", "Ärger"],
        preprocessing=npgrad.Preprocessing(mean=(0.1, 0.2, 0.3), std=(1, 2, 3), resize=16, crop=12),
        source={"url": "https://example.org/x", "license": "none"},
    )


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
    assert head.startswith(b"npgrad weights, version 1\n")
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


def forge(change):
    """The file of a small model after `change(h5py file)`, with a header that fits again."""
    buffer = io.BytesIO(hdf5.to_bytes(own_network()))
    with h5py.File(buffer, "r+") as file:
        change(file)
    body = buffer.getvalue()[hdf5.HEADER :]
    return hdf5._header(hashlib.sha256(body).hexdigest()) + body


def replace(name, **options):
    def change(file):
        values = file[name][()]
        del file[name]
        file.create_dataset(name, data=values, **options)

    return change


def put(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def external_storage(file):
    del file["arrays/last.weight"]
    file.create_dataset("arrays/last.weight", (3, 36), "<f4", external=[("/etc/hostname", 0, 3 * 36 * 4)])


def virtual(file):
    del file["arrays/last.weight"]
    layout = h5py.VirtualLayout((3, 36), "<f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 36))
    file.create_virtual_dataset("arrays/last.weight", layout)


def declared_huge(file):
    del file["arrays/last.weight"]
    file.create_dataset("arrays/last.weight", (1 << 20, 1 << 14), "<f4")  # 64 GiB, none of it written


def vlen_text(file):
    del file["metadata"]
    file["metadata"] = "{}"


def edit_metadata(edit):
    def change(file):
        metadata = json.loads(bytes(file["metadata"][:]))
        edit(metadata)
        del file["metadata"]
        file["metadata"] = np.frombuffer(json.dumps(metadata).encode(), np.uint8)

    return change


def deep(metadata):
    layer = {"type": "ReLU"}
    for _ in range(50):
        layer = {"type": "Sequential", "layers": {"a": layer}}
    metadata["network"] = layer


SMALL = {"name": "squeezenet1_1", "options": {"num_classes": 7}}
ATTACKS = {
    "soft link": (put("arrays/last.weight", h5py.SoftLink("/arrays/stem.weight")), "soft or external link"),
    "external link": (
        put("arrays/last.weight", h5py.ExternalLink("/etc/passwd", "/x")),
        "soft or external link",
    ),
    "soft link to a group": (put("arrays", h5py.SoftLink("/elsewhere")), "soft or external link"),
    "external metadata": (
        put("metadata", h5py.ExternalLink("other.h5", "/metadata")),
        "soft or external link",
    ),
    "hard link twice": (
        lambda file: put("arrays/last.weight", file["arrays/stem.weight"])(file),
        "links, expected one",
    ),
    "cycle": (lambda file: put("arrays/last.weight", file["/"])(file), "links, expected one"),
    "external storage": (external_storage, "last.weight: expected plain contiguous storage"),
    "virtual dataset": (virtual, "last.weight: expected plain contiguous storage"),
    "declared huge": (declared_huge, "last.weight: expected 68719476736 bytes, found 0"),
    "compressed": (replace("arrays/last.weight", compression="gzip"), "expected plain contiguous storage"),
    "chunked": (replace("arrays/last.weight", chunks=(1, 36)), "expected plain contiguous storage"),
    "object type": (vlen_text, "metadata: expected"),
    "compound": (put("arrays/last.weight", np.zeros(3, [("a", "f4")])), "last.weight: expected floats"),
    "big-endian": (put("arrays/last.weight", np.zeros((3, 36), ">f4")), "last.weight: expected floats"),
    "integers": (put("arrays/last.weight", np.zeros((3, 36), np.uint8)), "last.weight: expected floats"),
    "a group for an array": (lambda file: put("arrays/last.weight", None)(file) or None, "last.weight"),
    "missing": (lambda file: file["arrays"].pop("last.weight"), "last.weight is missing"),
    "extra": (
        lambda file: file["arrays"].create_dataset("more", data=np.zeros(3, "f4")),
        "more is not of this network",
    ),
    "transposed": (
        put("arrays/last.weight", np.zeros((36, 3), "f4")),
        r"\(3, 36\), found \(36, 3\) \(transposed",
    ),
    "NaN": (put("arrays/last.weight", np.full((3, 36), np.nan)), "last.weight: expected finite numbers"),
    "Inf": (put("arrays/norm.running_var", np.full(6, np.inf)), "norm.running_var: expected finite numbers"),
    "more in the root": (lambda file: file.create_group("more"), "expected 'metadata' and 'arrays'"),
    "no JSON": (put("metadata", np.frombuffer(b"{", np.uint8)), "metadata: expected JSON"),
    "deep JSON": (put("metadata", np.frombuffer(b"[" * 100_000, np.uint8)), "metadata: expected JSON"),
    "no object": (
        put("metadata", np.frombuffer(b"3", np.uint8)),
        "metadata: expected npgrad weights, version 1",
    ),
    "version 2": (edit_metadata(lambda m: m.update(version=2)), "version 1"),
    "unknown layer": (
        edit_metadata(lambda m: m.update(network={"type": "os.system"})),
        "metadata: structure: expected one",
    ),
    "base class": (edit_metadata(lambda m: m.update(network={"type": "Layer"})), "metadata: structure"),
    "deep network": (edit_metadata(deep), "at most 20 levels"),
    "unknown option": (
        edit_metadata(lambda m: m["network"]["layers"]["mean"].update(x=1)),
        "AvgPool2d has no",
    ),
    "bad option": (
        edit_metadata(lambda m: m["network"]["layers"]["mean"].update(stride=-1)),
        "AvgPool2d stride",
    ),
    "huge shape": (
        edit_metadata(lambda m: m["network"]["layers"]["last"]["arrays"].update(weight=[10**9, 10**9])),
        "more elements than the file",
    ),
    "a shape of text": (
        edit_metadata(lambda m: m["network"]["layers"]["last"]["arrays"].update(weight=["3", 36])),
        "expected a shape",
    ),
    "unknown architecture": (
        edit_metadata(lambda m: m.update(architecture={"name": "squeezenet", "options": {}})),
        "no architecture 'squeezenet'; nearest",
    ),
    "huge architecture": (
        edit_metadata(
            lambda m: m.update(architecture={"name": "squeezenet1_1", "options": {"num_classes": 10**12}})
        ),
        "its weights have more elements than the file",
    ),
    "classes of numbers": (
        edit_metadata(lambda m: m.update(classes=[1, 2, 3])),
        "classes: expected a list of names",
    ),
    "too few classes": (
        edit_metadata(lambda m: m.update(architecture=SMALL, classes=["a"])),
        "classes: expected 7 names, found 1",
    ),
    "std of 0": (edit_metadata(lambda m: m["preprocessing"].update(std=[0, 1, 1])), "metadata: .*std"),
    "no preprocessing": (edit_metadata(lambda m: m.update(preprocessing=None)), "metadata: .*preprocessing"),
}


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
