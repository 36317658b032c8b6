"""A network reduced to the outputs of given classes."""

import dataclasses

import numpy as np

from npgrad.layers import (
    AvgPool2d,
    Conv2d,
    Dropout,
    GlobalAvgPool2d,
    GlobalMaxPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
)

# these treat each channel independently
PER_CHANNEL = (ReLU, Dropout, MaxPool2d, AvgPool2d, GlobalAvgPool2d, GlobalMaxPool2d)


def narrowed(model, targets):
    """(a model that computes only the scores of these classes, the column of each target's score in its output).

    The last layer with weights keeps only the targets' filters, provided that the layers after it treat each
    channel independently. In a small network with many classes that layer is a large part of the work. Any
    other model is returned unchanged.
    """
    classes, places = np.unique(targets, return_inverse=True)
    layers = model.network.layers if type(model.network) is Sequential else {}
    for name, layer in reversed(layers.items()):
        if type(layer) is Linear or (type(layer) is Conv2d and layer.groups == 1):
            if len(layer.weight) == 1:
                break  # one output may be the score of two classes
            bias = None if layer.bias is None else layer.bias[classes]
            narrow = dataclasses.replace(layer, weight=layer.weight[classes], bias=bias)
            network = Sequential({**layers, name: narrow})
            changes = {
                "classes": None,
                "architecture": None,
                "outputs": "value",
            }  # each column is a score by itself
            return dataclasses.replace(model, network=network, **changes), places
        if type(layer) not in PER_CHANNEL:
            break
    return model, np.asarray(targets)
