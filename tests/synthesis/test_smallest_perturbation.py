"""The smallest perturbation found: near the known one, below all others, and kept in a file."""

import numpy as np
import pytest
from checks import assert_close
from little_nets import MEAN, STD, image, little_net

from npgrad import Model, layers
from npgrad.synthesis import make_fooling_image, pgd, smallest_perturbation
from npgrad.synthesis.pixels import as_saved


@pytest.fixture(scope="module")
def net():
    """Four of five classes alive, and far from sure."""
    return little_net()


@pytest.fixture(scope="module")
def x():
    return image(12)


@pytest.fixture(scope="module")
def own(net, x):
    return int(net(x)[0].argmax())


@pytest.fixture(scope="module")
def goal(net, x):
    return int(net(x)[0].argmin())


def pixels(x):
    """Normalized to pixel values on the scale 0..1."""
    return x * STD + MEAN


def linear_net():
    """Three classes, linear in x: here the smallest change is known. Nothing is cut off by a ReLU."""
    rng = np.random.default_rng(1)
    line = layers.Linear(0.2 * rng.standard_normal((3, 12 * 12 * 3)), np.array([10.0, 0.0, 4.0]))
    return Model(layers.Sequential({"flat": layers.Flatten(), "line": line}))


@pytest.mark.parametrize("target", [None, 1, 2])
def test_of_a_linear_network_the_smallest_change_is_found(target):
    net, x = linear_net(), 0.1 * image(12)
    weight, logits = net.parameters()["line.weight"], net(x)[0]  # (3, 432), (3,)
    own = int(logits.argmax())
    assert own == 0

    def distance(to):
        """To the point where class `to` overtakes both others, from the active set of one or two planes."""
        others = [k for k in range(3) if k != to]
        W = np.array([weight[to] - weight[k] for k in others])
        gap = np.array([logits[k] - logits[to] for k in others])
        best = np.inf
        for active in ([0], [1], [0, 1]):
            d = W[active].T @ np.linalg.solve(W[active] @ W[active].T, gap[active])
            if (W @ d >= gap - 1e-12).all():
                best = min(best, np.linalg.norm(d))
        return best

    expected = min(distance(1), distance(2)) if target is None else distance(target)
    result = smallest_perturbation(net, x, target, rounded=False)
    assert result.reached and result.after in ((1, 2) if target is None else (target,))
    assert expected <= result.norm < 1.2 * expected
    assert result.target == (own if target is None else target) and result.targeted == (target is not None)


@pytest.mark.parametrize("target", [True, False], ids=["targeted", "untargeted"])
def test_the_smallest_change_is_smaller_than_others_and_kept_in_a_file(net, x, goal, target):
    target = goal if target else None
    before, seen = x.copy(), []
    result = smallest_perturbation(net, x, target, callback=lambda t, image, noted: seen.append((t, noted)))
    assert pixels(result.image).min() > -1e-6 and pixels(result.image).max() < 1 + 1e-6
    assert result.reached and result.steps == 50 and [t for t, _ in seen] == list(range(1, 51))
    np.testing.assert_array_equal(as_saved(net, result.image), result.image)  # whole bytes
    assert result.norm == pytest.approx(np.linalg.norm(result.image - x))
    finer = smallest_perturbation(net, x, target, rounded=False)
    assert finer.reached and finer.norm < 1.01 * result.norm
    assert pixels(finer.image).min() > -1e-12 and pixels(finer.image).max() < 1 + 1e-12
    if target is not None:
        assert result.norm < make_fooling_image(net, x, target, learning_rate=1).norm
    within = pgd(net, x, target, 0.8 * finer.norm * 0.2, "l2", 100, 0.01, target is not None, rounded=False)
    assert not within.reached  # nothing is found well inside of the smallest one's ball
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("target", [True, False], ids=["targeted", "untargeted"])
def test_of_all_images_that_fooled_the_smallest_is_given_back(net, x, own, goal, target):
    images = []
    result = smallest_perturbation(net, x, goal if target else None, rounded=False,
                                   callback=lambda t, image, noted: images.append(image))  # fmt: skip
    answers = [int(net(image)[0].argmax()) for image in images[:-1]]  # the last one is not looked at any more
    fooled = [answer == goal if target else answer != own for answer in answers]
    norms = [np.linalg.norm(image - x) for image, right in zip(images, fooled, strict=False) if right]
    assert len(norms) > 1 and result.norm == pytest.approx(min(norms), rel=1e-12)
    assert min(norms) < 0.98 * norms[0]  # DeepFool ends with the first one


def test_the_scale_of_the_scores_does_not_matter(net, x, goal):
    louder = net.with_parameters({name: 32 * array for name, array in net.parameters().items()})
    for target in (None, goal):
        quiet, loud = (smallest_perturbation(n, x, target, rounded=False) for n in (net, louder))
        assert_close(loud.image - x, quiet.image - x, 1e-9)


def test_an_interrupted_search_gives_the_best_so_far(net, x, own):
    def stop(t, image, noted):
        if t == 20:
            raise KeyboardInterrupt

    result = smallest_perturbation(net, x, callback=stop)
    assert result.interrupted and result.reached and net(result.image).argmax() != own


@pytest.mark.exhaustive
@pytest.mark.parametrize(("name", "target"), [("Egyptian_cat", 483), ("castle", 285)])
def test_with_real_weights_the_smallest_change_is_small(real_model, shared, name, target):
    x = real_model.preprocess(shared / "images" / f"{name}.jpg")
    smallest = smallest_perturbation(real_model, x, target, steps=20)
    usual = make_fooling_image(real_model, x, target, learning_rate=1)
    assert smallest.reached and smallest.norm < 0.8 * usual.norm
    assert real_model(as_saved(real_model, smallest.image)).argmax() == target
