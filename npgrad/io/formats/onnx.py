"""Networks described by an ONNX file: a feed-forward graph of layers that npgrad has, with the names in the graph.

The onnx package (``pip install onnx``) parses the bytes, and has the specification of every operator at every opset.
`_onnx_graph.py` reads the graph, `_onnx_operators.py` maps each operator to a layer, and `_onnx_tensors.py` reads the
weights, which can be in a second file beside the first.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from npgrad._files import shown
from npgrad._typing import Path
from npgrad.errors import NpgradError, WeightsError
from npgrad.io.formats._onnx_graph import GraphReader
from npgrad.io.formats._onnx_tensors import Tensors
from npgrad.io.formats.reading import read_regular_file

if TYPE_CHECKING:
    from npgrad.model import Model

MOST_NODES = 20_000
MAX_SIDE = 4096  # pixels of a declared height or width


def matches(path: Path) -> bool:
    """Check whether a file has the suffix .onnx, or begins like an ONNX file.

    Parameters
    ----------
    path : str or path
        The file.

    Returns
    -------
    bool
    """
    from npgrad.io.formats import signatures

    if FilePath(path).suffix.lower() == ".onnx":
        return True
    if not FilePath(path).is_file():
        return False  # opening a pipe could block; the reader will report the error
    try:
        with FilePath(path).open("rb") as file:
            return signatures.describe(file.read(64)) == "an ONNX model"
    except OSError:
        return False  # the reader will report the error


def load(path: Path, classes: Sequence[str] | None = None) -> "Model":
    """Read the network of an .onnx file.

    Every operator is read as the standard defines it at the file's opset. A graph that would then not treat every image
    of a batch alone, or that no layer of npgrad computes, is refused. The network takes (N, C, H, W) even where the
    graph takes (N, H, W, C) and permutes them at once, as exports from TensorFlow do.

    Parameters
    ----------
    path : str or path
        The file. Weights that it keeps in a second file are read from there, if that is a plain file beside it.
    classes : sequence of str or None, default None
        The names of the classes. None: ImageNet's for 1,000 classes, otherwise none.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        If the file cannot be read, or a node is not supported; the message names the node. Also if the onnx package is
        not installed.
    """
    name = shown(path)
    file = FilePath(path)
    return from_bytes(read_regular_file(path, name), name, classes, file.name, file.parent)


def from_bytes(
    data: bytes,
    name: str,
    classes: Sequence[str] | None = None,
    file: str | None = None,
    folder: Path | None = None,
) -> "Model":
    """Read the network from the content of an ONNX file.

    Parameters
    ----------
    data : bytes
        The content.
    name : str
        The file, for error messages.
    classes : sequence of str or None, default None
        The names of the classes, as for `load`.
    file : str or None, default None
        The file name that is stored in the model's `source`.
    folder : path or None, default None
        Where weights that are in a second file are read from. None: they are refused.

    Returns
    -------
    Model

    Raises
    ------
    WeightsError
        As for `load`.
    """
    import hashlib

    from npgrad.io.labels import imagenet_classes
    from npgrad.layers import Graph
    from npgrad.model import Model

    proto = _parse(data, name)
    try:
        tensors = Tensors(folder)
        reader = GraphReader(proto, tensors)
        nodes, aliases = reader.network()
        source = {"file": file, "format": "ONNX", "sha256": hashlib.sha256(data).hexdigest()}
        if reader.channels_last:
            source["layout"] = "NHWC"  # of the file; the network that is read takes (N, C, H, W)
        if tensors.files:
            source["data"] = {name: hashlib.sha256(data).hexdigest() for name, data in tensors.files.items()}
        model = Model(Graph(nodes), aliases=aliases, source=source)
        if classes is None and model.num_classes == 1000:
            classes = imagenet_classes()
        preprocessing = _preprocessing(reader.shape, model.in_channels)
        return dataclasses.replace(model, classes=classes, preprocessing=preprocessing)
    except NpgradError as error:
        raise WeightsError(f"{name}: {error}") from None


def _preprocessing(shape, channels):
    """The assumed Preprocessing for a declared input (N, C, H, W), in which None stands for an unknown length."""
    from npgrad.images import Preprocessing

    _, declared, *size = shape if len(shape) == 4 else (None,) * 4
    values = {"channels": "gray"} if (declared or channels) == 1 else {}
    if all(side is not None and 1 <= side <= MAX_SIDE for side in size):
        values["crop"] = tuple(size)
    return Preprocessing(**values, assumed=True)


def _parse(data, name):
    try:
        import onnx
    except ImportError:
        raise WeightsError(f"{name}: reading ONNX needs the onnx package: pip install onnx") from None
    from google.protobuf.message import DecodeError

    try:
        proto = onnx.ModelProto.FromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
        raise WeightsError(f"{name}: expected an ONNX model: damaged: {reason}") from None
    if not proto.HasField("graph") or not proto.graph.node:
        from npgrad.io.formats import signatures

        raise WeightsError(f"{name}: expected an ONNX model with nodes, found {signatures.describe(data)}")
    if len(proto.graph.node) > MOST_NODES:
        raise WeightsError(f"{name}: expected at most {MOST_NODES} nodes, found {len(proto.graph.node)}")
    return proto
