"""Notebooks of cells, graded."""

import importlib.util
import re

import pytest

MISSING = [
    name for name in ("jupyter_client", "ipykernel", "nbformat") if importlib.util.find_spec(name) is None
]
needs_jupyter = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
LOSSES = {
    "content_loss": "def content_loss(w, a, b):\n    return w * ((a - b) ** 2).sum()",
    "gram_matrix": "def gram_matrix(features, normalize=True):\n    N, C, H, W = features.shape\n"
    "    F = features.reshape(N, C, -1)\n    G = F @ F.transpose(0, 2, 1)\n"
    "    return G / (C * H * W) if normalize else G",
    "style_loss": "def style_loss(feats, style_layers, style_targets, style_weights):\n"
    "    parts = zip(style_layers, style_targets, style_weights)\n"
    "    return sum(w * ((gram_matrix(feats[i]) - A) ** 2).sum() for i, A, w in parts)",
    "tv_loss": "def tv_loss(img, w):\n    d, a = img[:, :, 1:] - img[:, :, :-1], img[..., 1:] - img[..., :-1]\n"
    "    return w * ((d * d).sum() + (a * a).sum())",
}


def notebook(*cells, **metadata):
    """A notebook of code cells as JSON."""
    cells = [
        {"cell_type": "code", "metadata": {}, "source": cell, "outputs": [], "execution_count": None}
        for cell in cells
    ]
    return {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 4}


def graded(folder, cells, questions, **limits):
    """(results {question: Result}, failed cells, stopped cells) of a notebook that runs in `folder`."""
    import nbformat

    from npgrad.course.submissions import Limits, grade_notebook

    content = notebook(*cells, npgrad={"questions": list(questions)})
    node = nbformat.from_dict(content)
    limits = {"cell": 600.0, "check": 600.0, "total": 36000.0, **limits}
    results, failed, stopped = grade_notebook(node, folder, Limits(**limits), draw=5)
    return {result.id: result for result in results}, failed, stopped


def lines_of(results):
    """{function: the lines about it} of all results."""
    found = {}
    for result in results.values():
        for line in result.message.splitlines():
            name, _, text = line.partition(": ")
            found.setdefault(name, []).append(text)
    return found


def matches(reason, text):
    """Whether a text has a reason in it, in which * stands for anything."""
    return re.search(reason.replace("*", ".*"), text) is not None
