"""npgrad: convolutional networks in NumPy with a hand-written backward pass, and the images their gradients make.

>>> import numpy as np, npgrad
>>> model = npgrad.load()                            # the bundled network; or npgrad.load("squeezenet.h5")
>>> x = np.zeros((1, 3, 64, 64), np.float32)         # or model.preprocess("cat.jpg")
>>> tape = model.forward(x)                          # one forward pass, recorded
>>> dy = np.zeros_like(tape.output)                  # the upstream gradient: d loss / d logits
>>> dy[0, 3] = 1                                     # here the loss is the score of class 3
>>> dx = tape.backward(dy)["input"]                  # d loss / d x
>>> dx.shape
(1, 3, 64, 64)
"""

import importlib
from typing import TYPE_CHECKING, Any

from npgrad import _interrupted  # noqa: F401  before what takes long to import
from npgrad._certificates import Certificate, certify
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
from npgrad.images.preprocessing import Preprocessing
from npgrad.io.loading import load
from npgrad.model import Model
from npgrad.tape import Record, Tape

if TYPE_CHECKING:
    from npgrad import (
        attribution,
        config,
        course,
        display,
        evaluation,
        images,
        layers,
        losses,
        models,
        optim,
        rules,
        scenes,
        synthesis,
        targets,
        testing,
        training,
    )
    from npgrad._compare import Comparison, compare
    from npgrad.attribution.explain import explain
    from npgrad.pages.explore import explore
    from npgrad.pages.report import report

__version__ = "0.1.0"

__all__ = [
    "Certificate",
    "Comparison",
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
    "certify",
    "check_layers",
    "compare",
    "config",
    "course",
    "display",
    "evaluation",
    "explain",
    "explore",
    "gradcheck",
    "images",
    "layers",
    "load",
    "losses",
    "models",
    "optim",
    "report",
    "rules",
    "scenes",
    "synthesis",
    "targets",
    "testing",
    "training",
]

_MODULES = {  # imported when first used
    "attribution", "course", "display", "evaluation", "losses", "models", "optim", "rules", "scenes", "synthesis",
    "targets", "testing", "training",
}  # fmt: skip
_FUNCTIONS = {"explain": "attribution.explain", "explore": "pages.explore", "report": "pages.report"}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"npgrad.{name}")
    if name in ("compare", "Comparison"):
        return getattr(importlib.import_module("npgrad._compare"), name)
    if name in _FUNCTIONS:
        return getattr(importlib.import_module(f"npgrad.{_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'npgrad' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
