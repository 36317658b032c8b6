"""What recordings may be like: names, calls, layouts, precisions, layers that are missing, and several differences."""

import dataclasses

import numpy as np
import pytest

import npgrad
from npgrad._compare.recording import call_of, recording_of
from npgrad._compare.report import page_of
from npgrad.layers import (
    Add,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dropout,
    Flatten,
    Graph,
    LayerNorm,
    Linear,
    LocalResponseNorm,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
    Softmax,
    Upsample,
)

RNG = np.random.default_rng(0)


def conv(c, f, **options):
    return Conv2d(RNG.normal(size=(f, c, 3, 3)) / 3, RNG.normal(size=f) / 3, **options)


def norm(c):
    return BatchNorm2d(*(RNG.uniform(0.5, 1.5, c) for _ in range(4)))


NETWORK = {
    "conv1": conv(3, 6, stride=2, padding=1),
    "bn1": norm(6),
    "relu1": ReLU(),
    "block": Residual({"conv": conv(6, 6, padding=1), "bn": norm(6)}),
    "pool": MaxPool2d(2, ceil_mode=True),
    "flat": Flatten(),
    "fc": Linear(RNG.normal(size=(4, 54)), RNG.normal(size=4)),
}
X = np.random.default_rng(1).normal(size=(3, 3, 10, 10))
NAMES = (
    "conv1",
    "bn1",
    "relu1",
    "block.conv",
    "block.bn",
    "block.add",
    "block.relu",
    "block",
    "pool",
    "flat",
    "fc",
)


def model(changes=None):
    network = Sequential({**NETWORK, **(changes or {})})
    return npgrad.Model(network.map_arrays(lambda _, array: array.astype(np.float32)))


def recorded(network, x=X, dtype=np.float32, names=None, gradients=True):
    """What a framework records: all outputs and gradients, with npgrad's own names."""
    tape = network.astype(dtype if dtype != np.float16 else np.float32).forward(x.astype(dtype))
    names = [record.name for record in tape] if names is None else names
    arrays = {"input": tape.x, **{name: tape[name] for name in names}}
    if gradients:
        dy = np.random.default_rng(2).normal(size=tape.output.shape).astype(dtype)
        found = tape.backward(dy, at=("input", *names))
        arrays |= {f"grad:{name}": gradient for name, gradient in found.items()}
    return {key: np.array(array, dtype) for key, array in arrays.items()}


def first(changes, **options):
    """The first layer that differs, its kind, and the whole comparison."""
    comparison = npgrad.compare(model(), recorded(model(changes), **options))
    return comparison.first.name, comparison.first.diagnoses[0].kind, comparison


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_every_precision(dtype):
    comparison = npgrad.compare(model(), recorded(model(), dtype=dtype))
    assert comparison and len(comparison.layers) == 2 * len(NAMES), comparison
    tolerance = max(row.tolerance for row in comparison.layers)
    assert tolerance < 100 * np.finfo(dtype).eps * 16


def test_a_small_difference_in_float64():
    changes = {"bn1": dataclasses.replace(NETWORK["bn1"], eps=1.00001e-5)}
    assert first(changes, dtype=np.float64)[:2] == ("bn1", "epsilon")
    assert npgrad.compare(model(), recorded(model(changes)))


def test_names_of_another_framework():
    right = recorded(model())
    for change in (
        lambda name: f"module.{name}",
        lambda name: f"net.{name}",
        lambda name: name.replace("block.", "block/"),
    ):
        renamed = {_key(key, change): array for key, array in right.items()}
        comparison = npgrad.compare(model(), renamed)
        assert comparison and not comparison.skipped, comparison.skipped


def _key(key, change):
    if key.endswith("input"):
        return key
    return f"grad:{change(key[5:])}" if key.startswith("grad:") else change(key)


def test_layers_without_known_names_are_found_by_their_numbers():
    strange = {"conv1": "stem", "bn1": "stem_normalized", "relu1": "a", "block": "b"} | {
        "pool": "c",
        "fc": "logits",
    }
    right = recorded(model(), names=list(strange))
    renamed = {_key(key, strange.get): array for key, array in right.items()}
    comparison = npgrad.compare(model(), renamed)
    assert comparison and not comparison.skipped
    assert {row.key for row in comparison.layers} >= set(strange.values())


def test_a_module_that_is_called_twice():
    layers = ["conv1", "relu1", "block.conv", "block.relu", "fc"]
    right = recorded(model(), names=layers, gradients=False)
    right = {{"relu1": "act", "block.relu": "act:2"}.get(key, key): array for key, array in right.items()}
    comparison = npgrad.compare(model(), right)
    assert comparison and {row.key: row.name for row in comparison.layers}["act"] == "relu1"
    assert call_of("act:2") == ("act", 2) and call_of("a.b") == ("a.b", 1) and call_of("a:b") == ("a:b", 1)


def test_channels_last():
    right = recorded(model())
    last = {key: array.transpose(0, 2, 3, 1) if array.ndim == 4 else array for key, array in right.items()}
    for key in ("flat", "grad:flat"):
        last[key] = last[key].reshape(3, 6, 3, 3).transpose(0, 2, 3, 1).reshape(3, -1)
    recording = recording_of(last, 3)
    assert recording.channels_last and recording.x.shape == X.shape
    comparison = npgrad.compare(model(), last)
    assert comparison, comparison


def test_each_difference_is_found_by_itself():
    changes = {
        "conv1": dataclasses.replace(NETWORK["conv1"], bias=None),
        "bn1": dataclasses.replace(NETWORK["bn1"], eps=1e-2),
        "pool": MaxPool2d(2),
        "fc": dataclasses.replace(NETWORK["fc"], weight=NETWORK["fc"].weight[::-1]),
    }
    changes["flat"], changes["pool"] = Flatten(), MaxPool2d(2, ceil_mode=True)
    _, _, comparison = first(changes)
    found = [(row.name, row.diagnoses[0].kind) for row in comparison.different if row.direction == "forward"]
    assert found == [("conv1", "bias"), ("bn1", "epsilon"), ("fc", "channel order")]
    assert "2 more differ by themselves: bn1, fc" in str(comparison)
    assert all(row.verdict == "equal to rounding" for row in comparison.layers if row.direction == "backward")


def test_what_lies_between_recorded_layers():
    changes = {"bn1": dataclasses.replace(NETWORK["bn1"], eps=1e-2)}
    comparison = npgrad.compare(
        model(), recorded(model(changes), names=["conv1", "pool", "fc"], gradients=False)
    )
    row = comparison.first
    assert (row.name, row.key, row.diagnoses[0].kind) == ("bn1", "pool", "epsilon")
    assert set(row.between) == {"bn1", "relu1", "block.conv", "block.bn", "block.add", "block.relu"}
    assert len(comparison.different) == 1


def test_arrays_changed_in_place():
    right = recorded(model())
    right["bn1"] = right["relu1"]
    comparison = npgrad.compare(model(), right)
    assert [(row.name, row.diagnoses[0].kind) for row in comparison.different] == [("bn1", "in place")]
    assert "changed in place by relu1" in str(comparison)


def test_an_activation_that_is_part_of_a_layer():
    """As Keras's Conv2D(activation="relu"): what is recorded of the layer is the activation's output."""
    right = recorded(model())
    for part in ("", "grad:"):
        right[f"{part}bn1"] = right.pop(f"{part}relu1")
    comparison = npgrad.compare(model(), right)
    assert comparison and {row.key: row.name for row in comparison.layers}["bn1"] == "relu1", comparison
    assert "note: bn1 was recorded after relu1: as a part of it, or changed in place" in str(comparison)


def test_what_nothing_explains():
    right = recorded(model())
    for change, kind in (
        (lambda y: y + RNG.normal(size=y.shape).astype(y.dtype), "none of these"),
        (
            lambda y: np.where(np.arange(6)[:, None, None] == 4, y + np.float32(RNG.normal(size=y.shape)), y),
            "some channels",
        ),
        (lambda y: np.where(np.arange(y.size).reshape(y.shape) == 70, y + 1, y), "some channels"),
        (lambda y: np.where(np.arange(y.size).reshape(y.shape) == 70, np.nan, y), "not finite"),
    ):
        comparison = npgrad.compare(model(), {**right, "conv1": change(right["conv1"])})
        assert (comparison.first.name, comparison.first.diagnoses[0].kind) == ("conv1", kind)


OTHERS = {
    "dropout": (Dropout(0.5), lambda x: np.where(RNG.random(x.shape) < 0.3, 0, x / 0.7), "dropout"),
    "softmax": (Softmax(1), lambda x: Softmax(2)(x), "axis"),
    "layer norm": (
        LayerNorm(np.ones(4), np.zeros(4), channels=True),
        lambda x: LayerNorm(np.ones(4), np.zeros(4), eps=1e-2, channels=True)(x),
        "epsilon",
    ),
    "response norm": (LocalResponseNorm(3, 0.5), lambda x: LocalResponseNorm(3, 1.5)(x), "parameters"),
    "resize": (Upsample(2, mode="nearest"), lambda x: Upsample(2, mode="bilinear")(x), "interpolation"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_layers(name):
    layer, other, kind = OTHERS[name]
    x = np.random.default_rng(4).normal(size=(2, 4, 6, 6))
    comparison = npgrad.compare(npgrad.Model(Sequential({"one": layer})), {"input": x, "one": other(x)})
    assert (comparison.first.name, comparison.first.diagnoses[0].kind) == ("one", kind), comparison


def test_sums_and_joins():
    network = Graph(
        {"a": (ReLU(), "input"), "sum": (Add(), ("a", "input")), "join": (Concat(), ("sum", "a"))}
    )
    x = np.random.default_rng(5).normal(size=(2, 4, 5, 5))
    a = np.maximum(x, 0)
    right = {"input": x, "a": a, "sum": a + x, "join": np.concatenate([a + x, a], axis=1)}
    one = npgrad.Model(network)
    assert npgrad.compare(one, right)
    for key, array, kind in (
        ("sum", a - x, "fork branch"),
        ("sum", a + 0.5 * x, "fork branch"),
        ("join", np.concatenate([a, a + x], axis=1), "channel order"),
    ):
        assert npgrad.compare(one, {**right, key: array}).first.diagnoses[0].kind == kind


def test_images_and_the_input(tmp_path):
    image, label, _ = npgrad.scenes.scene(4)
    one = npgrad.load().with_preprocessing(crop=64)
    x = one.preprocess(image).astype(np.float64)
    for change, said in (
        (lambda x: x[:, ::-1], "blue, green, red"),
        (
            lambda x: (
                x * np.reshape(one.preprocessing.std, (-1, 1, 1))
                + np.reshape(one.preprocessing.mean, (-1, 1, 1))
            ),
            "values 0..1",
        ),
        (lambda x: x[..., ::-1], "flipped"),
    ):
        changed = change(x).astype(np.float32)
        comparison = npgrad.compare(one, {"input": changed, "conv1": one.forward(changed)["conv1"]}, image)
        assert not comparison and comparison.first is None and said in comparison.input[0].text
    larger = one.with_preprocessing(resize=80, crop=64)
    changed = larger.preprocess(image)
    comparison = npgrad.compare(one, {"input": changed, "conv1": one.forward(changed)["conv1"]}, image)
    assert "the input differs: " in str(comparison)


def test_refusals():
    right = recorded(model())
    for wrong, message in (
        ({"conv1": right["conv1"]}, "recording: expected an array 'input', found conv1"),
        ({"input": right["input"]}, "recording: expected the output of at least one layer, found none"),
        ({**right, "bn1": np.array(["a"])}, "recording: bn1: expected an array of real numbers, found <U1"),
        ({**right, "a\x1b[2J": X}, "recording: names of layers: expected printable characters, found"),
        ({**right, "input": np.full((1, 3, 4, 4), np.nan)}, "recording: input: expected finite numbers"),
        ({**right, "input": right["input"][:, :2]}, "expects 3 channels"),
        (7, "recording: expected a dict of arrays or a path, found int"),
    ):
        with pytest.raises(npgrad.InputError, match=message):
            npgrad.compare(model(), wrong)


def test_the_page_has_no_request_and_nothing_of_a_name_is_markup():
    comparison = npgrad.compare(
        model(), recorded(model({"pool": MaxPool2d(2, ceil_mode=True), "relu1": Dropout()}))
    )
    page = page_of(comparison, "a <b> & c")
    assert (
        "a &lt;b&gt; &amp; c" in page
        and "http:" not in page
        and "https:" not in page
        and "<script" not in page
    )
    assert comparison.first.name == "relu1" and "<figure>" in page
