"""Measure the accuracy of the bundled network, or of another one with the same classes, on new scenes at 224 px.

    python scripts/measure_scenes.py                     the bundled network on 5,000 scenes, about three minutes
    python scripts/measure_scenes.py my.h5 -n 500
    python scripts/measure_scenes.py --robust -n 500     also under noise and attack, about eight minutes
    python scripts/measure_scenes.py --maps -n 100       also where saliency maps lie, about a minute

The scenes use a different seed from training (1) and validation (2). The output is Markdown.
"""

import argparse
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np

import npgrad
from npgrad import attribution, training
from npgrad.evaluation import energy_inside, pointing_game
from npgrad.scenes import CLASSES, scene

BATCH = 20


def batches(model, n, seed, progress):
    """Scenes 0 to n-1 of a seed, as `training.accuracy` takes them."""
    for start in range(0, n, BATCH):
        numbers = range(start, min(start + BATCH, n))
        images, labels, _ = zip(*(scene(i, seed) for i in numbers), strict=True)
        yield training.as_input(np.stack(images), model.preprocessing), np.array(labels)
        progress.update(len(numbers))


def report(found):
    """A table with the accuracy and the most common mistake of each class."""
    confusion = found.confusion
    lines = ["| class | correct | of | most often predicted as |", "|---|---|---|---|"]
    for i, name in enumerate(CLASSES):
        wrong = confusion[i].copy()
        wrong[i] = 0
        worst = f"{CLASSES[wrong.argmax()]} ({wrong.max()})" if wrong.any() else ""
        lines.append(f"| {name} | {found.per_class[i]:.1%} | {confusion[i].sum()} | {worst} |")
    total = confusion.sum()
    lines.append(
        f"| **all** | **{found.overall:.2%}** | {total} | {total - np.trace(confusion)} mistakes in total |"
    )
    return "\n".join(lines)


def noisy(std):
    """A change of images (N, H, W, 3): Gaussian noise, whose standard deviation is a fraction of the range."""

    def change(model, images, labels, rng):
        changed = np.rint(images + 255 * std * rng.standard_normal(images.shape))
        return training.as_input(np.clip(changed, 0, 255).astype(np.uint8), model.preprocessing)

    return change


def attacked(norm, radius):
    """A change of images: twenty steps of projected gradient descent from a random start."""

    def change(model, images, labels, rng):
        x = training.as_input(images, model.preprocessing)
        return training.Attack(norm, radius, steps=20)(model, x, labels, rng)

    return change


CHANGES = {
    "none": noisy(0),
    "noise, 5% of the range": noisy(0.05),
    "noise, 10% of the range": noisy(0.10),
    "PGD-20 within L2 norm 0.5": attacked("l2", 0.5),
    "PGD-20 within L2 norm 1.0": attacked("l2", 1.0),
    "PGD-20 within 2/255 per pixel value": attacked("linf", 2 / 255),
}


def robustness(model, n, seed, progress):
    """A table with the accuracy for changed scenes, the first n of a seed."""
    right = dict.fromkeys(CHANGES, 0)
    for start in range(0, n, BATCH):
        numbers = range(start, min(start + BATCH, n))
        images, labels, _ = zip(*(scene(i, seed) for i in numbers), strict=True)
        images, labels = np.stack(images), np.array(labels)
        for name, change in CHANGES.items():
            x = change(model, images, labels, np.random.default_rng([seed, start]))
            right[name] += (model(x).argmax(axis=1) == labels).sum()
        progress.update(len(numbers))
    lines = ["| change | accuracy |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {count / n:.1%} |" for name, count in right.items()])


def maps(model, n, seed, progress):
    """A table of where saliency and SmoothGrad (25 samples, 15% noise) lie, for the first n scenes of a seed."""
    energy, hits = [], {0: [], 2: [], 15: []}
    for start in range(0, n, BATCH):
        numbers = range(start, min(start + BATCH, n))
        images, labels, masks = map(np.array, zip(*(scene(i, seed) for i in numbers), strict=True))
        x = training.as_input(images, model.preprocessing)
        energy.extend(energy_inside(attribution.saliency(model, x, labels), masks))
        smooth = np.abs(attribution.smoothgrad(model, x, labels, rng=0)).max(axis=1)
        for tolerance, found in hits.items():
            found.extend(pointing_game(smooth, masks, tolerance))
        progress.update(len(numbers))
    lines = [
        "| map | measure | |",
        "|---|---|---|",
        f"| saliency | share on the object | {np.mean(energy):.1%} |",
    ]
    for tolerance, found in hits.items():
        where = f"within {tolerance} px of" if tolerance else "on"
        lines.append(f"| SmoothGrad | maximum {where} the object | {np.mean(found):.1%} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", help="a weights file; default: the bundled network")
    parser.add_argument("-n", type=int, default=5000, help="how many scenes (default 5000)")
    parser.add_argument("--seed", type=int, default=5, help="seed of the scenes (default 5)")
    parser.add_argument(
        "--robust", action="store_true", help="the accuracy of changed scenes, too: noise and attacks"
    )
    parser.add_argument("--maps", action="store_true", help="where saliency and SmoothGrad lie, too")
    args = parser.parse_args()
    if args.n < 1:
        parser.error(f"-n: expected at least 1, found {args.n}")

    from tqdm import tqdm

    try:
        model = npgrad.load(args.weights)
        if model.num_classes != len(CLASSES):
            parser.error(f"expected a network of {len(CLASSES)} classes, found one of {model.num_classes}")
        with tqdm(total=args.n, unit="scene") as progress:
            print(report(training.accuracy(model, batches(model, args.n, args.seed, progress))))
        for table in [robustness] * args.robust + [maps] * args.maps:
            with tqdm(total=args.n, unit="scene") as progress:
                print("\n" + table(model, args.n, args.seed, progress))
    except npgrad.NpgradError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
