"""Image files to arrays and back, preprocessing, heat maps, contact sheets and animations."""

import importlib
from typing import TYPE_CHECKING, Any

from npgrad.images.preprocessing import Preprocessing
from npgrad.images.reading import open_image

if TYPE_CHECKING:
    from npgrad.images.animation import Animation
    from npgrad.images.captions import Legend, captioned
    from npgrad.images.colormaps import color, colormap
    from npgrad.images.heat_maps import heat_map, limit_of, normalize, to_map
    from npgrad.images.resize import resize_map
    from npgrad.images.saving import save_image
    from npgrad.images.sheets import contact_sheet

__all__ = [
    "Animation",
    "Legend",
    "Preprocessing",
    "captioned",
    "color",
    "colormap",
    "contact_sheet",
    "heat_map",
    "limit_of",
    "normalize",
    "open_image",
    "resize_map",
    "save_image",
    "to_map",
]

_MODULES = {  # imported when first used
    "Animation": "animation", "captioned": "captions", "color": "colormaps", "colormap": "colormaps",
    "contact_sheet": "sheets", "heat_map": "heat_maps", "Legend": "captions", "limit_of": "heat_maps",
    "normalize": "heat_maps", "resize_map": "resize", "save_image": "saving", "to_map": "heat_maps",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(f"npgrad.images.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'npgrad.images' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
