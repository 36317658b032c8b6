"""AlexNet, VGG, ResNet and MobileNetV2 against torch's own, converted through a real .pth, and as published."""

import backbones
import numpy as np
import pytest

from benchmarks import torch_networks
from npgrad import InputError, models
from npgrad.models import registry

NAMES = [  # a VGG has half a gigabyte of weights
    pytest.param(name, marks=pytest.mark.exhaustive) if name[:3] == "vgg" and name != "vgg11_bn" else name
    for name in torch_networks.NAMES
]


ONE_OF_EACH = ("alexnet", "resnet18", "resnet50", "resnext50_32x4d", "mobilenet_v2")


def test_every_network_has_a_function():
    assert {*models.__all__} == {"create", *registry.ARCHITECTURES}
    for name in registry.ARCHITECTURES:
        assert getattr(models, name).__name__ == name
    with pytest.raises(AttributeError, match="'resnet19'"):
        _ = models.resnet19


def test_options_of_other_networks_are_refused():
    with pytest.raises(
        InputError, match="resnet18: expected options among num_classes; found conv10_padding"
    ):
        models.resnet18(conv10_padding=1)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.exhaustive if name in ONE_OF_EACH else pytest.mark.slow)
        for name in torch_networks.NAMES
    ],
)
def test_numbers_are_those_of_torch(name, tmp_path):
    model, net = backbones.pair(
        name, tmp_path, legacy=name in ("alexnet", "vgg11", "resnet18", "mobilenet_v2")
    )
    backbones.compare(model, net, backbones.images(name, batch=1 if name.startswith("vgg") else 2))


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2"])
def test_training_moves_what_torch_moves(name, tmp_path):
    """Batch normalization with the batch's own statistics: gradients, and the running statistics after the step."""
    model, net = backbones.pair(name, tmp_path)
    backbones.compare_training(model, net, backbones.images(name, batch=3))


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_torchs(name):
    backbones.compare_shapes(name)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name", [pytest.param("alexnet", marks=pytest.mark.slow), "resnet18", "resnet50", "mobilenet_v2"]
)
def test_a_fresh_network_keeps_the_size_of_what_it_sees(name):
    """He-normal weights: the logits of noise are neither tiny nor huge, and two seeds give two networks."""
    make = getattr(models, name)
    x = backbones.images(name).astype(np.float32)
    logits = make(num_classes=5, rng=0)(x)
    assert logits.shape == (2, 5)
    assert 1e-2 < np.abs(logits).max() < 1e4
    assert np.array_equal(logits, make(num_classes=5, rng=0)(x))
    assert not np.array_equal(logits, make(num_classes=5, rng=1)(x))


@pytest.mark.parametrize("name", registry.ARCHITECTURES)
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
