"""Attributions against the truth: on drawn scenes it is known which pixels show the object.

A network that sees the wrong thing has no reason to look at the right place. So only scenes count that it names
correctly.
"""

import time
import zlib
from dataclasses import dataclass

import numpy as np

from npgrad._parallel import threads as parallel
from npgrad._validate import whole_number
from npgrad.errors import InputError
from npgrad.evaluation.localization import best_iou, energy_inside, pointing_game
from npgrad.evaluation.pixels import deletion_auc, insertion_auc

SEED = 3  # of the scenes that methods are scored on: neither trained nor validated on
POINTING, ENERGY, IOU, DELETION, INSERTION = "pointing", "energy", "iou", "deletion", "insertion"
MEASURES = (POINTING, ENERGY, IOU, DELETION, INSERTION)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scenes that a network names correctly: x (N, 3, H, W) as its input, labels (N,), masks bool (N, H, W).

    indices (N,): their numbers among the scenes of the seed. looked: how many were looked at to find them.
    """

    x: np.ndarray
    labels: np.ndarray
    masks: np.ndarray
    indices: np.ndarray
    looked: int


def held_out(model, n=100, seed=SEED, size=224):
    """The first `n` scenes of a seed that the model names correctly: HeldOut.

    InputError if the model's classes are not those of the scenes, or if it is right too seldom to find `n`.
    """
    from npgrad.scenes import CLASSES, scene

    n = whole_number(n, "n")
    if model.num_classes != len(CLASSES) or (model.classes or CLASSES) != CLASSES:
        raise InputError(
            f"known truth: expected a network of the scenes' {len(CLASSES)} classes (the bundled one, or one "
            f"that scripts/train_scenes.py made), found one of {model.num_classes}"
        )
    found, index = [], 0
    while len(found) < n:
        if index == 5 * n + 100:
            raise InputError(
                f"known truth: of {index} scenes the network names {len(found)} correctly, too few"
            )
        image, label, mask = scene(index, seed, size)
        x = model.preprocess(image, resize=False)
        if model(x).argmax() == label:
            found.append((x[0], label, mask, index))
        index += 1
    x, labels, masks, indices = (np.array(values) for values in zip(*found, strict=True))
    return HeldOut(x, labels, masks, indices, index)


@dataclass(frozen=True, eq=False)
class Score:
    """How one method did. values: measure -> one number an image. seconds: what an image took, on average.

    The measures: "pointing" (share of images whose maximum lies on the object), "energy" (share of the
    positive attribution on it), "iou" (at each image's best threshold), "deletion" and "insertion" (areas
    under the probability's curve; lower and higher are better).
    """

    values: dict
    seconds: float

    def mean(self, measure):
        """The mean over the images."""
        return float(self.values[measure].mean())

    def interval(self, measure):
        """(low, high) of the 95 % confidence interval of the mean.

        For "pointing", a share of hits, Wilson's (1927), which says something at 100 % too; for the others
        mean +- t s / sqrt(N), (nan, nan) for a single image.
        """
        from scipy import stats

        values = self.values[measure]
        n, mean = len(values), self.mean(measure)
        if measure == POINTING:
            z = stats.norm.ppf(0.975)
            center = (mean + z**2 / (2 * n)) / (1 + z**2 / n)
            half = z / (1 + z**2 / n) * np.sqrt(mean * (1 - mean) / n + z**2 / (4 * n**2))
            return float(center - half), float(center + half)
        if n == 1:
            return float("nan"), float("nan")
        half = stats.t.ppf(0.975, n - 1) * values.std(ddof=1) / np.sqrt(n)
        return float(mean - half), float(mean + half)


def score_method(method, model, held, n=None, n_curves=None, n_steps=10, progress=None):
    """The Score of a method on held-out scenes.

    method: a function (model, x (1, 3, H, W), target) -> importance, one number a pixel: (1, H, W), or
    (1, C, H, W), whose channels are summed. held: of `held_out`. n: only the first so many; n_curves: of these
    as many for deletion and insertion, which take 2 (n_steps + 1) forward passes an image; None: all.
    progress(done, total) after every image.

    Images are taken side by side on all cores, a thread each; the seconds are those of one thread.
    """
    n = len(held.x) if n is None else min(whole_number(n, "n"), len(held.x))
    n_curves = n if n_curves is None else min(whole_number(n_curves, "n_curves", 0), n)

    def measure(i):
        x, target, mask = held.x[i : i + 1], int(held.labels[i]), held.masks[i]
        start = time.perf_counter()
        importance = np.asarray(method(model, x, target))
        seconds = time.perf_counter() - start
        found = {
            POINTING: pointing_game(importance, mask)[0],
            ENERGY: energy_inside(importance, mask)[0],
            IOU: best_iou(importance, mask)[0],
        }
        if i < n_curves:
            found[DELETION] = deletion_auc(model, x, importance, target, n_steps)[0]
            found[INSERTION] = insertion_auc(model, x, importance, target, n_steps)[0]
        return found, seconds

    results = []
    for result in parallel.thread_imap(measure, range(n)):
        results.append(result)
        if progress is not None:
            progress(len(results), n)
    values = {name: np.array([found[name] for found, _ in results if name in found]) for name in MEASURES}
    return Score({name: one for name, one in values.items() if len(one)}, sum(s for _, s in results) / n)


def sanity_methods(rng=0):
    """What any method has to beat: {"random map", "centered blob", "edge detector"}, each as `score_method` takes it.

    rng: a seed. The blob knows that things are often in the middle; the edges (Sobel) are those of the image, and the
    network has no part in them.
    """
    seed = whole_number(rng, "rng", 0)

    def random_map(model, x, target):
        image = zlib.crc32(x.tobytes())  # another map for each image, the same whenever it is asked
        return np.random.default_rng([seed, image]).random((len(x), *x.shape[2:]))

    def centered_blob(model, x, target):
        down, right = ((np.arange(side) + 0.5) / side - 0.5 for side in x.shape[2:])
        blob = np.exp(-(down[:, None] ** 2 + right**2) / (2 * 0.25**2))
        return np.broadcast_to(blob, (len(x), *x.shape[2:]))

    def edge_detector(model, x, target):
        from scipy import ndimage

        gray = x.mean(axis=1)
        return np.hypot(ndimage.sobel(gray, axis=1), ndimage.sobel(gray, axis=2))

    return {"random map": random_map, "centered blob": centered_blob, "edge detector": edge_detector}
