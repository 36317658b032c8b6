"""`npgrad demo` and `npgrad score`: the folder of images, and the table."""

import html
import io
import json
import re
import shlex
import warnings
from contextlib import redirect_stderr, redirect_stdout
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from messages import OTHER_SETTINGS
from PIL import Image
from threadpoolctl import threadpool_info, threadpool_limits

import npgrad.cli
from npgrad.cli import _demo_images as demo_images
from npgrad.cli import _demo_page as demo_page
from npgrad.cli import _methods as methods
from npgrad.cli import _parser
from npgrad.models import squeezenet1_1

IMAGES = ["methods.png", "fooling.png", "classes.png", "style.png", "inversion.png"]


def quickly(monkeypatch):
    """So few steps that the images show nothing; how they look is for a person to judge."""
    monkeypatch.setattr(demo_images, "STEPS", {**dict.fromkeys(demo_images.STEPS, 2), "fooling": 20})
    monkeypatch.setattr(demo_images, "SHOWN", ("saliency", "grad_cam", "lrp"))


@pytest.fixture
def quick(monkeypatch):
    quickly(monkeypatch)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A demo that several tests look at: the folder that it was made from, the exit code, stdout, and stderr."""
    folder = tmp_path_factory.mktemp("demo")
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        quickly(patch)
        patch.chdir(folder)
        with warnings.catch_warnings():  # a fooling image is none
            warnings.filterwarnings("ignore", "the bundled network knows only drawn scenes")
            code = npgrad.cli.main(["demo", "-o", "a folder"])
    return folder, code, out.getvalue(), err.getvalue()


class Links(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found, self.open = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found += [value for name, value in attrs if name in ("src", "href")]
        assert tag != "img" or dict(attrs)["alt"]
        if tag not in ("meta", "img", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked_page(folder):
    text = (folder / "index.html").read_text(encoding="utf-8")
    links = Links(text)
    assert not links.open
    assert all((folder / link).is_file() for link in links.found)  # beside the page, nothing else
    assert not re.search(r"https?:|//|@import|<script", text)
    for link in links.found:
        Image.open(folder / link).verify()
    return text, set(links.found)


@pytest.mark.filterwarnings("ignore:the bundled network knows only drawn scenes")  # a fooling image is none
def test_the_demo(made):
    folder, code, out, err = made
    assert code == 0 and re.fullmatch(r"done in \d+ s: open a folder/index.html\n", out)
    first, *parts = err.splitlines()
    assert re.match(
        r"npgrad: 6 parts, about \d+ (s|minutes) at this machine's present speed; nothing is", first
    )
    assert first.endswith("keeps what is done in a folder")
    assert [line[:3] for line in parts] == [f"{i}/6" for i in range(1, 7)]
    assert all(re.search(r", about \d+ (s|minutes) left$", line) for line in parts[1:])
    text, links = checked_page(folder / "a folder")
    assert links == {"scenes.png", *IMAGES}
    # the fooled image fools as a file, too, and the page's commands find theirs
    model = npgrad.load()
    before, after = (
        model.predict(model.preprocess(folder / "a folder" / name, resize=False), top=1)[0][0][0]
        for name in ("scene.png", "fooled.png")
    )
    assert before != after
    command = html.escape(f"npgrad attribute '{Path('a folder') / 'scene.png'}' --method all")
    assert f"<code>{command}</code>" in text


@pytest.mark.exhaustive
def test_the_demo_is_in_a_folder_of_its_own(run, monkeypatch, tmp_path):
    monkeypatch.setattr(demo_images, "MAKERS", ())
    code, _, err = run("demo")
    assert code == 0 and err.splitlines()[0].endswith("keeps what is done in npgrad-demo")
    assert (tmp_path / "npgrad-demo" / "scene.png").is_file()


@pytest.mark.exhaustive
def test_the_demo_takes_one_blas_thread(run, quick, monkeypatch, tmp_path):
    counts = []

    def look(model, subject, folder):
        counts.extend(n["num_threads"] for n in threadpool_info() if n["user_api"] == "blas")
        raise npgrad.InputError("enough")

    monkeypatch.setattr("npgrad.cli._demo_images.MAKERS", (look,))
    with threadpool_limits(2, user_api="blas"):
        run("demo", "-o", tmp_path / "demo")
    assert counts and set(counts) == {1}


def test_the_demos_commands_are_ones_that_npgrad_has(made):
    folder = made[0]
    text, _ = checked_page(folder / "a folder")
    commands = re.findall(r"<code>(.*?)</code>", text)
    assert len(commands) == 6
    for command in commands:
        words = shlex.split(html.unescape(command))
        args = _parser().parse_args(words[1:])
        assert words[0] == "npgrad"
        for name in ("image", "content"):
            paths = getattr(args, name, None) or []
            for path in [paths] if isinstance(paths, str) else paths:
                assert (folder / path).is_file()


@pytest.mark.exhaustive
def test_the_same_seed_gives_the_same_images_and_another_others(run, quick, made, tmp_path):
    for folder, seed in (("b", 0), ("c", 2)):
        assert run("demo", "-o", folder, "--seed", seed)[0] == 0
    folders = (made[0] / "a folder", tmp_path / "b", tmp_path / "c")  # the first without a --seed
    first, again, other = ([(folder / name).read_bytes() for name in IMAGES] for folder in folders)
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))


@pytest.mark.exhaustive
def test_the_demo_of_a_photo(run, quick, tmp_path):
    model = squeezenet1_1(num_classes=12, rng=3)
    names = [f"<b>{i}</b> & \"'" for i in range(12)]
    npgrad.Model(model.network, names, None, model.architecture, model.aliases).save(tmp_path / "net.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "my photo.png")
    code, out, _ = run("demo", "my photo.png", "--weights", "net.h5", "-o", "out", "--json")
    made = json.loads(out)
    assert code == 0 and not made["interrupted"]
    assert [section["file"] for section in made["sections"]] == ["photo.png", *IMAGES]
    text, links = checked_page(tmp_path / "out")
    assert links == {"photo.png", *IMAGES}
    assert "<b>" not in text and "&lt;b&gt;" in text
    assert "'my photo.png'" in text.replace("&#x27;", "'") and "--weights net.h5" in text


@pytest.mark.exhaustive
def test_interrupted_the_demo_keeps_what_there_is(run, quick, monkeypatch, tmp_path):
    def interrupt(*args):
        """?"""
        raise KeyboardInterrupt

    monkeypatch.setattr(
        demo_images, "MAKERS", (demo_images.classification, demo_images.attributions, interrupt)
    )
    code, out, _ = run("demo")
    assert code == 130 and "interrupted, partly done" in out
    assert checked_page(tmp_path / "npgrad-demo")[1] == {"scenes.png", "methods.png"}


@pytest.mark.exhaustive
def test_the_demo_says_what_is_wrong_in_one_line(run, tmp_path):
    squeezenet1_1(num_classes=3).save(tmp_path / "net.h5")
    (tmp_path / "taken").write_text("a file")
    for arguments, said in (
        (["--weights", "net.h5"], "expected a network of the scenes' 26 classes"),
        (["nowhere.jpg"], "nowhere.jpg"),
        (["-o", "taken"], "taken: expected a folder to write to; a file has this name"),
        (["-o", "taken/below"], "taken/below: expected a folder"),
    ):
        code, out, err = run("demo", *arguments)
        assert (code, out) == (2, "") and err.count("\n") == 1 and said in err
    assert (tmp_path / "taken").read_text() == "a file"


def test_a_page_of_nothing_is_a_page():
    assert not Links(demo_page.page("a", "b < c", [], "d")).open


# score


def scored(run, *arguments):
    code, out, _ = run("score", "-n", 4, "--slow", 1, "--curves", 1, *arguments, "--json")
    return code, json.loads(out)


@pytest.mark.exhaustive
def test_score(run):
    code, found = scored(run, "--methods", "grad_cam,saliency,deep_lift_shap")
    assert code == 0 and found["scenes"] == 4 and not found["interrupted"]
    rows = {row["method"]: row for row in found["rows"]}
    assert set(rows) == {
        "grad_cam",
        "saliency",
        "deep_lift_shap",
        "random map",
        "centered blob",
        "edge detector",
    }
    assert rows["deep_lift_shap"]["n"] == 1 and rows["saliency"]["n"] == 4
    assert rows["grad_cam"]["pointing_95"][0] < rows["grad_cam"]["pointing"] <= 1
    assert rows["grad_cam"]["deletion_95"] is None  # of one image there is no interval
    order = [(row["pointing"], row["energy"]) for row in found["rows"]]
    assert order == sorted(order, reverse=True)
    assert {key for key in rows["saliency"] if not key.endswith("_95")} == {
        "method", "n", "pointing", "energy", "iou", "deletion", "insertion", "seconds",
    }  # fmt: skip


def test_scores_table(run):
    code, out, err = run("score", "-n", 3, "--curves", 0, "--methods", "grad_cam")
    lines = out.splitlines()
    assert code == 0 and re.match(
        r"3 scenes that the network classifies correctly, of \d+ \(seed 3\)", lines[0]
    )
    assert lines[1].split("  ")[0] == "method" and len(lines) == 6
    assert re.search(r"grad_cam +3 +\d+\.\d \+-\d+\.\d ", out)


@pytest.mark.exhaustive
def test_an_interrupted_score_goes_on_from_its_checkpoint(run, monkeypatch):
    arguments = ("--methods", "grad_cam,lrp", "--checkpoint", "score.ckpt")
    whole = scored(run, "--methods", "grad_cam,lrp")[1]
    real = methods.defaults

    def interrupt(name, model, x):
        if name == "lrp":
            raise KeyboardInterrupt
        return real(name, model, x)

    monkeypatch.setattr(methods, "defaults", interrupt)
    code, out, err = run("score", "-n", 4, "--slow", 1, "--curves", 1, *arguments)
    assert code == 130 and "interrupted; not scored: lrp, random map" in err and "grad_cam" in out
    monkeypatch.setattr(methods, "defaults", real)
    code, rest = scored(run, *arguments)
    assert code == 0
    for a, b in zip(whole["rows"], rest["rows"], strict=True):
        assert {**a, "seconds": 0} == {**b, "seconds": 0}
    code, _, err = run("score", "-n", 5, *arguments)
    assert code == 2 and OTHER_SETTINGS in err


def test_score_says_what_is_wrong_before_the_work(run, tmp_path):
    squeezenet1_1(num_classes=3).save(tmp_path / "net.h5")
    for arguments, said in (
        (["--methods", "grad_can"], "grad_cam"),
        (["--weights", "net.h5"], "expected a network of the scenes' 26 classes"),
        (["-n", "1", "--checkpoint", "nowhere/score.ckpt"], "nowhere"),
    ):
        code, out, err = run("score", *arguments)
        assert (code, out) == (2, "") and err.count("\n") == 1 and said in err
