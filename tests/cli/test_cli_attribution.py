"""The command's attribution methods and their evaluation."""

import inspect
import json

import numpy as np
import pytest
from messages import A_WHOLE_NUMBER
from PIL import Image

import npgrad
from npgrad.attribution import lrp_rules
from npgrad.cli import _methods as methods

OF_BATCHES = {"feature_permutation", "layer_feature_permutation"}  # they need several images
NO_IMAGE = {
    "composite_by_position",
    "every_layer",
    "feature_factorization",
    "grid",
    "hvp",
    "resize_map",
    "superpixels",
}


def size_of(path):
    with Image.open(path) as image:
        return image.size


def test_every_method_is_offered():
    offered = set(methods.METHODS)
    public = (
        {name for name in npgrad.attribution.__all__ if not name.startswith("neuron_")}
        - NO_IMAGE
        - OF_BATCHES
    )
    assert offered == public
    assert inspect.isclass(lrp_rules.Epsilon)


def test_list_methods(run):
    code, out, err = run("attribute", "--list-methods")
    assert (code, err) == (0, "")
    assert [line.split()[0] for line in out.splitlines()] == list(methods.METHODS)
    code, out, _ = run("attribute", "--list-methods", "--json")
    assert list(json.loads(out)) == list(methods.METHODS)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("integrated_gradients", {"n_steps": 3}),
        ("grad_cam", {"layer": "fire5"}),
        ("hires_cam", {"layer": ["fire5", "fire9"]}),
        ("occlusion", {"window": 100, "stride": 60}),
        ("smoothgrad", {"n_samples": 2, "rng": 5}),
    ],
)
def test_options_reach_the_method(run, weights, photo, name, options):
    flags = [word for key, value in options.items() for word in (methods.OPTIONS[key][0], value)]
    flags = [",".join(word) if isinstance(word, list) else word for word in flags]
    code, out, err = run("attribute", photo, "--weights", weights, "--method", name, *flags, "--target", 1,
                         "--bare", "--save-array", "a.npy", "-o", "a.png")  # fmt: skip
    assert code == 0
    assert "npgrad:" not in err
    model = npgrad.load(weights)
    expected = getattr(npgrad.attribution, name)(model, model.preprocess(photo), 1, **options)[0]
    np.testing.assert_array_equal(np.load("a.npy"), expected)
    assert size_of("a.png") == (448, 448)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "grad_can"], "no method 'grad_can'; nearest: grad_cam"),
        (["--method", "saliency", "--n-steps", "5"], "saliency takes no --n-steps; its options: none"),
        (
            ["--method", "occlusion", "--layer", "fire2"],
            "occlusion takes no --layer; its options: --window, --stride",
        ),
        (["--method", "grad_cam", "--layer", "fire22"], "no layer 'fire22'; nearest"),
        (["--method", "grad_cam", "--layer", "fire2,fire22"], "no layer 'fire22'; nearest"),
        (["--method", "layer_lrp", "--layer", "fire2,fire3"], "layer: expected one name, found list"),
        (["--method", "occlusion", "--window", "900"], "window"),
        (["--method", "occlusion", "--stride", "0"], "stride"),
        (
            ["--method", "integrated_gradients", "--n-steps", "0"],
            f"n_steps: {A_WHOLE_NUMBER} >= 1, found 0",
        ),
        (["--method", "all", "--save-array", "a.npy"], "--save-array: expected one --method, found all"),
        (["--outliers", "100"], "outliers"),
    ],
)
def test_mistakes(run, weights, photo, arguments, message):
    code, out, err = run("attribute", photo, "--weights", weights, *arguments)
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if line.startswith("npgrad: ")]
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.exhaustive
def test_the_layer_of_internal_influence_can_be_chosen(run, weights, photo):
    model = npgrad.load(weights)
    x = model.preprocess(photo)
    for flags, layer in (([], "fire5"), (["--layer", "fire3"], "fire3")):
        code, _, _ = run("attribute", photo, "--weights", weights, "--method", "internal_influence", "--n-steps", 2,
                         "--save-array", "a.npy", *flags)  # fmt: skip
        assert code == 0
        expected = npgrad.attribution.internal_influence(model, x, layer=layer, n_steps=2)[0]
        np.testing.assert_array_equal(np.load("a.npy"), expected)


def test_no_image(run):
    code, out, err = run("attribute")
    assert (code, out) == (2, "")
    assert "expected an image, found none" in err


def test_ways_of_showing(run, weights, photo):
    images = []
    for i, flags in enumerate(
        [
            [],
            ["--alone"],
            ["--bare"],
            ["--sign", "signed"],
            ["--outliers", "30"],
            ["--colormap", "viridis"],
            ["--color-scale", "0.5"],
        ]
    ):
        code, _, _ = run("attribute", photo, "--weights", weights, *flags, "-o", f"{i}.png")
        assert code == 0
        with Image.open(f"{i}.png") as image:
            images.append(np.asarray(image).tobytes())
    assert len(set(images)) == 7


@pytest.mark.exhaustive
def test_the_sheet_of_all_methods(run, weights, photo, monkeypatch):
    few = ("saliency", "grad_cam", "layer_lrp", "deep_lift_shap")
    monkeypatch.setattr(methods, "METHODS", {name: methods.METHODS[name] for name in few})
    code, out, err = run("attribute", photo, "--weights", weights, "--method", "all", "-o", "sheet.png")
    assert code == 0
    assert "all of" in out
    with Image.open("sheet.png") as sheet:
        assert sheet.width > 2 * 448
        assert np.asarray(sheet).std() > 20


@pytest.mark.exhaustive
def test_evaluate(run, weights, photo):
    mask = np.zeros((240, 240), np.uint8)
    mask[50:150, 100:200] = 255
    Image.fromarray(mask).save("mask.png")
    arguments = [
        "evaluate",
        photo,
        "--weights",
        weights,
        "--methods",
        "saliency,grad_cam",
        "--mask",
        "mask.png",
    ]
    arguments += ["--steps", 3, "--samples", 1]
    code, out, err = run(*arguments, "--json")
    assert code == 0
    rows = {row["method"]: row for row in json.loads(out)["rows"]}
    assert list(rows) == ["saliency", "grad_cam", "random"]
    model = npgrad.load(weights)
    x = model.preprocess(photo)
    maps = npgrad.attribution.saliency(model, x).sum(axis=1)
    assert rows["saliency"]["deletion"] == pytest.approx(
        npgrad.evaluation.deletion_auc(model, x, maps, None, 3)[0]
    )
    assert rows["grad_cam"]["infidelity"] is None
    assert 0 <= rows["random"]["energy"] <= 1
    code, out, _ = run(*arguments)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["method", "saliency", "grad_cam", "random"]
    code, out, err = run("evaluate", photo, "--weights", weights, "--methods", "salency")
    assert (code, out) == (2, "")
    assert "nearest: saliency" in err
