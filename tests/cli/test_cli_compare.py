"""`npgrad compare`, `--certify`, `--tolerance` and `certify --ledger`."""

import json
import warnings

import numpy as np
import pytest

import npgrad
from npgrad._compare.snippets import FRAMEWORKS


@pytest.fixture
def recorded(folder, tmp_path):
    """What npgrad itself records of the small network, with an output doubled and a gradient with another sign."""
    model = npgrad.load(folder / "net.h5")
    x = model.preprocess(str(folder / "photo.png"))
    names = ("conv1", "relu1", "pool1", "fire2", "fire3", "conv10", "relu10", "pool10")
    tape = model.forward(x)
    dy = np.random.default_rng(0).normal(size=tape.output.shape).astype(np.float32)
    gradients = tape.backward(dy, at=("input", *names))
    right = {"input": x, **{name: tape[name] for name in names}}
    right |= {f"grad:{name}": gradient for name, gradient in gradients.items()}
    np.savez(tmp_path / "right.npz", **right)
    np.savez(
        tmp_path / "wrong.npz", **{**right, "conv1": 2 * right["conv1"], "input": right["input"][:, ::-1]}
    )
    np.savez(tmp_path / "back.npz", **{**right, "grad:fire2": -right["grad:fire2"]})
    return tmp_path


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_snippets(run, framework):
    code, out, err = run("compare", "--snippet", framework)
    assert (code, err) == (0, "") and "np.savez(path" in out
    compile(out, framework, "exec")
    assert max(map(len, out.splitlines())) <= 120


def test_the_command(run, recorded, folder):
    weights = ("--weights", folder / "net.h5")
    code, out, err = run("compare", recorded / "right.npz", *weights, "--image", folder / "photo.png")
    assert (code, err) == (0, ""), out
    assert (
        "forward: equal to rounding in 8 layers" in out and "backward: equal to rounding in 8 layers" in out
    )
    code, out, _ = run(
        "compare", recorded / "wrong.npz", *weights, "--image", folder / "photo.png", "-o", "report.html"
    )
    assert code == 1
    assert "the input differs: the channels are in the order blue, green, red" in out
    assert "forward: first layer that differs: conv1 (Conv2d), output: " in out and out.endswith(
        "-> report.html\n"
    )
    code, out, _ = run("compare", recorded / "back.npz", *weights, "--json")
    result = json.loads(out)
    assert code == 1 and not result["equal"] and result["different"]
    wrong = [layer for layer in result["layers"] if layer["verdict"] == "DIFFERS"]
    assert wrong[0]["direction"] == "backward" and wrong[0]["key"] == "fire2"
    assert wrong[0]["diagnoses"][0]["kind"] == "sign"


def test_the_page(run, recorded, folder, tmp_path):
    run("compare", recorded / "wrong.npz", "--weights", folder / "net.h5", "-o", tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert (
        "First: conv1" in page
        and page.count("<figure>") >= 3
        and "<script" not in page
        and "http:" not in page
    )


def test_what_cannot_be_compared(run, recorded, folder, tmp_path):
    weights = ("--weights", folder / "net.h5")
    np.savez(tmp_path / "empty.npz", conv1=np.zeros(3))
    np.savez(tmp_path / "others.npz", input=np.zeros((1, 3, 32, 32)), encoder=np.zeros((1, 7)))
    (tmp_path / "text.npz").write_text("no archive")
    for words, message in (
        ((), "compare: expected a recording, found none; --snippet torch prints how to make one"),
        (("x.npz", "--snippet", "torch"), "--snippet: expected no recording beside it, found both"),
        ((tmp_path / "empty.npz", *weights), "empty.npz: expected an array 'input', found conv1"),
        (
            (tmp_path / "others.npz", *weights),
            "recording: expected the output of a layer of this network, found encoder",
        ),
        ((tmp_path / "text.npz", *weights), "text.npz: "),
        ((tmp_path / "none.npz", *weights), "none.npz: "),
    ):
        code, out, err = run("compare", *words)
        assert (code, out) == (2, "") and len(err.splitlines()) == 1 and message in err, err


def test_a_certificate_beside_an_attribution(make, tmp_path):
    code, out, err = make("attribute PHOTO --method lrp --target 1 -o lrp.png --certify")
    assert (code, err) == (0, []) and "certified -> lrp.certificate.json" in out
    found = json.loads((tmp_path / "lrp.certificate.json").read_text())
    assert found["certified"] and found["backward"]["right"] and found["ledger"]["closes"]
    assert found["method"] == "lrp" and found["ledger"]["rows"]
    words = "--method integrated_gradients --n-steps 1 --target 1 --certify"
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        code, out, err = make(f"attribute PHOTO {words} --tolerance 1e-12 -o ig.png")
    assert code == 1 and "NOT certified" in out and any("1e-12 not reached" in line for line in err)
    code, out, err = make(f"attribute PHOTO {words} --tolerance 0.2 -o ig2.png")
    found = json.loads((tmp_path / "ig2.certificate.json").read_text())
    assert code == 0 and found["completeness"]["relative"] <= 0.2
    code, _, err = make("attribute PHOTO --method saliency,lrp --certify")
    assert code == 2 and "--certify: expected one image and one --method" in err[0]
    code, _, err = make("attribute PHOTO --method lrp --tolerance 0.1")
    assert code == 2 and "lrp takes no --tolerance" in err[0]


def test_ledgers(make):
    for method in ("lrp", "deep_lift"):
        code, out, err = make(f"certify PHOTO --ledger {method} --target 2")
        assert code == 0 and out.splitlines()[-1].startswith("closes: ") and not err, (out, err)
    code, out, _ = make("certify PHOTO --ledger lrp --json")
    assert code == 0 and json.loads(out)["closes"]
