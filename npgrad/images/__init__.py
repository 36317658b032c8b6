"""Image files to arrays and back, preprocessing, heat maps, contact sheets and animations."""

from npgrad.images.animation import Animation
from npgrad.images.heat_maps import color, heat_map, normalize, to_map
from npgrad.images.preprocessing import Preprocessing
from npgrad.images.reading import open_image
from npgrad.images.resize import resize_map
from npgrad.images.saving import save_image
from npgrad.images.sheets import contact_sheet

__all__ = [
    "Animation",
    "Preprocessing",
    "color",
    "contact_sheet",
    "heat_map",
    "normalize",
    "open_image",
    "resize_map",
    "save_image",
    "to_map",
]
