"""What a notebook shows of a model, a tape and a gradient check; and that no name in it is markup."""

import re
import subprocess
import sys

import numpy as np
import pytest

import npgrad
from npgrad.layers import Conv2d, Fire, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential

HOSTILE = "<script>alert(1)</script>"


def model(name="conv"):
    rng = np.random.default_rng(0)
    conv = Conv2d.init(3, 4, 3, padding=1, rng=rng)
    layers = {name: conv, "relu": ReLU(), "fire": Fire.init(4, 2, 3, 3, rng=rng), "mean": GlobalAvgPool2d()}
    return npgrad.Model(Sequential({**layers, "flat": Flatten(), "fc": Linear.init(6, 5, rng=rng)}))


def rows_of(html):
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


def test_a_model_is_a_table_of_its_layers():
    html = npgrad.display.model_html(model())
    assert html == model()._repr_html_()
    rows = {row[0]: row for row in rows_of(html)}
    assert rows["conv"] == ["conv", "Conv2d", "112", "weight 4 x 3 x 3 x 3, bias 4"]
    assert "fire: Fire, " in html and html.count("<details") == 2 and "squeeze" in rows


@pytest.mark.parametrize("count", [1, 9])
def test_a_tape_has_shapes_memory_and_norms(count):
    net, x = model(), np.random.default_rng(1).normal(size=(count, 3, 64, 64)).astype(np.float32)
    tape = net.forward(x)
    html = npgrad.display.tape_html(tape)
    assert html == tape._repr_html_()
    rows = {row[0]: row for row in rows_of(html)}
    assert rows["input"][2:4] == [f"{count} x 3 x 64 x 64", f"{x.nbytes / 1e3:.3g} kB"]
    for name in ("conv", "fire", "fc"):
        y = tape[name]
        assert rows[name][2] == " x ".join(map(str, y.shape))
        assert float(rows[name][4]) == pytest.approx(np.linalg.norm(y.astype(float)), rel=2e-3)
    kept = net.forward(x, keep=())._repr_html_()
    assert "not kept" in kept


def test_a_check_says_pass_or_fail():
    check = npgrad.gradcheck(Linear.init(3, 2, rng=0), np.ones((2, 3)))
    html = npgrad.display.check_html(check)
    assert html == check._repr_html_() and "right" in html
    assert {row[0]: row[4] for row in rows_of(html)[1:]} == {"x": "pass", "weight": "pass", "bias": "pass"}
    assert repr(check).startswith("GradientCheck(right by complex step") and "\n" not in repr(check)

    failed = npgrad.gradcheck(lambda x: (np.sum(x**2), 2.2 * x), np.array([1.0, 2.0, 3.0]))
    assert "FAIL" in failed._repr_html_() and "WRONG" in failed._repr_html_()


def test_hostile_names_are_no_markup():
    net = model(HOSTILE.replace(".", ""))
    tape = net.forward(np.zeros((1, 3, 16, 16), np.float32))
    for html in (net._repr_html_(), tape._repr_html_()):
        assert "<script" not in html and "&lt;script&gt;" in html


def test_display_is_public_and_needs_no_matplotlib():
    code = (
        "import npgrad, sys; m = npgrad.load(); e = npgrad.explain(m, npgrad.scenes.scene(7)[0]);"
        "assert e._repr_png_()[:4] == b'\\x89PNG' and m._repr_html_();"
        "assert npgrad.display.colormap('viridis').shape == (256, 3);"
        "assert sorted(set(npgrad.display.__all__) - set(dir(npgrad.display))) == [];"
        "assert all(getattr(npgrad.display, name) for name in npgrad.display.__all__);"
        "assert not {'matplotlib', 'IPython', 'tkinter'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=300)


def test_colors_for_matplotlib(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    colors = pytest.importorskip("matplotlib.colors")
    own = colors.ListedColormap(npgrad.display.colormap("inferno"))
    theirs = matplotlib.colormaps["inferno"]
    assert np.abs(own(np.linspace(0, 1, 99)) - theirs(np.linspace(0, 1, 99))).max() < 0.03
