"""What commands write: every path is checked before the work, and one that fails later loses no other result."""

import errno
import os
import random
from pathlib import Path

import numpy as np
import pytest
from image_files import pixels
from messages import NOT_WRITTEN

import npgrad
from npgrad import _files
from npgrad.cli import _results as results
from npgrad.scenes import scene

# command -> {option: a suffix that it takes; "" for any, None for a folder}
WRITERS = {
    "attribute PHOTO": {"-o": ".png", "--save-array": ".npy"},
    "attribute photos": {"-o": None},
    "fool PHOTO --target 2": {"-o": ".png", "--compare": ".jpg", "--animate": ".gif", "--checkpoint": ""},
    "visualize dog": {"-o": ".webp", "--animate": ".webp", "--checkpoint": ""},
    "style PHOTO PAINTING": {"-o": ".png", "--animate": ".gif", "--checkpoint": ""},
    "invert PHOTO --layer fire3": {"-o": ".bmp", "--animate": ".gif", "--checkpoint": ""},
    "dream PHOTO --layer fire3": {"-o": ".tif", "--animate": ".gif", "--checkpoint": ""},
    "convert net.npz": {"-o": ".h5"},
    "score": {"--checkpoint": ""},
    "demo PHOTO": {"-o": None},
    "notebooks": {"": None},
}
FILES = ["missing", "below a file", "folder", "pipe", "loop", "long", "suffix", "input", "twice", "empty"]
FOLDERS = ["file", "below a file", "loop", "long"]
CASES = [
    (command, option, kind)
    for command, options in WRITERS.items()
    for option, suffix in options.items()
    for kind in (FOLDERS if suffix is None else FILES)
    if not (kind == "input" and command.startswith("convert"))  # it has no input of the output's suffix
    and not (kind == "suffix" and not suffix)
    and not (kind == "twice" and len(options) == 1)
]


def bad_path(kind, suffix, folder, options, option):
    """A path that cannot be written to, and the words that say which other output has it too."""
    suffix = suffix or ""
    if kind == "missing":
        return f"no/such{suffix}", []
    if kind == "below a file":
        return f"notes.txt/x{suffix}", []
    if kind == "folder":
        os.mkdir(f"taken{suffix}")
        return f"taken{suffix}", []
    if kind == "pipe":
        os.mkfifo(f"pipe{suffix}")
        return f"pipe{suffix}", []
    if kind == "loop":
        os.symlink(f"loop{suffix}", f"loop{suffix}")
        return f"loop{suffix}", []
    if kind == "input":
        return f"{folder}/photo.png" if suffix == ".png" else f"{folder}/net.h5", []
    if kind == "twice":
        other = next(name for name in options if name != option)
        return f"x{suffix}", [other, f"./x{suffix}"]
    return {"long": "x" * 300 + suffix, "suffix": "x.doc", "empty": "", "file": "notes.txt"}[kind], []


def tree():
    return {path: path.is_file() and path.read_bytes() for path in Path().rglob("*")}


def refuse(run, folder, monkeypatch, command, option, kind):
    def work(*arguments, **options):
        raise AssertionError("the work began")

    for name in ("__call__", "forward"):
        monkeypatch.setattr(npgrad.Model, name, work)
    monkeypatch.setattr("npgrad.io.converting.convert", work)
    monkeypatch.setattr("npgrad.course.notebooks.write_notebooks", work)
    with open("notes.txt", "w") as file:
        file.write("not to be lost")
    os.mkdir("photos")
    for name in ("photos/photo.png", "net.npz"):
        with open(name, "wb") as file:
            file.write((folder / "photo.png").read_bytes())
    path, more = bad_path(kind, WRITERS[command][option], folder, WRITERS[command], option)
    words = (
        command.replace("PHOTO", f"{folder}/photo.png").replace("PAINTING", f"{folder}/painting.png").split()
    )
    words += [*([option] if option else []), path, *more]
    if words[0] not in ("convert", "notebooks"):
        words += ["--weights", folder / "net.h5"]
    before = tree()
    code, out, err = run(*words)
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert err.startswith("npgrad: ") and tree() == before
    assert _files.shown(path)[:200] in err


@pytest.mark.parametrize("case", random.Random(20).sample(CASES, 24), ids=" ".join)
def test_a_bad_path_is_refused_before_the_work(run, folder, monkeypatch, case):
    refuse(run, folder, monkeypatch, *case)


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_every_bad_path_is_refused_before_the_work(run, folder, monkeypatch, case):
    refuse(run, folder, monkeypatch, *case)


def test_an_array_needs_its_suffix(run, folder):
    code, out, err = run(
        "attribute", folder / "photo.png", "--weights", folder / "net.h5", "--save-array", "arr.txt"
    )
    assert (code, out, err) == (2, "", "npgrad: arr.txt: expected an array's suffix (.npy); found '.txt'\n")


@pytest.fixture
def full_for(monkeypatch):
    """full_for("a.png"): the disk is full once the bytes of such a file are written."""
    replace = os.replace

    def full_for(*names):
        def full(temporary, target):
            if os.path.basename(target) in names:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return replace(temporary, target)

        monkeypatch.setattr(_files.os, "replace", full)

    return full_for


LATE = {
    "attribute PHOTO --save-array a.npy -o a.png": ["a.npy", "a.png"],
    "fool PHOTO --target 2 --steps 2 -o a.png --compare b.png --animate c.gif": ["a.png", "b.png", "c.gif"],
    "visualize dog --steps 2 -o a.png --animate c.gif": ["a.png", "c.gif"],
    "style PHOTO PAINTING --size 32 --style-size 32 --steps 2 -o a.png --animate c.gif": ["a.png", "c.gif"],
    "invert PHOTO --layer fire3 --steps 2 --every 1 -o a.png": ["a.png", "a-0001.png", "a-0002.png"],
    "dream PHOTO --layer fire3 --size 40 --octaves 1 --steps 1 -o a.png --animate c.gif": ["a.png", "c.gif"],
}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("line", LATE)
def test_a_disk_that_fills_up_costs_one_result_alone(make, full_for, line):
    files = LATE[line]
    for lost in (files[:1], files[-1:], files):
        full_for(*lost)
        code, out, err = make(line)
        said = [text for text in err if NOT_WRITTEN in text]
        assert code == 1 and out
        assert [text.split(":")[1].strip() for text in said] == [
            name for name in said_order(files) if name in lost
        ]
        assert sorted(os.listdir()) == sorted(set(files) - set(lost))
        for name in os.listdir():
            os.remove(name)


def said_order(files):
    """Snapshots come first, then the others as they are written."""
    order = {"a.png": 1, "a.npy": 2, "c.gif": 2, "b.png": 3}
    return sorted(files, key=lambda name: order.get(name, 0))


@pytest.mark.filterwarnings("default")
def test_a_checkpoint_that_is_lost_on_the_way(make, full_for, monkeypatch):
    full_for()
    line = "invert PHOTO --layer fire3 --steps 2 -o a.png --checkpoint run.ckpt"
    assert make(line)[0] == 0
    os.remove("run.ckpt")
    begun = []

    def replace(temporary, target, replace=os.rename):
        if target.name == "run.ckpt" and begun:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        begun.append(target)
        replace(temporary, target)

    monkeypatch.setattr(_files.os, "replace", replace)
    first = pixels("a.png")
    code, out, err = make(line)
    assert code == 1 and "2 steps" in out
    assert [text.startswith(f"npgrad: warning: run.ckpt: {NOT_WRITTEN}: No space left") for text in err] == [
        True
    ]
    np.testing.assert_array_equal(pixels("a.png"), first)


def test_the_scores_outlive_their_checkpoint(run, full_for):
    full_for("score.ckpt")
    arguments = ("-n", 2, "--slow", 1, "--curves", 0, "--methods", "saliency", "--checkpoint", "score.ckpt")
    code, out, err = run("score", *arguments)
    assert code == 1 and "saliency" in out and f"score.ckpt: {NOT_WRITTEN}: No space left" in err


def test_a_snapshot_replaces_no_other_result(make):
    code, _, err = make("fool PHOTO --target 2 --every 1 -o a.png --compare a-0001.png")
    assert code == 2 and err == [
        "npgrad: a-0001.png: a snapshot may replace this file; give another --output"
    ]


def test_default_names_replace_nothing(make, run, folder, tmp_path):
    made = {}
    for place in "ab":
        os.mkdir(place)
        made[place] = pixels(folder / "photo.png")[:, :: 1 if place == "a" else -1]
        npgrad.images.save_image(np.ascontiguousarray(made[place]), f"{place}/cat.png")
    names = [make(f"attribute {place}/cat.png --json")[1] for place in "ab"]
    assert "cat-saliency.png" in names[0] and "cat-saliency-2.png" in names[1]
    assert (pixels("cat-saliency.png") != pixels("cat-saliency-2.png")).any()
    for line in ("fool PHOTO --target 2 --steps 1", "invert PHOTO --layer fire3 --steps 1"):
        before = len(os.listdir())
        make(line), make(line)
        assert len(os.listdir()) == before + 2
    assert results.free_name("new.png").name == "new.png"


# What is said of images that the network does not know, or sees in part.


@pytest.fixture
def drawn(tmp_path):
    npgrad.images.save_image(scene(3)[0], tmp_path / "scene.png")
    return tmp_path / "scene.png"


ONE_LOOK = {
    "classify": "PHOTO PHOTO",
    "attribute": "PHOTO",
    "evaluate": "PHOTO --methods saliency --steps 1 --samples 1",
    "fool": "PHOTO --target ring --steps 1",
    "invert": "PHOTO --layer fire2 --steps 1",
    "dream": "PHOTO --layer fire2 --size 32 --octaves 1 --steps 1",
    "style": "PHOTO PHOTO --size 32 --style-size 32 --steps 1",
}


@pytest.mark.sampled(2)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("command", ONE_LOOK)
def test_the_bundled_network_says_that_it_knows_no_photos(run, photo, drawn, command, monkeypatch):
    monkeypatch.setattr(
        "npgrad.evaluation.table.measure_method", lambda *arguments, **options: {"method": "saliency"}
    )  # takes long
    line = "npgrad: warning: the bundled network knows only drawn scenes"
    err = run(command, *ONE_LOOK[command].replace("PHOTO", photo).split())[2]
    assert err.count("bundled network") == 1 and line in err and "--weights NAME" in err
    assert "bundled network" not in run(command, *ONE_LOOK[command].replace("PHOTO", str(drawn)).split())[2]


def test_an_unknown_class_names_the_network_that_was_asked(run, photo, weights):
    for words in (("visualize", "flamingo"), ("attribute", photo, "--target", "flamingo")):
        code, _, err = run(*words)
        assert code == 2 and "no class 'flamingo'" in err
        assert "the bundled network, which knows drawn scenes only; --weights takes another\n" in err
        assert "bundled" not in run(*words, "--weights", weights)[2]


@pytest.mark.parametrize("command", ["classify", "attribute", "evaluate", "fool", "invert"])
def test_an_image_that_is_cropped(run, folder, command, monkeypatch):
    monkeypatch.setattr(
        "npgrad.evaluation.table.measure_method", lambda *arguments, **options: {"method": "saliency"}
    )
    words = {**ONE_LOOK, "fool": "PHOTO --target 2 --steps 1"}[command].replace(
        "PHOTO", f"{folder}/photo.png"
    )
    err = run(command, *words.split(), "--weights", folder / "net.h5")[2]
    line = f"npgrad: {folder}/photo.png: only the middle 48x48 of 90x60 px is seen by the network\n"
    assert err.count("is seen by") == 1 and line in err
    assert "middle square" in " ".join(run(command, "--help")[1].split())


def test_a_turned_image_is_cropped_as_it_is_shown(run, folder, tmp_path):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(folder / "photo.png").save("turned.jpg", exif=exif)
    err = run("classify", "turned.jpg", "--weights", folder / "net.h5")[2]
    assert err == "npgrad: turned.jpg: only the middle 48x48 of 60x90 px is seen by the network\n"
    run(
        "attribute", "turned.jpg", "--weights", folder / "net.h5", "--target", 2, "--save-array", "turned.npy"
    )
    upright = npgrad.images.open_image("turned.jpg")
    assert upright.size == (60, 90)
    model = npgrad.load(folder / "net.h5")
    x = model.preprocess(np.asarray(upright))
    np.testing.assert_allclose(np.load("turned.npy"), npgrad.attribution.saliency(model, x, 2)[0], rtol=1e-5)
    height, width = pixels("turned-saliency.png").shape[:2]
    assert height > width


def test_a_folder_says_it_once(run, folder):
    code, _, err = run("attribute", folder, "--weights", folder / "net.h5", "--workers", 1, "-o", "out")
    assert code == 0 and err.count("is seen by the network") == 1
