"""The check of total variation (Q2.3): its value, and that it is vectorized."""

import ast
import time

import numpy as np

from npgrad.course.grading._answer import Wrong
from npgrad.course.grading._cases import generator, images
from npgrad.course.grading._compare import compare, number
from npgrad.course.grading._losses import WEIGHT, reduced, weighted

SIDE = 400  # of the image on which the function is timed
SLOW = (
    0.05,
    10,
)  # it is slow if it takes more than this many seconds, and this many times as long as the reference

TV = {
    "edges": {
        "roll": "it wraps around: the first row and column are compared with the last, which are not adjacent",
        "zeros": "the edges are compared with zeros outside of the image, expected only pixels of the image",
    },
    "directions": {
        "down": "only the vertical differences are counted, expected vertical and horizontal ones",
        "across": "only the horizontal differences are counted, expected vertical and horizontal ones",
        "channels": "the differences are taken along other axes, expected along height and width (axes 2 and 3)",
        "crossed": "vertical and horizontal differences are added before squaring, expected each squared separately",
    },
    "power": {
        "absolute": "found absolute differences, expected squared ones",
        "root": "found the norm of the differences, expected its square: the sum of the squared differences",
        "late": "the differences are summed and then squared, expected squared and then summed",
    },
    "reduce": {"mean": "found the mean of the squared differences, expected their sum"},
    "channels": {"first": "only the first channel is counted, expected all three"},
    "weight": {**WEIGHT, "half": "found half of the right value: the homework has no factor 1/2"},
}


def tv_loss(img, tv_weight, edges="", directions="", power="", reduce="sum", channels="", weight=""):
    """tv_weight * sum of squared differences of adjacent pixels, vertical and horizontal."""
    img = img[:, :1] if channels == "first" else img
    axes = (1, 2) if directions == "channels" else (2, 3)
    if edges == "zeros":
        img = np.pad(img, ((0, 0), (0, 0), (1, 1), (1, 1)))
    if edges == "roll":
        parts = [np.roll(img, 1, axis) - img for axis in axes]
    else:
        parts = [np.diff(img, axis=axis) for axis in axes]
    if directions == "crossed" and parts[0].ndim == 4:
        parts = [parts[0][..., : parts[1].shape[3]] + parts[1][:, :, : parts[0].shape[2]]]
    parts = {"down": parts[:1], "across": parts[1:]}.get(directions, parts)
    return weighted(tv_weight, reduced(parts, reduce, power), weight)


def check_tv_loss(answer):
    """tv_loss(img, tv_weight), vectorized."""
    for shape, dtype, weight in (((1, 3, 9, 7), "float64", 2e-2), ((1, 3, 6, 11), "float32", 3.0)):
        img = generator(answer.draw, shape[2]).normal(0.4, 1, shape).astype(dtype)
        arguments = {"img": img, "tv_weight": weight}
        where = f"img of shape {shape}, {dtype}, weight {weight:g}"
        compare(number(answer(arguments, where=where), where), tv_loss, arguments, TV, where)
    line = loop_in(answer.source())
    if line is not None:
        raise Wrong(f"there is a Python loop in line {line} of the function, expected only array operations")
    arguments = {"img": images(1, SIDE, SIDE, draw=answer.draw), "tv_weight": 1.0}
    usual, seconds = (min(each(arguments) for _ in range(3)) for each in (_seconds, answer.seconds))
    if seconds > SLOW[0] and seconds > SLOW[1] * usual:
        raise Wrong(
            f"it takes {seconds:.2f} s for {SIDE} x {SIDE} px, array operations take {usual:.3f} s: "
            "is there a Python loop?"
        )


def loop_in(source):
    """The line, counted from 1, of the first Python loop over pixels in a function's source; None if there is none.

    A loop over a literal, such as `for axis in (2, 3)`, does not count. None as well if there is no source; then only
    the time shows a loop.
    """
    try:
        tree = ast.parse(source or "")
    except SyntaxError:
        return None
    for node in sorted(ast.walk(tree), key=lambda node: getattr(node, "lineno", 0)):
        loops = [node.iter] if isinstance(node, ast.For) else []
        loops += [part.iter for part in getattr(node, "generators", [])]
        if isinstance(node, ast.While) or any(not isinstance(over, (ast.Tuple, ast.List)) for over in loops):
            return node.lineno
    return None


def _seconds(arguments):
    begin = time.process_time()
    tv_loss(**arguments)
    return time.process_time() - begin
