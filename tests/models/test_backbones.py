"""AlexNet, VGG, ResNet and MobileNetV2 against torch's own, converted through a real .pth, and as published."""

import math

import backbones
import numpy as np
import pytest
import torch
import torch_zoo_inverted

from benchmarks import torch_networks
from npgrad import InputError, models

COUNTS = {  # as published, for 1,000 classes
    "alexnet": 61_100_840,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "mobilenet_v2": 3_504_872,
}
NAMES = [  # a VGG has half a gigabyte of weights
    pytest.param(name, marks=pytest.mark.exhaustive) if name[:3] == "vgg" and name != "vgg11_bn" else name
    for name in COUNTS
]


def test_every_network_is_compared():
    assert sorted(COUNTS) == sorted(torch_networks.NAMES)
    elsewhere = {"create", "squeezenet1_0", "squeezenet1_1", *torch_zoo_inverted.NAMES}
    assert set(models.__all__) - elsewhere == set(COUNTS)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", torch_networks.NAMES)
def test_numbers_are_those_of_torch(name, tmp_path):
    model, net = backbones.pair(
        name, tmp_path, legacy=name in ("alexnet", "vgg11", "resnet18", "mobilenet_v2")
    )
    x = backbones.images(name, batch=1 if name.startswith("vgg") else 2)
    backbones.compare(model, net, x)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["resnet18", "vgg11_bn", "mobilenet_v2"])
def test_training_moves_what_torch_moves(name, tmp_path):
    """Batch normalization with the batch's own statistics: gradients, and the running statistics after the step."""
    model, net = backbones.pair(name, tmp_path)
    backbones.compare_training(model, net, backbones.images(name, batch=3))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_torchs_and_as_many_as_published(name):
    model = backbones.skeleton(name)
    with torch.device("meta"):
        net = torch_networks.make(name)
    expected = {key: tuple(value.shape) for key, value in net.named_parameters()}
    own = backbones.own_names(model, expected)
    found = {key: value.shape for key, value in model.parameters().items()}
    assert found == {own[theirs]: shape for theirs, shape in expected.items()}
    assert sum(math.prod(shape) for shape in found.values()) == COUNTS[name]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["alexnet", "resnet18", "resnet50", "mobilenet_v2"])
def test_a_fresh_network_keeps_the_size_of_what_it_sees(name):
    """He-normal weights: the logits of noise are neither tiny nor huge, and two seeds give two networks."""
    make = getattr(models, name)
    x = backbones.images(name).astype(np.float32)
    logits = make(num_classes=5, rng=0)(x)
    assert logits.shape == (2, 5)
    assert 1e-2 < np.abs(logits).max() < 1e4
    assert np.array_equal(logits, make(num_classes=5, rng=0)(x))
    assert not np.array_equal(logits, make(num_classes=5, rng=1)(x))


@pytest.mark.parametrize("name", COUNTS)
def test_classes_that_are_no_number_are_refused_before_weights_are_drawn(name):
    rng = np.random.default_rng(0)
    for count in (0, -1, 2.5, True, "ten"):
        with pytest.raises(InputError, match="num_classes"):
            getattr(models, name)(num_classes=count, rng=rng)
    assert rng.bit_generator.state == np.random.default_rng(0).bit_generator.state


def test_layers_are_named_as_in_the_papers():
    names = backbones.skeleton("resnet18").layer_names()
    assert [name for name in names if "." not in name] == [
        "conv1", "bn1", "relu1", "pool1", "conv2_1", "conv2_2", "conv3_1", "conv3_2", "conv4_1", "conv4_2",
        "conv5_1", "conv5_2", "pool5", "fc",
    ]  # fmt: skip
    inside = [name for name in names if name.startswith("conv3_1.")]
    assert inside == [f"conv3_1.{part}" for part in (
        "conv1", "bn1", "relu1", "conv2", "bn2", "shortcut", "shortcut_bn", "add", "relu"
    )]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "alias", "own"),
    [
        ("resnet18", "layer4", "conv5_2"),
        ("resnet18", "layer2.0.downsample.1", "conv3_1.shortcut_bn"),
        ("resnet50", "layer3.5.conv3", "conv4_6.conv3"),
        ("mobilenet_v2", "features.1.conv.1", "bottleneck1.project"),
        ("mobilenet_v2", "features.2.conv.1.0", "bottleneck2.depthwise"),
        ("mobilenet_v2", "features.18.0", "conv2"),
        ("alexnet", "classifier.6", "fc8"),
        ("alexnet", "features.10", "conv5"),
    ],
)
def test_the_names_of_torchvision_are_aliases(name, alias, own):
    assert backbones.skeleton(name).resolve(alias) == own


@pytest.mark.exhaustive
def test_vgg_names_are_those_of_its_authors():
    names = list(dict.fromkeys(key.rpartition(".")[0] for key in backbones.skeleton("vgg19").parameters()))
    assert names[:3] == ["conv1_1", "conv1_2", "conv2_1"]
    assert names[-4:] == ["conv5_4", "fc6", "fc7", "fc8"]
