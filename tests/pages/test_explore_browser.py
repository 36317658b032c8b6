"""The page in a browser: opened from disk without a network, walked by keys, its numbers read and compared."""

import re

import numpy as np
import pytest
from explored import HOSTILE, hostile_model, image

import npgrad
from npgrad.attribution import composite_by_position, layer_lrp, lrp
from npgrad.layers import ReLU
from npgrad.models import squeezenet1_1
from npgrad.rules import deconv, guided

pytestmark = pytest.mark.exhaustive
READ = """places => places.map(([target, rule, node]) => {
  Object.assign(state, { target, rule });
  go(node);
  const facts = Object.fromEntries([...document.querySelectorAll("#facts div")].map(
    pair => [pair.children[0].textContent, pair.children[1].textContent]));
  const rows = [...document.querySelectorAll(".strongest")].map(
    row => row.querySelector("figcaption, .plain")?.textContent);
  return { name: document.getElementById("name").textContent, facts, rows };
})"""


def number(text):
    return float(text.replace(",", "").removesuffix(" %")) / (100 if text.endswith("%") else 1)


@pytest.fixture(scope="module")
def network():
    return squeezenet1_1(num_classes=7, rng=0), image(64, seed=1)


@pytest.fixture(scope="module")
def page_file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    npgrad.explore(*network, 3, path, "a title")
    return path


def test_the_keys_walk_and_the_switches_switch(browse, page_file):
    page = browse(page_file)
    name = page.locator("#name")
    last = name.text_content()
    page.keyboard.press("ArrowUp")
    before = name.text_content()
    assert before != last
    page.keyboard.press("ArrowDown")
    assert name.text_content() == last
    page.keyboard.press("Home")
    assert name.text_content() == "input"
    page.keyboard.press("ArrowRight")
    assert name.text_content() == "conv1"
    assert page.locator("[aria-selected=true] .label").text_content() == "conv1"
    page.click("[role=option]:has([title='fire5'])")
    assert name.text_content() == "fire5"
    plain = page.locator("#facts").text_content()
    page.click("button:text-is('guided')")
    assert "guided gradient" in page.locator("#facts").text_content() != plain
    page.select_option("#target", "0")
    page.click("button:text-is('positive')")
    assert page.locator("button[aria-pressed=true]").all_text_contents() == ["guided", "positive"]


def test_200_drawn_numbers_are_the_tapes(browse, page_file, network):
    model, x = network
    page = browse(page_file)
    names = page.locator("[role=option] .label").all_text_contents()
    classes = [
        re.match(r"class (\d+)|(\d+)", text) for text in page.locator("#target option").all_text_contents()
    ]
    indices = page.evaluate("questions.map(question => question.index)")
    assert len(indices) == len(classes) and 3 in indices
    rng = np.random.default_rng(0)
    places = [[int(rng.integers(n)) for n in (len(indices), 4, len(names))] for _ in range(200)]
    tape = model.forward(x)
    rules = composite_by_position(model)
    for (t, r, i), shown in zip(places, page.evaluate(READ, places), strict=True):
        name, facts = names[i], shown["facts"]
        dy = np.eye(7, dtype=np.float32)[[indices[t]]]
        if r < 3:
            gradient = tape.backward(dy, [None, {ReLU: guided}, {ReLU: deconv}][r], name)[name]
        elif name == "input":
            gradient = lrp(model, x, indices[t], rules=rules)
        else:
            gradient = layer_lrp(model, x, indices[t], layer=name, rules=rules)
        word = ["gradient", "guided gradient", "deconvolution", "relevance"][r]
        y = tape[name]
        assert shown["name"] == name
        assert number(facts[f"{word}: norm"]) == pytest.approx(np.linalg.norm(gradient), rel=1e-3, abs=1e-12)
        assert number(facts[f"{word}: not zero"]) == pytest.approx((gradient != 0).mean(), rel=6e-3)
        assert number(facts["activation: norm"]) == pytest.approx(np.linalg.norm(y), rel=1e-3)
        arrays = tape.records[name].layer.arrays() if i else {}
        assert number(facts["parameters"]) == sum(array.size for array in arrays.values())
        if shown["rows"][1]:
            channel, strength = re.search(r"channel (\d+):? (\S+)", shown["rows"][1]).groups()
            of_one = gradient[0, int(channel)]
            expected = of_one.sum() if r == 3 else np.linalg.norm(of_one)
            assert number(strength) == pytest.approx(expected, rel=1e-3, abs=1e-9)


def test_a_maps_cell_has_the_value_of_the_tape(browse, page_file, network):
    model, x = network
    page = browse(page_file)
    page.click("[role=option]:has([title='fire6'])")
    y = model.forward(x)["fire6"][0]
    figure = page.locator(".strongest").first.locator("figure").first
    channel = int(re.search(r"channel (\d+)", figure.text_content())[1])
    side = y.shape[1]
    for row, column in np.random.default_rng(2).integers(side, size=(20, 2)):
        box = figure.locator("canvas").bounding_box()
        at = {"x": box["width"] * (column + 0.5) / side, "y": box["height"] * (row + 0.5) / side}
        figure.locator("canvas").hover(position=at)
        text = page.locator("#readout").text_content()
        value, step = re.search(r": (\S+) in cell \(\d+, \d+\) of .* in steps of ([^\s;]+)", text).groups()
        assert f"cell ({row}, {column}) of {side}" in text
        assert float(value) == pytest.approx(float(y[channel, row, column]), abs=0.51 * float(step))


def test_the_first_convolution_is_written_out(browse, page_file, network):
    """Window times filter sums to the output, and is what the tape has there."""
    model, x = network
    page = browse(page_file)
    page.click("[role=option]:has([title='conv1'])")
    page.locator(".strongest canvas").nth(1).hover()
    text = page.locator("#window").text_content()
    channel, row, column = map(int, re.search(r"channel (\d+) at \((\d+), (\d+)\)", text).groups())
    assert f"channel {channel}:" in page.locator("#readout").text_content()
    assert "×" in page.locator("#window td").first.text_content()
    total = float(page.locator("#total").text_content().split(": ")[1])
    assert total == pytest.approx(
        float(model.forward(x)["conv1"][0, channel, row, column]), rel=1e-3, abs=1e-4
    )
    page.locator("#wide canvas").hover()  # and backward: which outputs send gradient to a pixel
    assert "send gradient back to it" in page.locator("#readout").text_content()


def test_two_questions_take_two_clicks(browse, page_file, network):
    model, x = network
    page = browse(page_file)
    tape = model.forward(x)
    dy = np.eye(7, dtype=np.float32)[[3]]
    # Which layer lost most gradient? The first of a list; the click shows it.
    first = page.locator("#lost button").first
    name, shown = first.text_content(), first.locator("..").text_content()
    first.click()
    assert page.locator("#name").text_content() == name
    names = [record.name for record in tape]
    arrived = tape.backward(dy, at=names)
    sent = {}
    for record in tape:
        if record.cache is not None:
            sent[record.name] = np.linalg.norm(record.layer.backward(arrived[record.name], record.cache))
    share = {key: norm / np.linalg.norm(arrived[key]) for key, norm in sent.items() if norm}
    assert min(share, key=share.get) == name
    assert number(shown.split("passed on ")[1]) == pytest.approx(share[name], rel=6e-3)
    # Which channel of fire5 supports the class? A click on fire5; the first of the strongest evidence.
    page.click("[role=option]:has([title='fire5'])")
    evidence = (tape["fire5"] * arrived["fire5"])[0].sum(axis=(1, 2))
    text = page.locator(".strongest").nth(2).locator("figure").first.text_content()
    assert re.search(r"channel (\d+) ", text)[1] == str(evidence.argmax())


def test_the_slider_walks_the_path(browse, page_file, network):
    page = browse(page_file)
    assert "after 32 of 32 steps" in page.locator("#pathtext").text_content()
    page.locator("#step").fill("8")
    assert "after 8 of 32 steps" in page.locator("#pathtext").text_content()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_of_360_px_needs_no_scrolling_sideways(browse, page_file, scheme):
    page = browse(page_file, width=360, scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Home")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_hostile_names_do_nothing(browse, tmp_path):
    path = tmp_path / "hostile.html"
    npgrad.explore(hostile_model(), image(16), output=path, title=HOSTILE)
    page = browse(path)
    assert page.title() == f"{HOSTILE}: a forward and a backward pass"
    assert page.locator("#title").text_content() == HOSTILE
    for _ in range(5):
        page.keyboard.press("ArrowUp")
    assert page.locator("img").count() == 0 and page.locator("script").count() == 3
    assert page.locator("#name").text_content() == "input"
    assert HOSTILE.replace(".", "") in page.locator("[role=option] .label").nth(1).text_content()
