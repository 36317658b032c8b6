"""The commands and what a network's outputs are: values, one score, probabilities; as stored or as --outputs says."""

import json
from pathlib import Path

import numpy as np
import pytest
from heads import drawn_net

import npgrad
from npgrad.layers import Softmax


@pytest.fixture
def saved(tmp_path):
    """saved(model, ...) -> the path of its weights file, with a small crop."""

    def save(model, classes=None):
        path = tmp_path / "net.h5"
        npgrad.Model(
            model.network, classes, npgrad.Preprocessing(resize=16, crop=16), outputs=model.outputs
        ).save(path)
        return path

    return save


def test_values_are_printed_as_values(run, saved, photo):
    path = saved(drawn_net(0, 1, outputs="value")[0].astype("float32"), ["age"])
    value = npgrad.load(path).predict(photo)[0][0][2]
    code, out, err = run("classify", photo, "--weights", path)
    assert (code, err, out.split()[1:]) == (0, "", [f"{value:.6g}", "age", "(0)"])
    code, out, _ = run("classify", photo, "--weights", path, "--json")
    assert json.loads(out)[0]["classes"] == [{"index": 0, "name": "age", "value": value}]
    code, out, err = run("attribute", photo, "--weights", path, "-o", "map.png")
    assert (code, err) == (0, "") and f"of age (0), value {value:.6g} -> map.png" in out
    code, out, err = run(
        "visualize", "age", "--weights", path, "--steps", "1", "--size", "12", "-o", "age.png", "--json"
    )
    assert code == 0 and json.loads(out)["seen"]["name"] == "age" and "value" in json.loads(out)["seen"]
    code, out, err = run("fool", photo, "--target", "age", "--weights", path)
    assert (code, out) == (2, "") and "expected a network with classes" in err and err.count("\n") == 1


@pytest.mark.filterwarnings("default")
def test_an_option_says_what_the_outputs_are(run, saved, photo, tmp_path):
    path = saved(drawn_net(0, 1)[0].astype("float32"))
    code, out, err = run("classify", photo, "--weights", path, "--json")
    model = npgrad.Model(npgrad.load(path).network, None, npgrad.load(path).preprocessing, outputs="scores")
    wanted = [{"index": i, "name": n, "probability": p} for i, n, p in model.predict(photo)[0]]
    assert (code, json.loads(out)[0]["classes"]) == (0, wanted)
    assert err.startswith("npgrad: warning: the network has one output, read as the score of class 1")
    code, out, err = run("classify", photo, "--weights", path, "--outputs", "value", "--json")
    s = float(model(model.preprocess(photo))[0, 0])
    assert (code, err, json.loads(out)[0]["classes"]) == (
        0,
        "",
        [{"index": 0, "name": "output 0", "value": s}],
    )
    code, out, err = run(
        "attribute", photo, "--weights", path, "--outputs", "scores", "--target", "0", "-o", "map.png"
    )
    assert (code, err) == (0, "") and f"of class 0 (0), probability {1 / (1 + np.exp(s)):.2%}" in out


@pytest.mark.filterwarnings("default")
def test_every_image_of_a_folder_is_explained_alike_and_that_is_said_once(run, saved, photo, tmp_path):
    path = saved(drawn_net(0, 3, "Softmax")[0].astype("float32"))
    assert isinstance(npgrad.load(path).layer("head"), Softmax)
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(Path(photo).read_bytes())
    code, out, err = run("attribute", folder, "--weights", path, "-o", "maps", "--workers", "1")
    assert code == 0 and "warning (see" not in out
    assert err.count("npgrad: warning: the network ends in Softmax (head)") == 1
    lines = [json.loads(line) for line in (tmp_path / "maps" / "manifest.jsonl").read_text().splitlines()]
    p = [line["target"]["probability"] for line in lines if "target" in line and "image" in line]
    assert p == [npgrad.load(path).predict(photo)[0][0][2]] * 2


def test_a_converted_regression_stays_one(run, tmp_path, photo):
    model = npgrad.models.squeezenet1_1(num_classes=1, rng=0)
    np.savez(tmp_path / "net.npz", **model.parameters())
    code, out, err = run("convert", tmp_path / "net.npz", "-o", "net.h5", "--outputs", "value")
    assert code == 0, err
    assert npgrad.load(tmp_path / "net.h5").outputs == "value"
    code, out, _ = run("weights", "show", "net.h5", "--json")
    assert (json.loads(out)["outputs"], json.loads(out)["classes"]) == ("value", 1)
    (tmp_path / "names.txt").write_text("no\nyes\n")
    run("convert", tmp_path / "net.npz", "-o", "two.h5", "--labels", "names.txt")
    assert npgrad.load(tmp_path / "two.h5").classes == ("no", "yes")
