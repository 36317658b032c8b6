"""The command `fool`: what it reports is what the file gets."""

import json

import numpy as np
import pytest
from image_files import pixels
from PIL import Image

import npgrad
from npgrad import synthesis
from npgrad.synthesis import make_fooling_image


def test_what_is_reported_of_a_fooling_image_is_what_its_file_gets(make, folder):
    code, out, err = make("fool PHOTO --target 2 --learning-rate 0.1 --json")
    assert (code, err) == (0, [])
    result = json.loads(out)
    assert result["output"] == "photo-two_words.png"
    assert (result["before"], result["after"], result["fooled"], result["reason"]) == (1, 2, True, "")
    _, out, _ = make("classify photo-two_words.png --json")
    classes = {c["index"]: c["probability"] for c in json.loads(out)[0]["classes"]}
    assert {c["index"]: c["after"] for c in result["classes"]} == {i: classes[i] for i in (1, 2)}
    _, out, _ = make("classify PHOTO --json")
    classes = {c["index"]: c["probability"] for c in json.loads(out)[0]["classes"]}
    assert {c["index"]: c["before"] for c in result["classes"]} == {i: classes[i] for i in (1, 2)}

    model = npgrad.load(folder / "net.h5")
    x = model.preprocess(folder / "photo.png")
    expected = make_fooling_image(model, x, 2, learning_rate=0.1, clip=True)
    assert (result["steps"], result["norm"]) == (expected.steps, expected.norm)
    changed, photo = pixels("photo-two_words.png"), pixels(folder / "photo.png")
    assert changed.shape == (40, 60, 3)
    np.testing.assert_array_equal(changed[4:36, 14:46], model.deprocess(expected.image)[0])
    unchanged = np.array(Image.fromarray(photo).resize((60, 40), Image.Resampling.BILINEAR))
    unchanged[4:36, 14:46] = changed[4:36, 14:46]
    np.testing.assert_array_equal(changed, unchanged)


def test_the_text_of_a_fooling_image_and_its_sheet(make, folder):
    model = npgrad.load(folder / "net.h5")
    made = make_fooling_image(model, model.preprocess(folder / "photo.png"), 2, learning_rate=0.1, clip=True)
    code, out, err = make("fool PHOTO --target 2 --learning-rate 0.1 --compare sheet.png -o out.png")
    assert (code, err) == (0, [])
    lines = out.splitlines()
    assert lines[0].split() == ["before", "after"]
    assert [line.split("(")[0].strip() for line in lines[1:3]] == ["dog", "two words"]
    sizes = f"{made.norm:.3g}, largest change of a pixel value {made.largest_change:.3g} of 255"
    assert lines[3] == f"ascent, {made.steps} steps; norm of the change {sizes}"
    assert lines[4].endswith("photo.png -> out.png")
    sheet = pixels("sheet.png")
    assert sheet.shape[1] > 3 * 64
    gray = (sheet == 128).all(axis=-1).sum()
    assert 100 < gray < 64 * 64  # the change is around gray


def test_a_class_that_is_not_reached(make):
    code, out, err = make("fool PHOTO --target 0 --steps 4 -o out.png")
    assert code == 1
    assert err == ["npgrad: cat was not reached: 4 steps were not enough; out.png holds the image"]
    assert pixels("out.png").shape == (40, 60, 3)
    code, out, err = make("fool PHOTO --target 2 --learning-rate 0.1 -o out.gif")
    assert code == 1
    assert "two words was reached, but is lost in the file (dog); a .png keeps every pixel" in err[0]


@pytest.mark.sampled(2)
@pytest.mark.parametrize("target", [None, 2])
@pytest.mark.parametrize(
    ("options", "function", "keywords"),
    [
        ("fgsm --epsilon 12", synthesis.fgsm, {"epsilon": 12 / 255}),
        ("pgd", synthesis.pgd, {}),
        ("pgd --epsilon 4 --steps 7", synthesis.pgd, {"epsilon": 4 / 255, "steps": 7}),
        ("pgd --norm l2 --epsilon 1.5", synthesis.pgd, {"norm": "l2", "epsilon": 1.5}),
        ("smallest --steps 9", synthesis.smallest_perturbation, {"steps": 9}),
    ],
)
def test_the_other_methods(make, folder, options, function, keywords, target):
    flag = f"--target {target}" if target else ""
    code, out, err = make(f"fool PHOTO {flag} --method {options} --json")
    result = json.loads(out)
    model = npgrad.load(folder / "net.h5")
    if target and function is not synthesis.smallest_perturbation:
        keywords = {**keywords, "targeted": True}
    expected = function(model, model.preprocess(folder / "photo.png"), target, **keywords)
    assert (result["norm"], result["steps"]) == (expected.norm, expected.steps)
    assert result["fooled"] == (code == 0)
    assert result["fooled"] == (result["after"] == 2 if target else result["after"] != 1)
    assert result["output"] == f"photo-{'two_words' if target else 'fooled'}-{options.split()[0]}.png"
    assert len(err) == (0 if result["fooled"] else 1)
