"""The report: every method with a image and a sentence, measures, agreement; and no name in it is markup."""

import re
from html import escape

import folder_runs
import numpy as np
import pytest
from explored import HOSTILE, hostile_model

import npgrad
from npgrad.attribution import methods
from npgrad.cli import main
from npgrad.errors import InputError, UnknownName
from npgrad.evaluation.table import MEASURES, measure_method
from npgrad.images import colormaps
from npgrad.pages.packing import part
from npgrad.pages.report import LEVELS, rank_correlations

NAMES = ("saliency", "lrp", "grad_cam", "random_cam")  # in the order of their families


@pytest.fixture(scope="module")
def net():
    return folder_runs.little_net()


@pytest.fixture(scope="module")
def page(net, tmp_path_factory):
    path = folder_runs.photo(tmp_path_factory.mktemp("report") / "a.jpg")
    options = {"target": "owl", "steps": 3, "samples": 1, "title": "a.jpg"}
    return path, npgrad.report(net, path, method=NAMES, **options), options


def test_every_method_has_its_sentence_and_canvas(page):
    text = page[1]
    for name in NAMES:
        assert f"<b>{name}</b>: {escape(methods.METHODS[name].note)};" in text
    assert text.count("<figure><img") == text.count("data:image/webp;base64,") - 1 == len(NAMES)
    assert "owl (2), probability" in text and "gradients</h2>" in text
    assert "http:" not in text and "https:" not in text and "<script" not in text


def test_the_measures_are_those_of_evaluate(net, page):
    path, text, _ = page
    x = net.preprocess(path)
    table = re.search(r'<table id="measures">(.*?)</table>', text, re.DOTALL)[1]
    rows = {found[1]: found[2] for found in re.finditer(r'<th scope="row">(\w+)</th>(.*?)</tr>', table)}
    assert list(rows) == [*NAMES, "random"]
    for name in ("saliency", "random"):
        expected = measure_method(name, net, x, 2, steps=3, samples=1)
        cells = re.findall(r"<td>(.*?)</td>", rows[name])
        for key, cell in zip((key for key in MEASURES if key in expected), cells, strict=False):
            assert cell == ("" if expected[key] is None else f"{expected[key]:.3g}"), key


def test_the_agreement_is_spearmans(net, page):
    path, text, _ = page
    scipy = pytest.importorskip("scipy.stats")
    x = net.preprocess(path)
    maps = []
    for name in NAMES:
        array = methods.function_of(name)(net, x, 2, **methods.defaults(name, net, x))
        maps.append(methods.importance(name, array, x)[0])
    table = re.search(r'<table id="agreement">(.*?)</table>', text, re.DOTALL)[1]
    rows = [re.findall(r"<td(.*?)>(.*?)</td>", row) for row in table.split("</tr>")[1:-1]]
    for i, row in enumerate(rows):
        for k, (kind, cell) in enumerate(row):
            expected = scipy.spearmanr(maps[i].ravel(), maps[k].ravel()).statistic
            assert float(cell) == pytest.approx(expected, abs=6e-3)
            assert kind == f' class="{"n" if expected < 0 else "p"}{round(abs(expected) * LEVELS)}"'


def test_rank_correlations(rng):
    ramp = np.arange(12.0).reshape(3, 4)
    found = rank_correlations([ramp, -ramp, np.exp(ramp), np.ones((3, 4))])
    np.testing.assert_allclose(found[:3, :3], [[1, -1, 1], [-1, 1, -1], [1, -1, 1]])
    assert np.isnan(found[3]).all() and np.isnan(found[:, 3]).all()


def test_the_colors_of_the_agreement_are_those_of_signs():
    style = part("report.css")
    for sign, letter in ((1, "p"), (-1, "n")):
        for level in range(LEVELS + 1):
            red, green, blue = colormaps.color(np.array([[sign * level / LEVELS]]), "signed")[0, 0]
            assert f".{letter}{level} {{ background: #{red:02x}{green:02x}{blue:02x};" in style


def test_hostile_names_are_no_markup():
    model = hostile_model().with_preprocessing(resize=64, crop=64)
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    text = npgrad.report(model, image, method=("saliency",), steps=1, samples=1, title=HOSTILE)
    assert "<script" not in text and "<img src=x" not in text and escape(HOSTILE) in text


def test_a_method_that_does_not_suit_the_network(net, page):
    head = npgrad.layers.Linear(np.ones((5, 3 * 32 * 32), np.float32) / 1000, None)
    flat = npgrad.Model(
        npgrad.layers.Sequential({"flat": npgrad.layers.Flatten(), "fc": head}),
        net.classes,
        net.preprocessing,
    )
    text = npgrad.report(flat, page[0], 1, method=("saliency", "grad_cam"), steps=1, samples=1)
    assert "<b>grad_cam</b>" in text and "Not for this network: " in text


def test_refusals_and_the_command(net, page, tmp_path, monkeypatch, capsys):
    path = page[0]
    with pytest.raises(UnknownName, match="no method 'salience'"):
        npgrad.report(net, path, method="salience")
    with pytest.raises(InputError, match="steps"):
        npgrad.report(net, path, steps=0)
    monkeypatch.chdir(tmp_path)
    net.save("net.h5")
    arguments = [
        "--weights",
        "net.h5",
        "--methods",
        "saliency,input_x_gradient",
        "--steps",
        "1",
        "--samples",
        "1",
    ]
    assert main(["report", str(path), *arguments]) == 0
    assert "2 methods -> a-report.html" in capsys.readouterr().out
    assert (tmp_path / "a-report.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")


@pytest.mark.exhaustive
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_page_opens_from_disk(browse, page, tmp_path, width, scheme):
    path = tmp_path / "report.html"
    path.write_text(page[1], encoding="utf-8")
    opened = browse(path, width, scheme)
    assert opened.locator("figure img").count() == len(NAMES)
    assert opened.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
