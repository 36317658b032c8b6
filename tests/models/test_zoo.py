"""ConvNeXt, DenseNet, Inception, ShuffleNetV2 and RegNet against torch's, by way of a .pth, and as published."""

import re

import backbones
import checks
import numpy as np
import pytest
import torch
import torch_zoo_convnext
import torch_zoo_densenet
import torch_zoo_googlenet
import torch_zoo_inception
import torch_zoo_regnet
import torch_zoo_shufflenet

import npgrad
from npgrad import InputError
from npgrad.images import Preprocessing
from npgrad.io import converting, known_weights
from npgrad.models import regnet

FAMILIES = (
    torch_zoo_convnext,
    torch_zoo_densenet,
    torch_zoo_googlenet,
    torch_zoo_inception,
    torch_zoo_shufflenet,
    torch_zoo_regnet,
)
NAMES = [name for family in FAMILIES for name in family.NAMES]
QUICK = ("shufflenet_v2_x0_5",)
SMALLEST = ("convnext_tiny", "densenet121", "googlenet", "inception_v3", "regnet_x_400mf", "regnet_y_400mf")
LARGE = (  # 83 to 645 million parameters
    "convnext_base",
    "convnext_large",
    "regnet_x_32gf",
    "regnet_y_16gf",
    "regnet_y_32gf",
    "regnet_y_128gf",
)


def marked(names, quick, slow=()):
    marks = {name: pytest.mark.slow if name in slow else pytest.mark.exhaustive for name in names}
    return [name if name in quick else pytest.param(name, marks=marks[name]) for name in names]


OTHERS = [name for name in NAMES if name not in (*QUICK, *SMALLEST)]


@pytest.mark.parametrize("name", marked([name for name in NAMES if name not in LARGE], QUICK, OTHERS))
def test_numbers_are_those_of_torch(name, tmp_path):
    model, net = backbones.pair(name, tmp_path)
    assert model.architecture["name"] == name
    backbones.compare(model, net, backbones.images(name, batch=1))


SMALL = ("shufflenet_v2_x0_5",)  # torch.export takes its time
EXPORTED = (
    "shufflenet_v2_x0_5",
    "regnet_y_400mf",
    "densenet121",
    "googlenet",
    "inception_v3",
    "convnext_tiny",
    "mobilenet_v3_small",
    "mnasnet0_5",
    "efficientnet_b0",
)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("name", "dynamo"),
    [(name, False) for name in EXPORTED] + [(name, True) for name in EXPORTED if name in SMALL],
)
def test_numbers_are_those_of_torch_by_way_of_onnx(name, dynamo, tmp_path):
    net, x = (
        backbones.torch_net(name).double(),
        torch.tensor(backbones.images(name, batch=1)).requires_grad_(),
    )
    y = net(x)
    [dx] = torch.autograd.grad(y[:, :2].sum(), x)
    path = backbones.export(net, x.detach(), tmp_path / "net.onnx", dynamo)
    tape = npgrad.load(path).forward(x.detach().numpy())
    checks.assert_close(tape.output, y.detach().numpy(), 1e-9, "logits")
    dy = np.zeros_like(tape.output)
    dy[:, :2] = 1
    checks.assert_close(tape.backward(dy)["input"], dx.numpy(), 1e-8, "gradient")


@pytest.mark.parametrize("name", marked(NAMES, (*QUICK, "regnet_x_400mf", "regnet_y_400mf"), LARGE))
def test_parameters_are_torchs_and_as_many_as_published(name):
    backbones.compare_shapes(name)


@pytest.mark.parametrize(
    ("name", "alias", "own"),
    [
        ("shufflenet_v2_x0_5", "stage3", "stage3_8"),
        ("shufflenet_v2_x0_5", "stage2.0.branch1.2", "stage2_1.left.conv"),
        ("shufflenet_v2_x0_5", "stage4.3.branch2", "stage4_4.right"),
        ("shufflenet_v2_x0_5", "conv5.2", "conv5.relu"),
        ("regnet_x_400mf", "trunk_output.block4", "stage4_12"),
        ("regnet_x_400mf", "trunk_output.block4.block4-1.f", "stage4_2.bn3"),
        ("regnet_y_400mf", "trunk_output.block2.block2-0.proj", "stage2_1.shortcut_bn"),
        ("regnet_y_400mf", "trunk_output.block1.block1-0.f.se.scale_activation", "stage1_1.se.gate"),
        ("regnet_y_400mf", "trunk_output.block1.block1-0.f.c.0", "stage1_1.conv3"),
        ("densenet121", "features.denseblock2.denselayer12.norm1", "block2.layer12.bn1"),
        ("densenet121", "features.transition3.pool", "transition3.pool"),
        ("googlenet", "inception4e.branch3", "inception4e.conv5x5"),
        ("googlenet", "inception4e.branch4.1.bn", "inception4e.project.bn"),
        ("convnext_tiny", "features.5.8.block.5", "res4_9.project"),
        ("convnext_tiny", "features.6.1", "down5.conv"),
        ("convnext_tiny", "features.7", "res5_3"),
    ],
)
def test_the_names_of_torchvision_are_aliases(name, alias, own):
    assert backbones.skeleton(name).resolve(alias) == own


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "name", [*QUICK, "regnet_y_400mf", "inception_v3", "densenet121", "googlenet", "convnext_tiny"]
)
def test_outputs_of_modules_are_those_of_their_aliases(name):
    model, net = backbones.skeleton(name), backbones.make(name).double()
    names = backbones.own_names(model, dict(net.named_parameters()))
    own = model.parameters()
    arrays = {names[key]: p.detach().numpy() for key, p in net.named_parameters()}
    model = model.with_parameters({key: array.reshape(own[key].shape) for key, array in arrays.items()})
    outputs = {}
    for key, module in net.named_modules():
        if key in model.aliases or key in model.layer_names():
            module.register_forward_hook(lambda _, x, y, key=key: outputs.setdefault(key, y.detach().clone()))
    x = backbones.images(name, batch=1)
    net(torch.tensor(x))
    tape = model.astype(np.float64).forward(x)
    assert len(outputs) > 100
    for key, y in outputs.items():
        if y.ndim == 4 and y.shape != tape[key].shape and y.shape[3] == tape[key].shape[1]:
            y = y.permute(0, 3, 1, 2)  # the middle of a block of ConvNeXt
        checks.assert_close(tape[key], y.numpy().reshape(tape[key].shape), 1e-9, key)


@pytest.mark.parametrize(
    ("name", "side", "layer"),
    [
        ("shufflenet_v2_x0_5", 64, "conv5"),
        ("regnet_x_400mf", 64, "stage4_12"),
        ("inception_v3", 107, "Mixed_7c"),
        ("densenet121", 64, "relu5"),
        ("googlenet", 64, "inception5b"),
        ("convnext_tiny", 64, "res5_3"),
    ],
)
def test_maps_are_made_at_the_end(name, side, layer):
    model = backbones.skeleton(name)
    assert model.map_layer(model.forward(np.zeros((1, 3, side, side), np.float32))) == layer


@pytest.mark.parametrize("name", torch_zoo_regnet.NAMES)
def test_the_formula_gives_the_published_stages(name):
    group, counts, widths = torch_zoo_regnet.STAGES[name]
    expected = [(width, min(group, width), count) for width, count in zip(widths, counts, strict=True)]
    assert regnet._stages(*regnet.LINES[name]) == expected


@pytest.mark.exhaustive
def test_the_names_in_old_files_of_densenet(tmp_path):
    state = backbones.torch_net("densenet121", 3).state_dict()
    old = {re.sub(r"(layer\d+\.\w+)([12])\.", r"\1.\2.", key): tensor for key, tensor in state.items()}
    assert "features.denseblock4.denselayer16.norm.2.running_var" in old
    models = []
    for tensors in (state, old):
        torch.save(tensors, tmp_path / "net.pth")
        models.append(converting.convert(tmp_path / "net.pth").network.arrays(buffers=True))
    assert all(np.array_equal(array, models[1][key]) for key, array in models[0].items())


# What Inception has besides.


@pytest.fixture(scope="module")
def inception():
    return npgrad.models.inception_v3(num_classes=3)


@pytest.mark.exhaustive
def test_the_auxiliary_classifier_is_ignored(tmp_path):
    net = backbones.torch_net("inception_v3", 3)
    state = {**net.state_dict(), "AuxLogits.conv0.conv.weight": torch.ones(128, 768, 1, 1),
             "AuxLogits.fc.weight": torch.ones(3, 768), "AuxLogits.fc.bias": torch.ones(3)}  # fmt: skip
    torch.save(state, tmp_path / "net.pth")
    with pytest.warns(
        UserWarning, match="taken to be trained without torchvision's transform_input, of which"
    ):
        model = npgrad.io.convert(tmp_path / "net.pth")
    assert model.architecture == {"name": "inception_v3", "options": {"num_classes": 3, "transform_input": 0}}
    assert not [key for key in model.parameters() if "Aux" in key]


@pytest.mark.parametrize("name", marked(["inception_v3", "googlenet"], ["googlenet"]))
def test_transform_input_is_a_layer_before_the_network(name, tmp_path):
    """ImageNet's mean and std become 0.5 and 0.5; the file has the option."""
    plain, model = (npgrad.models.create(name, num_classes=3, transform_input=value) for value in (0, 1))
    photo = np.random.default_rng(0).integers(0, 256, (75, 75, 3), np.uint8)
    half = Preprocessing(mean=(0.5,) * 3, std=(0.5,) * 3)
    expected = plain(plain.with_preprocessing(half).preprocess(photo, resize=False))
    x = model.preprocess(photo, resize=False)
    found = model(x)
    checks.assert_close(found, expected, 1e-4)
    model.save(tmp_path / "net.h5")
    assert np.array_equal(npgrad.load(tmp_path / "net.h5")(x), found)
    assert np.abs(plain(x) - expected).max() > 1e-2 * np.abs(expected).max()


def test_a_known_file_of_googlenet_has_the_option_and_auxiliary_classifiers(tmp_path, monkeypatch):
    """The constants of transform_input are in no file."""
    state = backbones.make("googlenet", 3).state_dict()
    state |= {"aux1.conv.conv.weight": torch.ones(128, 512, 1, 1), "aux2.fc2.weight": torch.ones(3, 1024)}
    torch.save(state, tmp_path / "net.pth")
    entry = known_weights.known()["googlenet"]
    monkeypatch.setattr(converting, "_known", lambda sha256: entry)
    model = converting.convert(tmp_path / "net.pth")
    assert model.architecture == {"name": "googlenet", "options": {"num_classes": 3, "transform_input": 1}}
    first = model.layer("transform_input")
    assert np.allclose([first.scale, first.shift], [[0.458, 0.448, 0.45], [-0.03, -0.088, -0.188]], atol=1e-7)
    assert np.array_equal(model.parameters()["conv3.conv.weight"], state["conv3.conv.weight"].numpy())


def test_transform_input_is_0_or_1():
    for value in (2, -1, "yes"):
        with pytest.raises(InputError, match="transform_input: expected 0 or 1"):
            npgrad.models.inception_v3(num_classes=3, transform_input=value)


@pytest.mark.exhaustive
def test_images_that_are_too_small_for_inception(inception):
    with pytest.raises(InputError, match="at least 75x75 px"):
        inception(np.zeros((1, 3, 74, 74), np.float32))
