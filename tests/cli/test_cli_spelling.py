"""Names on the command line in another spelling, and what an image argument may be."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

import npgrad
from npgrad._names import spelled
from npgrad.models import squeezenet1_1


@pytest.mark.sampled(1)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["Grad-CAM", "gradcam", "GRAD CAM"])
def test_how_a_method_is_written_is_forgiven_and_said(run, weights, photo, name):
    code, out, err = run("attribute", photo, "--weights", weights, "--method", name)
    assert code == 0 and out.endswith("-> photo-grad_cam.png\n") and Path("photo-grad_cam.png").is_file()
    assert err == f"npgrad: warning: method '{name}' taken as grad_cam\n"


@pytest.mark.sampled(4)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("attribute PHOTO --method grad_cam --layer Fire-3 -o x.png", "layer 'Fire-3' taken as fire3"),
        ("visualize --layer FIRE3 --channel 0 --steps 1 --size 32 -o x.png", "layer 'FIRE3' taken as fire3"),
        ("dream PHOTO --layer fire_3 --steps 1 --octaves 1 --size 32 -o x.png", "layer 'fire_3' taken as fire3"),
        ("invert PHOTO --layer fire-3 --steps 1 --optimizer L-BFGS -o x.png", "layer 'fire-3' taken as fire3"),
        ("invert PHOTO --layer fire3 --steps 1 --optimizer Adam -o x.png", "optimizer 'Adam' taken as adam"),
        ("style PHOTO PAINTING --preset The-Scream --steps 1 --size 32 -o x.png", "preset 'The-Scream' taken as the_"),
        ("style PHOTO PAINTING --content-layer Fire2 --steps 1 --size 32 -o x.png", "layer 'Fire2' taken as fire2"),
        ("fool PHOTO --method FGSM --target dog -o x.png", "method 'FGSM' taken as fgsm"),
    ],
)  # fmt: skip
def test_other_names_are_forgiven_and_said(make, line, said):
    code, _, errors = make(line)
    assert code in (0, 1), errors  # 1: not fooled
    assert any(line.startswith(f"npgrad: warning: {said}") for line in errors)


@pytest.mark.filterwarnings("default")
def test_the_name_of_an_architecture_is_forgiven_and_said(run, tmp_path):
    code, _, err = run("layers", "--arch", "ResNet-18")
    assert (code, err) == (0, "npgrad: warning: architecture 'ResNet-18' taken as resnet18\n")
    np.savez("net.npz", **squeezenet1_1(num_classes=3, rng=1).parameters())
    code, _, err = run("convert", "net.npz", "-o", "net.h5", "--arch", "SqueezeNet1-1")
    assert code == 0 and "warning: architecture 'SqueezeNet1-1' taken as squeezenet1_1\n" in err


@pytest.mark.parametrize("names", ["grad_cam,,lrp", ",", "lrp,"])
def test_a_list_of_methods_has_a_name_between_all_commas(run, photo, names):
    code, out, err = run("evaluate", photo, "--methods", names)
    assert (code, out) == (2, "") and err.startswith("npgrad: no method ''; known: saliency, ")


def test_an_image_on_stdin(run, weights, photo, monkeypatch):
    expected = json.loads(run("classify", photo, "--weights", weights, "--json")[1])
    for words in (("classify", "-", "--json"), ("attribute", "-", "--target", "dog")):
        with open(photo, encoding="latin-1", newline="") as file:
            monkeypatch.setattr("sys.stdin", file)
            code, out, err = run(*words, "--weights", weights)
        assert (code, err) == (0, "")
        if words[0] == "classify":
            assert json.loads(out) == [{**expected[0], "image": "-"}]
    assert out.endswith("-> stdin-saliency.png\n") and Path("stdin-saliency.png").is_file()
    monkeypatch.setattr("sys.stdin", None)  # as under pythonw
    for words in (("classify", "-", "--top", "1"), ("attribute", "-")):
        code, out, err = run(*words, "--weights", weights)
        assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith("npgrad: stdin: not an image")


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("default")
def test_a_class_that_is_named_auto(run, photo, tmp_path):
    fresh = squeezenet1_1(num_classes=2, rng=1)
    npgrad.Model(fresh.network, ("train", "auto"), None, fresh.architecture).save("net.h5")
    for words in (("attribute",), ("evaluate", "--methods", "saliency", "--steps", 1, "--samples", 1)):
        code, _, err = run(words[0], photo, *words[1:], "--target", "auto", "--weights", "net.h5")
        line = "warning: target 'auto' taken as the most likely class; class 1 is also named so\n"
        assert code == 0 and err.count(line) == 1


def test_one_function_forgives_spelling():
    for text, names, name in (
        ("PGD", ("ascent", "pgd"), "pgd"),
        ("Layer CAM", ("layer_cam",), "layer_cam"),
        ("conv_1-1", ("conv1_1", "conv1_2"), "conv1_1"),
    ):
        with pytest.warns(UserWarning, match=f"^thing '{text}' taken as {name}$"):
            assert spelled("thing", text, names) == name
    assert spelled("layer", "Conv", ("conv", "Conv")) == "Conv"  # the exact one first
    with pytest.raises(
        npgrad.NpgradError, match="layer 'CONV': expected the exact spelling of one of conv, Conv"
    ):
        spelled("layer", "CONV", ("conv", "Conv"))
    for text in ("pgt", "-pgd", "pgd-", "pgd+"):
        with pytest.raises(npgrad.UnknownName, match=f"no method '{re.escape(text)}'; nearest: pgd"):
            spelled("method", text, ("ascent", "pgd"))
