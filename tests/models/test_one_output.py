"""A network with one output: the score of two classes, shown, explained, fooled and trained as such."""

import dataclasses
import warnings

import numpy as np
import pytest
import torch
from checks import assert_close
from heads import FORMS, SCORED, as_rows, call, drawn_net, torch_gradient

import npgrad
from npgrad import Model, attribution, evaluation, layers, synthesis, training


def pair(seed, half=False, **options):
    """(a network with one output, its twin with two: those of the negative and of the positive class, images)."""
    single, scores, x = drawn_net(seed, 1, outputs="scores", **options)
    fc = single.layer("fc")
    both = np.array([[-1.0], [1.0]]) / (2 if half else 1)
    twin = layers.Linear(both @ fc.weight, both[:, 0] * fc.bias)
    return single, Model(layers.Sequential({**single.network.layers, "fc": twin})), x, scores


@pytest.mark.parametrize("head", ["logits", "Sigmoid"])
@pytest.mark.parametrize("form", FORMS)
def test_one_output_is_the_score_of_two_classes(head, form):
    model, scores, x = drawn_net(5, 1, head, form)
    s = scores(torch.tensor(x)).numpy()[:, 0]
    assert (model.num_classes, model(x).size) == (2, 2)
    with pytest.warns(UserWarning, match="one output|ends in") as caught:
        explained = attribution.input_x_gradient(model, x, 1)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        p = as_rows(model.predict(x), 2)
        negative = attribution.input_x_gradient(model, x, 0)
        top = attribution.input_x_gradient(model, x)
    assert_close(p, np.stack([1 / (1 + np.exp(s)), 1 / (1 + np.exp(-s))], axis=1), 1e-13)
    gradient = torch_gradient(scores, x, 0)
    assert_close(explained, x * gradient, 1e-12)
    assert_close(negative, -x * gradient, 1e-12)
    assert_close(top, np.sign(s)[:, None, None, None] * x * gradient, 1e-12)


def test_how_one_output_is_read_is_said_once_and_can_be_confirmed():
    model, _, x = drawn_net(5, 1)
    with pytest.warns(UserWarning, match='read as the score of class 1 .* outputs="value"') as caught:
        model.predict(x)
    assert len(caught) == 1 and caught[0].filename == __file__
    dataclasses.replace(model, outputs="scores").predict(x)
    attribution.saliency(dataclasses.replace(model, outputs="scores"), x)


@pytest.mark.sampled(35)
@pytest.mark.parametrize("name", SCORED)
@pytest.mark.parametrize("target", [0, 1, None])
def test_every_method_explains_one_output_like_its_twin_with_two(name, target):
    model, twin, x, _ = pair(6)
    assert_close(call(name, model, x, target), call(name, twin, x, target), 1e-6)


def test_names_of_the_negative_and_the_positive_class():
    model, _, x = drawn_net(5, 1, outputs="scores")
    model = dataclasses.replace(model, classes=("cat", "dog"))
    assert (model.class_index("cat"), model.class_index("dog"), model.num_classes) == (0, 1, 2)
    assert {name for _, name, _ in model.predict(x)[0]} == {"cat", "dog"}
    np.testing.assert_array_equal(attribution.input_x_gradient(model, x, "cat"),
                                  -attribution.input_x_gradient(model, x, "dog"))  # fmt: skip
    for wrong in (("dog",), ("cat", "dog", "cow")):
        with pytest.raises(
            npgrad.InputError, match="2 names for one output, of the negative and the positive"
        ):
            dataclasses.replace(model, classes=wrong)


def test_a_softmax_of_one_output_is_refused():
    for head in ("Softmax", "LogSoftmax"):
        model, _, x = drawn_net(5, 1, head)
        for use in (model.predict, lambda x, model=model: attribution.saliency(model, x)):
            with pytest.raises(
                npgrad.InputError, match=f"head: expected at least two outputs for {head}, found one"
            ):
                use(x)


@pytest.mark.parametrize("make", ["make_fooling_image", "fgsm", "pgd", "smallest_perturbation"])
def test_fooling_one_output_or_a_softmax_is_fooling_the_logits(make):
    single, twin, x, _ = pair(7, half=True)
    softmax, plain = (drawn_net(7, 3, head)[0] for head in ("Softmax", "logits"))
    for model, equal in ((single, twin), (softmax, plain)):
        image = x[:1]
        target = 1 - int(equal(image).argmax()) if equal is twin else int(equal(image).argmin())
        options = {"targeted": True} if make in ("fgsm", "pgd") else {}
        options |= {"rounded": False} if make != "fgsm" else {}
        found, wanted = (getattr(synthesis, make)(one, image, target, **options) for one in (model, equal))
        assert_close(found.image, wanted.image, 1e-9)
        assert (found.reached, found.before, found.after) == (wanted.reached, wanted.before, wanted.after)
        assert found.probability == pytest.approx(wanted.probability, rel=1e-9)
        assert found.losses["lead"] == pytest.approx(wanted.losses["lead"], rel=1e-9)
        assert {i: p for i, _, p in model.predict(found.image)[0]}[target] == pytest.approx(found.probability)


@pytest.mark.parametrize("method", ["pixels", "fourier"])
def test_visualizing_a_class_ascends_its_logit(method):
    options = {"method": method, "num_iterations": 2, "size": 8, "rng": 0}
    softmax, plain = (drawn_net(8, 3, head, scale=30.0)[0] for head in ("Softmax", "logits"))
    found, wanted = (synthesis.create_class_visualization(one, 1, **options) for one in (softmax, plain))
    np.testing.assert_array_equal(found.image, wanted.image)
    assert (found.score, found.probability) == (wanted.score, wanted.probability)
    single, _, _ = drawn_net(8, 1, outputs="scores")
    for target in (0, 1):
        made = synthesis.create_class_visualization(single, target, **options)
        assert made.score == (2 * target - 1) * single(made.image)[0, 0]
        assert made.probability == {i: p for i, _, p in single.predict(made.image)[0]}[target]


def test_training_minimizes_the_cross_entropy_of_the_classes():
    target = np.array([1, 0])
    single, scores, x = drawn_net(9, 1, outputs="scores")
    loss, right, gradients, _ = training.batch_gradients(single, x, target, rng=0, parts=1)
    s = scores(torch.tensor(x))
    assert loss == pytest.approx(
        torch.nn.functional.binary_cross_entropy_with_logits(s[:, 0], torch.tensor(target * 1.0)).item(),
        rel=1e-12,
    )
    assert right == ((s[:, 0].numpy() > 0) == target).sum()
    bias = (torch.sigmoid(s[:, 0]).numpy() - target).mean()
    assert gradients["fc.bias"] == pytest.approx([bias], rel=1e-12)
    softmax, plain = (drawn_net(9, 3, head)[0] for head in ("Softmax", "logits"))
    found, wanted = (training.batch_gradients(one, x, target, rng=0, parts=1) for one in (softmax, plain))
    assert found[:2] == wanted[:2]
    for name, gradient in wanted[2].items():
        np.testing.assert_array_equal(found[2][name], gradient)
    confusion = training.accuracy(single, [(x, target)]).confusion
    assert confusion.shape == (2, 2) and np.trace(confusion) == right
    independent, _, _ = drawn_net(9, 3, "Sigmoid")
    with pytest.raises(npgrad.InputError, match="training: expected exclusive classes"):
        training.batch_gradients(independent, x, target)


def test_measures_use_the_probabilities_that_are_shown(rng):
    a = rng.normal(size=(2, 6, 6))
    for options in ({"head": "Softmax"}, {"classes": 1, "outputs": "scores"}, {"head": "Sigmoid"}):
        model, _, x = drawn_net(10, **options)
        _, _, curve = evaluation.deletion_auc(model, x, a, [1, 0], n_steps=4, return_curve=True)
        rows = as_rows(model.predict(x), model.num_classes)
        assert_close(curve[:, 0], rows[[0, 1], [1, 0]], 1e-13)
        rows = as_rows(model.predict(0 * x), model.num_classes)
        assert_close(curve[:, -1], rows[[0, 1], [1, 0]], 1e-13)
    softmax, plain = (drawn_net(10, 3, head, scale=30.0)[0] for head in ("Softmax", "logits"))
    with pytest.warns(UserWarning, match="ends in Softmax"):
        found = evaluation.infidelity(softmax, x, x, [1, 0])
    np.testing.assert_array_equal(found, evaluation.infidelity(plain, x, x, [1, 0]))
