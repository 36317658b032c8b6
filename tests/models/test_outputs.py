"""What a network's outputs are: read from its last layer, declared, shown, explained and fooled alike."""

import dataclasses
import inspect
import warnings

import numpy as np
import pytest
import torch
from checks import assert_close
from heads import FORMS, HEADS, drawn_net, torch_gradient

import npgrad
from npgrad import Model, attribution, evaluation, layers, synthesis, training
from npgrad.attribution._by_name import BY_NAME
from npgrad.attribution.explain import Request, explain
from npgrad.io.formats import hdf5

UNTOLD = (
    "layer_activation",
    "eigen_cam",
    "neuron_gradient",
    "neuron_guided_backprop",
    "neuron_integrated_gradients",
)
SCORED = [name for name in BY_NAME if name not in UNTOLD]
FEW = {"n_steps": 3, "n_samples": 4, "window": 3, "layer": "relu", "neuron": (0, 1, 1), "stride": 2}
FEW |= {"mask": np.arange(36).reshape(6, 6) // 9}


def call(name, model, x, target):
    """A method by name, with few samples."""
    takes = inspect.signature(BY_NAME[name]).parameters
    return BY_NAME[name](model, x, target, **{key: value for key, value in FEW.items() if key in takes})


def as_rows(prediction, count):
    """What `predict` returned as probabilities (N, classes)."""
    rows = np.full((len(prediction), count), np.nan)
    for row, classes in zip(rows, prediction, strict=True):
        for index, _, p in classes:
            row[index] = p
        assert [p for _, _, p in classes] == sorted((p for _, _, p in classes), reverse=True)
    return rows


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


# One output: a score of two classes.


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
    with pytest.raises(npgrad.TargetError, match="expected 0 to 0; found 1"):
        attribution.saliency(model, x, 1)
    named = dataclasses.replace(model, classes=["age"])
    assert named.predict(x)[0][0][1] == "age" and "1 named outputs" in repr(named)


@pytest.mark.parametrize(
    "use",
    [
        lambda m, x: evaluation.deletion_auc(m, x, x),
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


def test_an_explanation_of_a_value():
    model, _, _ = drawn_net(11, 1, outputs="value")
    image = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    small = dataclasses.replace(model, preprocessing=npgrad.Preprocessing(resize=12, crop=12))
    assert explain(small, image, Request()).target == small.predict(image)[0][0]


# Maps, and what is declared.


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
