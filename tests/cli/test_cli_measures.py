"""`npgrad evaluate --measures`: every measure of npgrad.evaluation, from one table."""

import inspect
import json

import numpy as np
import pytest
from PIL import Image

import npgrad
from npgrad import evaluation
from npgrad.attribution import methods
from npgrad.cli import evaluate
from npgrad.evaluation.measures import MEASURES

USUAL = ["deletion", "insertion", "road", "infidelity", "sensitivity", "randomized"]


@pytest.fixture
def measured(run, folder, tmp_path):
    """measured("--measures all") -> (exit code, rows of the JSON, lines of stderr), of saliency and grad_cam."""
    pixels = np.zeros((60, 90, 3), np.uint8)
    pixels[20:40, 30:60] = 255
    Image.fromarray(pixels).save(tmp_path / "mask.png")

    def measured(options):
        words = [
            "evaluate",
            folder / "photo.png",
            "--methods",
            "saliency,grad_cam",
            "--steps",
            2,
            "--samples",
            1,
        ]
        code, out, err = run(
            *words, *options.split(), "--target", 2, "--json", "--weights", folder / "net.h5"
        )
        lines = [line for line in err.replace("\r", "\n").splitlines() if line.startswith("npgrad: ")]
        return code, json.loads(out)["rows"] if out else None, lines

    return measured


def test_the_table_has_every_measure():
    """What npgrad.evaluation has for an attribution or a method; known truth is what `npgrad score` measures."""
    found = {
        name
        for name in evaluation.__all__
        if inspect.isfunction(function := getattr(evaluation, name))
        and {"attribution", "method"} & inspect.signature(function).parameters.keys()
    } - {"score_method"}
    assert {measure.function for measure in MEASURES.values()} == found
    words = {line.split("  ")[0] for line in evaluate.__doc__.splitlines() if "  " in line}
    assert set(MEASURES) <= words  # the help has a line for each


@pytest.mark.filterwarnings("default")
def test_all_measures(measured):
    code, rows, err = measured("--measures all --mask mask.png")
    assert code == 0, err
    for row in rows:
        assert list(row) == ["method", *MEASURES, "seconds"]
        assert {key for key, value in row.items() if value is None} <= {
            "infidelity", "completeness", "sensitivity", "randomized", "random_logit", "sic", "aic",
        }, row  # fmt: skip
    saliency, grad_cam, random = rows
    assert None not in [value for key, value in saliency.items() if key != "aic" and key != "sic"]
    assert grad_cam["completeness"] is None and grad_cam["random_logit"] is not None
    assert random["sensitivity"] is random["random_logit"] is None and random["completeness"] > 0


@pytest.mark.filterwarnings("default", "ignore:the score of")
def test_those_that_are_named_in_this_order_and_right(measured, folder):
    code, rows, _ = measured(
        "--measures top_k,selectivity,best_iou,completeness,random_logit --mask mask.png"
    )
    assert code == 0
    assert list(rows[0]) == [
        "method",
        "top_k",
        "selectivity",
        "iou",
        "completeness",
        "random_logit",
        "seconds",
    ]
    model = npgrad.load(folder / "net.h5")
    x = model.preprocess(folder / "photo.png")
    raw = npgrad.attribution.saliency(model, x, 2)
    maps = methods.importance("saliency", raw, x)
    mask = evaluate.mask_of(model, folder / "photo.png", "mask.png")
    expected = {
        "top_k": evaluation.top_k_intersection(maps, mask),
        "selectivity": evaluation.selectivity(model, x, maps, 2),
        "iou": evaluation.best_iou(maps, mask),
        "completeness": evaluation.completeness(model, x, raw, 2),
        "random_logit": evaluation.random_logit(
            model, x, lambda *a: methods.importance("saliency", npgrad.attribution.saliency(*a), x), 2
        ),
    }
    for name, value in expected.items():
        assert rows[0][name] == pytest.approx(float(value[0]), rel=1e-6), name


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("default")
def test_the_usual_ones(measured):
    for options, names in (("", USUAL), ("--measures Usual --mask mask.png", [*USUAL, "pointing", "energy"])):
        code, rows, _ = measured(options)
        assert code == 0 and list(rows[0]) == ["method", *names, "seconds"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--measures iou", "--measures iou: expected a --mask of the object with it, found none"),
        ("--measures sicc", "no measure 'sicc'; nearest: sic"),
        ("--measures sic,", "no measure ''"),
    ],
)
def test_what_cannot_be_measured(measured, options, message):
    code, rows, err = measured(options)
    assert (code, rows, len(err)) == (2, None, 1) and message in err[0]
