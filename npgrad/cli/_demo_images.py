"""The demo's images. Each maker saves its own into the folder, and returns the Section that the page shows."""

import itertools
import shlex
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.cli import _methods as methods
from npgrad.cli import _synthesis as making
from npgrad.cli._demo_page import Section
from npgrad.cli.style import SMOOTHER
from npgrad.images import save_image
from npgrad.images.heat_maps import heat_map
from npgrad.images.sheets import contact_sheet
from npgrad.scenes import CLASSES, scene

SHOWN = (
    "saliency", "input_x_gradient", "guided_backprop", "integrated_gradients", "deep_lift", "lrp",
    "occlusion", "grad_cam", "hires_cam", "layer_cam", "guided_grad_cam",
)  # fmt: skip
SEED = 4  # of the scenes: none was trained, validated or scored on
TARTAN = CLASSES.index("tartan")  # of many colors: with fewer, the result is one even ground
STYLE = "style-scene.png"
STEPS = {"fooling": 20, "classes": 64, "style": 150, "inversion": 200}  # together well under a minute
EPSILON = 8  # of 255: the most that fooling may change a value
LAYERS = ("fire2", "fire3", "fire9")


class Subject:
    """What the images are made of: x, its pixels `tile`, and for the style transfer a drawn `style`."""

    def __init__(self, args):
        self.seed, self.weights = args.seed, args.weights
        scenes = (scene(i, SEED) for i in itertools.count(1000 * args.seed))
        self.style = next(_close_up(image, mask) for image, label, mask in scenes if label == TARTAN)

    def command(self, *words):
        """The line for a shell that does the like."""
        weights = ("--weights", self.weights) if self.weights else ()
        return shlex.join(("npgrad", *words, *weights))


class Scenes(Subject):
    """Eight drawn scenes of different classes. The largest object that is named correctly is looked at more closely."""

    content = 4  # times the preset's weight: a drawn thing has less to be known by than a photo

    introduction = (
        "A small SqueezeNet, trained by this library's own backward pass, names drawn scenes; and image gradients show "
        "what it looks at, how it is fooled, and what it remembers. Nothing was downloaded."
    )

    def __init__(self, model, args):
        from npgrad.evaluation import held_out

        held_out(model, 1)  # a network of other classes is refused here
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
        """The scenes that the page's commands begin with."""
        save_image(self.tile, folder / self.file)
        save_image(self.style, folder / STYLE)
        self.file = shown(folder / self.file)


class Photo(Subject):
    """The user's photo, as the network sees it."""

    content = 1

    introduction = (
        "What a network sees on this photo, how it is fooled, and what it remembers: images that image gradients "
        "make, each computed by hand-written backprop."
    )

    def __init__(self, model, args):
        super().__init__(args)
        self.x = model.preprocess(args.photo)
        self.tile = model.deprocess(self.x)[0]
        self.title, self.file = Path(args.photo).name, args.photo
        self.images = self.mask = None

    def save(self, folder):
        """The scene that the page's commands use."""
        save_image(self.style, folder / STYLE)


def named(model, subject, folder):
    """what the network sees"""
    if subject.images is None:
        save_image(_twice(subject.tile), folder / "photo.png")
        bars = tuple((name, p) for _, name, p in model.predict(subject.x)[0])
        text = ("The middle of the photo, which is what the network looks at, and the likeliest classes.",)
        command = subject.command("classify", subject.file)
        return Section("photo.png", "What the network sees", text, subject.title, command, bars)
    seen = [classes[0] for classes in model.predict(subject.images, top=1)]
    right = sum(index == label for (index, _, _), label in zip(seen, subject.labels, strict=True))
    labels = [
        f"{name}, {p:.0%}" if index == label else f"{name}, {p:.0%} (in truth {truth})"
        for (index, name, p), label, truth in zip(seen, subject.labels, subject.names, strict=True)
    ]
    save_image(contact_sheet(subject.images, labels, columns=4), folder / "scenes.png")
    text = (
        f"Scenes that the network has never seen, with the likeliest class of each and its probability; {right} of "
        f"{len(labels)} are right. Half of the classes are shapes, half are surfaces on shapes of no class.",
    )
    alt = "Drawn scenes: " + ", ".join(subject.names)
    return Section(
        "scenes.png", "What the network sees", text, alt, subject.command("classify", subject.file)
    )


def explained(model, subject, folder):
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
        f"Which pixels speak for {model.class_name(target)}? Each method answers in its own way: gradients pixel by "
        "pixel, class activation maps region by region. What glows matters; with lrp, red speaks for the class, and "
        "blue against it.",
    )
    if subject.mask is not None:
        text += (
            "As the scene is drawn, the true place of the object is known: npgrad score counts who finds it.",
        )
    command = subject.command("attribute", subject.file, "--method", "all")
    return Section("methods.png", "Where it looks", text, "Attributions of one image", command)


def fooled(model, subject, folder):
    """how it is fooled"""
    from npgrad.synthesis import pgd

    x, before = subject.x, _target(model, subject)
    rank = min(max(5, model.num_classes // 20), model.num_classes - 1)  # no near relative of the first
    target = int(np.argsort(-model(x)[0], kind="stable")[rank])
    result = pgd(
        model, x, target, targeted=True, epsilon=EPSILON / 255, steps=STEPS["fooling"], rng=subject.seed
    )
    tiles, factor = making.before_and_after(model, x, result.image)
    names = model.class_name(before), model.class_name(result.after)
    labels = [f"{names[0]}, {_probability(model, x, before):.0%}", f"the change, {factor} times as strong"]
    labels.append(f"{names[1]}, {_probability(model, result.image, result.after):.0%}")
    save_image(contact_sheet(list(map(_twice, tiles)), labels, columns=3), folder / "fooling.png")
    save_image(tiles[2], folder / "fooled.png")
    name = model.class_name(target)
    text = (
        f"A few steps toward {name}, each along the sign of the gradient, and the network sees {names[1]}. No pixel's "
        f"value changed by more than {result.largest_change:.0f} of 255.",
    )
    if not result.reached:
        text = (f"Steps toward {name}, none farther than {EPSILON} of 255: they were not enough here.",)
    command = subject.command("fool", subject.file, "--target", name, "--method", "pgd")
    return Section("fooling.png", "How it is fooled", text, "Before, the change, after", command)


def dreamt(model, subject, folder):
    """what it imagines: classes"""
    from npgrad.synthesis import create_class_visualization

    order = np.argsort(-model(subject.x)[0], kind="stable")
    targets = subject.labels[:3] if subject.images else [int(i) for i in order[:3]]
    tiles, labels = [], []
    for target in targets:
        result = create_class_visualization(
            model, target, method="fourier", num_iterations=STEPS["classes"], size=160, rng=subject.seed
        )
        tiles.append(_twice(model.deprocess(result.image)[0]))
        labels.append(f"{model.class_name(target)}, {result.probability:.0%}")
    save_image(contact_sheet(tiles, labels, columns=3), folder / "classes.png")
    text = (
        "Images made from noise, by climbing the score of a class: what the network looks for when it looks for it.",
    )
    command = subject.command("visualize", model.class_name(targets[0]))
    return Section("classes.png", "What it imagines", text, "Class visualizations", command)


def painted(model, subject, folder):
    """an image in the style of another"""
    from npgrad.synthesis import presets, style_transfer

    weights = presets.settings(content_weight=None, tv_weight=None)
    weights["content_weight"] *= subject.content
    weights["tv_weight"] *= SMOOTHER
    sizes = {"image_size": 160, "style_size": 160}
    result = style_transfer(model, subject.tile, subject.style, **sizes, **weights, steps=STEPS["style"])
    made = model.deprocess(result.image)[0]
    tiles = [_resized(image, made.shape) for image in (subject.tile, subject.style)] + [made]
    save_image(
        contact_sheet(list(map(_twice, tiles)), ["content", "style", "result"], columns=3),
        folder / "style.png",
    )
    text = (
        "The result keeps what the content has in a layer of the network, and takes how often features occur together "
        "(the Gram matrices) from the style.",
    )
    command = subject.command("style", subject.file, shown(folder / STYLE))
    return Section("style.png", "In the style of another", text, "Content, style, result", command)


def remembered(model, subject, folder):
    """what its layers remember"""
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
        "From noise, an image is made that has the same activation at a layer. What is missing from it is what the "
        "network has forgotten there: the deeper the layer, the more.",
    )
    command = subject.command("invert", subject.file, "--layer", LAYERS[0])
    return Section("inversion.png", "What its layers remember", text, "Inversions of three layers", command)


MAKERS = (named, explained, fooled, dreamt, painted, remembered)


def _target(model, subject):
    return int(model(subject.x).argmax())


def _probability(model, x, target):
    return next(p for index, _, p in model.predict(x, top=model.num_classes)[0] if index == target)


def _twice(pixels):
    """Every pixel as four: a small image shown larger, and not smoothed."""
    return np.kron(pixels, np.ones((2, 2, 1), np.uint8))


def _close_up(image, mask):
    """The largest square inside the object, as large as the image: a style is a surface, not a thing on a ground."""
    from scipy.ndimage import distance_transform_cdt

    steps = distance_transform_cdt(np.pad(mask, 1), metric="chessboard")[1:-1, 1:-1]
    row, column = np.unravel_index(steps.argmax(), steps.shape)
    half = steps[row, column] - 1  # so many pixels in every direction are still the object's
    cut = image[row - half : row + half + 1, column - half : column + half + 1]
    return _resized(cut, image.shape)


def _resized(pixels, shape):
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize(shape[1::-1], Image.Resampling.BILINEAR))
