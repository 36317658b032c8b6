"""The script that measures networks of scenes, on few of them."""

import re
import sys
from types import SimpleNamespace

import numpy as np
import own_scripts
import pytest

import npgrad
from npgrad.scenes import scene


@pytest.fixture(scope="module")
def script():
    return own_scripts.loaded("measure_scenes")


def shares(table):
    return [float(percent) for percent in re.findall(r"([\d.]+)%", table)]


def test_the_table_of_maps_says_where_they_lie(script):
    model, counted = npgrad.load(), []
    found = shares(script.maps(model, 2, 5, SimpleNamespace(update=counted.append)))
    energy = []
    for i in range(2):
        image, label, mask = scene(i, 5)
        tape = model.forward(model.preprocess(image))
        dy = np.zeros_like(tape.output)
        dy[0, label] = 1
        gradient = np.abs(tape.backward(dy)["input"][0]).sum(axis=0)
        energy.append(gradient[mask].sum() / gradient.sum())
    assert found[0] == pytest.approx(100 * np.mean(energy), abs=0.06) and sum(counted) == 2
    assert found[1:] == sorted(found[1:]) and set(found[1:]) <= {0.0, 50.0, 100.0}


def test_a_network_without_gradients_has_no_maximum_on_the_object(script):
    """All pixels share the maximum, so that a hit is as likely as the object is large."""
    model = npgrad.load()
    parameters = {name: np.zeros_like(array) for name, array in model.parameters().items()}
    with pytest.warns(UserWarning, match="exactly 0"):
        found = shares(
            script.maps(model.with_parameters(parameters), 1, 5, SimpleNamespace(update=lambda n: None))
        )
    assert found[1] == pytest.approx(100 * scene(0, 5)[2].mean(), abs=0.06)


def test_the_command_prints_what_was_asked_for(script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["measure_scenes.py", "-n", "1", "--maps"])
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert "| **all** |" in printed and "| SmoothGrad | maximum on the object |" in printed
    assert "PGD" not in printed


@pytest.mark.parametrize("given", [["-n", "0"], ["missing.h5"]])
def test_a_mistake_costs_one_line(script, monkeypatch, capsys, given):
    monkeypatch.setattr(sys, "argv", ["measure_scenes.py", *given])
    with pytest.raises(SystemExit):
        script.main()
    assert re.search(r"error: .*(at least 1|missing\.h5)", capsys.readouterr().err)
