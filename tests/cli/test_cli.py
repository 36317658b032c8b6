"""The command, as a shell sees it: stdout, stderr, exit code, files."""

import json
import os
import shlex
import subprocess
import sys

import numpy as np
import pytest
from messages import AN_INDEX, NOT_WRITTEN
from PIL import Image

import npgrad
from npgrad.cli import COMMANDS, main


def test_classify(run, weights, photo):
    code, out, err = run("classify", photo, "--weights", weights)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == photo
    expected = npgrad.load(weights).predict(photo)[0]
    assert len(lines) == 6
    for line, (index, name, probability) in zip(lines[1:], expected, strict=True):
        assert line.split() == [f"{probability:.2%}", *name.split(), f"({index})"]


def test_classify_json(run, weights, photo):
    code, out, err = run("classify", photo, photo, "--weights", weights, "--top", 2, "--json")
    assert (code, err) == (0, "")
    results = json.loads(out)
    assert [r["image"] for r in results] == [photo, photo]
    assert [tuple(c.values()) for c in results[0]["classes"]] == npgrad.load(weights).predict(photo, top=2)[0]


def test_a_broken_image_does_not_lose_the_others(run, weights, photo, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    code, out, err = run("classify", "broken.jpg", photo, "missing.jpg", "--weights", weights, "--json")
    assert code == 2
    assert [r["image"] for r in json.loads(out)] == [photo]
    assert len(err.splitlines()) == 2
    assert "broken.jpg" in err
    assert "missing.jpg: no such file" in err


def test_attribute(run, weights, photo, tmp_path):
    code, out, err = run("attribute", photo, "--weights", weights, "--target", "two words", "-o", "map.png",
                         "--save-array", "map.npy")  # fmt: skip
    assert (code, err) == (0, "")
    assert "saliency of two words (2), probability" in out
    model = npgrad.load(weights)
    x = model.preprocess(photo)
    np.testing.assert_array_equal(np.load("map.npy"), npgrad.attribution.saliency(model, x, 2)[0])
    image = Image.open("map.png")
    assert image.mode == "RGB"
    assert min(image.size) >= 224
    assert np.asarray(image).std() > 5


def test_attribute_asks_about_the_likeliest_class(run, weights, photo):
    code, out, _ = run("attribute", photo, "--weights", weights, "--json")
    [best] = npgrad.load(weights).predict(photo, top=1)[0]
    result = json.loads(out)
    assert code == 0
    assert tuple(result["target"].values()) == pytest.approx(best)
    assert os.listdir() == [result["output"]] == ["photo-saliency.png"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["attribute", "PHOTO", "--target", "5"], f"{AN_INDEX} 4; found 5"),
        (["attribute", "PHOTO", "--target", "-1"], f"{AN_INDEX} 4; found -1"),
        (["attribute", "PHOTO", "--target", "catt"], "no class 'catt'; nearest: cat"),
        (["attribute", "PHOTO", "--target", "crane"], "crane is two classes: 3, 4"),
        (["attribute", "PHOTO", "-o", "PHOTO"], "this is one of the inputs"),
        (["attribute", "PHOTO", "-o", "no/such.png"], f"no/such.png: {NOT_WRITTEN}"),
        (["attribute", "PHOTO", "-o", "map.xyz"], "map.xyz"),
        (["attribute", "missing.png"], "missing.png: no such file"),
        (["layers", "--arch", "squeezenet1_1"], "--weights and --arch: expected one of them, found both"),
        (["layers", "--size", "9"], "this network takes images of at least 17x17 px"),
    ],
)
def test_a_mistake_gets_one_line_and_2(run, weights, photo, arguments, message):
    arguments = [photo if argument == "PHOTO" else argument for argument in arguments]
    code, out, err = run(*arguments, "--weights", weights)
    assert (code, out) == (2, "")
    assert message in err
    assert err.startswith("npgrad: ")
    assert err.count("\n") == 1
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["classify", "x.png", "--weights", "missing.h5"],
            "missing.h5: cannot be read: No such file or directory",
        ),
        (
            ["classify", "x.png", "--weights", "squeezenet"],
            "no network or file 'squeezenet'; nearest: squeezenet1",
        ),
        (["layers", "--arch", "squeezenet"], "no architecture 'squeezenet'; nearest: squeezenet1"),
        (["weights", "get"], "weights get: expected a name"),
        (["weights", "get", "squeezenet"], "nearest: squeezenet1"),
        (["weights", "list", "resnet9000"], "no weights 'resnet9000'; nearest: resnet"),
    ],
)
def test_other_mistakes(run, arguments, message):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["classify"], ["classify", "x", "--top", "0"], ["layers", "more"], ["layers", "--size", "x"]],
)
def test_wrong_usage_is_2_as_well(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(f"npgrad: {arguments[0]}: ") and err.endswith(
        f"; see `npgrad {arguments[0]} --help`\n"
    )
    assert err.count("\n") == 1


def test_layers(run, weights):
    code, out, err = run("layers", "--weights", weights)
    assert (code, err) == (0, "")
    model = npgrad.load(weights)
    lines = [line.split() for line in out.splitlines()]
    assert [line[0] for line in lines[1:-1]] == model.layer_names()
    assert f"{sum(a.size for a in model.parameters().values()):,}" in lines[-1]


def test_layers_json_has_the_published_numbers(run):
    for name, parameters, work in (
        ("squeezenet1_0", 1_248_424, 0.819e9),
        ("squeezenet1_1", 1_235_496, 0.349e9),
    ):
        code, out, _ = run("layers", "--arch", name, "--json")
        total = json.loads(out)["total"]
        assert (code, total["parameters"]) == (0, parameters)
        assert total["multiply_adds"] == pytest.approx(work, rel=1e-3)
        conv10 = json.loads(out)["layers"][-3]
        assert conv10["output_shape"] == [1000, 13, 13]
        assert conv10["activation_bytes"] == 4 * 1000 * 13 * 13


@pytest.mark.sampled(1)
@pytest.mark.parametrize("method", ["complex", "centered"])
def test_gradcheck(run, weights, method):
    code, out, err = run("gradcheck", "--weights", weights, "--size", 33, "--method", method, "--entries", 2)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1].endswith("all right")
    assert "fire9.expand3x3" in out


@pytest.mark.exhaustive
def test_gradcheck_tells_what_is_wrong(run, weights, monkeypatch):
    from npgrad.layers import MaxPool2d

    right = MaxPool2d.backward
    monkeypatch.setattr(MaxPool2d, "backward", lambda self, dy, cache: right(self, dy, cache) * 1.001)
    code, out, _ = run("gradcheck", "--weights", weights, "--size", 33, "--json")
    result = json.loads(out)
    assert code == 1
    assert not result["right"]
    assert {row["layer"] for row in result["rows"] if not row["right"]} == {"pool1", "pool3", "pool5"}


def test_gradcheck_at_a_kink_has_no_verdict(run, weights, monkeypatch):
    from npgrad.layers import ReLU

    def at_zero(model, x, method, entries, rng):
        yield "right", npgrad.gradcheck(ReLU(), np.ones(3), method)
        yield "relu", npgrad.gradcheck(ReLU(), np.zeros(3), method)

    monkeypatch.setattr(sys.modules["npgrad.gradcheck"], "check_layers", at_zero)
    code, out, err = run("gradcheck", "--weights", weights, "--size", 33)
    assert (code, err) == (3, "")
    *_, row, last = out.splitlines()
    assert row.endswith("cannot be judged at a kink")
    assert last.endswith(": cannot be judged at a kink: relu x")
    code, out, _ = run("gradcheck", "--weights", weights, "--size", 33, "--json")
    rows = json.loads(out)["rows"]
    assert (code, json.loads(out)["right"]) == (3, False)
    assert [row["verdict"] for row in rows] == ["right", "cannot be judged at a kink"]


def test_weights_list_and_show(run, weights, monkeypatch, tmp_path):
    monkeypatch.setenv("NPGRAD_HOME", str(tmp_path / "home"))
    code, out, err = run("weights", "list")
    assert (code, err) == (0, "")
    for name in ("squeezenet1_0", "squeezenet1_1", "squeezenet1_0_deep_compression", "imagenet_val_25"):
        assert name in out
    code, out, _ = run("weights", "list", "ResNet50")
    assert [line.split()[0] for line in out.splitlines()[1:5]] == [
        "resnet50", "resnet50_v2", "wide_resnet50_2", "wide_resnet50_2_v2",
    ]  # fmt: skip
    code, out, _ = run("weights", "list", "--json")
    here = {entry["name"]: entry["cached"] for entry in json.loads(out)}
    path = here.pop("scenes")  # comes with npgrad
    assert set(here.values()) == {None}
    assert run("weights", "get", "scenes")[:2] == (0, f"{path}\n")
    code, out, _ = run("weights", "show", weights)
    assert code == 0
    assert "squeezenet1_1" in out
    code, out, _ = run("weights", "show", weights, "--json")
    assert json.loads(out)["tensors"]["conv10.weight"] == [5, 512, 1, 1]


def test_weights_get_converts_and_load_finds_it(run, monkeypatch, tmp_path, deep_compression):
    monkeypatch.setenv("NPGRAD_HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "downloads").mkdir(parents=True)
    placed = (
        tmp_path / "home" / "downloads" / "compressed_SqueezeNet.net"
    )  # as the one-line help says, without a network
    placed.write_bytes(deep_compression.read_bytes())
    name = "squeezenet1_0_deep_compression"
    code, out, _ = run("weights", "get", name)
    assert code == 0
    assert out.strip() == str(tmp_path / "home" / f"{name}.h5")
    assert npgrad.load(name).classes[281] == "tabby"


def test_without_a_network_get_says_what_to_do(run, monkeypatch, tmp_path):
    monkeypatch.setenv("NPGRAD_HOME", str(tmp_path))
    monkeypatch.setenv("NPGRAD_MIRROR", "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setattr("npgrad.io.download.PAUSE", 0)
    code, out, err = run("weights", "get", "squeezenet1_1")
    assert (code, out) == (2, "")
    lines = [line for line in err.splitlines() if line.startswith("npgrad: ")]
    assert len(lines) == 1
    assert "squeezenet1_1-b8a52dc0.pth" in lines[0]


def test_every_command_shows_examples_that_parse(run, capsys):
    from npgrad.cli import _parser

    for name, command in COMMANDS.items():
        code, out, err = run(name, "--help")
        assert (code, err) == (0, "")
        assert "examples:" in out
        for line in command.EXAMPLES.splitlines()[1:]:
            words = shlex.split(line)
            assert words[:2] == ["npgrad", name]
            _parser().parse_args(words[1:])
    assert run()[0] == 0


def test_a_bug_keeps_its_traceback(weights, photo, monkeypatch):
    def broken(*args, **options):
        raise ZeroDivisionError

    monkeypatch.setattr(npgrad.Model, "predict", broken)
    with pytest.raises(ZeroDivisionError):
        main(["classify", photo, "--weights", weights])


def test_ctrl_c_and_a_closed_pipe(weights, photo, run, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(npgrad.Model, "predict", interrupted)
    assert run("classify", photo, "--weights", weights) == (130, "", "npgrad: interrupted\n")
    script = f"{sys.executable} -m npgrad layers --arch squeezenet1_1 | head -1"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.stdout.startswith("layer")
