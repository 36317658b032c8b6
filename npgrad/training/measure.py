"""The accuracy of a network, and rescaling its activations to the common scale."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from npgrad._outputs import expect_classes
from npgrad._targets import class_logits
from npgrad._typing import Array
from npgrad._validate import expect_indices, positive_number
from npgrad.errors import InputError
from npgrad.model import Model
from npgrad.training.gradients import labeled

__all__ = ["Accuracy", "accuracy", "rescaled"]


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Top-1 accuracy on a set of labeled images.

    Attributes
    ----------
    confusion : ndarray of int (classes, classes)
        confusion[i, j] is the number of images of class i that were predicted as j.
    """

    confusion: np.ndarray

    @property
    def overall(self) -> float:
        """The fraction of all images that were predicted correctly."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    @property
    def per_class(self) -> Array:
        """The fraction of each class that was predicted correctly, (classes,); NaN for a class without images."""
        total = self.confusion.sum(axis=1)
        return np.where(total > 0, np.diag(self.confusion) / np.maximum(total, 1), np.nan)


def accuracy(model: Model, batches: Iterable[tuple[Array, Array]]) -> Accuracy:
    """Measure a network's accuracy.

    Parameters
    ----------
    model : Model
        The network.
    batches : iterable of (ndarray (N, C, H, W), ndarray of int (N,))
        Preprocessed images and their class indices.

    Returns
    -------
    Accuracy

    Raises
    ------
    InputError, TargetError
        If there is no batch, or one cannot be used.
    """
    expect_classes(model, "accuracy")
    confusion = None
    for x, target in batches:
        x, target = labeled(x, target)
        logits = class_logits(model, model(x))
        expect_indices(target, logits.shape[1])
        if confusion is None:
            confusion = np.zeros((logits.shape[1], logits.shape[1]), int)
        np.add.at(confusion, (target, logits.argmax(axis=1)), 1)
    if confusion is None:
        raise InputError("accuracy: expected at least one batch, found none")
    return Accuracy(confusion)


def rescaled(model: Model, x: Array, layer: str = "fire3", rms: float = 5.0, last: str = "conv10") -> Model:
    """Return the same network with its activations rescaled to a root mean square near `rms`.

    A positive factor passes through ReLU, pooling and concatenation. So the weights of the first convolution and every
    bias before `last` are multiplied by a power of two, and the weights of `last` are divided by it: the logits are
    unchanged to the last bit. Learning rates and loss weights tuned for one network then fit others.

    Parameters
    ----------
    model : Model
        A network with one path to `last`, whose other layers pass a positive factor on.
    x : ndarray (N, C, H, W)
        Preprocessed images on which the activations are measured.
    layer : str, default "fire3"
        Where the activations are measured.
    rms : float, default 5
        The root mean square to approach.
    last : str, default "conv10"
        The last convolution, which undoes the factor.

    Returns
    -------
    Model

    Raises
    ------
    InputError, UnknownName
        If all activations are 0, `rms` is not above 0, or there is no such layer.
    """
    layer, last = model.resolve(layer), model.resolve(last)
    positive_number(rms, "rms")
    found = float(np.sqrt(np.mean(np.square(model.forward(x, upto=layer)[layer], dtype=np.float64))))
    if not found > 0:
        raise InputError(f"rescaled: the activations at {layer} are all 0")
    factor = 2.0 ** np.round(np.log2(rms / found))
    parameters = model.parameters()
    first = next(iter(parameters))
    arrays = {
        name: array * array.dtype.type(factor) for name, array in parameters.items() if name.endswith(".bias")
    }
    arrays.pop(f"{last}.bias", None)
    arrays[first] = parameters[first] * parameters[first].dtype.type(factor)
    arrays[f"{last}.weight"] = parameters[f"{last}.weight"] / parameters[f"{last}.weight"].dtype.type(factor)
    return model.with_parameters(arrays)
