"""Attributions against the ground truth: generated scenes come with a mask of the object.

A network that misclassifies a scene has no reason to look at the right place, so only scenes that it classifies
correctly are used.
"""

import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from npgrad._parallel.threads import thread_imap
from npgrad._typing import Array, Progress
from npgrad._validate import whole_number
from npgrad.errors import InputError
from npgrad.evaluation.localization import best_iou, energy_inside, pointing_game
from npgrad.evaluation.pixels import deletion_auc, insertion_auc
from npgrad.model import Model
from npgrad.scenes import CLASSES, scene

SEED = 3  # of the test scenes; training and validation use other seeds
POINTING, ENERGY, IOU, DELETION, INSERTION = "pointing", "energy", "iou", "deletion", "insertion"
MEASURES = (POINTING, ENERGY, IOU, DELETION, INSERTION)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Scenes that a network classifies correctly.

    Parameters
    ----------
    x : ndarray (N, 3, H, W)
        The preprocessed scenes.
    labels : ndarray of int (N,)
        Their classes.
    masks : ndarray of bool (N, H, W)
        The pixels of the object.
    indices : ndarray of int (N,)
        The indices of the scenes, as for `npgrad.scenes.scene`.
    looked : int
        How many scenes were tried to find these.
    """

    x: Array
    labels: Array
    masks: Array
    indices: Array
    looked: int


def held_out(model: Model, n: int = 100, seed: int = SEED, size: int = 224) -> HeldOut:
    """Collect the first scenes of a seed that the model classifies correctly.

    Parameters
    ----------
    model : Model
        A network with the classes of `npgrad.scenes`, such as the bundled one.
    n : int, default 100
        How many scenes to collect.
    seed : int, default 3
        Seed of the scenes. Training and validation use other seeds.
    size : int, default 224
        Side of the scenes in pixels.

    Returns
    -------
    HeldOut

    Raises
    ------
    InputError
        The model has other classes, or its accuracy is too low to find `n` scenes.
    """
    n = whole_number(n, "n")
    if model.num_classes != len(CLASSES) or (model.classes or CLASSES) != CLASSES:
        raise InputError(
            f"known truth: expected a network of the scenes' {len(CLASSES)} classes (the bundled one, or one "
            f"that scripts/train_scenes.py trained), found one of {model.num_classes}"
        )
    found, index = [], 0
    while len(found) < n:
        if index == 5 * n + 100:
            raise InputError(
                f"known truth: the network classifies {len(found)} of {index} scenes correctly, too few"
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
    """The scores of one method.

    Parameters
    ----------
    values : dict of str to ndarray (N,)
        One value per image for each measure: "pointing" (whether the maximum is on the object), "energy" (fraction of
        the positive attribution on it), "iou" (at each image's best threshold), "deletion" and "insertion" (areas under
        the curve of the probability; lower and higher are better).
    seconds : float
        The mean time per image.
    """

    values: dict[str, Array]
    seconds: float

    def mean(self, measure: str) -> float:
        """Compute the mean over the images.

        Parameters
        ----------
        measure : str
            A key of `values`.

        Returns
        -------
        float
        """
        return float(self.values[measure].mean())

    def interval(self, measure: str) -> tuple[float, float]:
        """Compute the 95% confidence interval of the mean.

        For "pointing", a proportion, this is Wilson's (1927), which is informative at 100% too; for the others it is
        mean +- t s / sqrt(N).

        Parameters
        ----------
        measure : str
            A key of `values`.

        Returns
        -------
        low, high : float
            NaN for a single image, except for "pointing".
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


def score_method(
    method: Callable[[Model, Array, int], Array],
    model: Model,
    held: HeldOut,
    n: int | None = None,
    n_curves: int | None = None,
    n_steps: int = 10,
    progress: Progress = None,
) -> Score:
    """Score a method on held-out scenes.

    Images are processed in parallel on all cores, one thread each; the time is that of one thread.

    Parameters
    ----------
    method : callable
        A function (model, x (1, 3, H, W), target) -> importance (1, H, W), or (1, C, H, W), whose channels are summed.
    model : Model
        The network.
    held : HeldOut
        The scenes, as `held_out` returns them.
    n : int or None
        Use only the first n scenes. None: all.
    n_curves : int or None
        Use only the first n_curves of these for deletion and insertion, which take 2 (n_steps + 1) forward passes per
        image. None: all.
    n_steps : int, default 10
        Number of steps of the deletion and insertion curves.
    progress : callable or None
        Called with (done, total) after each image.

    Returns
    -------
    Score
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
    for result in thread_imap(measure, range(n)):
        results.append(result)
        if progress is not None:
            progress(len(results), n)
    values = {name: np.array([found[name] for found, _ in results if name in found]) for name in MEASURES}
    return Score({name: one for name, one in values.items() if len(one)}, sum(s for _, s in results) / n)


def sanity_methods(rng: int = 0) -> dict[str, Callable[[Model, Array, int], Array]]:
    """Return the baselines that any method has to beat, none of which uses the network.

    Parameters
    ----------
    rng : int, default 0
        Seed of the random maps.

    Returns
    -------
    dict of str to callable
        "random map", "centered blob" (objects are often in the middle) and "edge detector" (Sobel), each as
        `score_method` takes it.
    """
    seed = whole_number(rng, "rng", 0)

    def random_map(model, x, target):
        # a different map for each image, the same in every call
        images = [np.random.default_rng([seed, zlib.crc32(image.tobytes())]) for image in x]
        return np.stack([rng.random(x.shape[2:]) for rng in images])

    def centered_blob(model, x, target):
        down, right = ((np.arange(side) + 0.5) / side - 0.5 for side in x.shape[2:])
        blob = np.exp(-(down[:, None] ** 2 + right**2) / (2 * 0.25**2))
        return np.broadcast_to(blob, (len(x), *x.shape[2:]))

    def edge_detector(model, x, target):
        from scipy import ndimage

        gray = x.mean(axis=1)
        return np.hypot(ndimage.sobel(gray, axis=1), ndimage.sobel(gray, axis=2))

    return {"random map": random_map, "centered blob": centered_blob, "edge detector": edge_detector}
