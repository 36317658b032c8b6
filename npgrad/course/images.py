"""The course's images: what goes into the network, and back; and its 25 labeled photos."""

from pathlib import Path

import numpy as np

from npgrad.errors import InputError

SQUEEZENET_MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
SQUEEZENET_STD = np.array([0.229, 0.224, 0.225], dtype=np.float32)

IMAGENET_VAL_URL = "http://cs231n.stanford.edu/imagenet_val_25.npz"


def preprocess(img, size=224):
    """A PIL image (or path, or uint8 array) to (1, 3, H, W) float32: resized, scaled to 0..1, normalized.

    The shorter side becomes `size` px (bilinear), the longer one what keeps the proportions, cut off to a
    whole number; nothing is cropped.
    """
    from PIL import Image

    from npgrad.images import open_image

    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise InputError(f"size: expected a whole number of pixels >= 1, found {size!r}")
    image = open_image(img)
    shorter = min(image.size)
    image = image.resize([int(size * side / shorter) for side in image.size], Image.Resampling.BILINEAR)
    pixels = np.asarray(image, np.float32) / 255
    return ((pixels - SQUEEZENET_MEAN) / SQUEEZENET_STD)[None].transpose(0, 3, 1, 2)


def deprocess(x, should_rescale=True):
    """The inverse of `preprocess` for x (1, 3, H, W): a PIL image.

    should_rescale: bring the smallest value of the image to black and the largest to white. Values become
    bytes by truncation; without rescaling those outside 0..1 are clipped.
    """
    from PIL import Image

    x = np.asarray(x)
    if x.ndim != 4 or x.shape[:2] != (1, 3):
        raise InputError(f"deprocess: expected one image (1, 3, H, W), found shape {x.shape}")
    pixels = x[0].transpose(1, 2, 0) * SQUEEZENET_STD + SQUEEZENET_MEAN
    if should_rescale:
        low, high = pixels.min(), pixels.max()
        pixels = (pixels - low) / (high - low if high > low else 1)
    return Image.fromarray((np.clip(pixels, 0, 1) * 255).astype(np.uint8))


def load_imagenet_val(num=None, path=None):
    """The course's 25 labeled photos: X uint8 (N, 224, 224, 3), y (N,), and class names {index: names}.

    num: only the first so many. path: the file imagenet_val_25.npz; by default it is looked for in this
    folder, in its subfolder `datasets`, and where `npgrad weights get imagenet_val_25` puts it.
    """
    from npgrad.io import known_weights as fetch
    from npgrad.io.formats.npz import read_imagenet_val

    name = "imagenet_val_25.npz"
    places = [Path(path)] if path else [Path(name), Path("datasets") / name, fetch.find("imagenet_val_25")]
    found = next((place for place in places if place and place.is_file()), None)
    if found is None:
        raise InputError(
            f"{path or name}: no such file; it comes from {IMAGENET_VAL_URL} "
            "(`npgrad weights get imagenet_val_25` fetches it); "
            "any photos do instead: stack what `preprocess` gives, and take y from model.class_index"
        )
    X, y, class_names = read_imagenet_val(found)
    return X[:num], y[:num], class_names
