"""npgrad.compare: recordings of torch without a difference are equal to rounding; planted ones are explained."""

import copy

import backbones
import pytest
import torch
from planted_differences import PLANTED
from torch_changes import Graph, images
from torch_nets import random_biases, torch_twin

import npgrad
from npgrad._compare.snippets import SNIPPETS
from npgrad.models import squeezenet1_1


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """{name: (npgrad Model, torch network)} with the same weights."""
    folder, found = tmp_path_factory.mktemp("networks"), {}
    model = random_biases(squeezenet1_1(num_classes=5, rng=0))
    found["squeezenet"] = (model, torch_twin(model).float().eval())
    net = backbones.torch_net("resnet18", 5)
    found["resnet18"] = (backbones.converted(net, folder), net.eval())
    torch.manual_seed(0)
    net = Graph().eval()
    path = backbones.export(net, images("graph"), folder / "graph.onnx")
    found["graph"] = (npgrad.load(path), net)
    return found


@pytest.fixture(scope="module")
def record():
    """The function of the snippet that people copy."""
    names = {}
    exec(SNIPPETS["torch"], names)
    return names["record"]


@pytest.mark.parametrize("name", ["squeezenet", "resnet18", "graph"])
def test_without_a_difference_everything_is_equal_to_rounding(networks, record, tmp_path, name):
    model, net = networks[name]
    torch.manual_seed(1)
    record(net, images(name), tmp_path / "recorded.npz")
    comparison = npgrad.compare(model, tmp_path / "recorded.npz")
    assert comparison, comparison
    assert str(comparison).startswith("forward: equal to rounding in ")
    assert "backward: equal to rounding in " in str(comparison)
    assert len(comparison.layers) > 20


def said(networks, record, path, case):
    network, name, layers, kinds, direction, change = case
    model, net = networks[network]
    net = copy.deepcopy(net)
    torch.manual_seed(2)
    change(net)
    record(net, images(network), path)
    comparison = npgrad.compare(model, path)
    first = comparison.first
    assert first is not None, f"{name}: nothing differs"
    right = first.name in layers and first.direction == direction
    return (
        right,
        first.diagnoses[0].kind in kinds,
        f"{name}: {first.name}: {first.diagnoses[0].kind}: {first.text}",
    )


def test_planted_differences(networks, record, tmp_path):
    assert len(PLANTED) == 40
    found = [said(networks, record, tmp_path / "recorded.npz", case) for case in PLANTED]
    assert all(layer for layer, _, _ in found), [text for layer, _, text in found if not layer]
    assert sum(kind for _, kind, _ in found) >= 36, [text for _, kind, text in found if not kind]
