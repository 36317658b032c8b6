"""The larger networks twice: as an npgrad.Model and as the equal torch network, with random weights and statistics.

model, net = pair("resnet18", num_classes=10)           float64, weights converted through a real .pth
"""

import math
import warnings
from dataclasses import replace

import checks
import numpy as np
import torch
import torch_zoo_convnext
import torch_zoo_densenet
import torch_zoo_googlenet
import torch_zoo_inception
import torch_zoo_inverted
import torch_zoo_regnet
import torch_zoo_shufflenet
from torch import nn

import npgrad
from benchmarks import torch_networks
from npgrad.io.architectures import own_shape
from npgrad.io.converting import convert
from npgrad.layers import Linear, Sequential
from npgrad.models import registry

FAMILIES = (
    torch_networks,
    torch_zoo_convnext,
    torch_zoo_densenet,
    torch_zoo_googlenet,
    torch_zoo_inception,
    torch_zoo_inverted,
    torch_zoo_regnet,
    torch_zoo_shufflenet,
)  # NAMES and make of each
NAMES = [name for family in FAMILIES for name in family.NAMES]
SIDE = {"alexnet": 63, "inception_v3": 75}  # px, the smallest image that the tests use; 64 for all others


def make(name, num_classes=1000):
    """The torch network `name`, in evaluation mode."""
    return next(family for family in FAMILIES if name in family.NAMES).make(name, num_classes)


def torch_net(name, num_classes=10, seed=0):
    """A torch network whose normalizations have statistics and weights of their own, in float32."""
    torch.manual_seed(seed)
    net = make(name, num_classes)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                count = module.num_features
                module.weight.copy_(torch.tensor(rng.uniform(0.6, 1.4, count)))
                module.bias.copy_(torch.tensor(rng.normal(0, 0.3, count)))
                module.running_mean.copy_(torch.tensor(rng.normal(0, 0.3, count)))
                module.running_var.copy_(torch.tensor(rng.uniform(0.5, 1.5, count)))
            elif isinstance(module, (nn.Conv2d, nn.Linear)):
                module.weight.mul_(1.5)  # torch's own are so small that the image hardly counts at the end
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
            elif isinstance(module, nn.LayerNorm):
                module.weight.uniform_(0.6, 1.4)
                module.bias.normal_(0, 0.3)
            elif hasattr(module, "layer_scale"):
                module.layer_scale.uniform_(0.2, 1)
    return net


def converted(net, folder, legacy=False):
    """The npgrad Model of a torch network, by way of a .pth file."""
    path = folder / "net.pth"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*taken to be trained without")  # Inception's
        return convert(path)


def pair(name, folder, num_classes=10, legacy=False):
    """(npgrad Model, torch network), both in float64, from one state dict."""
    net = torch_net(name, num_classes)
    return converted(net, folder, legacy).astype(np.float64), net.double()


def compare(model, net, x):
    """Logits, with and without a tape, the gradients of the input and of all parameters: all as torch's, to 1e-9."""
    xt = torch.tensor(x, requires_grad=True)
    yt = net(xt)
    dy = np.random.default_rng(1).normal(size=yt.shape)
    yt.backward(torch.tensor(dy))
    tape = model.forward(x)
    checks.assert_close(tape.output, yt.detach().numpy(), 1e-9, "logits")
    checks.assert_close(model(x), yt.detach().numpy(), 1e-9, "logits without a tape")
    checks.assert_close(tape.backward(dy)["input"], xt.grad.numpy(), 1e-9, "input gradient")
    found = tape.parameter_gradients(dy)
    expected = dict(net.named_parameters())
    own = own_names(model, expected)
    assert sorted(own.values()) == sorted(found)
    for theirs, parameter in expected.items():
        gradient = parameter.grad.numpy().reshape(found[own[theirs]].shape)
        checks.assert_close(found[own[theirs]], gradient, 1e-9, theirs)


def compare_shapes(name):
    """The parameters are torch's, and as many as published."""
    with torch.device("meta"):
        net = make(name)
    model = skeleton(name)
    expected = {key: tuple(value.shape) for key, value in net.named_parameters()}
    own = own_names(model, expected)
    found = {key: value.shape for key, value in model.parameters().items()}
    assert found == {
        own[theirs]: own_shape(shape, found[own[theirs]], model) for theirs, shape in expected.items()
    }
    assert sum(map(math.prod, found.values())) == registry.ARCHITECTURES[name].parameters


def compare_training(model, net, x):
    """The same with the batch's own statistics and without dropout, and the running statistics after the step."""
    for module in net.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    network = model.network.with_parts(
        {
            key: type(part)(0.0) if key.startswith("drop") else part
            for key, part in model.network.parts().items()
        }
    )
    xt = torch.tensor(x, requires_grad=True)
    yt = net.train()(xt)
    dy = np.random.default_rng(1).normal(size=yt.shape)
    yt.backward(torch.tensor(dy))
    tape = replace(model, network=network).forward(x, training=True, rng=0)
    checks.assert_close(tape.output, yt.detach().numpy(), 1e-8, "logits")
    checks.assert_close(tape.backward(dy)["input"], xt.grad.numpy(), 1e-7, "input gradient")
    found, expected = tape.parameter_gradients(dy), dict(net.named_parameters())
    for theirs, own in own_names(model, expected).items():
        gradient = expected[theirs].grad.numpy()
        if own.endswith("bias") and np.abs(gradient).max() < 1e-12:
            continue  # a bias before a normalization: exactly 0, and rounding in both
        checks.assert_close(found[own], gradient, 1e-7, theirs)
    buffers = {key: value for key, value in net.named_buffers() if not key.endswith("num_batches_tracked")}
    own = own_names(model, buffers)
    assert sorted(tape.statistics) == sorted(own.values())
    for theirs, value in buffers.items():
        checks.assert_close(tape.statistics[own[theirs]], value.numpy(), 1e-9, theirs)


def narrow_vgg(name):
    """A VGG twice, as `pair`, with 64 units in fc6 and fc7 for 4096, which have nine tenths of all its weights."""
    rng, full = np.random.default_rng(0), skeleton(name)
    parts = dict(full.network.parts())
    for layer, shape in (("fc6", (64, 512 * 49)), ("fc7", (64, 64)), ("fc8", (5, 64))):
        parts[layer] = Linear(np.zeros(shape), np.zeros(shape[0]))
    model = npgrad.Model(Sequential(parts), aliases=full.aliases)
    drawn = {
        key: rng.uniform(0.5, 1.5, array.shape)
        if array.ndim == 1 and not key.endswith(("bias", "mean"))
        else rng.normal(0, 0.1 if array.ndim == 1 else np.sqrt(2 / np.prod(array.shape[1:])), array.shape)
        for key, array in model.network.arrays(buffers=True).items()
    }
    model = model.with_parameters(drawn)
    units = [nn.Linear(512 * 49, 64), nn.ReLU(), nn.Dropout(), nn.Linear(64, 64), nn.ReLU(), nn.Dropout()]
    features = torch_networks.vgg_features(name)
    net = torch_networks.Classic(features, 7, [*units, nn.Linear(64, 5)]).double().eval()
    names = own_names(model, [key for key in net.state_dict() if not key.endswith("num_batches_tracked")])
    arrays = {theirs: torch.tensor(drawn[own]) for theirs, own in names.items()}
    net.load_state_dict({**net.state_dict(), **arrays})
    return model, net


def images(name, batch=2, seed=0):
    """Random images that are large enough for the network."""
    side = SIDE.get(name, 64)
    return np.random.default_rng(seed).normal(size=(batch, 3, side, side))


def own_names(model, names):
    """{torchvision's parameter name: npgrad's}"""
    page = registry.ARCHITECTURES[model.architecture["name"]].page if model.architecture else None
    found, renamed = {}, getattr(page, "renamed", str)
    for name in names:
        layer, _, key = renamed(name).rpartition(".")
        found[name] = f"{model.resolve(layer)}.{key}"
    return found


def skeleton(name):
    """The network with every weight 0, for 1,000 classes."""
    return registry.skeleton({"name": name, "options": {}}, room=2**30)


def export(net, x, path, dynamo=False):
    """Write a torch network to an .onnx file, weights inside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's exporters warn of themselves
        if dynamo:
            torch.onnx.export(net, (x,), dynamo=True, verbose=False).save(path, external_data=False)
        else:
            torch.onnx.export(net, (x,), path, dynamo=False)
    return path
