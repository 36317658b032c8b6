"""Fooling images: the homework's loop is torch's own; what is reached is said, and what is not; on real photos."""

import re

import numpy as np
import pytest
import torch
from checks import assert_close
from little_nets import image, in_torch, little_net, photo
from messages import A_NUMBER, A_WHOLE_NUMBER, FINITE_NUMBERS, OTHER_SETTINGS
from torch_nets import small_net, torch_twin

from npgrad import InputError, Model, layers, losses
from npgrad.errors import TargetError, UnknownName
from npgrad.io.formats.npz import read_imagenet_val
from npgrad.synthesis.fooling import Fooling, make_fooling_image
from npgrad.synthesis.pixels import as_saved, image_limits
from npgrad.synthesis.scores import _final_relu, score_gradient, waking_gradient


@pytest.fixture(scope="module")
def net():
    return little_net()


@pytest.fixture(scope="module")
def x():
    return image(12)


@pytest.fixture(scope="module")
def goal(net, x):
    """The class that comes last."""
    return int(net(x)[0].argmin())


def torch_loop(net, x, target, learning_rate, steps):
    """The homework's loop in torch, as its solutions have it: the image after every step."""
    fooling = torch.tensor(x, requires_grad=True)
    for _ in range(steps):
        scores = net(fooling)
        if scores[0].argmax() == target:
            break
        scores[0, target].backward()
        with torch.no_grad():
            fooling += learning_rate * fooling.grad / fooling.grad.norm()
            fooling.grad.zero_()
        yield fooling.detach().numpy().copy()


def same_steps(model, net, x, target, learning_rate, steps, at_least):
    ours = []
    result = make_fooling_image(
        model, x, target, learning_rate, steps, rounded=False, callback=lambda t, image, _: ours.append(image)
    )
    theirs = list(torch_loop(net, x, target, learning_rate, steps))
    assert result.steps == len(ours) == len(theirs) >= at_least
    for t, (found, expected) in enumerate(zip(ours, theirs, strict=True)):
        assert_close(found - x, expected - x, 1e-8, f"change after step {t + 1}")
    return result


def test_twenty_steps_are_torchs_own(net, x, goal):
    slow = same_steps(net, in_torch(net), x, goal, learning_rate=0.002, steps=20, at_least=20)
    assert not slow.reached
    assert same_steps(net, in_torch(net), x, goal, learning_rate=0.5, steps=100, at_least=5).reached


@pytest.mark.exhaustive
def test_twenty_steps_of_squeezenet_are_torchs_own():
    net, x = small_net(), image(32)
    second = int(np.argsort(net(x)[0])[-2])
    same_steps(net, torch_twin(net), x, second, learning_rate=0.002, steps=20, at_least=20)


@pytest.mark.exhaustive
def test_twenty_steps_with_real_weights_are_torchs_own(real_model, shared):
    model, x = real_model.astype(np.float64), photo(real_model, shared)
    result = same_steps(model, torch_twin(model), x, 483, learning_rate=0.05, steps=20, at_least=20)
    assert result.losses["score"] == sorted(result.losses["score"])


def test_a_reached_target_is_reported(net, x, goal):
    before = x.copy()
    result = make_fooling_image(net, x, goal, learning_rate=0.5, rounded=False)
    logits, change = net(result.image), result.image - x
    assert isinstance(result, Fooling) and result.reached and result.targeted and not result.reason
    assert result.before == net(x).argmax() != result.after == result.target == goal == logits.argmax()
    assert result.norm == pytest.approx(np.sqrt(np.sum(change**2)), rel=1e-12)
    std = np.array(net.preprocessing.std)[:, None, None]
    assert result.largest_change == pytest.approx(255 * np.abs(change[0] * std).max(), rel=1e-12)
    e = np.exp(logits[0] - logits.max())
    assert result.probability == pytest.approx(e[goal] / e.sum(), rel=1e-12)
    assert (
        0 < result.steps < 100 and len(result.losses["score"]) == len(result.losses["lead"]) == result.steps
    )
    assert max(result.losses["lead"]) < 0  # else it would have stopped
    assert re.fullmatch(
        rf"Fooling\(class \d -> {goal}; target {goal}: reached in {result.steps} steps, "
        r"probability [\d.]+%; change: norm [\d.]+, at most [\d.]+/255\)", repr(result)
    )  # fmt: skip
    np.testing.assert_array_equal(x, before)


def test_the_class_it_is_already_takes_no_step(net, x):
    result = make_fooling_image(net, x, int(net(x).argmax()))
    assert result.reached and result.steps == 0 and result.norm == 0 and result.losses == {}
    np.testing.assert_array_equal(result.image, x)


def test_a_target_is_an_index_or_a_name(net, x, goal):
    named = Model(net.network, classes=[f"animal {i}" for i in range(5)])
    by_name = make_fooling_image(named, x, f"animal {goal}", 0.5)
    np.testing.assert_array_equal(by_name.image, make_fooling_image(net, x, goal, 0.5).image)


def test_too_few_steps_are_reported(net, x, goal):
    for steps in (0, 2):
        result = make_fooling_image(net, x, goal, learning_rate=1e-4, max_iter=steps)
        assert not result.reached and result.steps == steps and result.after == result.before != goal
        assert result.reason == f"{steps} steps were not enough" and f"NOT reached ({steps} steps" in repr(
            result
        )


def test_a_gradient_that_is_zero_everywhere_is_reported(x):
    result = make_fooling_image(little_net([1, 0, 0, 0, 0], scale=0), x, 3)
    assert not result.reached and result.steps == 0 and result.reason == "its gradient is 0 everywhere"
    np.testing.assert_array_equal(result.image, x)


def test_a_dead_target_is_woken_up(x):
    model = little_net([0, 0, -4, 0, 0])
    tape = model.forward(x)
    assert tape.output[0, 2] == 0 and _final_relu(tape) == "relu"
    assert not tape.backward(losses.score(tape.output, 2)[1])["input"].any()
    result = make_fooling_image(model, x, 2, rounded=False)
    assert result.reached and result.after == 2 and result.probability > 0.2
    assert result.losses["score"][0] == 0


def test_where_a_class_is_alive_its_gradient_is_the_plain_one(x):
    model = little_net([0, 0, -6, 0, 0])
    tape, dx = score_gradient(model, x, 1)
    np.testing.assert_array_equal(dx, tape.backward(losses.score(tape.output, 1)[1])["input"])


def test_waking_opens_the_final_relu_for_the_target_alone(x):
    model, opened = little_net([0, 0, -9, 0, -9]), little_net([0, 0, -9, 0, -9], relu=False)
    tape, dy = model.forward(x), np.array([[0.5, -1.0, 2.0, 0, -0.25]])
    part = {
        name: np.where(np.arange(5) == 2, dy, 0) if name == "target" else dy for name in ("target", "all")
    }
    expected = tape.backward(part["all"])["input"] + opened.forward(x).backward(part["target"])["input"]
    np.testing.assert_allclose(waking_gradient(tape, dy, 2), expected, rtol=1e-13)


def test_each_image_wakes_its_own_target(x):
    model, images = little_net([0, 0, -4, 0, 0]), np.concatenate([x, 20 * x, x])
    tape, together = score_gradient(model, images, 2)
    assert (tape.output[:, 2] == 0).tolist() == [True, False, True]
    for i in range(3):
        alone = score_gradient(model, images[i : i + 1], 2)[1]
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [(["conv", "relu", "mean"], "relu"), (["conv", "relu"], "relu"), (["conv", "mean"], None),
     (["conv", "relu", "mean", "flat"], "relu"), (["conv", "relu", "pool"], None)],
)  # fmt: skip
def test_the_final_relu_has_nothing_but_means_behind_it(x, parts, expected):
    known = {
        "conv": layers.Conv2d.init(3, 5, 3), "relu": layers.ReLU(), "mean": layers.GlobalAvgPool2d(),
        "flat": layers.Flatten(), "pool": layers.MaxPool2d(2),
    }  # fmt: skip
    tape = Model(layers.Sequential({name: known[name] for name in parts})).forward(x)
    assert _final_relu(tape) == expected


def test_margin_goes_on_until_the_lead_is_large_enough(net, x, goal):
    plain, sure = (make_fooling_image(net, x, goal, 0.5, 300, margin, rounded=False) for margin in (0, 0.4))
    assert sure.reached and sure.steps > plain.steps

    def lead(image):
        logits = net(image)[0]
        return logits[goal] - np.delete(logits, goal).max()

    assert lead(sure.image) > 0.4 >= sure.losses["lead"][-1] and 0 < lead(plain.image) < 0.4
    never = make_fooling_image(net, x, goal, 0.5, 2, margin=1e9)
    assert not never.reached and never.reason == "2 steps were not enough"


def test_clip_keeps_every_value_within_what_a_image_holds(net, x, goal):
    low, high = image_limits(net, x)
    free = make_fooling_image(net, x, goal, learning_rate=10)
    kept = make_fooling_image(net, x, goal, learning_rate=10, clip=True)
    assert ((free.image < low) | (free.image > high)).any()
    assert kept.reached and (kept.image >= low).all() and (kept.image <= high).all()
    np.testing.assert_allclose(net.deprocess(np.broadcast_to(low, x.shape)), 0)
    np.testing.assert_allclose(net.deprocess(np.broadcast_to(high, x.shape)), 255)


def test_rounded_means_that_the_file_fools_as_well(net, x, goal):
    options = {"learning_rate": 0.01, "max_iter": 1000}
    rough, rounded = (make_fooling_image(net, x, goal, rounded=r, **options) for r in (False, True))
    assert rough.reached and net(as_saved(net, rough.image)).argmax() != goal
    assert rounded.reached and net(as_saved(net, rounded.image)).argmax() == goal
    assert rounded.steps > rough.steps
    cut = make_fooling_image(net, x, goal, 0.01, max_iter=rough.steps)  # fools, but not as a file
    assert cut.after == goal and not cut.reached and cut.reason == f"{rough.steps} steps were not enough"


def test_an_interrupted_one_keeps_the_latest_image(net, x, goal):
    def stop(t, image, losses):
        if t == 3:
            raise KeyboardInterrupt

    result = make_fooling_image(net, x, goal, 0.002, callback=stop)
    assert result.interrupted and result.steps == 3 and not result.reached and result.reason == "interrupted"
    assert result.norm == pytest.approx(0.006, rel=0.1)


def test_a_checkpoint_is_resumed_with_the_same_bits_and_refused_for_others(net, x, goal, tmp_path):
    def stop(t, image, losses):
        if t == 3:
            raise KeyboardInterrupt

    def make(**options):
        return make_fooling_image(net, x, goal, **{"learning_rate": 0.02, "max_iter": 300, **options})

    path, calls = tmp_path / "fool.ckpt", []
    expected = make()
    assert make(callback=stop, checkpoint=path).interrupted
    for _ in range(2):  # resumed, then finished: nothing left to do
        result = make(checkpoint=path, callback=lambda t, *rest: calls.append(t))
        np.testing.assert_array_equal(result.image, expected.image)
        assert (
            repr(result) == repr(expected)
            and result.losses == expected.losses
            and result.norm == expected.norm
        )
    assert calls == list(range(4, expected.steps + 1))
    for other in ({"margin": 1}, {"learning_rate": 1}, {"max_iter": 9}, {"clip": True}, {"rounded": False}):
        with pytest.raises(InputError, match=OTHER_SETTINGS):
            make(checkpoint=path, **other)


REFUSED = [
    ({"target": 5}, TargetError, "5"),
    ({"target": "cat"}, UnknownName, "cat"),
    ({"max_iter": -1}, InputError, f"max_iter: {A_WHOLE_NUMBER} >= 0, found -1"),
    ({"max_iter": 2.5}, InputError, f"max_iter: {A_WHOLE_NUMBER} >= 0, found 2.5"),
    ({"learning_rate": -1}, InputError, f"learning_rate: {A_NUMBER} >= 0, found -1"),
    ({"margin": np.nan}, InputError, f"margin: {A_NUMBER} >= 0, found nan"),
    ({"x": np.zeros((2, 3, 12, 12))}, InputError, "x: expected one image (1, C, H, W), found shape (2, 3, 12, 12)"),
    ({"x": np.zeros((3, 12, 12))}, InputError, "x: expected one image (1, C, H, W), found shape (3, 12, 12)"),
    ({"x": np.full((1, 3, 12, 12), np.nan)}, InputError, FINITE_NUMBERS),
    ({"rng": -1}, InputError, "rng: expected a Generator or a whole number >= 0, found -1"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "error", "message"), REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(net, x, options, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        make_fooling_image(net, **{"x": x, "target": 1, **options})
    assert len(str(caught.value).splitlines()) == 1


@pytest.fixture(scope="module")
def photos(shared, real_model):
    """The 25 photos, and a random other class for each."""
    pixels, _, _ = read_imagenet_val(shared / "data" / "imagenet_val_25.npz")
    x = real_model.preprocess(list(pixels), resize=False)
    return x, (real_model(x).argmax(axis=1) + np.random.default_rng(0).integers(1, 1000, len(x))) % 1000


@pytest.mark.exhaustive
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.slow), 4])
def test_all_25_photos_are_fooled_and_stay_so_as_files(real_model, photos, tmp_path, every):
    from PIL import Image

    paths, targets, norms = [], [], []
    for i, (x, target) in enumerate(zip(photos[0][::every], photos[1][::every].tolist(), strict=True)):
        result = make_fooling_image(real_model, x[None], target)
        assert result.reached and 0 < result.steps <= 100, result
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(real_model.deprocess(result.image)[0]).save(paths[-1])
        targets.append(target)
        norms.append(result.norm)
    found = real_model(real_model.preprocess(paths, resize=False)).argmax(axis=1)
    np.testing.assert_array_equal(found, targets)
    assert 5 < np.median(norms) < 30
