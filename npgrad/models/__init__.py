"""Networks put together from layers."""

from npgrad.models.squeezenet import squeezenet1_0, squeezenet1_1

__all__ = ["squeezenet1_0", "squeezenet1_1"]
