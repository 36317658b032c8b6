"""Measure the accuracy of the bundled network, or of another one with the same classes, on new scenes at 224 px.

    python scripts/measure_scenes.py                     the bundled network on 5,000 scenes, about three minutes
    python scripts/measure_scenes.py my.h5 -n 500

The scenes use a different seed from training (1) and validation (2). The output is Markdown.
"""

import argparse
import os
import sys

os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")

import numpy as np

import npgrad
from npgrad import training
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


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", help="a weights file; default: the bundled network")
    parser.add_argument("-n", type=int, default=5000, help="how many scenes (default 5000)")
    parser.add_argument("--seed", type=int, default=5, help="seed of the scenes (default 5)")
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
    except npgrad.NpgradError as error:
        parser.error(str(error))
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
