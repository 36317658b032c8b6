"""A student's maps beside the right ones, on drawn scenes with the bundled network."""

from functools import cache

import numpy as np
from PIL import Image

from npgrad.course.grading._answer import Wrong

SIDE = 160  # pixels of a map on the page
SCENES, SEED = 2, 8
METHODS = ("LayerGradCam", "LayerConductance")


class Maps:
    """Collects {question: [(title, the student's image or None, the right image)]} as `found`."""

    def __init__(self):
        self.found = {}

    def __call__(self, question, answers):
        rows = []
        for name, answer in answers.items():
            for title, arguments, tiles in _shown().get(name, ()):
                right = tiles(_right(name, title))
                try:
                    yours = tiles(answer(arguments))
                except (Wrong, ValueError, TypeError, IndexError):
                    yours = None
                rows.append((title, yours, right))
        if rows:
            self.found[question] = rows


@cache
def _examples():
    """(model, scenes as uint8, X, y)."""
    from npgrad.course import preprocess
    from npgrad.io.loading import load
    from npgrad.scenes import scene

    drawn = [scene(number, seed=SEED) for number in range(SCENES)]
    images, y = np.stack([image for image, _, _ in drawn]), np.array([label for _, label, _ in drawn])
    return load(), images, np.concatenate([preprocess(image) for image in images]), y


@cache
def _shown():
    """{function: [(title, arguments, a function from its value to tiles)]}."""
    model, images, X, y = _examples()
    batch = {"X": X, "y": y, "model": model}

    def maps(sign, first=lambda values: values):
        from npgrad.images import heat_map

        def tiles(values):
            values = first(np.asarray(values, np.float64))
            if values.shape[0] != len(images) or values.shape[-2:] != images.shape[1:3]:
                raise ValueError
            return [heat_map(one, image, sign=sign) for one, image in zip(values, images, strict=True)]

        return tiles

    def channels_first(values):
        return values.transpose(0, 3, 1, 2)

    def fooled(values):
        from npgrad.course import deprocess

        if np.shape(values) != X[:1].shape:
            raise ValueError
        change = np.asarray(deprocess(values, False)).astype(float) - np.asarray(deprocess(X[:1], False))
        return [np.asarray(deprocess(values, False)), np.clip(128 + 10 * change, 0, 255).astype(np.uint8)]

    target = int(np.argsort(model(X[:1])[0])[-2])
    return {
        "compute_saliency_maps": [("saliency", batch, maps("absolute"))],
        "guided_backprop": [("guided backprop", batch, maps("absolute", channels_first))],
        "grad_cam": [("Grad-CAM", batch, maps("positive"))],
        "guided_grad_cam": [("guided Grad-CAM", batch, maps("absolute", channels_first))],
        "compute_attributions": [(name, {"method": name, **batch}, maps("signed")) for name in METHODS],
        "make_fooling_image": [
            (
                f"fooled to see a {model.class_name(target)}, and the change times 10",
                {"X": X[:1], "target_y": target, "model": model},
                fooled,
            )
        ],
    }


@cache
def _right(name, title):
    from npgrad import course

    arguments = next(each for shown, each, _ in _shown()[name] if shown == title)
    return getattr(course, name)(**arguments)


def strip(tiles):
    """Tiles as one image, side by side."""
    small = [Image.fromarray(np.asarray(tile)).resize((SIDE, SIDE)) for tile in tiles]
    image = Image.new("RGB", (SIDE * len(small) + 4 * (len(small) - 1), SIDE), "white")
    for i, tile in enumerate(small):
        image.paste(tile, (i * (SIDE + 4), 0))
    return image
