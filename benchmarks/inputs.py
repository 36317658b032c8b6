"""The inputs of every contender: the same weights in each one's format, the same images and targets."""

import importlib.util
from pathlib import Path

import numpy as np

CLASSES = 1000
SQUEEZENETS = ("squeezenet1_0", "squeezenet1_1")
LARGER = (
    "resnet18",
    "resnet50",
    "mobilenet_v2",
    "vgg16",
)  # only forward and forward + input gradient are measured
NETWORKS = (*SQUEEZENETS, *LARGER)


def images(count, side, seed=0):
    """Noise of mean 0, as normalized images are: float32 (count, 3, side, side)."""
    return np.random.default_rng(seed).normal(size=(count, 3, side, side)).astype(np.float32)


def channels_last(x):
    """The same images in the memory order that `model.preprocess` returns."""
    return np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def targets(count):
    """The target of each image."""
    return np.arange(count) * 37 % CLASSES


def write_files(folder, network):
    """A freshly initialized network as NETWORK.h5, .pth and, where `has_onnx`, .onnx; and photo.jpg."""
    import torch

    from benchmarks.torch_squeezenet import torch_state
    from npgrad import models

    model = getattr(models, network)(num_classes=CLASSES, rng=0)
    if network in SQUEEZENETS:
        # Scores of an untrained network are about 0: open the final ReLU, so that gradients flow.
        model = model.with_parameters({"conv10.bias": np.full(CLASSES, 5.0, np.float32)})
    model.save(Path(folder, f"{network}.h5"))
    torch.save(torch_state(model), Path(folder, f"{network}.pth"))
    if has_onnx(network):
        from benchmarks.onnx_squeezenet import write_onnx

        write_onnx(model, Path(folder, f"{network}.onnx"))
    _draw_photo(Path(folder, "photo.jpg"))


def has_onnx(network):
    """Whether ONNX Runtime can be measured: whether it and onnx are installed."""
    return network in SQUEEZENETS and all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


def _draw_photo(path):
    """A drawn scene of 1280 x 1024 px, with noise: in even colors, rounding would choose a pool's maximum.

    At this size every program's resizing gives the same pixels.
    """
    from npgrad.images import save_image
    from npgrad.scenes import scene

    image, _, _ = scene(7, seed=0, size=1280)
    grain = np.random.default_rng(0).normal(scale=8, size=image.shape)
    save_image(np.clip(image + grain, 0, 255).astype(np.uint8)[128:1152], path)
