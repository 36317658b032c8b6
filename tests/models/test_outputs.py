"""What a network's outputs are: read from its last layer, declared, shown, explained and fooled alike."""

import warnings

import numpy as np
import pytest
import torch
from checks import assert_close
from heads import FORMS, HEADS, SCORED, as_rows, call, drawn_net, torch_gradient

import npgrad
from npgrad import Model, attribution, layers
from npgrad.io.formats import hdf5


def expected(seed, head, form, classes=3, scale=1.0):
    """(model, images, its scores in torch as a function, its probabilities in torch)."""
    model, scores, x = drawn_net(seed, classes, head, form, scale)
    return model, x, scores, HEADS[head][1](scores(torch.tensor(x))).numpy()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("form", FORMS)
def test_predict_says_what_the_network_says(head, form):
    model, x, _, p = expected(0, head, form)
    assert_close(as_rows(model.predict(x), 3), p, 1e-14)
    assert_close(as_rows(model.predict(x, top=2), 3)[0, np.argsort(p[0])[1:]], np.sort(p[0])[1:], 1e-14)


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(60))
def test_predict_says_what_drawn_networks_say(seed):
    rng = np.random.default_rng(1000 + seed)
    head, form = rng.choice(list(HEADS)), rng.choice(FORMS)
    classes, scale = int(rng.integers(2, 7)), 10 ** rng.uniform(-1, 2.5)
    model, x, scores, p = expected(seed, head, form, classes, scale)
    np.testing.assert_allclose(as_rows(model.predict(x, top=9), classes), p, rtol=1e-9, atol=1e-300)
    target = int(rng.integers(classes))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "the network ends in")
        found = attribution.saliency(model, x, target)
    assert_close(found, np.abs(torch_gradient(scores, x, target)), 1e-11)


def test_what_is_saturated_is_shown_as_the_network_says_it():
    model, x, _, p = expected(3, "Softmax", "flat", scale=40.0)
    assert p.max() > 1 - 1e-9
    assert model.predict(x, top=1)[0][0][2] == model(x)[0].max()


@pytest.mark.parametrize("head", [head for head in HEADS if head != "logits"])
@pytest.mark.parametrize("form", FORMS)
def test_the_scores_before_the_last_layer_are_explained(head, form):
    model, x, scores, _ = expected(1, head, form, scale=30.0)
    with pytest.warns(UserWarning, match=f"the network ends in {head} ") as caught:
        found = attribution.saliency(model, x, [2, 0])
    assert len(caught) == 1 and caught[0].filename == __file__
    gradients = [torch_gradient(scores, x, column) for column in (2, 0)]
    assert_close(found, np.abs(np.stack([gradients[0][0], gradients[1][1]])), 1e-12)


@pytest.mark.parametrize("name", SCORED)
def test_every_method_explains_the_same_with_and_without_softmax(name):
    plain, _, x = drawn_net(2, scale=30.0)
    model, _, _ = drawn_net(2, head="Softmax", scale=30.0)
    with pytest.warns(UserWarning) as caught:
        found = call(name, model, x, [2, 0])
    assert len(caught) == 1, [str(w.message) for w in caught]
    np.testing.assert_array_equal(found, call(name, plain, x, [2, 0]))


def test_probabilities_are_explained_where_that_is_declared():
    model, scores, x = drawn_net(4, head="Softmax", outputs="probabilities")
    expected = torch_gradient(lambda x: torch.softmax(scores(x), 1), x, 1)
    assert_close(attribution.input_x_gradient(model, x, 1), x * expected, 1e-12)


def test_the_mean_of_probabilities_at_every_pixel_is_probabilities(rng):
    weight = rng.normal(size=(4, 3, 3, 3))
    network = {
        "conv": layers.Conv2d(weight, None),
        "soft": layers.Softmax(),
        "mean": layers.GlobalAvgPool2d(),
    }
    model, x = Model(layers.Sequential(network)), rng.normal(size=(2, 3, 6, 6))
    p = torch.softmax(torch.conv2d(torch.tensor(x), torch.tensor(weight)), 1).mean(dim=(2, 3)).numpy()
    assert_close(as_rows(model.predict(x), 4), p, 1e-14)
    assert model.output_kind == "probabilities" and model.num_classes == 4


def test_the_number_of_class_names_is_that_of_the_outputs(rng):
    network = drawn_net(13, 3)[0].network
    with pytest.raises(npgrad.InputError, match="classes: expected 3 names, found 2"):
        Model(network, ("a", "b"))
    unknown = layers.Sequential(
        {"conv": layers.Conv2d(rng.normal(size=(1, 3, 3, 3)), None), "flat": layers.Flatten()}
    )
    model = Model(unknown, ("a", "b"))  # how many outputs it has depends on the image
    with pytest.raises(npgrad.InputError, match="classes: expected 16 names, one per class, found 2"):
        model.predict(rng.normal(size=(1, 3, 6, 6)))
    assert len(Model(unknown).predict(rng.normal(size=(1, 3, 6, 6)), top=99)[0]) == 16


@pytest.mark.parametrize("outputs", ["value", "scores", "logits", None])
def test_what_is_declared_is_kept_in_the_weights_file(outputs):
    model = drawn_net(14, 1, outputs=outputs)[0]
    again = hdf5.from_bytes(hdf5.to_bytes(model), "net.h5")
    assert (again.outputs, again.output_kind) == (outputs, outputs or "scores")
    assert hdf5.to_bytes(again) == hdf5.to_bytes(model)


def test_only_known_kinds_can_be_declared():
    for wrong in ("values", 3, ["value"]):
        with pytest.raises(npgrad.InputError, match="outputs: expected one of logits, scores, probabilities"):
            drawn_net(14, outputs=wrong)
    independent, scores, x = drawn_net(15, 3, outputs="scores")
    assert_close(as_rows(independent.predict(x), 3), torch.sigmoid(scores(torch.tensor(x))).numpy(), 1e-14)
    logs, _, _ = drawn_net(15, 3, "LogSoftmax", outputs="log-probabilities")
    assert_close(as_rows(logs.predict(x), 3), np.exp(logs(x)), 1e-14)
