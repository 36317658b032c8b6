"""npgrad.compare: recordings of torch without a difference are equal to rounding; planted ones are explained."""

import copy

import backbones
import pytest
import torch
from planted_differences import PLANTED
from torch_changes import Graph, images
from torch_nets import random_biases, torch_twin

import npgrad
from npgrad._compare.snippets import snippet
from npgrad.models import squeezenet1_1

NETWORKS = (
    "graph",
    pytest.param("squeezenet", marks=pytest.mark.exhaustive),
    pytest.param("resnet18", marks=pytest.mark.slow),
)


class Networks(dict):
    """{name: (npgrad Model, torch network with the same weights)}, made when they are asked for."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __missing__(self, name):
        torch.manual_seed(0)
        if name == "squeezenet":
            model = random_biases(squeezenet1_1(num_classes=5, rng=0))
            self[name] = (model, torch_twin(model).float().eval())
        elif name == "resnet18":
            net = backbones.torch_net(name, 5)
            self[name] = (backbones.converted(net, self.folder), net.eval())
        else:
            net = Graph().eval()
            path = backbones.export(net, images(name), self.folder / "graph.onnx")
            self[name] = (npgrad.load(path), net)
        return self[name]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    return Networks(tmp_path_factory.mktemp("networks"))


@pytest.fixture(scope="module")
def record():
    """The function of the snippet that people copy."""
    names = {}
    exec(snippet("torch"), names)
    return names["record"]


@pytest.mark.parametrize("name", NETWORKS)
def test_without_a_difference_everything_is_equal_to_rounding(networks, record, tmp_path, name):
    model, net = networks[name]
    record(net, images(name), tmp_path / "recorded.npz")
    comparison = npgrad.compare(model, tmp_path / "recorded.npz")
    assert comparison, comparison
    assert str(comparison).startswith("forward: equal to rounding in ")
    assert "backward: equal to rounding in " in str(comparison)
    assert len(comparison.layers) > 20


FAMILIES = ("alexnet", "densenet121", "googlenet", "mobilenet_v2", "mobilenet_v3_small", "shufflenet_v2_x0_5")
FAMILIES += ("mnasnet0_5", "efficientnet_b0", "regnet_x_400mf", "convnext_tiny", "inception_v3")


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_networks(record, tmp_path, name):
    """The modules of torch's networks are found by their names, and their outputs and gradients are equal."""
    net = backbones.torch_net(name, 5).eval()
    model = backbones.converted(net, tmp_path)
    x = torch.tensor(backbones.images(name)).float()
    record(net, x, tmp_path / "recorded.npz")
    comparison = npgrad.compare(model, tmp_path / "recorded.npz")
    assert comparison, comparison
    leaves = [
        key for key, part in net.named_modules() if isinstance(part, (torch.nn.Conv2d, torch.nn.Linear))
    ]
    assert len(leaves) > 4 and not set(leaves) & set(comparison.skipped)


def said(networks, record, path, case):
    """(whether the right layer is named first, whether the kind is right, what was said)."""
    network, name, layers, kinds, direction, change = case
    model, net = networks[network]
    net = copy.deepcopy(net)
    torch.manual_seed(2)
    change(net)
    record(net, images(network), path)
    first = npgrad.compare(model, path).first
    if first is None:
        return False, False, f"{name}: nothing differs"
    right = first.name in layers and first.direction == direction
    return (
        right,
        first.diagnoses[0].kind in kinds,
        f"{name}: {first.name}: {first.diagnoses[0].kind}: {first.text}",
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_planted_differences(networks, record, tmp_path, network):
    assert len(PLANTED) == 40
    cases = [case for case in PLANTED if case[0] == network]
    found = [said(networks, record, tmp_path / "recorded.npz", case) for case in cases]
    assert all(layer for layer, _, _ in found), [text for layer, _, text in found if not layer]
    assert sum(kind for _, kind, _ in found) >= 0.9 * len(found), [
        text for _, kind, text in found if not kind
    ]


def test_batch_norm_folded_into_a_convolution(record, tmp_path):
    torch.manual_seed(0)
    parts = {"conv1": torch.nn.Conv2d(3, 4, 3), "bn1": torch.nn.BatchNorm2d(4), "relu1": torch.nn.ReLU()}
    parts |= {"conv2": torch.nn.Conv2d(4, 5, 3), "bn2": torch.nn.BatchNorm2d(5), "relu2": torch.nn.ReLU()}
    net = torch.nn.Sequential()
    for name, part in parts.items():
        net.add_module(name, part)
    for name in ("bn1", "bn2"):
        torch.nn.init.uniform_(parts[name].running_mean)
        torch.nn.init.uniform_(parts[name].weight)
        torch.nn.init.uniform_(parts[name].running_var, 0.1, 2)
    net.eval()
    x = torch.randn(2, 3, 9, 9)
    model = npgrad.load(backbones.export(net, x, tmp_path / "folded.onnx"))
    assert len(model.layer_names()) == 4  # no BatchNorm
    record(net, x, tmp_path / "recorded.npz")
    comparison = npgrad.compare(model, tmp_path / "recorded.npz")
    assert comparison, comparison
    assert {"bn1", "bn2"} < {row.key for row in comparison.layers} and comparison.skipped == (
        "conv1",
        "conv2",
    )
    parts["bn2"].eps = 0.1
    record(net, x, tmp_path / "recorded.npz")
    first = npgrad.compare(model, tmp_path / "recorded.npz").first
    assert first.key == "bn2" and first.diagnoses[0].kind == "scale"
