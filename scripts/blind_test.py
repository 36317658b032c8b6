"""A blind test of class visualizations: does another network, which has never seen one, name the shape in them?

    python scripts/blind_test.py                       train a namer, about 25 minutes of one core, and ask it
    python scripts/blind_test.py old.h5 weights/scenes.h5 --namer namer.npz

The namer is a small network with its own architecture and seed. It sees gray images only, and is trained on drawings of
the thirteen shapes of `npgrad.scenes` in which the outline is all that matters: filled or as a line, on noise, bent,
with gaps, in any contrast, one or several copies. Every fourth image is a scene. It is never trained on visualizations.
The output is Markdown.
"""

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import npgrad
from npgrad import training
from npgrad.layers import BatchNorm2d, Conv2d, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Residual, Sequential
from npgrad.model import Model
from npgrad.optim import Adam, cosine
from npgrad.scenes import CLASSES, scene
from npgrad.scenes._noise import fractal
from npgrad.scenes._shapes import SHAPES
from npgrad.synthesis import create_class_visualization

SEED, SIZE, BATCH, STEPS = 11, 64, 64, 4200
NAMES = CLASSES[: len(SHAPES)]
LEAN = {"heart": 0.6, "lightning": 0.5}  # the largest rotation (radians), as in scenes; others: any


def drawing(rng, label):
    """One or several copies of a shape, gray (SIZE, SIZE) with mean 0 and standard deviation 1."""
    at = ((np.arange(SIZE) + 0.5) / SIZE).astype(np.float32)
    bend = rng.choice([0.0, 0.015, 0.03])
    right = at[None] + bend * fractal(rng, SIZE, (3, 6))
    down = at[:, None] + bend * fractal(rng, SIZE, (3, 6))
    copies, d = int(rng.choice([1, 1, 1, 2, 3, 5])), np.inf
    for _ in range(copies):
        radius = rng.uniform(0.25, 0.65) if copies == 1 else rng.uniform(0.12, 0.3)
        inset = min(0.75 * radius, 0.4)
        x, y = right - rng.uniform(inset, 1 - inset), down - rng.uniform(inset, 1 - inset)
        lean = LEAN.get(NAMES[label], np.pi)
        angle = rng.uniform(-lean, lean)
        cos, sin = np.cos(angle) / radius, np.sin(angle) / radius
        own = SHAPES[label](rng)(
            (x * cos + y * sin).astype(np.float32), (y * cos - x * sin).astype(np.float32)
        )
        d = np.minimum(d, own * radius)
    soft, line = rng.uniform(0.004, 0.03), rng.uniform(0.01, 0.07) * (1 if copies == 1 else 0.5)
    inside = 1 / (1 + np.exp(np.clip(d / soft, -30, 30)))
    fading = inside * np.exp(np.minimum(d, 0) / rng.uniform(0.02, 0.1))  # brightest at the outline
    edge = np.exp(-np.square(d / line))
    rim = -d / line * edge  # light inside of the outline, dark outside
    weights = rng.standard_normal(4) * (rng.random(4) < 0.6)
    if not weights.any():
        weights[rng.integers(4)] = rng.choice([-1.0, 1.0])
    drawn = sum(w * part for w, part in zip(weights, (inside, fading, edge, rim), strict=True))
    drawn = drawn / (drawn.std() + 1e-6)
    gaps, cells = rng.choice([0.0, 0.5, 1.0, 1.5]), rng.choice([3, 6, 12])
    drawn = drawn * np.clip(1 + gaps * fractal(rng, SIZE, (cells, 2 * cells)), -0.3, 2)
    noise = fractal(rng, SIZE, (2, 4, 8, 16, 32), gain=rng.uniform(0.5, 1.2))
    return _gray(drawn + rng.uniform(0.1, 0.9) * noise, rng)


def _gray(image, rng=None):
    """A gray image with mean 0 and standard deviation 1; with a generator, some noise and blur, and any contrast."""
    if rng is not None:
        from scipy.ndimage import gaussian_filter

        image = image + image.std() * rng.uniform(0, 0.4) * rng.standard_normal(image.shape)
        image = gaussian_filter(image, rng.uniform(0, 1.2)) * rng.choice([-1, 1])
    image = (image - image.mean()) / (image.std() + 1e-6)
    return np.clip(image, -3, 3).astype(np.float32)


def batch(t, seed=SEED, n=BATCH):
    """The drawings of step t: (x (n, 1, SIZE, SIZE), target (n,))."""
    rng = np.random.default_rng([seed, t])
    labels = rng.integers(len(SHAPES), size=n)
    images = [drawing(rng, label) for label in labels]
    for index in range(0, n, 2):  # every second scene has a shape
        image, label, _ = scene(t * n + index, seed, SIZE)
        if label < len(SHAPES):
            images[index], labels[index] = _gray(image.mean(axis=2), rng), label
    return np.stack(images)[:, None], labels


def namer(seed=SEED):
    """A residual network for gray images, of 0.5 million parameters."""
    rng = np.random.default_rng(seed)

    def conv(i, o, k, stride=1):
        return Conv2d.init(i, o, k, stride=stride, padding=k // 2, rng=rng)

    def block(i, o, stride):
        branch = {
            "conv1": conv(i, o, 3, stride), "bn1": BatchNorm2d.init(o), "relu1": ReLU(),
            "conv2": conv(o, o, 3), "bn2": BatchNorm2d.init(o),
        }  # fmt: skip
        shortcut = {"shortcut": conv(i, o, 1, stride), "shortcut_bn": BatchNorm2d.init(o)}
        return Residual(branch, shortcut if stride > 1 or i != o else {})

    layers = {
        "conv1": conv(1, 24, 5, 2), "bn1": BatchNorm2d.init(24), "relu1": ReLU(), "pool1": MaxPool2d(2, 2),
        "block1": block(24, 48, 1), "block2": block(48, 96, 2), "block3": block(96, 128, 2),
        "pool": GlobalAvgPool2d(), "fc": Linear.init(128, len(SHAPES), rng=rng),
    }  # fmt: skip
    return Model(Sequential(layers), classes=NAMES)


def trained(path, steps=STEPS):
    """The namer, trained, or read from a checkpoint."""
    from tqdm import tqdm

    with tqdm(total=steps, unit="step", mininterval=10) as bar, training.Ahead(batch, count=steps) as batches:

        def show(step, seen):
            bar.update(step - bar.n)
            bar.set_postfix_str(f"loss {seen['loss']:.3f}, accuracy {seen['accuracy']:.1%}", refresh=False)

        optimizer = Adam(cosine(2e-3, steps, warmup=50), weight_decay=1e-2, decoupled=True)
        return training.train(
            namer(), batches, steps, optimizer, rng=SEED, callback=show, checkpoint=path
        ).model


def asked(judge, model, seeds, size, progress):
    """What the namer calls each class visualization: an array (seeds, shapes) of indices."""
    from PIL import Image

    answers = np.empty((seeds, len(SHAPES)), int)
    for seed in range(seeds):
        for label in range(len(SHAPES)):
            made = create_class_visualization(model, label, method="fourier", size=size, rng=seed)
            gray = Image.fromarray(model.deprocess(made.image)[0]).resize((SIZE, SIZE)).convert("L")
            answers[seed, label] = judge(_gray(np.asarray(gray, np.float32))[None, None]).argmax()
            progress.update()
    return answers


def report(judge, networks, seeds, size):
    """A table of the classes, with the namer's answers, and of the held-out drawings and scenes."""
    from tqdm import tqdm

    found = {}
    with tqdm(total=len(networks) * seeds * len(SHAPES), unit="image", mininterval=10) as progress:
        for name, model in networks.items():
            found[name] = asked(judge, model, seeds, size, progress)
    lines = ["| class | " + " | ".join(found) + " |", "|---|" + "---|" * len(found)]
    for label, name in enumerate(NAMES):
        cells = [_spelled(answers[:, label], label) for answers in found.values()]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    truth = np.arange(len(SHAPES))
    totals = [f"**{(answers == truth).sum()} of {answers.size}**" for answers in found.values()]
    lines.append("| **right** | " + " | ".join(totals) + " |")
    return "\n".join(lines)


def _spelled(answers, label):
    wrong = [NAMES[answer] for answer in answers if answer != label]
    return f"{len(answers) - len(wrong)} of {len(answers)}" + (f" ({', '.join(wrong)})" if wrong else "")


def held_out(judge, seed=SEED + 1, batches=10):
    """The namer's accuracy on new drawings and on new scenes."""
    drawn = np.mean(
        [(judge(x).argmax(axis=1) == y).mean() for x, y in (batch(t, seed) for t in range(batches))]
    )
    shown = [scene(i, seed, SIZE)[:2] for i in range(40 * batches)]
    shown = [(image, label) for image, label in shown if label < len(SHAPES)]
    x = np.stack([_gray(image.mean(axis=2)) for image, _ in shown])[:, None]
    return drawn, np.mean(judge(x).argmax(axis=1) == [label for _, label in shown])


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="*", help="weights files; default: the bundled network")
    parser.add_argument(
        "--namer", metavar="FILE", help="checkpoint of the namer: read if it exists, or written"
    )
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="images per class (default 3)")
    parser.add_argument(
        "--size", type=int, default=112, metavar="PX", help="size of the images (default 112)"
    )
    args = parser.parse_args()
    try:
        networks = {Path(path).name: npgrad.load(path) for path in args.weights}
        networks = networks or {"bundled": npgrad.load()}
        judge = trained(args.namer)
        print(
            "The namer is right for {:.1%} of new drawings and {:.1%} of new scenes.\n".format(
                *held_out(judge)
            )
        )
        print(report(judge, networks, args.seeds, args.size))
    except npgrad.NpgradError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
