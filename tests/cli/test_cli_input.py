"""How images become the network's input, said on the command line: every command that takes --weights."""

import json

import numpy as np
import pytest
from onnx_files import constant, graph
from PIL import Image

import npgrad
from npgrad.cli import COMMANDS
from npgrad.images import preprocessing

INPUT = "nothing says how images become this network's input; assumed: gray, the middle resized to 12x20 px"


@pytest.fixture
def digits(tmp_path, monkeypatch):
    """An ONNX network of one channel and two classes, bright and dark, for 12 x 20 px; and a photo."""
    monkeypatch.setattr(preprocessing, "_said", set())
    rng = np.random.default_rng(0)
    weights = [constant("w", rng.normal(size=(4, 1, 3, 3))), constant("b", np.ones(4)),
               constant("m", rng.normal(size=(2, 4))), constant("c", rng.normal(size=2))]  # fmt: skip
    nodes = [("Conv", ["x", "w", "b"], "conv"), ("Relu", ["conv"], "relu"), ("GlobalAveragePool", ["relu"], "p"),
             ("Flatten", ["p"], "f"), ("Gemm", ["f", "m", "c"], "y", {"transB": 1})]  # fmt: skip
    (tmp_path / "digits.onnx").write_bytes(graph(nodes, weights, x=("n", 1, 12, 20)))
    Image.fromarray(rng.integers(0, 256, (30, 44, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    return tmp_path


RUNS = [
    "classify photo.png", "attribute photo.png --method saliency",
    "attribute photo.png --method lrp --save-array a.npy",
    "fool photo.png --target 1 --steps 3", "fool photo.png --method fgsm --compare sheet.png",
    "visualize 1 --steps 2", "visualize 0 --method pixels --steps 2",
    "dream photo.png --layer relu --size 30 --octaves 1 --steps 1",
    "invert photo.png --layer relu --steps 3", "evaluate photo.png --methods saliency --steps 2 --samples 1",
    "style photo.png photo.png --content-layer relu --style-layers conv --style-weights 1 --size 24 --style-size 24 "
    "--steps 2",
]  # fmt: skip


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("line", RUNS)
def test_a_network_of_one_channel_from_the_shell(run, digits, line):
    code, _, err = run(*line.split(), "--weights", "digits.onnx")
    said = [part for part in err.replace("\r", "\n").splitlines() if "assumed" in part]
    assert code in (0, 1), err  # 1: not fooled
    assert len(said) == 1 and said[0].startswith(f"npgrad: warning: {INPUT}")
    code, _, err = run(*line.split(), "--weights", "digits.onnx", "--mean", "0.13", "--std", "0.31")
    assert code in (0, 1) and "assumed" not in err


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_folder_is_told_once(run, digits, workers):
    (digits / "photos").mkdir()
    for i in range(3):
        (digits / "photos" / f"{i}.png").write_bytes((digits / "photo.png").read_bytes())
    code, _, err = run("attribute", "photos", "--weights", "digits.onnx", "--workers", workers, "-o", "out")
    assert code == 0 and err.count("assumed") == 1
    lines = [json.loads(line) for line in (digits / "out" / "manifest.jsonl").read_text().splitlines()]
    assert not any("warnings" in line for line in lines)


def test_the_options_decide_what_the_network_gets(run, digits):
    def classes(*options):
        code, out, err = run("classify", "photo.png", "--weights", "digits.onnx", "--json", *options)
        assert code == 0 and "warning" not in err, err
        return [one["probability"] for one in json.loads(out)[0]["classes"]]

    model = npgrad.load(digits / "digits.onnx")
    for options, changes in [
        (["--scale", "1"], {"scale": 1}), (["--scale", "1/127.5", "--mean", "1"], {"scale": 1 / 127.5, "mean": 1}),
        (["--gray"], {}), (["--size", "24"], {"crop": 24}),
        (["--size", "9x14", "--std", "0.5"], {"crop": (9, 14), "std": 0.5}),
    ]:  # fmt: skip
        expected = model.with_preprocessing(**changes).predict(digits / "photo.png")[0]
        assert classes(*options) == [one[2] for one in expected], options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--bgr"], "preprocessing: channels: expected 1, as the network takes; found BGR"),
        (["--mean", "1,2"], "preprocessing: mean: expected a finite number"),
        (["--mean", "x"], "--mean: expected a list of numbers"), (["--scale", "1/0"], "scale"),
        (["--std", "0"], "preprocessing: std"),
        (["--size", "5x"], "--size: expected a size PX or HxW"), (["--size", "1x2x3"], "preprocessing: crop"),
        (["--size", "0"], "crop"),
        (["--bgr", "--gray"], "not allowed with"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line(run, digits, options, message):
    code, _, err = run("classify", "photo.png", "--weights", "digits.onnx", *options)
    assert code == 2 and message in err.splitlines()[-1] and "Traceback" not in err


def test_every_command_with_weights_takes_them(run):
    for name in COMMANDS:
        _, help_text, _ = run(name, "--help")
        if "--weights FILE" in help_text or name == "convert":
            for option in ("--mean", "--std", "--scale", "--bgr", "--gray", "--size"):
                assert option in help_text, (name, option)


def test_a_photo_in_the_middle_of_which_another_is_seen(run, digits):
    """The image saved by `fool` has the size that preprocessing leaves as it is, also for a rectangle."""
    run(
        "fool",
        "photo.png",
        "--weights",
        "digits.onnx",
        "--gray",
        "--method",
        "fgsm",
        "-o",
        "out.png",
        "--epsilon",
        "60",
    )
    model = npgrad.load(digits / "digits.onnx").with_preprocessing()
    seen = model.preprocessing
    with Image.open(digits / "out.png") as out, Image.open(digits / "photo.png") as photo:
        assert out.size == seen.layout(photo.size)[0] == seen.layout(out.size)[0]
    change = np.abs(model.preprocess(digits / "out.png") - model.preprocess(digits / "photo.png"))
    assert 0.1 < change.max() <= 60.5 / 255


@pytest.mark.filterwarnings("default")
def test_the_noise_of_the_measures_follows_the_input(run, digits):
    """The network for values 0..255 is the same as for 0..1, with weights 255 times smaller."""
    model = npgrad.load(digits / "digits.onnx").with_preprocessing(std=0.4)
    large = model.with_parameters({"conv.weight": model.parameters()["conv.weight"] / 255})
    tables = []
    for name, one in (("a.h5", model), ("b.h5", large.with_preprocessing(scale=1, std=0.4))):
        one.save(digits / name)
        line = f"evaluate photo.png --methods saliency --steps 2 --samples 2 --json --weights {name}"
        code, out, _ = run(*line.split())
        assert code == 0
        row = json.loads(out)["rows"][0]
        tables.append([row[key] for key in ("road", "infidelity", "sensitivity")])
    assert np.allclose(tables[0], tables[1], rtol=1e-3), tables
