"""Recognize the network that a file's tensors belong to, from their names (torchvision's or npgrad's) and shapes."""

from collections.abc import Mapping

from npgrad._typing import Array
from npgrad.errors import WeightsError

FIRST = ("conv1.weight", "features.0.weight", "features.0.0.weight", "conv1_1.weight")
# the last weights of the networks, with one row per class
LAST = ("conv10.weight", "fc.weight", "fc8.weight", "classifier.6.weight", "classifier.1.weight")
VGG = {8: "vgg11", 10: "vgg13", 13: "vgg16", 16: "vgg19"}  # by number of convolutions


def architecture_of(tensors: Mapping[str, Array], name: str) -> tuple[str, int]:
    """Recognize the network that tensors belong to.

    Parameters
    ----------
    tensors : dict of ndarray
        Tensors by name.
    name : str
        The file, for error messages.

    Returns
    -------
    (str, int)
        The name of the network and its number of classes.

    Raises
    ------
    WeightsError
        If the tensors belong to no network that npgrad can build.
    """
    last = next((tensors[key] for key in LAST if key in tensors), None)
    first = next((tensors[key] for key in FIRST if key in tensors), None)
    if first is not None and first.ndim == 4 and last is None and len(tensors) > 2:
        head = sorted(key for key in tensors if key.startswith(("fc.", "classifier.")))
        raise WeightsError(
            f"{name}: the last layer, with a row for each class, is missing: expected one of {', '.join(LAST)}; "
            f"found {', '.join(head[:4]) or 'none'}: save the whole network's state_dict, or export a network whose "
            "head has several layers, or that has none, to ONNX"
        )
    if first is None or last is None or first.ndim != 4 or last.ndim not in (2, 4) or not len(last):
        some = ", ".join(sorted(tensors)[:4])
        raise WeightsError(
            f"{name}: expected one of the networks in npgrad.models, first tensor {' or '.join(FIRST)} "
            f"(F, C, KH, KW), last one of {', '.join(LAST)}; found {some} ..."
        )
    return _network(tensors, first.shape, last, name), len(last)


def _network(tensors, first, last, name):
    has = tensors.keys().__contains__
    convolutions = sum(array.ndim == 4 for array in tensors.values())
    if last.ndim == 4:
        known = {(96, 7): "squeezenet1_0", (64, 3): "squeezenet1_1"}
        if (found := (first[0], first[-1])) in known:
            return known[found]
    elif has("bottleneck1.project.weight") or has("features.1.conv.1.weight"):
        return "mobilenet_v2"
    elif has("conv2_1.conv1.weight") or has("layer1.0.conv1.weight"):
        if has("conv2_1.conv3.weight") or has("layer1.0.conv3.weight"):
            return "resnet50"
        return "resnet34" if has("conv2_3.conv1.weight") or has("layer1.2.conv1.weight") else "resnet18"
    elif first[-1] == 11:
        return "alexnet"
    elif first[-1] == 3 and convolutions in VGG:
        return VGG[convolutions] + ("_bn" if any(key.endswith("running_mean") for key in tensors) else "")
    raise WeightsError(
        f"{name}: expected one of the networks in npgrad.models, found a first convolution of shape {first}, "
        f"{convolutions} convolutions in all, and last weights of shape {last.shape}"
    )
