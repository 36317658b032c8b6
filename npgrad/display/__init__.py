"""How results show themselves: as images, in a notebook, and with the colors of other libraries.

In a notebook, a `Model`, a `Tape`, a `GradientCheck` and what `npgrad.explain` returns show themselves. Neither
matplotlib nor a display is needed. Those who use matplotlib get plain arrays:

>>> import npgrad
>>> npgrad.display.colormap("inferno").shape       # for matplotlib.colors.ListedColormap
(256, 3)
"""

import importlib
from typing import TYPE_CHECKING, Any

from npgrad.display.tables import check_html, model_html, tape_html

if TYPE_CHECKING:
    from npgrad.attribution.explain import explain
    from npgrad.attribution.explanation import Explanation
    from npgrad.images.captions import Legend, captioned
    from npgrad.images.colormaps import colormap
    from npgrad.images.heat_maps import heat_map

__all__ = [
    "Explanation",
    "Legend",
    "captioned",
    "check_html",
    "colormap",
    "explain",
    "heat_map",
    "model_html",
    "tape_html",
]

_MODULES = {  # imported when first used
    "captioned": "images.captions", "colormap": "images.colormaps", "explain": "attribution.explain",
    "Explanation": "attribution.explanation", "heat_map": "images.heat_maps", "Legend": "images.captions",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"npgrad.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'npgrad.display' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
