"""Networks of the real torchvision, in an environment of its own (`make .venv-torchvision`): files to compare with.

python torchvision_networks.py network NAME FOLDER          net.pth, net.npz (input, logits, gradient), two .onnx files
python torchvision_networks.py transforms FOLDER            what the weights' transforms() make of images, and of which
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.models import get_model, get_model_weights, list_models

# px, 64 for all others; AlexNet and VGG can be exported to ONNX only where their adaptive pools divide evenly
SIDES = {"inception_v3": 96, "alexnet": 224, "vgg": 224}


def network(name):
    """The network with drawn weights and statistics, for 10 classes, in evaluation mode."""
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    torch.manual_seed(0)
    net = get_model(name, weights=None, num_classes=10, **options).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                for tensor, spread in ((module.weight, 0.4), (module.running_var, 0.5)):
                    tensor.copy_(torch.tensor(rng.uniform(1 - spread, 1 + spread, len(tensor))))
                for tensor in (module.bias, module.running_mean):
                    tensor.copy_(torch.tensor(rng.normal(0, 0.3, len(tensor))))
            if hasattr(module, "layer_scale"):
                module.layer_scale.uniform_(0.5, 1.5)
    return net


class HardSigmoid(nn.Module):
    """As torch's, which rounds 1/6 to single precision in its gradient, in double precision too."""

    def forward(self, x):
        return nn.functional.relu6(x + 3) / 6


def with_exact_gradients(module):
    for name, part in module.named_children():
        if isinstance(part, nn.Hardsigmoid):
            setattr(module, name, HardSigmoid())
        else:
            with_exact_gradients(part)
    return module


def write_network(name, folder):
    net = network(name)
    torch.save(net.state_dict(), folder / "net.pth")
    net = net.double()
    rng = np.random.default_rng(1)
    side = next((side for start, side in SIDES.items() if name.startswith(start)), 64)
    x = torch.tensor(rng.normal(size=(1 if side > 200 else 2, 3, side, side)), requires_grad=True)
    for dynamo in (False, True):
        path, inside = folder / f"dynamo-{dynamo}.onnx", {"external_data": False} if dynamo else {}
        torch.onnx.export(net, (x.detach(),), path, dynamo=dynamo, **inside)
    y = with_exact_gradients(net)(x)
    dy = rng.normal(size=y.shape)
    y.backward(torch.tensor(dy))
    count = sum(parameter.numel() for parameter in published(name))
    np.savez(folder / "net.npz", x=x.detach(), y=y.detach(), dy=dy, dx=x.grad, parameters=count)


def published(name):
    """The parameters of the network as published, for 1,000 classes, without memory for them where it can be."""
    with torch.device(
        "cpu" if name.startswith("regnet") else "meta"
    ):  # whose widths are calculated with tensors
        options = {"aux_logits": False} if name in ("googlenet", "inception_v3") else {}
        return list(get_model(name, weights=None, **options).parameters())


def write_transforms(folder):
    rng = np.random.default_rng(0)
    for name in list_models(torchvision.models):
        if name.startswith(("vit", "swin", "maxvit")):
            continue
        for weights in get_model_weights(name):
            size = tuple(rng.integers(240, 700, 2))
            image = rng.integers(0, 256, (*size, 3)).astype(np.uint8)
            out = weights.transforms()(Image.fromarray(image))
            path = weights.url.rpartition("/")[2]
            np.savez(folder / path, image=image, out=out.numpy())


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    what, *names, folder = sys.argv[1:]
    write_network(*names, Path(folder)) if what == "network" else write_transforms(Path(folder))
