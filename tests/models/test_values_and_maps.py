"""Outputs that are not scores of classes: values of a regression, maps, and maps of one pixel, which are vectors."""

import dataclasses

import numpy as np
import pytest
from checks import assert_close
from heads import SCORED, as_rows, call, drawn_net, torch_gradient
from messages import AN_INDEX

import npgrad
from npgrad import Model, attribution, evaluation, layers, synthesis, training
from npgrad.attribution.explain import answer as explain
from npgrad.attribution.request import Request

# A regression.


def test_values_are_shown_as_values(rng):
    model, _, x = drawn_net(11, 1, outputs="value")
    assert model.predict(x) == [[(0, "output 0", float(y))] for y in model(x)[:, 0]]
    assert (model.num_classes, model.output_kind) == (1, "value")
    several, scores, _ = drawn_net(11, 7, outputs="value")
    assert [[value for _, _, value in row] for row in several.predict(x)] == several(x).tolist()
    np.testing.assert_array_equal(attribution.saliency(model, x), attribution.saliency(model, x, 0))
    assert_close(attribution.input_x_gradient(several, x, 6), x * torch_gradient(scores, x, 6), 1e-12)
    with pytest.raises(
        npgrad.InputError, match="target: expected one of the network's 7 outputs, which are values"
    ):
        attribution.saliency(several, x)
    with pytest.raises(npgrad.TargetError, match=f"{AN_INDEX} 0; found 1"):
        attribution.saliency(model, x, 1)
    named = dataclasses.replace(model, classes=["age"])
    assert named.predict(x)[0][0][1] == "age" and "1 named outputs" in repr(named)


@pytest.mark.parametrize(
    "use",
    [
        lambda m, x: synthesis.pgd(m, x[:1]),
        lambda m, x: synthesis.make_fooling_image(m, x[:1], 0),
        lambda m, x: training.batch_gradients(m, x, np.zeros(2, int)),
        lambda m, x: training.accuracy(m, [(x, np.zeros(2, int))]),
    ],
)
def test_what_needs_classes_refuses_values(use):
    model, _, x = drawn_net(11, 1, outputs="value")
    with pytest.raises(npgrad.InputError, match='expected a network with classes, found outputs="value"'):
        use(model, x)


def test_pixels_are_removed_from_a_value():
    """The curve of a regression is that of its value; the target may be one of several outputs."""
    model, _, x = drawn_net(11, 3, outputs="value")
    area, fractions, curve = evaluation.deletion_auc(model, x, x, 2, n_steps=4, return_curve=True)
    assert_close(curve[:, 0], model(x)[:, 2], 1e-12)
    assert_close(curve[:, -1], model(0 * x)[:, 2], 1e-12)
    np.testing.assert_allclose(
        area, ((curve[:, 1:] + curve[:, :-1]) / 2 * np.diff(fractions)).sum(axis=1), rtol=1e-12
    )


def test_an_explanation_of_a_value():
    model, _, _ = drawn_net(11, 1, outputs="value")
    image = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    small = dataclasses.replace(model, preprocessing=npgrad.Preprocessing(resize=12, crop=12))
    assert explain(small, image, Request()).target == small.predict(image)[0][0]


def maps(rng):
    return Model(layers.Sequential({"conv": layers.Conv2d(rng.normal(size=(5, 3, 3, 3)), None)}))


@pytest.mark.parametrize(
    "use",
    [
        lambda m, x: m.predict(x),
        lambda m, x: attribution.saliency(m, x, 1),
        lambda m, x: attribution.grad_cam(m, x),
        lambda m, x: attribution.occlusion(m, x, 1, window=3),
        lambda m, x: evaluation.deletion_auc(m, x, x),
        lambda m, x: synthesis.make_fooling_image(m, x[:1], 1),
        lambda m, x: synthesis.pgd(m, x[:1]),
        lambda m, x: synthesis.fgsm(m, x[:1], 1),
        lambda m, x: synthesis.create_class_visualization(m, 1, size=8),
        lambda m, x: training.accuracy(m, [(x, np.zeros(2, int))]),
    ],
)
def test_maps_are_refused_in_one_line_where_a_class_is_asked(use, rng):
    with pytest.raises(
        npgrad.InputError, match=r"expected .N, classes., one score per class, found maps of shape"
    ):
        use(maps(rng), rng.normal(size=(2, 3, 6, 6)))


def test_maps_can_be_run_and_their_layers_asked(rng):
    model, x = maps(rng), rng.normal(size=(2, 3, 6, 6))
    assert model(x).shape == model.forward(x).output.shape == (2, 5, 4, 4)
    assert attribution.layer_activation(model, x, layer="conv").shape == (2, 5, 4, 4)


@pytest.mark.sampled(30)
@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("classes", [1, 3])
def test_maps_of_one_pixel_are_explained_as_vectors(name, classes):
    model, twin = (drawn_net(12, classes, form=form, outputs="scores")[0] for form in ("one pixel", "flat"))
    x = drawn_net(12)[2]
    assert model(x).shape == model.forward(x).output.shape == (2, classes, 1, 1)
    assert model.class_index(1) == 1 and model.num_classes == twin.num_classes
    assert_close(call(name, model, x, [1, 0]), call(name, twin, x, [1, 0]), 1e-6)
    assert_close(call(name, model, x, None), call(name, twin, x, None), 1e-6)


def test_lrp_of_a_map_of_one_pixel_has_the_same_delta():
    model, twin = (drawn_net(12, 3, form=form)[0] for form in ("one pixel", "flat"))
    x = drawn_net(12)[2]
    for method in (attribution.lrp, attribution.deep_lift, attribution.deep_lift_shap):
        delta, wanted = (method(one, x, [1, 2], return_delta=True)[1] for one in (model, twin))
        np.testing.assert_allclose(delta, wanted, atol=1e-9)


def test_maps_of_one_pixel_are_shown_fooled_and_trained_as_vectors():
    for classes in (1, 3):
        options = {"outputs": "scores"} if classes == 1 else {}
        model, twin = (drawn_net(12, classes, form=form, **options)[0] for form in ("one pixel", "flat"))
        x, target = drawn_net(12)[2], np.array([1, 0])
        assert_close(
            as_rows(model.predict(x), model.num_classes), as_rows(twin.predict(x), model.num_classes), 1e-12
        )
        for make in (synthesis.fgsm, synthesis.pgd, synthesis.smallest_perturbation):
            assert_close(make(model, x[:1], 1).image, make(twin, x[:1], 1).image, 1e-9)
        found, wanted = (training.batch_gradients(one, x, target, rng=0, parts=1) for one in (model, twin))
        assert found[:2] == pytest.approx(wanted[:2])
        for key, gradient in wanted[2].items():
            assert_close(found[2][key].reshape(gradient.shape), gradient, 1e-12)
        a = np.random.default_rng(0).normal(size=(2, 6, 6))
        assert_close(*(evaluation.deletion_auc(one, x, a, target, n_steps=4) for one in (model, twin)), 1e-12)
    values = drawn_net(12, 3, form="one pixel", outputs="value")[0]
    assert [[v for _, _, v in row] for row in values.predict(x)] == values(x)[:, :, 0, 0].tolist()
