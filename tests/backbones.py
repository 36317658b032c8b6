"""The larger networks twice: as an npgrad.Model and as the equal torch network, with random weights and statistics.

model, net = pair("resnet18", num_classes=10)           float64, weights converted through a real .pth
"""

import numpy as np
import torch

from benchmarks import torch_networks
from npgrad.formats.convert import convert
from npgrad.models import registry

SIDE = {"alexnet": 63}  # px, the smallest picture that the tests use; 64 where nothing stands here


def torch_net(name, num_classes=10, seed=0):
    """A torch network whose normalisations have statistics and weights of their own, in float32."""
    torch.manual_seed(seed)
    net = torch_networks.make(name, num_classes)
    rng = np.random.default_rng(seed)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                count = module.num_features
                module.weight.copy_(torch.tensor(rng.uniform(0.6, 1.4, count)))
                module.bias.copy_(torch.tensor(rng.normal(0, 0.3, count)))
                module.running_mean.copy_(torch.tensor(rng.normal(0, 0.3, count)))
                module.running_var.copy_(torch.tensor(rng.uniform(0.5, 1.5, count)))
            elif isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
                module.weight.mul_(1.5)  # torch's own are so small that the picture hardly counts at the end
                if module.bias is not None:
                    module.bias.normal_(0, 0.1)
    return net


def converted(net, folder, legacy=False):
    """The npgrad Model of a torch network, by way of a .pth file."""
    path = folder / "net.pth"
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    return convert(path)


def pair(name, folder, num_classes=10, legacy=False):
    """(npgrad Model, torch network), both in float64, from one state dict."""
    net = torch_net(name, num_classes)
    return converted(net, folder, legacy).astype(np.float64), net.double()


def pictures(name, batch=2, seed=0):
    """Random pictures that are large enough for the network."""
    side = SIDE.get(name, 64)
    return np.random.default_rng(seed).normal(size=(batch, 3, side, side))


def own_names(model, names):
    """{torchvision's parameter name: npgrad's}"""
    found = {}
    for name in names:
        layer, _, key = name.rpartition(".")
        found[name] = f"{model.resolve(layer)}.{key}"
    return found


def skeleton(name):
    """The network with every weight 0, for 1,000 classes."""
    return registry.skeleton({"name": name, "options": {}}, room=2**30)
