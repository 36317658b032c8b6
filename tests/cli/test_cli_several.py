"""Several images in one call: each has its result, and one that is broken costs its own result only."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import npgrad
from npgrad.cli import _images


@pytest.fixture
def photos(folder, tmp_path):
    """a/cat.png, b/cat.png, dog.png, and broken.jpg, in this folder."""
    for number, name in enumerate(("a/cat.png", "b/cat.png", "dog.png")):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(path)
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    return ["a/cat.png", "b/cat.png", "dog.png"]


@pytest.fixture
def on(run, folder):
    """on("attribute a.png b.png") -> (exit code, stdout, lines of stderr without progress)."""

    def on(line):
        code, out, err = run(*line.split(), "--weights", folder / "net.h5")
        lines = [part.strip() for part in err.replace("\r", "\n").splitlines()]
        return code, out, [part for part in lines if part.startswith("npgrad: ")]

    return on


COMMANDS = {
    "attribute": "saliency.png",
    "explore": "explore.html",
    "report --methods saliency --steps 1 --samples 1": "report.html",
    "fool --method fgsm --epsilon 200": "fooled-fgsm.png",
    "invert --layer fire2 --steps 1": "from-fire2.png",
    "dream --layer fire2 --size 32 --octaves 1 --steps 1": "fire2.png",
}


@pytest.mark.sampled(2)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("line", COMMANDS)
def test_a_folder_of_results(on, photos, line):
    command, *options = line.split()
    end = COMMANDS[line]
    code, out, err = on(" ".join([command, *photos, *options, "-o", "deep/out/"]))
    assert (code in (0, 1), err if code == 0 else []) == (True, [])
    assert sorted(os.listdir("deep/out")) == sorted(
        [f"cat-{end}", f"cat-{Path(end).stem}-2{Path(end).suffix}", f"dog-{end}"]
    )
    assert out.count("cat.png") == 2 and out.count("deep/out") >= 3


@pytest.mark.filterwarnings("ignore:nothing to show")
def test_the_results_are_those_of_single_calls(on, photos):
    assert on(f"attribute {' '.join(photos)} --method grad_cam --target 2 -o out --json")[0] == 0
    for name, made in (
        ("a/cat.png", "cat-grad_cam.png"),
        ("b/cat.png", "cat-grad_cam-2.png"),
        ("dog.png", "dog-grad_cam.png"),
    ):
        assert on(f"attribute {name} --method grad_cam --target 2 -o single.png")[0] == 0
        assert Path("single.png").read_bytes()[-20_000:] and np.array_equal(
            Image.open("single.png"), Image.open(f"out/{made}")
        )


def test_one_json_document(on, photos):
    code, out, err = on(f"attribute {' '.join(photos)} broken.jpg --json")
    assert code == 2 and len(err) == 1 and err[0].startswith("npgrad: broken.jpg: ")
    found = json.loads(out)
    assert [one["image"] for one in found] == photos
    assert [one["output"] for one in found] == ["cat-saliency.png", "cat-saliency-2.png", "dog-saliency.png"]
    for line in ("certify", "evaluate --methods saliency --steps 1 --samples 1"):
        command, *options = line.split()
        code, out, _ = on(" ".join([command, *photos[:2], *options, "--json"]))
        assert code == 0 and len(json.loads(out)) == 2


@pytest.mark.sampled(1)
@pytest.mark.parametrize("command", ["attribute", "classify", "certify", "explore"])
def test_the_others_go_on(on, photos, command):
    code, out, err = on(f"{command} missing.png broken.jpg {photos[0]} a dog.png")
    assert code == 2 and out.count("cat.png") >= 1 and out.count("dog.png") >= 1
    assert [line.split(":")[1].strip() for line in err] == ["missing.png", "broken.jpg", "a"]
    assert "expected an image" in err[2] and "found a folder" in err[2]


@pytest.mark.parametrize(
    ("codes", "expected"), [((0, 2, 3), 2), ((0, 1, 3), 3), ((0, 130, 2), 130), ((0, 0), 0)]
)
def test_the_exit_code_of_all(on, photos, monkeypatch, codes, expected):
    left = list(codes)
    monkeypatch.setattr(_images, "_run_one", lambda *arguments: left.pop(0))
    assert on(f"classify {' '.join(photos[: len(codes)])}")[0] == expected
    assert len(left) == (1 if expected == 130 else 0)  # Ctrl-C ends the rest, too


def test_what_is_wrong_for_all_is_said_once(on, photos):
    for options, message in (
        ("--target cow", "no class 'cow'"),
        ("--method salience", "no method 'salience'"),
        ("-o map.png", "map.png: expected a folder, since there are 2 images; found a file's name"),
        ("-o dog.png", "dog.png: expected a folder, since there are 2 images; found a file's name"),
        ("-o dog.png/", "dog.png/: expected a folder to write to; a file has this name"),
        ("--save-array a.npy", "--save-array: expected one image with it, found 2"),
        ("--target cow -o new", "no class 'cow'"),
    ):
        before = sorted(os.listdir())
        code, out, err = on(f"attribute {' '.join(photos[:2])} {options}")
        assert (code, out, len(err)) == (2, "", 1) and message in err[0]
        assert sorted(os.listdir()) == before  # no folder is left
    code, _, err = on(f"fool {' '.join(photos[:2])} --target 1 --checkpoint run.ckpt")
    assert code == 2 and err == ["npgrad: --checkpoint: expected one image with it, found 2"]


@pytest.mark.filterwarnings("default")
def test_options_between_the_images(on, photos):
    code, out, _ = on("classify a/cat.png --top 1 dog.png -q b/cat.png")
    assert code == 0 and [line for line in out.splitlines() if "png" in line] == [
        "a/cat.png",
        "dog.png",
        "b/cat.png",
    ]
    code, out, err = on("attribute dog.png --method grad_cam -o out a/cat.png b/cat.png")
    assert code == 0 and sorted(os.listdir("out")) == [
        "cat-grad_cam-2.png",
        "cat-grad_cam.png",
        "dog-grad_cam.png",
    ]
    code, out, err = on("classify a/cat.png --top 1 dog.png --tip 2")
    assert code == 2 and err == ["npgrad: no option '--tip'; nearest: --top"]


@pytest.mark.filterwarnings("default")
def test_one_image_into_a_folder(on, photos):
    os.mkdir("maps")
    assert on("attribute dog.png -o maps")[1].endswith("-> maps/dog-saliency.png\n")
    assert on("attribute dog.png -o new/")[1].endswith("-> new/dog-saliency.png\n")
    assert on("explore dog.png -o maps")[0] == 0 and sorted(os.listdir("maps")) == [
        "dog-explore.html",
        "dog-saliency.png",
    ]
    code, _, err = on("attribute dog.png -o other")
    assert code == 2 and "expected an image's suffix" in err[0]


def test_the_network_is_read_once(on, photos, monkeypatch):
    read, load = [], npgrad.load
    monkeypatch.setattr("npgrad.cli._common.load", lambda source: read.append(source) or load(source))
    assert on(f"classify {' '.join(photos)}")[0] == 0 and len(read) == 1


def test_interrupted_the_rest_is_left_and_json_has_what_is_done(on, photos, monkeypatch):
    run_one = _images._run_one

    def interrupt(command, args, path, count):
        if path == "dog.png":
            raise KeyboardInterrupt
        return run_one(command, args, path, count)

    monkeypatch.setattr(_images, "_run_one", interrupt)
    code, out, err = on(f"attribute {' '.join(photos)} --json")
    assert (code, err) == (130, ["npgrad: interrupted"])
    assert [one["image"] for one in json.loads(out)] == photos[:2]
