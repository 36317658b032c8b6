"""Testing with concept activation vectors (TCAV, Kim et al. 2018): how often a concept raises the score of a class."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from npgrad._outputs import explains_scores
from npgrad._typing import Array, Progress, Rng, Target
from npgrad._validate import check_input, generator, one_of, positive_number, whole_number
from npgrad.attribution._common import layer_name, score_gradients
from npgrad.attribution.concepts.vectors import CLASSIFIERS, activations, direction
from npgrad.errors import InputError
from npgrad.model import Model


@dataclass(frozen=True, eq=False)
class Tcav:
    """The TCAV scores of concepts, and whether they differ from those of random images.

    Parameters
    ----------
    layer : str
        The layer.
    scores : dict of str to ndarray (n_runs,)
        For each concept, the share of the images whose score rises along its vector; one vector for each set of random
        counterparts.
    random : ndarray (n_runs,)
        The same of vectors between two sets of random images.
    p : dict of str to float
        For each concept, the probability that its scores and those of the random vectors differ so much by chance: the
        two-sided t-test of Kim et al.
    accuracies : dict of str to ndarray (n_runs,)
        For each concept, the accuracy of its classifiers on held-out examples.
    """

    layer: str
    scores: dict[str, Array]
    random: Array
    p: dict[str, float]
    accuracies: dict[str, Array]

    def significant(self, level: float = 0.05) -> list[str]:
        """List the concepts whose p is below `level` / (number of concepts), the correction of Bonferroni.

        Parameters
        ----------
        level : float, default 0.05
            The largest probability of one or more wrong entries in the list.

        Returns
        -------
        list of str
        """
        return [name for name, p in self.p.items() if p < level / len(self.p)]

    def __str__(self):
        width = max(10, *(len(name) + 2 for name in self.scores))
        lines = [f"{'concept':<{width}} score    sd         p  accuracy"]
        for name, own in self.scores.items():
            p, accuracy = self.p[name], np.mean(self.accuracies[name])
            lines.append(f"{name:<{width}}{own.mean():6.2f}{own.std(ddof=1):6.2f}{p:10.2g}{accuracy:10.2f}")
        return "\n".join(
            [*lines, f"{'random':<{width}}{self.random.mean():6.2f}{self.random.std(ddof=1):6.2f}"]
        )


@explains_scores
def tcav(
    model: Model,
    x: Array,
    target: Target,
    concepts: Mapping[str, Array],
    random: Array,
    layer: str | None = None,
    n_runs: int = 20,
    classifier: str = "logistic",
    alpha: float = 0.01,
    rng: Rng = 0,
    batch_size: int | None = None,
    progress: Progress = None,
) -> Tcav:
    """Compute how often each concept raises the score of a class, and whether more or less than by chance.

    Kim, Wattenberg, Gilmer, Cai, Wexler, Viegas, Sayres 2018, equations 1 and 2. For each concept, `n_runs` vectors v
    are found by `concept_vector`, each against another random set of as many random images, drawn without replacement.
    The sensitivity of an image is S = dA.v, with dA = d score / d A at the layer, from the backward pass; the score of
    a vector is the share of the images of x with S > 0. It is compared with the scores of as many vectors between two
    random sets, which do not overlap.

    The vectors of a concept share its images, so that their scores are not independent, as the t-test assumes: a
    concept of few images may seem significant, even if they are random.

    Parameters
    ----------
    model : Model
        The network.
    x : ndarray (N, C, H, W)
        Preprocessed images of the class.
    target : int, str, callable, sequence of them, or None
        The class by index or name, or another question (`npgrad.targets`), for all images or one per image. None: each
        image's top class.
    concepts : dict of str to ndarray (M, C, H, W)
        Preprocessed examples of each concept; `examples` makes them of folders and images, such as those that
        `npgrad.scenes.of_class` draws.
    random : ndarray (R, C, H, W)
        Preprocessed random images; twice as many as of a concept or more. Fewer make smaller sets.
    layer : str or None
        Name of the layer. None: the model's default layer for activation maps.
    n_runs : int, default 20
        Number of vectors of each concept, at least 2.
    classifier : {"logistic", "least_squares"}
        See `concept_vector`.
    alpha : float, default 0.01
        See `concept_vector`.
    rng : numpy.random.Generator or int, default 0
        The random generator, or its seed, for the sets and the held-out examples.
    batch_size : int or None
        Number of images per forward pass. None: as many as fit into 128 MB.
    progress : callable or None
        Called with (done, total), counted in vectors.

    Returns
    -------
    Tcav

    Raises
    ------
    InputError
        An argument cannot be used.
    UnknownName
        There is no such layer.
    """
    n_runs, rng = whole_number(n_runs, "n_runs", 2), generator(rng)
    one_of(classifier, "classifier", CLASSIFIERS)
    alpha, x = positive_number(alpha, "alpha"), check_input(x)
    if not isinstance(concepts, Mapping) or not concepts:
        raise InputError(f"concepts: expected {{name: images}}, found {concepts!r:.60}")
    layer = layer_name(model, x, layer)
    dA = score_gradients(model, x, target, at=(layer,))[2][layer]
    pool = _flat(model, random, layer, batch_size, "random", dA.shape[1:])
    if len(pool) < 4:
        raise InputError(f"random: expected at least 4 images, found {len(pool)}")
    sets = {name: _flat(model, own, layer, batch_size, name, dA.shape[1:]) for name, own in concepts.items()}
    dA = dA.reshape(len(dA), -1).astype(np.float64)
    vectors, done = {}, 0
    for name in (*sets, None):  # None: random against random
        own, vectors[name] = sets.get(name), []
        most = len(own) if own is not None else max(map(len, sets.values()))
        count = min(most, len(pool) // 2)
        for _ in range(n_runs):
            drawn = rng.permutation(len(pool))
            counterpart = pool[drawn[:count]]
            positive = pool[drawn[count : 2 * count]] if own is None else own[rng.permutation(most)[:count]]
            vectors[name].append(direction(positive, counterpart, classifier, alpha, rng))
            done += 1
            if progress is not None:
                progress(done, n_runs * (len(sets) + 1))
    scores = {name: np.array([(dA @ v > 0).mean() for v, _ in own]) for name, own in vectors.items()}
    accuracies = {name: np.array([accuracy for _, accuracy in vectors[name]]) for name in sets}
    by_chance = scores.pop(None)
    p = {name: _p_of(own, by_chance) for name, own in scores.items()}
    return Tcav(layer, scores, by_chance, p, accuracies)


def _flat(model, images, layer, batch_size, name, shape):
    """The activations of the images, one row each."""
    if not isinstance(images, np.ndarray) or images.dtype.kind != "f":
        raise InputError(
            f"{name}: expected preprocessed images (M, C, H, W), as npgrad.attribution.concepts.examples gives them; "
            f"found {type(images).__name__}"
        )
    A = activations(model, images, layer, batch_size)
    if A.shape[1:] != shape:
        raise InputError(
            f"{name}: expected images whose activations at {layer} are {shape}, found {A.shape[1:]}"
        )
    if len(A) < 2:
        raise InputError(f"{name}: expected at least 2 images, found {len(A)}")
    return A.reshape(len(A), -1)


def _p_of(a, b):
    """Student's t-test for equal means; where neither varies, 0 if they differ and 1 if not."""
    from scipy import stats

    if not np.ptp(a) and not np.ptp(b):
        return float(a[0] == b[0])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Precision loss")  # nearly equal scores of one side
        return float(stats.ttest_ind(a, b).pvalue)
