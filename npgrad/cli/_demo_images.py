"""The demo's images. Each maker saves its images in the folder and returns the Section of the page."""

import itertools
import shlex
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.cli import _methods as methods
from npgrad.cli import _synthesis as synthesis
from npgrad.cli._common import as_given
from npgrad.cli._demo_page import Section
from npgrad.cli.style import SMOOTHER
from npgrad.images import save_image
from npgrad.images.heat_maps import heat_map
from npgrad.images.seen import middle, upright_size
from npgrad.images.sheets import contact_sheet
from npgrad.scenes import CLASSES, scene

SHOWN = (
    "saliency", "input_x_gradient", "guided_backprop", "integrated_gradients", "deep_lift", "lrp",
    "occlusion", "grad_cam", "hires_cam", "layer_cam", "guided_grad_cam",
)  # fmt: skip
SEED = 4  # of the scenes; training, validation and scoring use other seeds
TARTAN = CLASSES.index("tartan")  # the only surface with many colors; others give a uniform result
STYLE = "style-scene.png"
STEPS = {"fooling": 20, "classes": 96, "style": 220, "inversion": 200}  # well under a minute in total
FILES = (
    "scene.png", STYLE, "photo.png", "scenes.png", "methods.png", "fooling.png", "fooled.png", "classes.png",
    "style.png", "inversion.png", "index.html",
)  # fmt: skip
EPSILON = 8  # of 255: the largest change of a pixel value in the fooling image
LAYERS = ("fire2", "fire3", "fire9")


class Subject:
    """The images' input: x, its pixels `tile`, and a drawn `style` for the style transfer."""

    def __init__(self, args):
        self.seed, self.weights = args.seed, args.weights
        scenes = (scene(i, SEED) for i in itertools.count(1000 * args.seed))
        self.style = next(_close_up(image, mask) for image, label, mask in scenes if label == TARTAN)

    def command(self, *words):
        """The shell command that makes a similar image."""
        weights = ("--weights", self.weights) if self.weights else ()
        return shlex.join(("npgrad", *words, *weights))


class Scenes(Subject):
    """Eight drawn scenes of different classes; the correctly classified one with the largest object is the input."""

    class_size = 112  # of class visualizations, in px: one object fills it, instead of parts of several
    smoother = 300  # times the preset's weight of the total variation: drawn scenes are smoother than photos

    introduction = (
        "A small SqueezeNet, trained with this library's own backward pass, classifies drawn scenes. Image gradients "
        "show where it looks, how it is fooled, and what its layers keep. Nothing was downloaded."
    )

    def __init__(self, model, args):
        from npgrad.evaluation import held_out

        held_out(model, 1)  # an error for a network of other classes
        super().__init__(args)
        number, found = 1000 * args.seed, {}
        while len(found) < 8:
            image, label, mask = scene(number, SEED)
            found.setdefault(label, (image, mask))
            number += 1
        self.labels, self.images = list(found), [image for image, _ in found.values()]
        self.names = [CLASSES[label] for label in self.labels]
        self.x = model.preprocess(self.images, resize=False)
        right = np.flatnonzero(model(self.x).argmax(axis=1) == self.labels)
        sizes = np.array([mask.sum() for _, mask in found.values()])
        main = int(right[sizes[right].argmax()]) if len(right) else int(sizes.argmax())
        self.tile, (_, self.mask) = self.images[main], found[self.labels[main]]
        self.x = self.x[main : main + 1]
        self.title, self.file = f"a drawn scene ({self.names[main]})", "scene.png"

    def save(self, folder):
        """Write the scenes that the page's commands read."""
        save_image(self.tile, folder / self.file)
        save_image(self.style, folder / STYLE)
        self.file = shown(folder / self.file)


class Photo(Subject):
    """The user's photo, preprocessed."""

    class_size, smoother = 160, SMOOTHER

    introduction = (
        "What a network sees in this photo, how it is fooled, and what its layers keep: images made from image "
        "gradients, each computed by hand-written backpropagation."
    )

    def __init__(self, model, args):
        super().__init__(args)
        self.x = model.preprocess(args.photo)
        self.tile = model.deprocess(self.x)[0]
        self.seen = middle(model.preprocessing, upright_size(args.photo))
        self.title, self.file = shown(Path(args.photo).name), as_given(args.photo)
        self.images = self.mask = None

    def save(self, folder):
        """Write the scene that the page's commands read."""
        save_image(self.style, folder / STYLE)


def classification(model, subject, folder):
    """what the network sees: classes"""
    if subject.images is None:
        save_image(_twice(subject.tile), folder / "photo.png")
        bars = tuple((name, p) for _, name, p in model.predict(subject.x)[0])
        part = subject.seen or "the photo"
        text = (f"What the network sees, {part}, and the most likely classes.",)
        command = subject.command("classify", subject.file)
        return Section("photo.png", "What the network sees", text, subject.title, command, bars)
    seen = [classes[0] for classes in model.predict(subject.images, top=1)]
    right = sum(index == label for (index, _, _), label in zip(seen, subject.labels, strict=True))
    labels = [
        f"{name}, {p:.0%}" if index == label else f"{name}, {p:.0%} (true class: {truth})"
        for (index, name, p), label, truth in zip(seen, subject.labels, subject.names, strict=True)
    ]
    save_image(contact_sheet(subject.images, labels, columns=4), folder / "scenes.png")
    text = (
        f"Scenes that the network was not trained on, with the most likely class of each and its probability; {right} "
        f"of {len(labels)} are right. Half of the classes are shapes; half are surfaces, on shapes of no class.",
    )
    alt = "Drawn scenes: " + ", ".join(subject.names)
    return Section(
        "scenes.png", "What the network sees", text, alt, subject.command("classify", subject.file)
    )


def attributions(model, subject, folder):
    """where it looks: attributions"""
    x, target = subject.x, _target(model, subject)
    tiles, labels = [subject.tile], [f"{model.class_name(target)}, {_probability(model, x, target):.0%}"]
    for name in SHOWN:
        options = methods.defaults(name, model, x)
        attribution = methods.function_of(name)(model, x, target, **options)[0]
        tiles.append(np.asarray(heat_map(attribution, subject.tile, sign=methods.METHODS[name].sign)))
        labels.append(name)
    save_image(contact_sheet(tiles, labels, columns=4), folder / "methods.png")
    text = (
        f"Which pixels are evidence for {model.class_name(target)}? Gradients answer pixel by pixel, class activation "
        "maps region by region. Bright pixels matter; in lrp, red supports the class and blue contradicts it.",
    )
    if subject.mask is not None:
        text += (
            "The scene is drawn, so the pixels of the object are known: npgrad score measures which methods find them.",
        )
    command = subject.command("attribute", subject.file, "--method", "all")
    return Section("methods.png", "Where it looks", text, "Attributions of one image", command)


def fooling_image(model, subject, folder):
    """how it is fooled"""
    from npgrad.synthesis import pgd

    x, before = subject.x, _target(model, subject)
    rank = min(max(5, model.num_classes // 20), model.num_classes - 1)  # not one that resembles the first
    target = model.predict(x, top=rank + 1)[0][rank][0]
    result = pgd(
        model, x, target, targeted=True, epsilon=EPSILON / 255, steps=STEPS["fooling"], rng=subject.seed
    )
    tiles, factor = synthesis.before_and_after(model, x, result.image)
    names = model.class_name(before), model.class_name(result.after)
    labels = [f"{names[0]}, {_probability(model, x, before):.0%}", f"the change, magnified {factor} times"]
    labels.append(f"{names[1]}, {_probability(model, result.image, result.after):.0%}")
    save_image(contact_sheet(list(map(_twice, tiles)), labels, columns=3), folder / "fooling.png")
    save_image(tiles[2], folder / "fooled.png")
    name = model.class_name(target)
    text = (
        f"After a few steps toward {name}, each along the sign of the gradient, the network sees {names[1]}. No pixel "
        f"value changed by more than {result.largest_change:.0f} of 255.",
    )
    if not result.reached:
        text = (f"Steps toward {name}, within {EPSILON} of 255: they were not enough for this image.",)
    command = subject.command("fool", subject.file, "--target", name, "--method", "pgd")
    return Section("fooling.png", "How it is fooled", text, "Before, the change, after", command)


def class_images(model, subject, folder):
    """what it imagines: images of classes"""
    from npgrad.synthesis import create_class_visualization

    likely = [index for index, _, _ in model.predict(subject.x, top=3)[0]]
    targets = subject.labels[:3] if subject.images else likely
    tiles, labels = [], []
    for target in targets:
        result = create_class_visualization(
            model, target, method="fourier", num_iterations=STEPS["classes"],
            size=subject.class_size, rng=subject.seed,
        )  # fmt: skip
        tiles.append(_twice(model.deprocess(result.image)[0]))
        labels.append(f"{model.class_name(target)}, {result.probability:.0%}")
    save_image(contact_sheet(tiles, labels, columns=3), folder / "classes.png")
    text = (
        "Images made from noise by gradient ascent on the score of a class, against those of the other classes: what "
        "the class responds to most.",
    )
    size = str(subject.class_size)
    command = subject.command("visualize", model.class_name(targets[0]), "--size", size)
    return Section("classes.png", "What it imagines", text, "Class visualizations", command)


def style_image(model, subject, folder):
    """an image in the style of another"""
    from npgrad.synthesis import presets, style_transfer

    weights = presets.settings(content_weight=None, tv_weight=None)
    weights["tv_weight"] *= subject.smoother
    sizes = {"image_size": 160, "style_size": 160}
    result = style_transfer(model, subject.tile, subject.style, **sizes, **weights, steps=STEPS["style"])
    made = model.deprocess(result.image)[0]
    tiles = [_resized(image, made.shape) for image in (subject.tile, subject.style)] + [made]
    save_image(
        contact_sheet(list(map(_twice, tiles)), ["content", "style", "result"], columns=3),
        folder / "style.png",
    )
    text = (
        "The result has the content image's activation in one layer of the network, and the style image's Gram "
        "matrices (how often features occur together) in several.",
    )
    command = subject.command("style", subject.file, shown(folder / STYLE))
    return Section("style.png", "In the style of another", text, "Content, style, result", command)


def inversions(model, subject, folder):
    """what its layers keep: inversions"""
    from npgrad.synthesis import invert_features

    small = _resized(subject.tile, (128, 128))
    x = model.preprocess([small], resize=False)
    tiles, labels = [small], ["the image"]
    for layer in LAYERS:
        result = invert_features(model, x, layer, steps=STEPS["inversion"], rng=subject.seed)
        tiles.append(model.deprocess(result.image)[0])
        labels.append(f"from {layer}")
    save_image(contact_sheet(list(map(_twice, tiles)), labels, columns=4), folder / "inversion.png")
    text = (
        "Images made from noise so that they have the same activation at a layer. What they lack, the network has "
        "discarded by then; the deeper the layer, the more.",
    )
    command = subject.command("invert", subject.file, "--layer", LAYERS[0])
    return Section("inversion.png", "What its layers keep", text, "Inversions of three layers", command)


MAKERS = (classification, attributions, fooling_image, class_images, style_image, inversions)

# The work of each part in forward and backward passes of the network: its processor time divided by a pass's.
PASSES = {
    "classification": 6, "attributions": 106, "fooling_image": 11, "class_images": 229, "style_image": 134,
    "inversions": 156,
}  # fmt: skip


def _target(model, subject):
    return model.predict(subject.x, top=1)[0][0][0]


def _probability(model, x, target):
    return next(p for index, _, p in model.predict(x, top=model.num_classes)[0] if index == target)


def _twice(pixels):
    """The image at twice the size, each pixel as 2x2."""
    return np.kron(pixels, np.ones((2, 2, 1), np.uint8))


def _close_up(image, mask):
    """The largest square inside the object, enlarged to the image's size, so that the style has no background."""
    from scipy.ndimage import distance_transform_cdt

    steps = distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    row, column = np.unravel_index(steps.argmax(), steps.shape)
    half = steps[row, column] - 1  # this many pixels in every direction belong to the object
    cut = image[row - half : row + half + 1, column - half : column + half + 1]
    return _resized(cut, image.shape)


def _resized(pixels, shape):
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(shape[1::-1], Image.Resampling.BILINEAR))
