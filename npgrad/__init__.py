"""npgrad: convolutional networks whose backward pass is written by hand, and the images their gradients make.

import npgrad
model = npgrad.load("squeezenet.h5")
x = model.preprocess("cat.jpg")              # (1, 3, 224, 224)
tape = model.forward(x)                      # one pass, recorded
dy = ...                                     # d loss / d logits
dx = tape.backward(dy)["input"]              # d loss / d x
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
from npgrad.gradcheck import GradientCheck, check_layers, gradcheck
from npgrad.images import Preprocessing
from npgrad.io.loading import load
from npgrad.model import Model
from npgrad.tape import Record, Tape

__version__ = "0.1.0"

__all__ = [
    "DownloadError",
    "GradientCheck",
    "ImageError",
    "InputError",
    "Model",
    "NpgradError",
    "Preprocessing",
    "Record",
    "Tape",
    "TargetError",
    "UnknownName",
    "WeightsError",
    "attribution",
    "check_layers",
    "config",
    "course",
    "evaluation",
    "gradcheck",
    "images",
    "layers",
    "load",
    "losses",
    "models",
    "optim",
    "rules",
    "scenes",
    "synthesis",
    "training",
]

_MODULES = {  # imported when first used
    "attribution", "course", "evaluation", "losses", "models", "optim", "rules", "scenes", "synthesis",
    "training",
}  # fmt: skip


def __getattr__(name):
    if name in _MODULES:
        return importlib.import_module(f"npgrad.{name}")
    raise AttributeError(f"module 'npgrad' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
