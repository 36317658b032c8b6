"""Checkpoints that are refused: made with other settings, damaged, hostile, or not to be written."""

import json
import os
import pickle
import re
import zipfile

import numpy as np
import pytest
from drawn_nets import drawn_net
from little_runs import STEPS, InterruptAt, assert_same, make, noise
from messages import A_WHOLE_NUMBER, OTHER_SETTINGS

from npgrad import InputError, Model, layers
from npgrad.images import Preprocessing
from npgrad.io.checkpoints import fingerprint
from npgrad.layers.composite import walk_layers


def linear_model(seed=0, mean=(0.5, 0.5, 0.5)):
    weight = np.random.default_rng(seed).standard_normal((4, 60)).astype(np.float32)
    network = layers.Sequential(
        {"flat": layers.Flatten(), "line": layers.Linear(weight, np.zeros(4, np.float32))}
    )
    return Model(network, preprocessing=Preprocessing(mean=mean))


BASE = {"model": linear_model(), "image": noise(3), "name": "x", "weights": {"a": 1.0}, "many": [1, 2]}
OTHERS = {
    "steps": {"steps": STEPS + 1},
    "seed": {"rng": 1},
    "no seed": {"rng": None},
    "beginning": {"x": noise(1)},
    "type": {"x": noise().astype(np.float64)},
    "number": {"lr": 0.2},
    "weights": {"settings": {**BASE, "model": linear_model(1)}},
    "preprocessing": {"settings": {**BASE, "model": linear_model(mean=(0.4, 0.5, 0.5))}},
    "image": {"settings": {**BASE, "image": noise(4)}},
    "text": {"settings": {**BASE, "name": "y"}},
    "dict": {"settings": {**BASE, "weights": {"a": 2.0}}},
    "list": {"settings": {**BASE, "many": [1, 2, 3]}},
    "one more": {"settings": {**BASE, "masks": None}},
}


@pytest.mark.parametrize("other", OTHERS)
def test_a_checkpoint_of_other_settings_is_refused(tmp_path, other):
    path = tmp_path / "run.ckpt"
    make(noise(), checkpoint=path, callback=InterruptAt(3), settings=BASE)
    before = path.read_bytes()
    changed = {"x": noise(), "settings": BASE, **OTHERS[other]}
    with pytest.raises(InputError, match=f"run.ckpt: this checkpoint was {OTHER_SETTINGS}") as caught:
        make(checkpoint=path, **changed)
    assert len(str(caught.value).splitlines()) == 1 and path.read_bytes() == before
    same = {**BASE, "weights": {"a": 1.0}, "model": linear_model()}  # equal, but not the same objects
    assert make(noise(), checkpoint=path, settings=same).steps == STEPS


def a_checkpoint(tmp_path):
    path = tmp_path / "run.ckpt"
    make(noise(), checkpoint=path, callback=InterruptAt(3))
    return path


def assert_refused(path, message="not an npgrad checkpoint, or a damaged one: "):
    with pytest.raises(InputError, match=re.escape(f"{path.name}: {message}")) as caught:
        make(noise(), checkpoint=path)
    assert len(str(caught.value).splitlines()) == 1 and len(str(caught.value)) < 400


def test_a_truncated_checkpoint_is_refused(tmp_path):
    path = a_checkpoint(tmp_path)
    whole = path.read_bytes()
    for size in [*range(0, len(whole), 41), len(whole) - 1]:
        path.write_bytes(whole[:size])
        assert_refused(path)


@pytest.mark.exhaustive
def test_a_flipped_byte_is_refused_or_does_no_harm(tmp_path):
    path, expected = a_checkpoint(tmp_path), make(noise())
    whole, harmless = path.read_bytes(), 0
    for place in range(0, len(whole), 13):
        damaged = bytearray(whole)
        damaged[place] ^= 0x5A
        path.write_bytes(damaged)
        try:
            result = make(noise(), checkpoint=path)
        except InputError as error:
            assert "damaged" in str(error) and len(str(error).splitlines()) == 1
        else:
            assert_same(result, expected)
            harmless += 1
    assert harmless < 0.3 * len(whole) / 13  # dates and such


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trapped",)


def repacked(path, **changes):
    """The checkpoint with members replaced by arrays, or left out (None)."""
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    arrays.update(changes)
    np.savez(path.with_suffix(".npz"), **{name: a for name, a in arrays.items() if a is not None})
    os.replace(path.with_suffix(".npz"), path)


def retold(path, **changes):
    """The checkpoint with parts of its line of JSON replaced."""
    with np.load(path) as file:
        run = json.loads(file["run"].tobytes())
    run["rest"].update(changes)
    repacked(path, run=np.frombuffer(json.dumps(run).encode(), np.uint8))


def test_a_pickle_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = a_checkpoint(tmp_path)
    path.write_bytes(pickle.dumps(Trap()))
    assert_refused(path)
    path.unlink()
    repacked(a_checkpoint(tmp_path), image=np.array([Trap()], object))
    assert_refused(path, "not an npgrad checkpoint, or a damaged one: 'image.npy': expected a")
    assert not os.path.exists("trapped")


def test_a_compressed_checkpoint_is_refused(tmp_path):
    path = a_checkpoint(tmp_path)
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name, content in members.items():
            new.writestr(name, content)
    assert_refused(
        path, "not an npgrad checkpoint, or a damaged one: expected stored members, found compressed"
    )


@pytest.mark.parametrize("content", [b"", b"PK", b"\x89PNG\r\n\x1a\n" + bytes(100), b"{}", bytes(5000)])
def test_another_kind_of_file_is_refused(tmp_path, content):
    path = tmp_path / "other.ckpt"
    path.write_bytes(content)
    assert_refused(path)
    assert path.read_bytes() == content


TEXTS = [
    b"[]",
    b"1",
    b"null",
    b"{}",
    b"{",
    b"\xff",
    b'{"format": 1}',
    b'{"format": "npgrad checkpoint 1"}',
    b"[" * 9999,
]


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: str(text[:12]))
def test_other_json_is_refused(tmp_path, text):
    path = a_checkpoint(tmp_path)
    repacked(path, run=np.frombuffer(text, np.uint8))
    assert_refused(path)


def test_an_archive_of_other_arrays_is_refused(tmp_path):
    path = a_checkpoint(tmp_path)
    repacked(path, run=None)
    assert_refused(path, "not an npgrad checkpoint, or a damaged one: there is no 'run'")
    path.unlink()
    repacked(a_checkpoint(tmp_path), image=None)
    assert_refused(path)


@pytest.mark.parametrize(
    "changes",
    [{"t": "three"}, {"t": None}, {"losses": [1]}, {"losses": {"far": ["x"]}}, {"rng": {}}, {"rng": 5},
     {"rng": {"bit_generator": "MT19937"}}],
)  # fmt: skip
def test_a_state_that_cannot_be_put_back_is_refused(tmp_path, changes):
    path = a_checkpoint(tmp_path)
    retold(path, **changes)
    assert_refused(path)


def test_an_unwritable_place_is_found_before_the_work(tmp_path):
    def never(*step):
        raise AssertionError("work was done")

    for path in (tmp_path / "nowhere" / "run.ckpt", tmp_path):
        with pytest.raises(InputError) as caught:
            make(noise(), checkpoint=path, callback=never)
        assert len(str(caught.value).splitlines()) == 1 and str(path) in str(caught.value)


def test_a_generator_that_cannot_be_written_down_is_refused(tmp_path):
    with pytest.raises(InputError, match="rng: expected a generator like Generator.PCG64"):
        make(noise(), rng=np.random.Generator(np.random.MT19937(1)), checkpoint=tmp_path / "run.ckpt")
    assert os.listdir(tmp_path) == []
    assert make(noise(), rng=np.random.Generator(np.random.MT19937(1))).steps == STEPS


@pytest.mark.parametrize(
    ("options", "message"),
    [({"steps": -1}, f"steps: {A_WHOLE_NUMBER} >= 0, found -1"), ({"steps": 2.5}, "steps: expected a whole"),
     ({"rng": "luck"}, "rng: expected a Generator or a whole number >= 0, found 'luck'")],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        make(noise(), **options)


def replaced(layer, path, new):
    """The layer with another one at the path of a part of its parts."""
    if not path:
        return new
    name = next(name for name in layer.parts() if f"{path}.".startswith(f"{name}."))
    inside = replaced(layer.parts()[name], path[len(name) + 1 :], new)
    return layer.with_parts({**layer.parts(), name: inside})


def other(layer):
    """Layers of the same shapes without parameters that compute something else."""
    if isinstance(layer, layers.ReLU):
        return [layers.LeakyReLU(0.1), layers.LeakyReLU(0.2)]
    if isinstance(layer, layers.Dropout):
        return [layers.Dropout(layer.p / 2 + 0.01)]
    return [layers.Clip(0.0, 5.0)] if isinstance(layer, (layers.ReLU6, layers.Clip)) else []


@pytest.mark.parametrize("seed", range(12))
def test_another_layer_makes_other_settings_wherever_it_is(seed):
    model, _ = drawn_net(seed)
    found = {fingerprint({"model": model})}
    assert {fingerprint({"model": model.with_parameters(model.parameters())})} == found
    count = 1
    for path, layer in walk_layers(model.network):
        for new in other(layer) if not path.startswith("fire.") else ():  # whose ReLUs are its own
            found.add(fingerprint({"model": Model(replaced(model.network, path, new))}))
            count += 1
    assert len(found) == count >= 3
