"""npgrad: convolutional networks whose backward pass is written by hand, and the pictures their gradients make.

    import npgrad
    model = npgrad.load("squeezenet.h5")
    x = model.preprocess("cat.jpg")              # (1, 3, 224, 224)
    tape = model.forward(x)                      # one pass, kept
    seed = ...                                   # d loss / d logits
    dx = tape.backward(seed)["input"]            # d loss / d x
"""

import importlib

from npgrad.errors import (
    DownloadError,
    ImageError,
    InputError,
    NpgradError,
    TargetError,
    UnknownName,
    WeightsError,
)
from npgrad.model import Model
from npgrad.tape import Record, Tape

__version__ = "0.1.0"

__all__ = [
    "DownloadError",
    "ImageError",
    "InputError",
    "Model",
    "NpgradError",
    "Record",
    "Tape",
    "TargetError",
    "UnknownName",
    "WeightsError",
]
