"""Commands with a target that is an expression: what is printed and written, and errors in one line."""

import json
from pathlib import Path

import numpy as np
import pytest
from messages import AN_INDEX

import npgrad
from npgrad.cli import main


@pytest.fixture
def photo(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    npgrad.images.save_image(npgrad.scenes.scene(3)[0], "scene.png")
    return "scene.png"


def test_attribute(photo, capsys):
    model = npgrad.load()
    y = model(model.preprocess(photo))[0]
    names = model.classes[3], model.classes[5]
    command = ["attribute", photo, "--method", "grad_cam", "-o", "map.png"]
    assert main([*command, "--target", f"{names[0]} - {names[1]}"]) == 0
    out = capsys.readouterr().out
    assert out == f"{photo}: grad_cam of {names[0]} - {names[1]}, value {float(y[3] - y[5]):.6g} -> map.png\n"
    assert main([*command, "--target", f"-{names[0]}", "--json", "--save-array", "map.npy"]) == 0
    found = json.loads(capsys.readouterr().out)["target"]
    assert found == {"index": None, "name": f"-{names[0]}", "value": pytest.approx(-float(y[3]))}
    expected = npgrad.attribution.grad_cam(model, model.preprocess(photo), 3)
    np.testing.assert_allclose(np.load("map.npy"), -expected[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("key - keyy", "target 'key - keyy', position 7: no class 'keyy'; nearest: key"),
        ("key - ", "target 'key - ', position 7: expected a class, found the end"),
        ("-3", f"class index: {AN_INDEX} 25; found -3; '- 3' asks for minus its score"),
    ],
)
def test_a_mistake_gets_one_line(photo, target, words, capsys):
    assert main(["attribute", photo, "--target", target]) == 2
    out, err = capsys.readouterr()
    assert out == "" and words in err and err.count("\n") == 1


def test_a_folder(photo, capsys):
    for _ in range(2):  # the second time, everything is there
        assert main(["attribute", ".", "--method", "saliency", "--target", "3 - prob(4)", "-o", "maps"]) == 0
    [line] = map(json.loads, Path("maps/manifest.jsonl").read_text().splitlines())
    assert line["target"]["name"] == "3 - prob(4)" and line["target"]["index"] is None
    capsys.readouterr()


def test_evaluate_and_visualize(photo, folder, capsys):
    options = ["--weights", str(folder / "net.h5"), "--methods", "saliency", "--steps", "2", "--samples", "1"]
    assert main(["evaluate", photo, "--target", "3 - 4", *options, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["target"], found["class"]) == (None, "3 - 4") and np.isfinite(found["rows"][0]["deletion"])
    assert main(["visualize", "3 - 4", "--size", "24", "--steps", "1", "-o", "seen.png", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["target"] == "3 - 4" and found["probability"] is None and np.isfinite(found["score"])
    assert main(["visualize", "3 - 4", "--size", "24", "--steps", "1"]) == 0
    assert "3_-_4-fourier.png" in capsys.readouterr().out
    assert main(["fool", photo, "--target", "key - anchor"]) == 2
    assert "a target is one class; '-' cannot be left out" in capsys.readouterr().err


def test_several_methods_make_one_sheet(photo, capsys):
    assert main(["attribute", photo, "--method", "saliency,grad_cam,saliency"]) == 0
    assert "saliency,grad_cam of woven (18)" in capsys.readouterr().out
    assert Path("scene-saliency-grad_cam.png").is_file()
    for options, words in (
        (["--n-steps", "3"], "--n-steps: expected one --method, since several take different options"),
        (["--save-array", "a.npy"], "--save-array: expected one --method, found saliency,grad_cam"),
    ):
        assert main(["attribute", photo, "--method", "saliency,grad_cam", *options]) == 2
        assert words in capsys.readouterr().err
    assert main(["attribute", photo, "--method", "all", "--n-steps", "3"]) == 2
    assert main(["attribute", photo, "--method", "saliency,grad-camm"]) == 2
    assert "no method 'grad-camm'" in capsys.readouterr().err
