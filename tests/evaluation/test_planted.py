"""Every method on a network that is known to use certain pixels only.

Each class depends on one color at one place; a third object, the brightest, affects no class. An attribution for a
class must have its maximum in that class's patch.
"""

import numpy as np
import pytest

import npgrad.attribution
from npgrad import Model, layers
from npgrad.attribution import grid
from npgrad.attribution.layers import LayerView

SIDE = 32
CELLS = {
    0: (slice(9, 12), slice(2, 5)),
    1: (slice(3, 6), slice(10, 13)),
}  # what the last layer reads, 2 px each
DECOY = (slice(20, 28), slice(20, 28))
COLOR = {0: 1, 1: 0}  # class 0 reads green, class 1 red

# what a method needs beside (model, x, target), on an image of 32 px
OPTIONS = {
    "feature_ablation": {"mask": grid(SIDE, 16)},
    "feature_permutation": {"mask": grid(SIDE, 16)},
    "neuron_feature_ablation": {"mask": grid(SIDE, 16)},
    "layer_ablation": {"mask": grid(SIDE // 2, 16)},
    "layer_feature_permutation": {"mask": grid(SIDE // 2, 16)},
    "occlusion": {"window": 4, "stride": 2},
}

# functions of npgrad.attribution that explain nothing by themselves
TOOLS = {"composite_by_position", "feature_factorization", "grid", "hvp", "resize_map", "superpixels"}

# methods that cannot point at a class: their maps are the same for both classes, whose patches lie apart
BLIND = {
    "eigen_cam": "the main direction of the activations, without asking which class they support",
    "fem": "which channels are unusually active",
    "kpca_cam": "the main component of the activations with a kernel",
    "layer_activation": "the activations themselves",
    "random_cam": "random weights",
}


# methods that exchange the features of several images
OF_BATCHES = {"feature_permutation", "layer_feature_permutation"}


def around(cells):
    """The pixels that a block of the last layer's cells depends on: 2 px a cell, and 3 more on every side."""
    inside = np.zeros((SIDE, SIDE), bool)
    rows, columns = (slice(2 * s.start - 3, 2 * s.stop + 3) for s in cells)
    inside[rows, columns] = True
    return inside


PATCH = {target: around(cells) for target, cells in CELLS.items()}


def planted():
    """conv1 finds the three colors, fire2 passes them on and smooths them, fc reads each class's patch."""
    colors = np.full((3, 3, 3, 3), -0.2 / 9) + 1.2 / 9 * np.eye(3)[:, :, None, None]
    same = np.eye(3)[:, :, None, None]
    fire = layers.Fire(
        squeeze=layers.Conv2d(same, np.full(3, -0.01)),
        expand1x1=layers.Conv2d(same, np.full(3, 0.02)),
        expand3x3=layers.Conv2d(np.tile(same / 9, (1, 1, 3, 3)), np.full(3, 0.01), padding=1),
    )
    weight = np.zeros((2, 6, 16, 16))
    for target, cells in CELLS.items():
        weight[target, COLOR[target] :: 3, cells[0], cells[1]] = 0.5
    parts = {
        "conv1": layers.Conv2d(colors, np.full(3, -0.05), padding=1),
        "relu1": layers.ReLU(),
        "pool1": layers.MaxPool2d(2, 2),
        "fire2": fire,
        "flatten": layers.Flatten(),
        "fc": layers.Linear(weight.reshape(2, -1), np.array([0.1, 0.2])),
    }
    return Model(layers.Sequential(parts))


def image():
    """Gray noise; green and red where the classes look; and blue, the brightest, where none does."""
    x = np.random.default_rng(4).uniform(0, 0.3, size=(1, 3, SIDE, SIDE))
    for target, (rows, columns) in CELLS.items():
        at = slice(2 * rows.start, 2 * rows.stop), slice(2 * columns.start, 2 * columns.stop)
        x[0, COLOR[target], at[0], at[1]] = 1 + 0.05 * x[0, 0, at[0], at[1]]
    x[0, 2, DECOY[0], DECOY[1]] = 3
    return x


MODEL, X = planted(), image()


def explain(name, target):
    """What a method gives for this class, as one map (32, 32): channels summed, a layer's cells as blocks."""
    options = dict(OPTIONS.get(name, {}))
    if name.startswith("neuron_"):  # the neuron in the middle of what the class reads
        rows, columns = CELLS[target]
        options.update(layer="fire2", neuron=(COLOR[target], rows.start + 1, columns.start + 1))
    x = np.concatenate([X, 0.2 * np.ones_like(X)]) if name in OF_BATCHES else X
    found = getattr(npgrad.attribution, name)(MODEL, x, target, **options)
    found = found[:1] if name in OF_BATCHES else found
    if isinstance(found, dict):  # every_layer
        views = [view for view in found.values() if isinstance(view, LayerView) and view.grad_cam is not None]
        return [as_pixels(view.grad_cam) for view in views]
    return [as_pixels(found)]


def as_pixels(found):
    found = found.sum(axis=1) if found.ndim == 4 else found
    assert found.shape[0] == 1
    scale = SIDE // found.shape[1]
    assert found.shape[1:] == (SIDE // scale,) * 2
    return np.kron(found[0], np.ones((scale, scale)))


METHODS = sorted(set(npgrad.attribution.__all__) - TOOLS)


def test_the_lists_name_what_there_is():
    assert set(npgrad.attribution.__all__) >= TOOLS | set(BLIND) | set(OPTIONS)
    assert len(METHODS) > 30


@pytest.mark.parametrize("target", [0, 1])
def test_only_the_patch_matters_to_the_class(target, rng):
    score = MODEL(X)[0, target]
    for _ in range(20):
        other = np.where(PATCH[target], X, rng.normal(size=X.shape))
        assert MODEL(other)[0, target] == score
    assert MODEL(np.where(PATCH[target], 0, X))[0, target] < 0.5 * score
    assert not (PATCH[0] & PATCH[1]).any()
    assert not PATCH[0][DECOY].any() and not PATCH[1][DECOY].any()


@pytest.mark.sampled(len(METHODS) - len(BLIND))  # each method with one of the two
@pytest.mark.parametrize("target", [0, 1])
@pytest.mark.parametrize("name", sorted(set(METHODS) - set(BLIND)))
def test_the_maximum_lies_in_the_classs_patch(name, target):
    for found in explain(name, target):
        highest = found == found.max()
        assert found.max() > 0
        assert PATCH[target][highest].all(), f"maximum at {np.argwhere(highest)[0]}"


@pytest.mark.parametrize("name", BLIND)
def test_a_method_that_does_not_ask_about_the_class_cannot_point_at_it(name):
    np.testing.assert_array_equal(explain(name, 0), explain(name, 1))
