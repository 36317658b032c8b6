"""`npgrad grade` of LayersByHand: a course's `layers.py` gets full points, what is not one's own none."""

import inspect
from pathlib import Path

import layers_of_a_course
import layers_of_a_course_2
import pytest
from graded import graded, lines_of, matches, needs_jupyter, notebook

from npgrad.course.grading import QUESTIONS, grade
from npgrad.course.grading._questions import LAYERS_BY_HAND, OTHERS, questions_of
from npgrad.course.layers_by_hand import FUNCTIONS
from npgrad.course.submissions import _observe
from npgrad.course.submissions._remote import originals

FILES = (layers_of_a_course, layers_of_a_course_2)
SOURCES = {
    name: inspect.getsource(getattr(file, name))
    for file in FILES
    for name in FUNCTIONS
    if hasattr(file, name)
}
FULL = {name: question.points for name, question in LAYERS_BY_HAND.items()}


def test_every_function_has_its_points():
    functions = [name for question in LAYERS_BY_HAND.values() for name in question.functions]
    assert sorted(functions) == sorted(FUNCTIONS) == sorted(SOURCES)
    assert sum(FULL.values()) == 100
    for question in LAYERS_BY_HAND.values():  # a backward function gets its forward function's cache
        assert all(set(FUNCTIONS[name]) <= question.functions.keys() for name in question.functions)


@needs_jupyter
@pytest.mark.exhaustive
@pytest.mark.parametrize("kind", ["imported", "pasted"])
def test_a_solution_for_the_courses_file_gets_full_points(tmp_path, kind):
    texts = [Path(file.__file__).read_text(encoding="utf-8") for file in FILES]
    if kind == "imported":
        for file, text in zip(FILES, texts, strict=True):
            (tmp_path / f"{file.__name__}.py").write_text(text, encoding="utf-8")
        cells = [f"from {file.__name__} import *" for file in FILES]
    else:
        cells = [text.replace("from layers_of_a_course import", "# from layers import") for text in texts]
    results, failed, stopped = graded(tmp_path, cells, FULL)
    assert (failed, stopped) == ({}, {})
    assert {name: result.got for name, result in results.items()} == FULL, results


CHEATS = {
    "affine_forward": (
        "from npgrad.layers import Linear\ndef affine_forward(x, w, b):\n"
        "    return Linear(w.T.copy(), b)(x.reshape(len(x), -1)), (x, w)",
        "calls *npgrad.layers.*, expected your own code",
    ),
    "affine_backward": (
        "import torch\ndef affine_backward(dout, cache):\n    x, w = map(torch.tensor, cache)\n"
        "    x.requires_grad_(), w.requires_grad_()\n    (x.flatten(1) @ w).backward(torch.tensor(dout))\n"
        "    return x.grad.numpy(), w.grad.numpy(), dout.sum(axis=0)",
        "calls torch, expected your own code|its affine_forward calls *npgrad.layers",
    ),
    "relu_forward": (
        "import sys, npgrad\ndef relu_forward(x):\n"
        "    return getattr(sys.modules['npgrad.layers'], 'Re' + 'LU')().forward(x)",
        "calls npgrad.layers.relu.forward, expected your own code",
    ),
    "softmax_loss": (
        "import npgrad.losses as own\ndef softmax_loss(x, y):\n    return own.cross_entropy(x, y)",
        "calls *npgrad.losses.*, expected your own code",
    ),
    "svm_loss": (
        "def svm_loss(x, y):\n    from npgrad.course.layers_by_hand import _losses\n"
        "    found = _losses.svm(x, y)\n    return found['loss'], found['dx']",
        "calls *npgrad.course.layers_by_hand.*, expected your own code",
    ),
    "layernorm_forward": (
        "from npgrad.course.layers_by_hand.checks import CHECKS\n"
        "def layernorm_forward(x, gamma, beta, ln_param):\n    def later(dout):\n"
        "        from npgrad.layers import LayerNorm\n        layer = LayerNorm(gamma, beta)\n"
        "        cache = layer.forward(x)[1]\n        gradients = layer.parameter_gradients(dout, cache)\n"
        "        return layer.backward(dout, cache), gradients['weight'], gradients['bias']\n"
        "    mean, var = x.mean(1, keepdims=True), x.var(1, keepdims=True)\n"
        "    return gamma * (x - mean) / (var + ln_param.get('eps', 1e-5)) ** 0.5 + beta, later",
        "",  # the forward function is the student's own
    ),
    "layernorm_backward": (
        "def layernorm_backward(dout, cache):\n    return cache(dout)",
        "calls *npgrad.layers.*, expected your own code",
    ),
    "dropout_forward": (
        "def dropout_forward(x, dropout_param):\n    scope = {}\n"
        f"    exec({SOURCES['dropout_forward']!r}, {{'np': __import__('numpy')}}, scope)\n"
        "    return scope['dropout_forward'](x, dropout_param)",
        "runs code by exec or eval, which no answer needs",
    ),
}  # fmt: skip


@needs_jupyter
@pytest.mark.exhaustive
def test_what_is_not_ones_own_gets_nothing(tmp_path):
    cells = [cell for cell, _ in CHEATS.values()]
    results, failed, stopped = graded(tmp_path, cells, ["Q3.1", "Q3.2", "Q3.4", "Q3.5"])
    assert (failed, stopped) == ({}, {})
    lines = lines_of(results)
    for name, (_, reason) in CHEATS.items():
        if reason:
            assert any(matches(reason, line) for line in lines[name]), (name, lines[name])
        else:
            assert name not in lines, lines[name]
    got = {name: result.got for name, result in results.items()}
    assert got == {"Q3.1": 0, "Q3.2": 0, "Q3.4": QUESTIONS["Q3.4"].functions["layernorm_forward"], "Q3.5": 0}


BREAKS = {
    "relu_backward": (
        "def relu_backward(dout, cache):\n    while True:\n        pass",
        "was interrupted after",
    ),
    "softmax_loss": ("def softmax_loss(x, y):\n    __import__('os')._exit(1)", "the check ended the process"),
    "layernorm_forward": (
        "def layernorm_forward(x, *arguments):\n    return layernorm_forward(x, *arguments)",
        "raised RecursionError",
    ),
    "layernorm_backward": (
        SOURCES["layernorm_backward"],
        "needs layernorm_forward, which raised RecursionError",
    ),
    "dropout_forward": (
        "import numpy\ndef dropout_forward(x, dropout_param):\n    del numpy.isfinite, numpy.array_equal\n"
        "    class Odd(dict):\n        __len__ = None\n    return x, Odd()",
        "dropout_forward|in training|expected",
    ),
    "dropout_backward": (
        "def dropout_backward(dout, cache):\n    raise GeneratorExit",
        "raised RuntimeError: Gen",
    ),
}


@needs_jupyter
@pytest.mark.slow
def test_what_does_not_end_costs_its_own_points(tmp_path):
    right = ("affine_forward", "affine_backward", "relu_forward", "svm_loss")
    cells = ["import numpy as np", *(SOURCES[name] for name in right), *(cell for cell, _ in BREAKS.values())]
    results, failed, stopped = graded(tmp_path, cells, ["Q3.1", "Q3.2", "Q3.4", "Q3.5"], check=20.0)
    assert (failed, stopped) == ({}, {})
    assert {name: result.got for name, result in results.items()} == {
        "Q3.1": 6,
        "Q3.2": 4,
        "Q3.4": 0,
        "Q3.5": 0,
    }
    lines = lines_of(results)
    for name, (_, reason) in BREAKS.items():
        assert any(matches(reason, line) for line in lines[name]), (name, lines[name])
    assert not any(name in lines for name in right)


def test_no_answer_has_the_bytecode_of_npgrads():
    table = originals()
    for file in FILES:
        for name in FUNCTIONS:
            if function := getattr(file, name, None):
                assert not table.get(_observe.fingerprint(function.__code__)), name


def test_what_an_answer_may_call():
    for question in LAYERS_BY_HAND.values():
        assert question.forbids == OTHERS
        for name in (
            "npgrad.layers.relu.forward",
            "npgrad.optim.step",
            "npgrad.course.by_hand.forward",
            "torch",
        ):
            assert not question.may_call(name)
    assert QUESTIONS["Q1.1"].may_call("torch")  # it would not help


def test_a_variable_of_a_functions_name_asks_nothing(capsys):
    assert len(grade({"tv_loss": len, "adam": 3}).results) == 10
    assert capsys.readouterr().out.endswith("0 of 65 points\n")


def test_the_questions_are_those_of_the_functions():
    images = [name for name in QUESTIONS if not name.startswith("Q3")]
    assert questions_of({"adam", "other"}) == list(LAYERS_BY_HAND)
    assert questions_of({"make_fool_image"}) == images
    assert questions_of({"adam", "tv_loss"}) == questions_of(()) == list(QUESTIONS)


@needs_jupyter
@pytest.mark.parametrize(
    ("cell", "layers", "images"),
    [
        ("def relu_forward(x):\n    return x", True, False),
        ("adam = lambda w, dw, config=None: w", True, False),
        ("from layers import (\n    relu_forward,\n    relu_backward,\n)", True, False),
        (
            "if True:\n    def tv_loss(img, w):\n        return 0\nadam = Adam(3)\nfit(rmsprop=adam == 'adam')",
            False,
            True,
        ),
        ("from npgrad.course import tv_loss\ndef adam(): pass", True, True),
        ("from layers import *", True, True),
    ],
)
def test_the_questions_of_a_notebook_without_metadata(cell, layers, images):
    import nbformat

    from npgrad.course.submissions import questions

    found = questions(nbformat.from_dict(notebook("x = 1", cell)))
    assert (("Q3.1" in found), ("Q1.1" in found)) == (layers, images)
