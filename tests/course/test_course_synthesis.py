"""The homework's functions of Q1.3b, Q1.4 and Part 2: names, meanings, defaults."""

import inspect

import numpy as np
import pytest
import torch
from messages import A_NUMBER
from PIL import Image
from scipy.ndimage import gaussian_filter1d
from torch_nets import activations, small_net, torch_names, torch_twin

import npgrad
from npgrad import course
from npgrad.models import squeezenet1_0
from npgrad.synthesis.style_transfer import style_transfer


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model():
    return small_net()


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(1, 3, 48, 48))


def score_and_gradient(net, X, y):
    x = torch.tensor(X, requires_grad=True)
    scores = net(x)
    scores[0, y].backward()
    return scores.detach().numpy()[0], x.grad.numpy()


def test_defaults_are_the_courses():
    def defaults(function):
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.default) for p in parameters if p.default is not p.empty]

    assert defaults(course.make_fooling_image) == [("learning_rate", 10), ("max_iter", 100)]
    assert defaults(course.make_fool_image) == defaults(course.make_fooling_image)
    assert defaults(course.create_class_visualization)[:7] == [
        ("l2_reg", 1e-3), ("learning_rate", 25), ("num_iterations", 100), ("blur_every", 10), ("max_jitter", 16),
        ("show_every", 25), ("rng", None),
    ]  # fmt: skip
    assert defaults(course.style_transfer) == [("init_random", False), ("model", None), ("rng", None)]
    assert defaults(course.blur_image) == [("sigma", 1)]
    assert defaults(course.gram_matrix) == [("normalize", True)]


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["make_fooling_image", "make_fool_image"])
def test_fooling_image(model, X, name):
    """The course's loop: step up the target's score until it is the top class."""
    net, expected, target = torch_twin(model), X.copy(), int(model(X).argsort()[0, -3])
    for _ in range(100):
        scores, g = score_and_gradient(net, expected, target)
        if scores.argmax() == target:
            break
        expected += 2 * g / np.linalg.norm(g)
    before = X.copy()
    found = getattr(course, name)(X, target, model, learning_rate=2)
    assert np.linalg.norm(expected - X) > 3
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(X, before)
    few = course.make_fooling_image(X, target, model, learning_rate=1e-6, max_iter=3)
    assert 0 < np.linalg.norm(few - X) < 4e-6


@pytest.mark.parametrize("name", ["make_fooling_image", "make_fool_image"])
def test_one_step_of_a_fooling_image(model, X, name):
    target = int(model(X).argsort()[0, -3])
    dy = np.eye(len(model(X)[0]))[[target]]
    g = model.forward(X).backward(dy)["input"]
    found = getattr(course, name)(X, target, model, learning_rate=1e-3, max_iter=1)
    np.testing.assert_allclose(found, X + 1e-3 * g / np.linalg.norm(g), rtol=0, atol=1e-12)


def test_fooling_stops_by_the_array_alone(model, X, monkeypatch):
    """The course does not check whether the image still fools the network after it is saved."""
    monkeypatch.setattr("npgrad.synthesis._fooling.as_saved", lambda *_: pytest.fail("checked"))
    top = int(model(X).argmax())
    np.testing.assert_array_equal(course.make_fooling_image(X, top, model), X)


def test_update_step(model, X):
    target, before = int(model(X).argmax()), X.copy()
    _, g = score_and_gradient(torch_twin(model), X, target)
    g = g - 2 * 0.05 * X
    found = course.class_visualization_update_step(X, model, target, l2_reg=0.05, learning_rate=25)
    np.testing.assert_allclose(found, X + 25 * g / np.linalg.norm(g), rtol=0, atol=1e-10)
    np.testing.assert_array_equal(X, before)


def test_update_step_wakes_a_dead_class(model, X):
    target = int(np.flatnonzero(model(X)[0] == 0)[0])
    found = course.class_visualization_update_step(X, model, target, l2_reg=0, learning_rate=25)
    assert np.linalg.norm(found - X) == pytest.approx(25)


def test_jitter_and_blur(X):
    moved = course.jitter(X, 5, 2)
    np.testing.assert_array_equal(moved[:, :, 2:, 5:], X[:, :, :-2, :-5])
    np.testing.assert_array_equal(moved[:, :, :2, :5], X[:, :, -2:, -5:])
    np.testing.assert_array_equal(course.jitter(moved, -5, -2), X)
    np.testing.assert_allclose(
        course.blur_image(X), gaussian_filter1d(gaussian_filter1d(X, 1, axis=2), 1, axis=3)
    )
    assert not np.allclose(course.blur_image(X, sigma=0.5), course.blur_image(X))


def test_class_visualization_is_the_courses_loop(model):
    rng, shown = np.random.default_rng(2), []
    img = rng.standard_normal((1, 3, 48, 48))
    mean, std = (np.reshape(v, (1, 3, 1, 1)) for v in (model.preprocessing.mean, model.preprocessing.std))
    for t in range(12):
        ox, oy = rng.integers(0, 16, size=2, endpoint=True)
        img = course.jitter(img, ox, oy)
        img = course.class_visualization_update_step(img, model, 3, 1e-3, 25)
        img = np.clip(course.jitter(img, -ox, -oy), -mean / std, (1 - mean) / std)
        if t % 10 == 0:
            img = course.blur_image(img, sigma=0.5)
    found = course.create_class_visualization(
        3,
        model,
        num_iterations=12,
        show_every=5,
        rng=2,
        size=48,
        show=lambda image, step: shown.append((step, image)),
    )
    expected = course.deprocess(img)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(expected))
    assert [step for step, _ in shown] == [1, 5, 10, 12]
    assert np.array_equal(np.asarray(shown[-1][1]), np.asarray(expected))
    course.create_class_visualization(
        3, model, num_iterations=2, show_every=0, rng=2, size=48, show=lambda *_: pytest.fail("shown")
    )


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_are_the_values_of_torch(rng, dtype):
    rtol = 1e-10 if dtype == np.float64 else 1e-5
    a, b = rng.normal(size=(2, 1, 6, 9, 7)).astype(dtype)
    ta, tb = torch.tensor(a, dtype=torch.float64), torch.tensor(b, dtype=torch.float64)
    np.testing.assert_allclose(
        course.content_loss(6e-2, a, b), 6e-2 * ((ta - tb) ** 2).sum().item(), rtol=rtol
    )
    down, across = ta[:, :, 1:] - ta[:, :, :-1], ta[:, :, :, 1:] - ta[:, :, :, :-1]
    expected = 2e-2 * ((down**2).sum() + (across**2).sum()).item()
    np.testing.assert_allclose(course.tv_loss(a, 2e-2), expected, rtol=rtol)

    two = np.concatenate([a, b])
    rows = torch.tensor(two, dtype=torch.float64).reshape(2, 6, -1)
    gram = torch.bmm(rows, rows.transpose(1, 2))
    np.testing.assert_allclose(course.gram_matrix(two, normalize=False), gram, rtol=rtol, atol=100 * rtol)
    np.testing.assert_allclose(course.gram_matrix(two), gram / (6 * 9 * 7), rtol=rtol, atol=rtol)

    targets = [rng.normal(size=(1, 6, 6)) for _ in range(2)]
    grams = [g[None] / (6 * 9 * 7) for g in gram]
    expected = (
        3 * ((grams[1] - torch.tensor(targets[0])) ** 2).sum()
        + 5 * ((grams[0] - torch.tensor(targets[1])) ** 2).sum()
    )
    found = course.style_loss([a, None, b], [2, 0], targets, [3, 5])
    np.testing.assert_allclose(found, expected.item(), rtol=rtol)
    assert not np.shape(found)
    with pytest.raises(npgrad.InputError, match=r"as many targets and weights as layers, found \[2, 1, 2\]"):
        course.style_loss([a, b], [0, 1], targets[:1], [3, 5])


def test_features_of_1_1_are_torchvisions(model, X):
    found = course.extract_features(X, model)
    expected = activations(torch_twin(model), torch.tensor(X))
    assert len(found) == 13
    for i, feature in enumerate(found):
        np.testing.assert_allclose(feature, expected[f"features.{i}"].detach(), rtol=0, atol=1e-10)


def test_features_of_1_0_go_by_1_1s_names(X):
    model = squeezenet1_0(num_classes=4, rng=0).astype(np.float64)
    found, tape = course.extract_features(X, model), model.forward(X)
    names = {1: "relu1", 3: "fire2", 4: "fire3", 5: "fire3", 6: "fire4", 7: "fire5", 8: "fire5", 12: "fire9"}
    assert len(found) == 13
    for i, name in names.items():
        np.testing.assert_array_equal(found[i], tape[name])
    assert torch_names(model)["fire9"] == "features.12"


@pytest.fixture
def painted(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("content", "style"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    return str(tmp_path / "content.png"), str(tmp_path / "style.png")


PARAMETERS = {
    "image_size": 24,
    "style_size": 28,
    "content_layer": 3,
    "content_weight": 5e-2,
    "style_layers": [1, 4, 6, 7],
    "style_weights": [20000, 500, 12, 1],
    "tv_weight": 5e-2,
}


@pytest.mark.exhaustive
def test_style_transfer_takes_the_courses_parameters(model, painted):
    found = course.style_transfer(*painted, **PARAMETERS, model=model)
    named = {"content_layer": "fire2", "style_layers": ("relu1", "fire3", "fire4", "fire5")}
    expected = style_transfer(model, *painted, **PARAMETERS | named)
    assert (found.size, expected.steps) == ((30, 24), 200)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(course.deprocess(expected.image)))


def test_feature_inversion_is_style_transfer_without_style(model, painted):
    parameters = PARAMETERS | {"style_weights": [0, 0, 0, 0], "init_random": True, "model": model}
    content, style = map(Image.open, painted)
    found = course.style_transfer(content, style, **parameters, rng=3)
    again = course.style_transfer(style_image=style, content_image=content, **parameters, rng=3)
    np.testing.assert_array_equal(np.asarray(found), np.asarray(again))
    other = course.style_transfer(content, style, **parameters, rng=4)
    assert not np.array_equal(np.asarray(found), np.asarray(other))


def test_a_wrong_layer_number_in_one_line(model, painted):
    for layer in (13, -1, 2.0, True):
        with pytest.raises(npgrad.InputError, match=f"layer: {A_NUMBER} from 0 to 12, or a name"):
            course.style_transfer(*painted, **PARAMETERS | {"content_layer": layer}, model=model)


WRONG = {
    "content_loss": lambda weight, a, b: 1.001 * weight * np.sum((a - b) ** 2),
    "gram_matrix": lambda features, normalize=True: course.gram_matrix(features, True),
    "style_loss": lambda feats, layers, targets, weights: course.style_loss(
        feats, layers, targets, weights[::-1]
    ),
    "tv_loss": lambda img, weight: weight * np.sum((img[:, :, 1:] - img[:, :, :-1]) ** 2),
}


@pytest.mark.parametrize("name", WRONG)
def test_the_courses_checks(name, capsys):
    check = getattr(course, f"{name}_test")
    assert check() == 0
    assert check(getattr(course, name)) == 0
    assert capsys.readouterr().out.splitlines() == ["Maximum error is 0"] * 2
    assert check(WRONG[name]) > 4e-4
    assert "Maximum error is 0.0" in capsys.readouterr().out or check(WRONG[name]) > 0.1


def test_a_check_says_that_a_shape_is_wrong(capsys):
    assert course.gram_matrix_test(lambda features, normalize=True: np.zeros((5, 5))) == np.inf
    assert "Expected shape (2, 5, 5), found (5, 5)" in capsys.readouterr().out
