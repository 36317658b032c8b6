"""Attributions against the ground truth of scenes: the measures, the scores, the results of the bundled network."""

import numpy as np
import pytest
from scipy import stats

import npgrad
from npgrad import InputError, attribution, evaluation, scenes
from npgrad.attribution import methods
from npgrad.evaluation import HeldOut, Score, best_iou, energy_inside, pointing_game, score_method
from npgrad.models import squeezenet1_1

SIDE = 32


@pytest.fixture(scope="module")
def bundled():
    return npgrad.load()


@pytest.fixture(scope="module")
def held(bundled):
    return evaluation.held_out(bundled, 24)


def planted(n=3):
    """Images whose object is a bright rectangle, and a network that scores class 1 by brightness."""
    from npgrad.layers import Flatten, Linear, Sequential

    rng = np.random.default_rng(4)
    x, masks = 0.1 * rng.random((n, 3, SIDE, SIDE)), np.zeros((n, SIDE, SIDE), bool)
    for i in range(n):
        masks[i, 5 + i : 15 + i, 8 : 20 + i] = True
        x[i][:, masks[i]] += 1
    weight = np.stack([np.zeros(3 * SIDE * SIDE), np.full(3 * SIDE * SIDE, 2e-3)])
    model = npgrad.Model(Sequential({"flatten": Flatten(), "fc": Linear(weight, np.zeros(2))}))
    return model, HeldOut(x, np.ones(n, int), masks, np.arange(n), n)


# the best overlap


def test_best_iou_is_the_best_of_all_thresholds(rng):
    a = rng.integers(0, 6, (4, 9, 11)).astype(float)  # with many ties
    masks = rng.random((4, 9, 11)) < 0.3
    slow = [
        max(((one >= t) & mask).sum() / ((one >= t) | mask).sum() for t in np.unique(one))
        for one, mask in zip(a, masks, strict=True)
    ]
    np.testing.assert_array_equal(best_iou(a, masks), slow)


def test_best_iou_of_the_mask_itself_and_of_a_constant_map():
    mask = np.zeros((6, 6), bool)
    mask[1:4, 2:5] = True
    assert best_iou(mask[None].astype(float), mask) == 1
    assert best_iou(np.ones((1, 6, 6)), mask) == 9 / 36
    with pytest.raises(InputError, match="mask"):
        best_iou(np.ones((1, 6, 6)), np.zeros((6, 6), bool))


# one method's score


def test_a_method_that_knows_the_truth_scores_best_and_one_that_inverts_it_worst():
    model, held = planted()

    def brightness(model, x, target):
        return x.mean(axis=1)

    def darkness(model, x, target):
        return 2 - x.mean(axis=1)

    right, wrong = (score_method(method, model, held, n_steps=5) for method in (brightness, darkness))
    assert right.mean("pointing") == 1 and wrong.mean("pointing") == 0
    assert right.mean("iou") == 1 and wrong.mean("iou") < 0.3
    assert right.mean("energy") > 0.6 > wrong.mean("energy")
    assert right.mean("deletion") < wrong.mean("deletion")
    assert right.mean("insertion") > wrong.mean("insertion")


def test_the_values_are_those_of_the_measures_image_by_image():
    model, held = planted()
    seen = []

    def method(model, x, target):
        assert x.shape == (1, 3, SIDE, SIDE) and target == 1
        return attribution.input_x_gradient(model, x, target)

    score = score_method(method, model, held, n=2, n_curves=1, n_steps=3, progress=lambda *a: seen.append(a))
    maps = [method(model, held.x[i : i + 1], 1) for i in range(2)]
    for name, measure in (("pointing", pointing_game), ("energy", energy_inside), ("iou", best_iou)):
        expected = [measure(a, held.masks[i])[0] for i, a in enumerate(maps)]
        np.testing.assert_array_equal(score.values[name], expected)
    [area] = evaluation.deletion_auc(model, held.x[:1], maps[0], 1, 3)
    assert score.values["deletion"].tolist() == [area]
    assert seen == [(1, 2), (2, 2)] and score.seconds > 0
    assert "deletion" not in score_method(method, model, held, n_curves=0).values


def test_intervals():
    hits, values = np.array([1.0] * 18 + [0.0] * 2), np.random.default_rng(0).random(20)
    score = Score({"pointing": hits, "energy": values}, 0.1)
    wilson = stats.binomtest(18, 20).proportion_ci(0.95, method="wilson")
    np.testing.assert_allclose(score.interval("pointing"), (wilson.low, wilson.high))
    student = stats.t.interval(0.95, 19, values.mean(), stats.sem(values))
    np.testing.assert_allclose(score.interval("energy"), student)
    assert Score({"pointing": np.ones(10)}, 0.1).interval("pointing")[0] < 0.8
    assert np.isnan(Score({"energy": np.ones(1)}, 0.1).interval("energy")).all()


def test_the_sanity_methods_take_no_notice_of_the_network(rng):
    x = rng.random((2, 3, 20, 30))
    found = {name: method(None, x, 0) for name, method in evaluation.sanity_methods(5).items()}
    assert list(found) == ["random map", "centered blob", "edge detector"]
    assert all(a.shape == (2, 20, 30) for a in found.values())
    for i in range(len(x)):
        alone = evaluation.sanity_methods(5)["random map"](None, x[i : i + 1], 1)
        np.testing.assert_array_equal(found["random map"][i : i + 1], alone)
    blob = found["centered blob"][0]
    assert {(9, 14), (10, 15)} <= set(zip(*np.nonzero(blob == blob.max()), strict=True))
    step = np.zeros((1, 3, 20, 30))
    step[:, :, :, 12:] = 1
    edge = evaluation.sanity_methods()["edge detector"](None, step, 0)[0]
    assert set(np.nonzero(edge)[1]) == {11, 12}


# which scenes count


@pytest.mark.exhaustive
def test_only_scenes_that_are_classified_correctly_count(bundled, held):
    assert len(held.x) == 24 <= held.looked == held.indices[-1] + 1
    assert (bundled(held.x).argmax(axis=1) == held.labels).all()
    for i in (0, 23):
        image, label, mask = scenes.scene(int(held.indices[i]), evaluation.known_truth.SEED)
        np.testing.assert_array_equal(bundled.deprocess(held.x[i : i + 1])[0], image)
        assert label == held.labels[i]
        np.testing.assert_array_equal(mask, held.masks[i])


def test_networks_that_cannot_be_scored_are_refused():
    with pytest.raises(InputError, match="26 classes .* found one of 10"):
        evaluation.held_out(squeezenet1_1(num_classes=10), 1)
    with pytest.raises(InputError, match="n: expected"):
        evaluation.held_out(squeezenet1_1(num_classes=26), 0)


@pytest.mark.exhaustive
def test_a_network_that_knows_no_scene_is_refused():
    with pytest.raises(InputError, match="classifies .* correctly, too few"):
        evaluation.held_out(squeezenet1_1(num_classes=26), 30, size=32)


# the bundled network


@pytest.mark.exhaustive
def test_grad_cam_points_at_the_object_and_what_knows_nothing_does_not(bundled):
    held = evaluation.held_out(bundled, 60)  # so many that chance moves a rate by 0.06, not by 0.1
    every = {"grad_cam": _method("grad_cam"), **evaluation.sanity_methods()}
    found = {name: score_method(m, bundled, held, n_curves=0).mean("pointing") for name, m in every.items()}
    best = max(value for name, value in found.items() if name != "grad_cam")
    assert found["grad_cam"] >= best + 0.25, found


def _method(name):
    def method(model, x, target):
        options = methods.defaults(name, model, x)
        return methods.importance(name, methods.function_of(name)(model, x, target, **options), x)

    return method


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["grad_cam", "guided_grad_cam", "saliency"])
def test_of_two_objects_the_target_is_pointed_at(bundled, name):
    method, right = _method(name), []
    for index in range(12):
        image, labels, masks = scenes.two_objects(index, seed=3)
        x = bundled.preprocess(image)
        for k in (0, 1):
            heat = method(bundled, x, labels[k])
            inside = [energy_inside(heat, masks[j])[0] for j in (k, 1 - k)]
            right.append(inside[0] > inside[1])
    assert np.mean(right) >= 0.75, np.mean(right)
