"""Architectures: functions that return freshly initialized networks, with torchvision's layer names as aliases.

``create(name)`` builds any of them; each also has a function of its own, such as ``resnet18()``.
"""

from collections.abc import Callable

from npgrad.model import Model
from npgrad.models import registry
from npgrad.models.registry import create

__all__ = ["create", *registry.ARCHITECTURES]  # noqa: PLE0604

globals().update({name: registry.constructor(name) for name in registry.ARCHITECTURES})


Constructor = Callable[..., Model]


def __getattr__(name: str) -> Constructor:  # what type checkers go by
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
