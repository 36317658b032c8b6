"""What a image says of itself: method, target, probability and sign, in 30 drawn cases; sheets and shared scales."""

import io
import json
import warnings

import folder_runs
import numpy as np
import pytest
from PIL import Image

import npgrad
from npgrad.attribution import methods
from npgrad.attribution.explanation import weights_hash
from npgrad.attribution.families import FAMILIES
from npgrad.attribution.folders import attribute_folder
from npgrad.errors import InputError, UnknownName
from npgrad.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential, Sigmoid

NAMES = ("cat", "dog", "owl", "hen", "ant")
QUICK = (
    "saliency", "input_x_gradient", "guided_backprop", "deconvolution", "integrated_gradients", "lrp", "grad_cam",
    "hires_cam", "layer_cam", "eigen_cam", "deep_lift", "layer_activation", "layer_gradient_x_activation",
    "layer_lrp", "excitation_backprop",
)  # fmt: skip


def drawn_net(rng, outputs):
    """A network of random weights at 24 px, whose outputs are of some kind."""
    conv = Conv2d(rng.normal(0, 0.4, (6, 3, 3, 3)).astype(np.float32), rng.normal(0, 1, 6).astype(np.float32))
    head = Linear(rng.normal(0, 3, (5, 6)).astype(np.float32), None)
    layers = {"conv": conv, "relu": ReLU(), "mean": GlobalAvgPool2d(), "flat": Flatten(), "fc": head}
    if outputs == "probabilities":
        layers["sigmoid"] = Sigmoid()
    preprocessing = npgrad.Preprocessing(resize=26, crop=24)
    return npgrad.Model(Sequential(layers), NAMES, preprocessing, outputs=outputs)


def by_hand(model, photo, target):
    """The caption's target, computed from the logits alone."""
    logits = model(model.preprocess(photo))[0].astype(float)
    if model.outputs == "value":
        chances, measure = logits, "value"
    elif model.outputs == "probabilities":
        chances, measure = logits, "probability"
    elif model.outputs == "scores":
        chances, measure = 1 / (1 + np.exp(-logits)), "probability"
    else:
        chances, measure = np.exp(logits) / np.exp(logits).sum(), "probability"
    if isinstance(target, str) and " - " in target:
        first, second = (NAMES.index(name) for name in target.split(" - "))
        return f"{target}, value ", logits[first] - logits[second], "value"
    index = (
        int(chances.argmax())
        if target is None
        else target
        if isinstance(target, int)
        else NAMES.index(target)
    )
    return f"{NAMES[index]} ({index}), {measure} ", chances[index], measure


@pytest.mark.sampled(10)
@pytest.mark.parametrize("case", range(30))
def test_captions_are_right(written, tmp_path, case):
    rng = np.random.default_rng(case)
    outputs = ["logits", "scores", "probabilities", "value"][case % 4]
    model, name = drawn_net(rng, outputs), QUICK[case % len(QUICK)]
    target = [None, int(rng.integers(5)), str(rng.choice(NAMES)), "owl - cat"][case // 4 % 4]
    if target is None and outputs == "value":
        target = int(rng.integers(5))  # there is no top class to choose
    if outputs == "probabilities" and target == "owl - cat":
        target = 3  # of scores, which this network turns into probabilities
    size = tuple(int(side) for side in rng.integers(24, 700, 2))
    photo = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = npgrad.explain(model, photo, name, target)
        canvas = found.image
    start, number, measure = by_hand(model, photo, target)
    sign = methods.METHODS[name].sign
    lines = [line for line, _ in written]
    text = " ".join(lines)
    assert text.startswith(f"{name}: {start}")
    said = text.removeprefix(f"{name}: {start}").split()[0]
    if measure == "probability":
        assert said.endswith("%") and float(said[:-1]) / 100 == pytest.approx(number, abs=6e-5)
    else:
        assert float(said) == pytest.approx(number, rel=1e-4, abs=1e-5)
    if not found.blank:
        ends = {"absolute": "absolute", "positive": "positive", "signed": "positive"}
        assert lines[-1] == f"{found.limit:.2g} {ends[sign]}"
        assert lines[-2] == ("0" if sign != "signed" else f"negative -{found.limit:.2g}")
    height = found.photo.height * max(1, min(-(-300 // found.photo.width), 1280 // max(found.photo.size)))
    assert canvas.width >= 300
    assert all(box[1] >= height and box[2] <= canvas.width and box[3] <= canvas.height for _, box in written)
    assert ("frame: the part that the network sees" in text) is (
        found.photo.width != found.photo.height or found.photo.width * 24 // 26 < found.photo.width
    )
    found.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        chunks = image.text
    assert chunks["npgrad:method"] == name and chunks["npgrad:sign"] == sign
    assert chunks["npgrad:weights"] == weights_hash(model) != weights_hash(drawn_net(rng, outputs))
    assert chunks["Software"] == f"npgrad {npgrad.__version__}"
    assert f"{chunks['npgrad:target']}, {measure} " == start
    assert float(chunks[f"npgrad:{measure}"]) == pytest.approx(number, rel=1e-4, abs=1e-6)


def test_the_test_of_captions_can_fail(written, tmp_path, monkeypatch):
    """A target that is off by one is noticed."""
    real = npgrad.attribution.explanation.Explanation.about.fget
    wrong = property(lambda self: real(self).replace("(", "(1"))
    monkeypatch.setattr(npgrad.attribution.explanation.Explanation, "about", wrong)
    with pytest.raises(AssertionError):
        test_captions_are_right(written, tmp_path, 1)


def test_every_method_has_one_family():
    names = [name for family in FAMILIES.values() for name in family]
    assert sorted(names) == sorted(methods.METHODS)


def test_an_explanation_shows_itself(tmp_path):
    net = folder_runs.little_net()
    path = folder_runs.photo(tmp_path / "a.jpg")
    found = npgrad.explain(net, path, "grad_cam", "owl", layer="conv")
    assert repr(found).startswith("Explanation(grad_cam: owl (2), probability ")
    assert repr(found).endswith(f"array {found.array.shape})") and "\n" not in repr(found)
    with Image.open(io.BytesIO(found._repr_png_())) as image:
        assert (np.asarray(image) == np.asarray(found.image)).all()
    x = net.preprocess(path)
    ready = npgrad.explain(net, x, "grad_cam", "owl", layer="conv")
    np.testing.assert_array_equal(ready.array, found.array)
    assert ready.photo.size == (32, 32) and "frame" not in ready.caption
    bare = npgrad.explain(net, path, bare=True)
    assert bare.image.size == (64, 64)
    seen = []
    found.image.show = lambda: seen.append(1)
    found.show()
    assert seen == [1]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"image": np.zeros((2, 3, 32, 32))}, InputError, "image: expected one, found a batch"),
        ({"colormap": "virdis"}, UnknownName, "no colormap 'virdis'; nearest: viridis"),
        ({"colormap": "RdBu"}, InputError, "colormap: expected one of inferno.* 'absolute'; found 'RdBu'"),
        ({"scale": -1}, InputError, "scale: expected 'shared' or a positive number; found -1"),
        ({"scale": True}, InputError, "scale: expected 'shared' or a positive number; found True"),
        ({"outliers": 100}, InputError, "outliers: expected a percentage"),
        ({"sign": "both"}, InputError, "sign: expected one of"),
        ({"layer": "conv"}, InputError, "saliency takes no 'layer'"),
    ],
)
def test_refusals(arguments, error, message):
    with pytest.raises(error, match=message):
        npgrad.explain(folder_runs.little_net(), **{"image": np.zeros((9, 9, 3), np.uint8), **arguments})


def test_a_blank_map_says_why(written, tmp_path):
    net = drawn_net(np.random.default_rng(0), "logits")
    dead = npgrad.Model(
        Sequential({**net.network.parts(), "conv": Conv2d(net.network.parts()["conv"].weight, np.full(6, -99.0))}),
        NAMES, net.preprocessing,
    )  # fmt: skip
    path = folder_runs.photo(tmp_path / "a.jpg")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        npgrad.explain(dead, path, target=1).image  # noqa: B018
        npgrad.explain(dead, path, ("saliency", "grad_cam"), 1)
    assert "nothing to show: the gradient is zero: dead" in [str(warning.message) for warning in caught]
    assert "blank: the gradient is zero: dead" in [line for line, _ in written]
    lines = " ".join(line for line, _ in written)
    assert "dead" in lines and "no positive evidence at this layer" in lines
    assert "gradients" in lines and "class activation maps by gradients" in lines


def test_a_shared_scale_of_a_folder(tmp_path):
    net, folder = folder_runs.little_net(), folder_runs.photos(tmp_path / "photos", 4)
    run = attribute_folder(net, folder, tmp_path / "out", scale="shared", colormap="viridis")
    lines = {}
    for line in folder_runs.lines(tmp_path / "out"):
        lines[line["image"]] = line
    own = [line["own_limit"] for line in lines.values()]
    assert len(set(own)) > 1 and run.limit == max(own)
    assert {line["limit"] for line in lines.values()} == {run.limit}
    for name, line in lines.items():
        assert line["own_limit"] == npgrad.explain(net, folder / name).limit
        expected = npgrad.explain(net, folder / name, scale=run.limit, colormap="viridis").image
        with Image.open(tmp_path / "out" / line["output"]) as image:
            assert (np.asarray(image) == np.asarray(expected)).all()
            assert float(image.text["npgrad:limit"]) == pytest.approx(run.limit, rel=1e-5)
    again = attribute_folder(net, folder, tmp_path / "out", scale="shared", colormap="viridis")
    assert (again.made, again.there, again.limit) == (0, 4, run.limit)
    assert "viridis" in json.loads((tmp_path / "out" / "npgrad-run.json").read_text())["colormap"]
    bright = np.zeros((40, 50, 3), np.uint8)
    bright[10:30, 10:30] = 255
    Image.fromarray(bright).save(folder / "new.png")  # a photo more, perhaps with a larger limit
    more = attribute_folder(net, folder, tmp_path / "out", scale="shared", colormap="viridis")
    last = {line["image"]: line for line in folder_runs.lines(tmp_path / "out")}
    assert {line["limit"] for line in last.values()} == {more.limit}
    assert more.limit == max(line["own_limit"] for line in last.values())


def test_a_fixed_scale_and_that_of_a_sheet(tmp_path, written):
    net, folder = folder_runs.little_net(), folder_runs.photos(tmp_path / "photos", 2)
    attribute_folder(net, folder, tmp_path / "out", scale=0.25)
    assert [line["limit"] for line in folder_runs.lines(tmp_path / "out")] == [0.25, 0.25]
    written.clear()
    npgrad.explain(
        net, folder / "000.jpg", ("saliency", "guided_backprop", "input_x_gradient"), scale="shared"
    )
    limits = [npgrad.explain(net, folder / "000.jpg", name).limit
              for name in ("saliency", "guided_backprop", "input_x_gradient")]  # fmt: skip
    assert f"{max(limits):.2g} absolute" in [line for line, _ in written]
