"""The command forgives how a name is written, and suggests the nearest for one that it cannot know."""

import argparse
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from messages import A_NUMBER, A_WHOLE_NUMBER, NOT_WRITTEN
from small_backbones import graph

import npgrad
from npgrad.cli import COMMANDS
from npgrad.cli import _common as common
from npgrad.models import squeezenet1_1

ROOT = Path(__file__).resolve().parents[2]


def help_of(run, name):
    code, out, err = run(name, "--help")
    assert (code, err) == (0, "")
    return out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["atribute"], "npgrad: no command 'atribute'; nearest: attribute"),
        (["clasify", "x.png", "--top", "3"], "npgrad: no command 'clasify'; nearest: classify"),
        (["frobnicate"], "npgrad: no command 'frobnicate'; known: demo, classify, "),
        (["attribute", "x.png", "--targt", "3"], "npgrad: no option '--targt'; nearest: --target"),
        (["attribute", "x.png", "--rng=3"], "npgrad: no option '--rng'; `npgrad attribute --help` lists them"),
        (["gradcheck", "--sede", "3"], "npgrad: no option '--sede'; nearest: --seed"),
        (["evaluate", "x.png", "--method=lrp", "--methds=lrp"], "npgrad: no option '--methds'; nearest: --methods"),
        (["--verson"], "npgrad: no option '--verson'; nearest: --version"),
    ],
)  # fmt: skip
def test_misspelled_commands_and_options(run, words, message):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith(message) and err.count("\n") == 1


def test_words_that_are_too_many(run):
    line = "npgrad: layers: unexpected 'more'; see `npgrad layers --help`\n"
    assert run("layers", "more", "--json") == (2, "", line)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("classify", "classify: expected IMAGE"),
        ("style a.png", "style: expected STYLE"),
        ("classify x.png --top", "classify: --top: expected one value, found none"),
        ("classify x.png --top 0", f"classify: --top: {A_WHOLE_NUMBER} >= 1, found '0'"),
        ("attribute x.png --n-steps many", f"attribute: --n-steps: {A_WHOLE_NUMBER}, found 'many'"),
        ("attribute x.png --outliers 2%", f"attribute: --outliers: {A_NUMBER}, found '2%'"),
        ("gradcheck --method simple", "gradcheck: --method: expected one of "),
        ("style a.png b.png --size 3 --sizes 4", "style: --sizes: not allowed with argument --size"),
        ("visualize --neuron 3", "visualize: --neuron: expected a position ROW,COLUMN, found '3'"),
        ("grade x.ipynb --timeout 0", f"grade: --timeout: {A_NUMBER} of seconds > 0, found '0'"),
    ],
)
def test_wrong_usage_is_one_line(run, words, message):
    code, out, err = run(*words.split())
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"npgrad: {message}") and err.endswith(
        f"; see `npgrad {words.split()[0]} --help`\n"
    )


def test_help_says_what_one_gets(run):
    code, out, err = run("--help")
    assert (code, err) == (0, "")
    listed = dict(
        re.findall(r"^  (\w+) +([a-zA-Z].*)$", out.split("commands:")[1].split("examples:")[0], re.MULTILINE)
    )
    assert listed == {name: command.HELP for name, command in COMMANDS.items()}
    verbs = (
        "show",
        "print",
        "make",
        "get",
        "run",
        "check",
        "measure",
        "name",
        "change",
        "write",
        "paint",
        "convert",
    )
    for text in listed.values():  # noun first: what one gets
        assert text.split()[0].lower() not in verbs and not text.endswith(".")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_described_in_the_same_manner(name):
    parser = argparse.ArgumentParser()
    COMMANDS[name].add_arguments(parser)
    for action in parser._actions[1:]:
        first = (action.help or "").split(" ")[0]
        assert first, action.dest  # none without help
        assert not action.help.removesuffix("...").endswith(".") and (
            first == first.lower() or not first.isalpha()
        )
    description = COMMANDS[name].__doc__.strip()
    assert description.split("\n\n")[0].endswith(".") and description[0].isupper()


def test_seed_is_the_option_of_whatever_is_random(run):
    random = (
        "demo",
        "attribute",
        "evaluate",
        "score",
        "fool",
        "visualize",
        "style",
        "invert",
        "dream",
        "gradcheck",
        "certify",
        "report",
    )
    for name in COMMANDS:
        text = " ".join(help_of(run, name).split())
        assert "--rng" not in text
        # grade draws a seed by itself, so that nobody knows its inputs
        assert ("--seed N" in text) == (name in (*random, "grade")), name
        if name in random:
            assert "with the same settings, machine and versions" in text


@pytest.mark.parametrize(
    "words", [["gradcheck"], ["attribute", "x.png"], ["evaluate", "x.png"], ["score"], ["demo"]]
)
@pytest.mark.parametrize("seed", ["-1", "1.5", "x"])
def test_a_seed_is_a_whole_number(run, words, seed):
    code, out, err = run(*words, "--seed", seed)
    assert (code, out) == (2, "")
    assert f"--seed: {A_WHOLE_NUMBER} >= 0, found '{seed}'" in err


@pytest.mark.exhaustive
def test_the_seed_of_a_gradient_check_and_an_evaluation(run, weights, photo):
    graph().save("graph.h5")
    check = ("gradcheck", "--weights", "graph.h5", "--size", 33, "--entries", 1, "--json", "--seed")
    first, again, other = (json.loads(run(*check, seed)[1])["rows"] for seed in (1, 1, 2))
    assert first == again and first != other
    measure = (
        "evaluate",
        photo,
        "--weights",
        weights,
        "--methods",
        "saliency",
        "--steps",
        2,
        "--samples",
        1,
        "--json",
    )
    rows = [json.loads(run(*measure, "--seed", seed)[1])["rows"][1] for seed in (1, 1, 2)]
    assert [row.pop("method") for row in rows] == ["random"] * 3
    assert rows[0]["deletion"] == rows[1]["deletion"] != rows[2]["deletion"]


@pytest.mark.filterwarnings("default")
def test_a_target_by_one_of_its_words_is_said_once(run, weights, photo):
    line = "npgrad: warning: target 'words' taken as two words (2)\n"
    for words in (
        ("attribute", photo, "--target", "words"),
        ("visualize", "words", "--steps", 1, "--size", 32),
    ):
        code, out, err = run(*words, "--weights", weights)
        assert (code, err.count("warning")) == (0, 1) and line in err, (out, err)
        assert "two words (2)" in out or "two_words" in out


@pytest.mark.filterwarnings("default")
def test_a_target_by_one_of_its_words_is_said_once_for_a_folder(run, weights, photo, tmp_path):
    (tmp_path / "photos").mkdir()
    for name in "ab":
        (tmp_path / "photos" / f"{name}.png").write_bytes(Path(photo).read_bytes())
    code, out, err = run("attribute", "photos", "--target", "words", "--weights", weights)
    assert code == 0 and err.count("warning: target 'words' taken as two words (2)") == 1
    assert "with a warning" not in out
    lines = [
        json.loads(line)
        for line in (tmp_path / "photos-saliency" / "manifest.jsonl").read_text().splitlines()
    ]
    assert [line["target"]["index"] for line in lines if "target" in line and "image" in line] == [2, 2]


def test_an_ambiguous_word_lists_the_classes(run, weights, photo, tmp_path):
    fresh = squeezenet1_1(num_classes=3, rng=1)
    names = ("tiger cat", "Persian cat", "oxcart")
    npgrad.Model(fresh.network, names, None, fresh.architecture, fresh.aliases).save(tmp_path / "net.h5")
    code, out, err = run("attribute", photo, "--target", "CAT", "--weights", "net.h5")
    assert (code, out) == (2, "")
    assert err == "npgrad: no class 'CAT'; classes with this word in a name: tiger cat (0), Persian cat (1)\n"
    code, out, err = run("fool", photo, "--target", "n02123045", "--weights", "net.h5")
    assert (code, out) == (2, "")
    assert err == "npgrad: 'n02123045' is a WordNet id; this network's classes are known by name only\n"


def test_convert(run, tmp_path):
    """And what it keeps of a labels file is what a target may be."""
    model = squeezenet1_1(num_classes=3, rng=1)
    np.savez("net.npz", **model.parameters())
    Path("labels.txt").write_text("n00000001 tabby, cat\nn00000002 dog\nn00000003 red fox, fox\n")
    code, out, err = run(
        "convert", "net.npz", "-o", "net.h5", "--labels", "labels.txt", "--arch", "squeezenet1_1"
    )
    assert (code, err) == (0, "")
    assert out.startswith("net.npz (npz) -> net.h5: Model(squeezenet1_1, ") or "net.npz (" in out
    converted = npgrad.load("net.h5")
    assert converted.classes == ("tabby", "dog", "red fox") and converted.class_index("n00000003") == 2
    code, out, _ = run("weights", "show", "net.h5")
    assert code == 0 and "n00000001, n00000002, n00000003" in out
    for words, message in (
        (
            ("net.npz", "-o", "x.h5", "--arch", "squeezenet1_0"),
            "net.npz: expected squeezenet1_0, found the tensors of",
        ),
        (("none.npz", "-o", "x.h5"), "none.npz: "),
        (("labels.txt", "-o", "x.h5"), "labels.txt: not a weights file"),
        (("net.npz", "-o", "no/x.h5"), f"no/x.h5: {NOT_WRITTEN}"),
    ):
        code, out, err = run("convert", *words)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert err.startswith(f"npgrad: {message}")
    assert not Path("x.h5").exists()


def test_many_wordnet_ids_are_not_all_printed(run, tmp_path):
    fresh = squeezenet1_1(num_classes=20, rng=1)
    source = {"wordnet_ids": [f"n{i:08}" for i in range(20)]}
    npgrad.Model(fresh.network, None, None, fresh.architecture, fresh.aliases, source).save(
        tmp_path / "net.h5"
    )
    _, out, _ = run("weights", "show", "net.h5")
    assert "n00000007, ... (20 in all)" in out and "n00000008" not in out


def test_notebooks(run, tmp_path):
    pytest.importorskip("npgrad.course.notebooks")
    code, out, err = run("notebooks", "homework")
    assert (code, err) == (0, "")
    written = out.splitlines()
    assert (
        sorted(written) == sorted(str(path) for path in Path("homework").rglob("*.ipynb"))
        and len(written) >= 2
    )
    assert "SOLUTION" in (tmp_path / "homework" / "NetworkVisualization.ipynb").read_text(encoding="utf-8")
    code, out, err = run("notebooks", "homework", "--student")
    assert (code, out, err.count("\n")) == (2, "", 1) and err.startswith("npgrad: ")
    assert run("notebooks", "homework", "--student", "--force")[0] == 0
    student = (tmp_path / "homework" / "NetworkVisualization.ipynb").read_text(encoding="utf-8")
    assert "SOLUTION" not in student and "# your code here" in student


def test_no_message_recommends_an_index_for_npgrad():
    for path in (ROOT / "npgrad").rglob("*.py"):
        assert not re.search(r"pip install ['\"]?npgrad", path.read_text(encoding="utf-8")), path


def test_the_script_is_the_command(tmp_path):
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / "convert_weights.py", "none.pth", "-o", "x.h5"],
        capture_output=True, text=True, cwd=tmp_path, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("npgrad: none.pth: ")


def test_the_types_of_options_say_what_they_expect():
    kind = common.whole_number_type(2)
    assert kind.__name__ == "whole number >= 2" and kind("2") == 2
    with pytest.raises(ValueError):
        kind("1")


def test_all_methods_in_any_case(run, photo):
    code, out, err = run("attribute", photo, "--method", "All", "--save-array", "x.npy")
    assert (code, err) == (2, "npgrad: --save-array: expected one --method, found all\n")


def test_fool_refuses_an_unknown_class(run, photo):
    code, out, err = run("fool", photo, "--method", "fgsm", "--target", "no such class", "-o", "x.png")
    assert code == 2 and "no class" in err
