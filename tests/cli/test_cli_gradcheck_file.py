"""`npgrad gradcheck FILE.py:NAME`: the gradients of somebody's own file."""

import json

import pytest

CODE = """
import numpy as np

def affine_forward(x, w, b):
    return x @ w + b, (x, w)

def affine_backward(dy, cache):
    x, w = cache
    return dy @ w.T, x.T @ dy, dy.sum(0)

def wrong_backward(dy, cache):
    dx, dw, db = affine_backward(dy, cache)
    return dx, dw / len(dy), db

def loss(x, labels):
    p = np.exp(x) / np.exp(x).sum(1, keepdims=True)
    n = np.arange(len(x))
    return -np.log(p[n, labels]).sum(), p - (np.arange(p.shape[1]) == labels[:, None])

def inputs():
    return {"x": np.eye(3), "labels": np.array([0, 2, 1])}

class Tanh:
    def __init__(self):
        self.w = None
    def forward(self, x):
        self.x, self.y = x, np.tanh(x @ self.w)
        return self.y
    def backward(self, dy):
        dz = dy * (1 - self.y ** 2)
        self.dw = self.x.T @ dz
        return dz @ self.w.T

def relu_forward(x):
    return np.maximum(x, 0), x

def relu_backward(dy, x):
    return dy * (x > 0)

def noise(x):
    return np.random.default_rng().normal(), x

zeros = {"x": np.zeros((2, 2))}

def broken(x):
    return 1 / 0
"""
SHAPES = ("--shape", "x=5x4", "--shape", "w=4x3", "--shape", "b=3")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def test_right_and_wrong_functions(run, file):
    code, out, err = run("gradcheck", f"{file}:affine_forward", *SHAPES)
    assert (code, err) == (0, "") and out.splitlines()[-1].startswith("right by complex step")
    wrong = ("gradcheck", f"{file}:affine_forward", *SHAPES, "--backward", "wrong_backward")
    code, out, _ = run(*wrong)
    assert code == 1 and out.splitlines()[-1] == "w: is 0.2 times the right one (1 / the batch size)"
    code, out, _ = run(*wrong, "--json")
    result = json.loads(out)
    assert code == 1 and result["verdict"] == "WRONG"
    assert [row["right"] for row in result["rows"]] == [True, False, True]
    assert result["rows"][1]["diagnoses"][0]["kind"] == "factor"


def test_a_loss_an_object_and_a_kink(run, file):
    assert run("gradcheck", f"{file}:loss", "--inputs", "inputs")[0] == 0
    assert run("gradcheck", f"{file}:Tanh", "--shape", "2x4", "--shape", "w=4x3")[0] == 0
    code, out, _ = run("gradcheck", f"{file}:relu_forward", "--inputs", "zeros")
    assert code == 3 and "cannot be judged at a kink" in out
    code, out, _ = run("gradcheck", f"{file}:noise", "--shape", "2")
    assert (code, out) == (3, "cannot be judged: two calls of forward give different outputs\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["{}:affine"], "no name in the file 'affine'; nearest: affine_forward"),
        (["{}:affine_forward"], "expected --shape or --inputs, found neither"),
        (["{}:loss", "--shape", "x=0"], "--shape: expected NAME=NxM, each name once, found 'x=0'"),
        (["{}:broken", "--shape", "2"], "layers.py, line 46: ZeroDivisionError: division by zero"),
        (["{}", "--shape", "2"], "expected FILE.py:NAME"),
        (["none.py:f", "--shape", "2"], "none.py: expected a Python file, found none"),
        (["--shape", "2"], "--shape: expected FILE.py:NAME with it, found none"),
        (
            ["{}:loss", "--arch", "alexnet", "--shape", "2"],
            "expected no --weights or --arch with it, found one",
        ),
        (["{}:loss", "--inputs", "np"], "--inputs: expected a dict of arguments, found module"),
    ],
)
def test_errors_are_one_line(run, file, words, line):
    code, out, err = run("gradcheck", *(word.format(file) for word in words))
    assert (code, out) == (2, "") and line in err and len(err.splitlines()) == 1, err
