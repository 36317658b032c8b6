"""The commands that make images: what they write, say and return; interrupted, resumed, animated, refused."""

import functools
import json
import os

import numpy as np
import pytest
import tqdm
from image_files import pixels
from messages import A_NUMBER, AN_INDEX, NOT_WRITTEN, OTHER_SETTINGS
from PIL import Image, ImageSequence

from npgrad.cli._synthesis import RunOutput


@pytest.fixture
def interrupt(monkeypatch):
    """interrupt(7): Ctrl-C once, right after step 7."""

    def interrupt(at):
        goes_on = RunOutput.__call__

        def call(self, step, image, losses):
            goes_on(self, step, image, losses)
            if step == at:
                monkeypatch.setattr(RunOutput, "__call__", goes_on)
                raise KeyboardInterrupt

        monkeypatch.setattr(RunOutput, "__call__", call)

    return interrupt


def frames(path):
    with Image.open(path) as file:
        return [np.array(frame.convert("RGB")) for frame in ImageSequence.Iterator(file)]


# each command with few steps, and how many these are
RUNS = {
    "fool": ("fool PHOTO --target 2 --learning-rate 0.1 --steps 12", 12),
    "visualize": ("visualize dog --steps 12", 12),
    "pixels": ("visualize dog --method pixels --steps 12", 12),
    "channel": ("visualize --layer fire3 --channel 4 --neuron 1,1 --steps 12", 12),
    "style": ("style PHOTO PAINTING --size 32 --style-size 36 --steps 12", 12),
    "sizes": ("style PHOTO PAINTING --sizes 24,32 --style-size 36 --steps 6", 12),
    "invert": ("invert PHOTO --layer fire4 --steps 12", 12),
    "dream": ("dream PHOTO --layer fire4 --size 40 --octaves 2 --steps 6", 12),
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", RUNS)
def test_snapshots_animation_and_image(make, name):
    line, steps = RUNS[name]
    code, out, err = make(f"{line} --every 5 -o out.png --animate run.gif")
    assert code == (1 if name == "fool" else 0)
    assert not err or name == "fool"
    assert f"{steps} steps" in out
    assert "out.png" in out
    assert sorted(os.listdir()) == ["out-0005.png", "out-0010.png", "out.png", "run.gif"]
    assert not np.array_equal(pixels("out-0005.png"), pixels("out-0010.png"))
    shown = frames("run.gif")
    assert len(shown) == steps
    if name != "fool":  # there the change is shown beside
        height, width = pixels("out.png").shape[:2]
        assert shown[-1].shape == (height, width, 3)
        assert np.abs(shown[-1].astype(int) - pixels("out.png")).mean() < 25


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", RUNS)
def test_interrupted_and_gone_on_with(make, interrupt, name):
    line, steps = RUNS[name]
    code, _, _ = make(f"{line} -o whole.png --checkpoint whole.ckpt")
    assert code == (1 if name == "fool" else 0)
    interrupt(8)
    code, out, err = make(f"{line} -o out.png --checkpoint run.ckpt --animate run.webp")
    assert code == 130
    message = "npgrad: interrupted at step 8; out.png holds the latest image; the same command continues from run.ckpt"
    assert err == [message]
    assert "8 steps" in out
    assert len(frames("run.webp")) == 8
    half = pixels("out.png")
    code, _, err = make(f"{line} -o out.png --checkpoint run.ckpt")
    assert err[0] == f"npgrad: continuing from step 8 of {steps}"
    assert code == (1 if name == "fool" else 0)
    with open("out.png", "rb") as a, open("whole.png", "rb") as b:
        assert a.read() == b.read()
    assert not np.array_equal(half, pixels("out.png"))


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", RUNS)
def test_json(make, name):
    line, steps = RUNS[name]
    code, out, err = make(f"{line} --json --animate run.webp")
    result = json.loads(out)
    assert result["steps"] == steps
    assert result["interrupted"] is False
    assert result["animation"] == "run.webp"
    assert all(isinstance(value, float) for value in result["losses"].values())
    assert sorted(os.listdir()) == sorted([result["output"], "run.webp"])


def test_visualize_takes_a_contrast(make):
    for name, option in {"default": "", "same": "--contrast 0.6", "without": "--contrast 0"}.items():
        assert make(f"visualize dog --size 48 --steps 6 {option} -o {name}.png")[0] == 0
    assert (pixels("same.png") == pixels("default.png")).all()
    assert (pixels("without.png") != pixels("default.png")).any()


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", ["pixels", "style", "invert", "dream"])
def test_the_seed_decides(make, name):
    line, _ = RUNS[name]
    line += " --start noise" if name == "style" else ""
    for seed, output in ((1, "a.png"), (1, "b.png"), (2, "c.png")):
        assert make(f"{line} --seed {seed} -o {output}")[0] == 0
    np.testing.assert_array_equal(pixels("a.png"), pixels("b.png"))
    assert not np.array_equal(pixels("a.png"), pixels("c.png"))


def test_an_interrupted_run_without_a_checkpoint(make, interrupt):
    interrupt(3)
    code, out, err = make(f"{RUNS['fool'][0]} -o out.jpg --json")
    assert (code, err) == (130, ["npgrad: interrupted at step 3; out.jpg holds the latest image"])
    result = json.loads(out)
    assert (result["steps"], result["interrupted"], result["fooled"]) == (3, True, False)
    assert os.listdir() == ["out.jpg"]


def test_a_run_that_had_ended(make):
    line = f"{RUNS['invert'][0]} --checkpoint run.ckpt -o"
    assert make(f"{line} a.png")[0] == 0
    code, out, err = make(f"{line} b.png")
    assert (code, err) == (0, ["npgrad: run.ckpt: this run is already complete, after step 12"])
    np.testing.assert_array_equal(pixels("a.png"), pixels("b.png"))


def test_a_bar_shows_the_losses(run, folder, monkeypatch):
    monkeypatch.setattr(
        "tqdm.tqdm", functools.partial(tqdm.tqdm, mininterval=0)
    )  # else quick steps are not drawn
    _, _, err = run(*f"invert {folder}/photo.png --layer fire4 --steps 3 --weights {folder}/net.h5".split())
    assert "invert:" in err
    assert "3/3" in err
    assert "content=" in err and "tv=" in err


@pytest.mark.sampled(14)
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fool PHOTO --target 5", f"{AN_INDEX} 4; found 5"),
        ("fool PHOTO --target catt", "no class 'catt'; nearest: cat"),
        ("fool PHOTO", "--target: expected a class for the method ascent, found none"),
        ("fool PHOTO --target 1 --method pdg", "no method 'pdg'; nearest: pgd"),
        (
            "fool PHOTO --target 1 --epsilon 3",
            "ascent takes no --epsilon; its options: --steps, --learning-rate",
        ),
        ("fool PHOTO --target 1 --method fgsm --margin 3", "fgsm takes no --margin; its options: --epsilon"),
        ("fool PHOTO --target 1 --learning-rate -1", f"learning_rate: {A_NUMBER} >= 0, found -1.0"),
        ("visualize dog --contrast -1", f"contrast: {A_NUMBER} >= 0, found -1.0"),
        ("fool PHOTO --target 1 --margin nan", f"margin: {A_NUMBER} >= 0, found nan"),
        ("fool PHOTO --target 1 -o PHOTO", "photo.png: this is one of the inputs"),
        ("fool PHOTO --target 1 --compare PHOTO", "photo.png: this is one of the inputs"),
        ("fool PHOTO --target 1 -o a.png --compare ./a.png", "a.png: two results would have this name"),
        ("fool PHOTO --target 1 -o no/a.png", f"no/a.png: {NOT_WRITTEN}: there is no folder"),
        ("fool PHOTO --target 1 -o a.xyz", "a.xyz: expected an image's suffix (.png"),
        ("fool PHOTO --target 1 --animate a.mp4", "a.mp4: expected an animation's suffix (.gif, .webp)"),
        ("fool PHOTO --target 1 --animate no/a.gif", f"no/a.gif: {NOT_WRITTEN}"),
        ("fool PHOTO --target 1 --checkpoint no/a.ckpt", f"no/a.ckpt: {NOT_WRITTEN}"),
        ("fool PHOTO --target 1 --checkpoint PHOTO", "photo.png: this is one of the inputs"),
        ("fool missing.png --target 1", "missing.png: no such file"),
        ("visualize catt", "no class 'catt'; nearest: cat"),
        ("visualize crane", "crane is two classes: 3, 4"),
        ("visualize", "expected a CLASS, or --layer and --channel, found none"),
        ("visualize dog --layer fire3", "expected a CLASS, or --layer and --channel, found both"),
        ("visualize dog --channel 3", "--channel: expected a --layer, found class 'dog'"),
        ("visualize --layer fire3", "--layer: expected --channel N as well, found none"),
        ("visualize --layer fier3 --channel 1", "no layer 'fier3'; nearest: fire3"),
        ("visualize --layer fire3 --channel 4000", f"channel: {AN_INDEX} 127 at fire3, found 4000"),
        ("visualize dog --method furier", "no method 'furier'; nearest: fourier"),
        ("visualize dog --size 3", "this network takes images of at least 17x17 px"),
        ("style PHOTO PAINTING --preset stary_night", "no preset 'stary_night'; nearest: starry_night"),
        ("style PHOTO PAINTING --optimizer adm", "no optimizer 'adm'; nearest: adam"),
        ("style PHOTO PAINTING --content-layer fier3", "no layer 'fier3'; nearest: fire3"),
        ("style PHOTO PAINTING --start elsewhere.png", "elsewhere.png: no such file"),
        ("style PHOTO PAINTING --blend 1,2", "blend"),
        ("style PHOTO PAINTING --mask missing.png", "missing.png: no such file"),
        ("style PHOTO PAINTING -o PAINTING", "painting.png: this is one of the inputs"),
        ("style PHOTO missing.png", "missing.png: no such file"),
        ("dream PHOTO --layer fier3", "no layer 'fier3'; nearest: fire3"),
        ("dream PHOTO --layer fire3 --channel 128", f"channel: {AN_INDEX} 127 at fire3, found 128"),
        (
            "dream PHOTO --layer fire3 --size 9000",
            "--size: 13500x9000 px would take gigabytes of memory; expected at most 4,000,000 pixels",
        ),
        ("dream PHOTO --layer fire3 -o PHOTO", "photo.png: this is one of the inputs"),
        ("invert PHOTO --layer fier3", "no layer 'fier3'; nearest: fire3"),
        ("invert PHOTO --layer fire3 --optimizer adm", "no optimizer 'adm'; nearest: adam"),
        ("invert PHOTO --layer fire3 --tv-weight -1", f"tv_weight: {A_NUMBER} >= 0, found -1.0"),
        ("invert PHOTO --layer fire3 -o PHOTO", "photo.png: this is one of the inputs"),
    ],
)
def test_a_mistake_gets_one_line_and_2(make, line, message):
    code, out, err = make(line)
    assert (code, out) == (2, "")
    assert len(err) == 1
    assert err[0].startswith("npgrad: ")
    assert message in err[0]
    assert os.listdir() == []


def test_no_input_is_overwritten_by_whatever_name(make, folder):
    photo = (folder / "photo.png").read_bytes()
    os.symlink(folder / "photo.png", "link.png")
    code, _, err = make("fool PHOTO --target 1 -o link.png")
    assert (code, len(err)) == (2, 1)
    assert "link.png: this is one of the inputs" in err[0]
    code, _, err = make(f"invert PHOTO --layer fire3 -o a.png --checkpoint {folder}/net.h5")
    assert (code, len(err)) == (2, 1)
    assert "net.h5: this is one of the inputs" in err[0]
    for name in ("run-0010.png", "run-0010x.png"):
        with open(name, "wb") as file:
            file.write(photo)
    code, _, err = make("invert run-0010.png --layer fire3 --every 10 -o run.png")
    assert (code, len(err)) == (2, 1)
    assert "run-0010.png: a snapshot may replace this file" in err[0]
    assert make("invert run-0010x.png --layer fire3 --every 10 --steps 1 -o run.png")[0] == 0
    assert (folder / "photo.png").read_bytes() == photo


def test_a_checkpoint_of_another_run_or_no_checkpoint(make):
    assert make("invert PHOTO --layer fire3 --steps 2 -o a.png --checkpoint run.ckpt")[0] == 0
    with open("run.ckpt", "rb") as file:
        before = file.read()
    for line in ("invert PHOTO --layer fire4 --steps 2", "visualize dog --steps 2"):
        code, _, err = make(f"{line} -o b.png --checkpoint run.ckpt")
        assert (code, len(err)) == (2, 1)
        assert f"run.ckpt: this checkpoint was {OTHER_SETTINGS}" in err[0]
    with open("run.ckpt", "rb") as file:
        assert file.read() == before
    with open("notes.txt", "w") as file:
        file.write("not to be lost")
    code, _, err = make("visualize dog --steps 2 -o b.png --checkpoint notes.txt")
    assert (code, len(err)) == (2, 1)
    assert "notes.txt: not an npgrad checkpoint" in err[0]
    with open("notes.txt") as file:
        assert file.read() == "not to be lost"
    assert "b.png" not in os.listdir()


def test_style_is_smoother_than_the_preset_unless_told(make, folder):
    base = "style PHOTO PAINTING --preset the_scream --size 32 --style-size 36 --steps 6"
    for name, option in ("a", ""), ("b", "--tv-weight 0.2"), ("c", "--tv-weight 0.02"):
        assert make(f"{base} {option} -o {name}.png")[0] == 0
    assert (pixels("a.png") == pixels("b.png")).all()
    assert (pixels("a.png") != pixels("c.png")).any()


def test_style_says_which_layers_it_takes(make, folder):
    base = "style PHOTO PAINTING --size 32 --style-size 36 --steps 1 -o a.png"
    code, out, _ = make(f"{base} --preset structure")
    assert code == 0
    [line] = [line for line in out.splitlines() if line.startswith("content of ")]
    content, style = line.removeprefix("content of ").split(", style of ", 1)
    assert content in style.split(", ")
    found = json.loads(make(f"{base} --preset structure --json")[1])
    assert found["content_layer"] == content and ", ".join(found["style_layers"]) == style
    found = json.loads(
        make(f"{base} --preset the_scream --style-layers fire2,conv1 --style-weights 2,1 --json")[1]
    )
    assert found["style_layers"] == ["fire2", "conv1"]


@pytest.mark.exhaustive
def test_style_options_reach_the_run(make, folder):
    """Each option changes the image, and a mask keeps a style away from where it is dark."""
    mask = np.zeros((60, 90), np.uint8)
    mask[:, :45] = 255
    Image.fromarray(mask).save("mask.png")
    base = "style PHOTO PAINTING --style-size 36 --steps 6"
    options = [
        "", "--original-colors", "--start noise", "--start PAINTING", "--optimizer lbfgs", "--sizes 24,32",
        "--mask mask.png", "--content-weight 9", "--style-weights 1,1,1,1", "--tv-weight 5",
        "--content-layer fire5", "--style-layers fire2,fire3,fire4,fire5", "--preset the_scream", "--style-size 40",
    ]  # fmt: skip
    made = set()
    for i, option in enumerate(options):
        size = "" if "--sizes" in option else "--size 32"
        code, out, err = make(f"{base} {size} {option} -o {i}.png")
        assert (code, err) == (0, [])
        made.add(pixels(f"{i}.png").tobytes())
        assert pixels(f"{i}.png").shape == (32, 48, 3)
    assert len(made) == len(options)
    images = []
    for i, blend in enumerate(("1,0", "1,1", "3,1", "6,2")):
        assert make(f"style PHOTO PAINTING PHOTO --blend {blend} --size 32 --steps 6 -o {i}.png")[0] == 0
        images.append(pixels(f"{i}.png").tobytes())
    assert len(set(images)) >= 3
