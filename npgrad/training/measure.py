"""How good a network is, and its activations on the common scale."""

from dataclasses import dataclass

import numpy as np

from npgrad.errors import InputError


@dataclass(frozen=True, eq=False)
class Accuracy:
    """Top-1 over a set of labeled images. confusion[i, j]: how many of class i were taken for j."""

    confusion: np.ndarray

    @property
    def overall(self):
        """The share that is right."""
        return float(np.trace(self.confusion) / max(1, self.confusion.sum()))

    @property
    def per_class(self):
        """The share that is right of each class; NaN where there was none."""
        total = self.confusion.sum(axis=1)
        return np.where(total > 0, np.diag(self.confusion) / np.maximum(total, 1), np.nan)


def accuracy(model, batches):
    """The Accuracy of a model over batches (x (N, C, H, W) normalized, target (N,))."""
    confusion = None
    for x, target in batches:
        logits = model(x)
        if confusion is None:
            confusion = np.zeros((logits.shape[1], logits.shape[1]), int)
        np.add.at(confusion, (target, logits.argmax(axis=1)), 1)
    if confusion is None:
        raise InputError("accuracy: expected at least one batch, found none")
    return Accuracy(confusion)


def rescaled(model, x, layer="fire3", rms=5.0, last="conv10"):
    """The same network with activations on the common scale: their root mean square at `layer` on x near `rms`.

    ReLU, pooling and concatenation let a positive factor through. So the first convolution's weights and every
    bias before `last` are multiplied by a power of two, and the weights of `last` divided by it: no logit
    changes, and no bit of rounding. (Learning rates and loss weights made for one network then fit others.)
    """
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
