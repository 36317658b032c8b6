"""Compare a network with what was recorded of it in another framework, and name the first layer that differs."""

from npgrad._compare.comparing import compare
from npgrad._compare.results import ComparedLayer, Comparison

__all__ = ["ComparedLayer", "Comparison", "compare"]
