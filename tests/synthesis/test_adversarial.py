"""Adversarial images: torch's own loops, balls and pixel ranges that are never left, the smallest change found."""

import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from checks import assert_close
from little_nets import MEAN, STD, image, in_torch, little_net, photo
from messages import A_NUMBER, A_WHOLE_NUMBER, OTHER_SETTINGS
from torch import nn
from torch_nets import small_net, torch_twin

from npgrad import InputError, Model, layers, losses
from npgrad._balls import into_ball, random_in_ball, steepest
from npgrad.errors import TargetError
from npgrad.synthesis import fgsm, pgd, smallest_perturbation
from npgrad.synthesis.fooling import Fooling
from npgrad.synthesis.pixels import as_saved, image_limits

CROSS_ENTROPY = nn.functional.cross_entropy


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


def torch_attack(net, x, target, way, epsilon, step_size, steps, norm, start=0.0):
    """PGD on pixel values, as it is usually written: the normalized image after every step."""
    std, mean = torch.tensor(STD), torch.tensor(MEAN)
    original = torch.tensor(pixels(x))
    p = (original + torch.tensor(start)).clamp(0, 1).requires_grad_()
    for _ in range(steps):
        loss = CROSS_ENTROPY(net((p - mean) / std), torch.tensor([target]))
        (g,) = torch.autograd.grad(loss, p)
        g = g.sign() if norm == "linf" else g / g.norm()
        with torch.no_grad():
            change = p + way * step_size * g - original
            if norm == "linf":
                change = change.clamp(-epsilon, epsilon)
            elif change.norm() > epsilon:
                change = change * epsilon / change.norm()
            p = (original + change).clamp(0, 1)
        p.requires_grad_()
        yield ((p.detach() - mean) / std).numpy()


NETS = {
    "little": lambda: (little_net(), in_torch(little_net()), image(12)),
    "squeezenet": lambda: (small_net(), torch_twin(small_net()), image(32)),
}


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("which", NETS)
def test_fgsm_is_torchs(which, targeted):
    net, theirs, x = NETS[which]()
    order = np.argsort(net(x)[0])
    target, way = int(order[-2] if targeted else order[-1]), -1 if targeted else 1
    result = fgsm(net, x, target, 8 / 255, targeted)
    (expected,) = torch_attack(theirs, x, target, way, 8 / 255, 8 / 255, 1, "linf")
    assert_close(result.image - x, expected - x, 1e-8)
    assert result.steps == 1 and result.target == target and result.targeted == targeted
    if not targeted:
        np.testing.assert_array_equal(fgsm(net, x).image, result.image)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize(("norm", "epsilon", "step_size"), [("linf", 8 / 255, 2 / 255), ("l2", 0.6, 0.15)])
@pytest.mark.parametrize("which", NETS)
def test_twenty_steps_of_pgd_are_torchs(which, norm, epsilon, step_size, targeted):
    net, theirs, x = NETS[which]()
    order = np.argsort(net(x)[0])
    target, way = int(order[-2] if targeted else order[-1]), -1 if targeted else 1
    steps, ours = 20 if which == "little" else 5, []
    pgd(net, x, target, epsilon, norm, steps, step_size, targeted, random_start=True, until_fooled=False,
        rng=np.random.default_rng(4), callback=lambda t, image, _: ours.append(image))  # fmt: skip
    start = random_in_ball(np.random.default_rng(4), x, epsilon, norm)
    expected = list(torch_attack(theirs, x, target, way, epsilon, step_size, steps, norm, start))
    assert len(ours) == len(expected) == steps
    for t in range(steps):
        assert_close(ours[t] - x, expected[t] - x, 1e-8, f"change after step {t + 1}")


@pytest.mark.exhaustive
def test_with_real_weights_pgd_is_torchs(real_model, shared):
    model, ours = real_model.astype(np.float64), []
    x = np.clip(photo(real_model, shared), *image_limits(real_model, np.zeros(1)))
    pgd(
        model,
        x,
        483,
        0.5,
        "l2",
        5,
        0.1,
        True,
        until_fooled=False,
        callback=lambda t, image, _: ours.append(image),
    )
    for found, expected in zip(
        ours, torch_attack(torch_twin(model), x, 483, -1, 0.5, 0.1, 5, "l2"), strict=True
    ):
        assert_close(found - x, expected - x, 1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("epsilon", [0, 0.01, 0.3])
def test_no_image_leaves_the_ball_or_what_a_image_can_hold(net, x, norm, epsilon, dtype):
    net, x, rounding = net.astype(dtype), x.astype(dtype), 1e-6 if dtype == np.float32 else 1e-13
    epsilon = epsilon if norm == "linf" else 10 * epsilon
    low, high = image_limits(net, x)
    assert (x == low).any() and (x == high).any()  # at the very border
    images = []
    for seed in range(3):
        images.clear()
        result = pgd(net, x, epsilon=epsilon, norm=norm, steps=6, step_size=epsilon, random_start=True, rng=seed,
                     until_fooled=False, callback=lambda t, image, _: images.append(image))  # fmt: skip
        assert len(images) == 6 and images[-1] is result.image and result.image.dtype == dtype
        for found in images:
            assert (found >= low).all() and (found <= high).all()
            change = pixels(found.astype(np.float64)) - pixels(x.astype(np.float64))
            size = np.abs(change).max() if norm == "linf" else np.sqrt(np.sum(change**2))
            assert size <= epsilon + rounding
        assert size >= 0.5 * epsilon


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_ball(norm):
    def size(change):
        return np.abs(change).max() if norm == "linf" else np.linalg.norm(change)

    rng, x = np.random.default_rng(0), np.zeros((1, 3, 4, 4))
    g = rng.standard_normal(x.shape)
    assert size(steepest(g, norm)) == pytest.approx(1)
    others = [d / size(d) for d in rng.standard_normal((50, *x.shape))]
    assert np.sum(steepest(g, norm) * g) > max(np.sum(d * g) for d in others)
    inside, outside = 0.5 * g / size(g), 3 * g / size(g)
    np.testing.assert_allclose(into_ball(inside, 0.5001, norm), inside, rtol=1e-15)
    back = into_ball(outside, 0.5, norm)
    assert size(back) == pytest.approx(0.5) and not into_ball(outside, 0.0, norm).any()
    for d in others:  # the nearest point: whatever else lies in the ball is farther away
        assert np.linalg.norm(outside - back) <= np.linalg.norm(outside - 0.5 * d)
    drawn = [random_in_ball(rng, x, 0.5, norm) for _ in range(200)]
    assert 0.45 < max(map(size, drawn)) <= 0.5 + 1e-12 and abs(np.mean(drawn)) < 0.01
    if norm == "linf":
        assert np.abs(drawn).mean() == pytest.approx(0.25, rel=0.02)
    else:  # half of a ball's volume lies within radius 0.5 ** (1 / 48)
        assert np.mean([size(d) < 0.5 * 0.5 ** (1 / 48) for d in drawn]) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("targeted", [False, True])
def test_pgd_stops_when_it_fools_and_reports(net, x, own, goal, norm, targeted):
    before = x.copy()
    options = {"norm": norm, "epsilon": 0.3 if norm == "linf" else 4, "steps": 40}
    result = pgd(net, x, goal if targeted else None, targeted=targeted, **options)
    assert isinstance(result, Fooling) and result.reached and 0 < result.steps < 40 and not result.reason
    assert result.before == own and net(as_saved(net, result.image)).argmax() == result.after != own
    assert result.target == (goal if targeted else own) and (result.after == goal or not targeted)
    assert result.norm == pytest.approx(np.linalg.norm(result.image - x)) and result.targeted == targeted
    assert len(result.losses["loss"]) == len(result.losses["lead"]) == result.steps
    goal_text = f"target {goal}" if targeted else f"away from {own}"
    assert f"class {own} -> {result.after}; {goal_text}: reached in {result.steps} steps" in repr(result)
    whole = pgd(net, x, goal if targeted else None, targeted=targeted, until_fooled=False, **options)
    assert whole.steps == 40 and whole.reached
    sign = 1 if targeted else -1
    assert sign * whole.probability > sign * result.probability
    np.testing.assert_array_equal(x, before)


def test_what_is_fooled_already_takes_no_step(net, x, own, goal):
    for result in (pgd(net, x, own, targeted=True), pgd(net, x, goal)):
        assert result.reached and result.steps == 0 and result.norm == 0


def test_the_step_is_two_and_a_half_balls_long_in_all(net, x):
    for epsilon, norm in ((8 / 255, "linf"), (2, "l2")):
        result = pgd(net, x, norm=norm, steps=10, until_fooled=False)
        expected = pgd(
            net, x, norm=norm, steps=10, epsilon=epsilon, step_size=epsilon / 4, until_fooled=False
        )
        np.testing.assert_array_equal(result.image, expected.image)


def test_another_loss(net, x, goal):
    def minus_score(logits, target):
        value, dlogits = losses.score(logits, target)
        return -value, -dlogits

    result = fgsm(net, x, goal, targeted=True, loss=minus_score)
    dx = net.forward(x).backward(losses.score(net(x), goal)[1])["input"]
    np.testing.assert_allclose(
        result.image, np.clip(x + 8 / 255 / STD * np.sign(dx), *image_limits(net, x)), rtol=1e-14
    )  # fmt: skip
    climbed = pgd(net, x, goal, 0.3, targeted=True, loss=minus_score, steps=30)
    assert climbed.reached and climbed.losses["loss"][-1] < climbed.losses["loss"][0] == -net(x)[0, goal]


def test_an_unreachable_target_ends_with_a_clear_report(net, x, own, goal):
    for result, reason in (
        (fgsm(net, x, goal, 1e-4, targeted=True), "one step of 0.0255/255 was not enough"),
        (pgd(net, x, goal, 2 / 255, targeted=True, steps=3), "3 steps within 2/255 were not enough"),
        (pgd(net, x, None, 0.01, "l2", steps=3), "3 steps within a norm of 0.01 were not enough"),
        (smallest_perturbation(net, x, goal, steps=0), "0 steps were not enough"),
    ):
        assert not result.reached and result.reason == reason and f"NOT reached ({reason})" in repr(result)
        assert result.after == own
    flat = little_net([1, 0, 0, 0, 0], scale=0)
    for attack in (fgsm, pgd, smallest_perturbation):
        for result in (
            attack(flat, x),
            attack(flat, x, 3, **({} if attack is smallest_perturbation else aimed)),
        ):
            assert not result.reached and result.reason == "its gradient is 0 everywhere", (attack, result)
            np.testing.assert_array_equal(result.image, x)


aimed = {"targeted": True}


def test_a_dead_target_is_woken_up(x):
    dead, x = little_net([0, 0, -1.5, 0, 0]), 0.3 * x  # pale, so that there is room for a change
    assert dead(x)[0, 2] == 0
    options = {"targeted": True, "rounded": False}
    assert pgd(dead, x, 2, epsilon=1, steps=60, **options).reached
    assert pgd(dead, x, 2, epsilon=20, norm="l2", steps=60, **options).reached
    assert smallest_perturbation(dead, x, 2, rounded=False, steps=80).reached


def interrupt_at(step):
    def callback(t, *rest):
        if t == step:
            raise KeyboardInterrupt

    return callback


MAKERS = {
    "pgd": lambda net, x, **o: pgd(net, x, epsilon=0.3, steps=12, random_start=True, until_fooled=False, **o),
    "smallest": lambda net, x, **o: smallest_perturbation(net, x, steps=12, **o),
    "smallest in floats": lambda net, x, **o: smallest_perturbation(net, x, steps=12, rounded=False, **o),
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("stop", [1, 5, 11])
@pytest.mark.parametrize("name", MAKERS)
def test_interrupted_and_resumed_it_has_the_same_bits(net, x, name, stop, tmp_path):
    make, path, calls = MAKERS[name], tmp_path / "run.ckpt", []
    expected = make(net, x)
    first = make(net, x, callback=interrupt_at(stop), checkpoint=path)
    assert first.interrupted and first.steps == stop
    for _ in range(2):  # resumed, then finished: nothing left to do
        result = make(net, x, checkpoint=path, callback=lambda t, *rest: calls.append(t))
        np.testing.assert_array_equal(result.image, expected.image)
        assert (repr(result), result.norm, result.losses) == (repr(expected), expected.norm, expected.losses)
    assert calls == list(range(stop + 1, 13))
    with pytest.raises(InputError, match=OTHER_SETTINGS):
        make(net, x, checkpoint=path, rng=1)


REFUSED = [
    (pgd, {"norm": "l1"}, InputError, "norm: expected one of linf, l2; found 'l1'"),
    (pgd, {"epsilon": -1}, InputError, f"epsilon: {A_NUMBER} >= 0, found -1"),
    (pgd, {"steps": -1}, InputError, f"steps: {A_WHOLE_NUMBER} >= 0, found -1"),
    (pgd, {"steps": 2.5}, InputError, f"steps: {A_WHOLE_NUMBER} >= 0, found 2.5"),
    (pgd, {"step_size": np.inf}, InputError, f"step_size: {A_NUMBER} >= 0, found inf"),
    (pgd, {"targeted": True}, InputError, "target: expected a class to aim at, found None"),
    (fgsm, {"targeted": True}, InputError, "target: expected a class to aim at, found None"),
    (fgsm, {"epsilon": "8"}, InputError, f"epsilon: {A_NUMBER} >= 0, found '8'"),
    (fgsm, {"target": 5}, TargetError, "5"),
    (smallest_perturbation, {"target": -1}, TargetError, "-1"),
    (smallest_perturbation, {"steps": None}, InputError, f"steps: {A_WHOLE_NUMBER} >= 0, found None"),
    *((attack, {"x": np.zeros((2, 3, 12, 12))}, InputError, "x: expected one image (1, C, H, W)")
      for attack in (fgsm, pgd, smallest_perturbation)),
]  # fmt: skip


@pytest.mark.parametrize(("attack", "options", "error", "message"), REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(net, x, attack, options, error, message):
    with pytest.raises(error, match=re.escape(message)) as caught:
        attack(net, **{"x": x, **options})
    assert len(str(caught.value).splitlines()) == 1


def test_a_network_of_one_output_is_fooled_by_its_sign_and_a_regression_is_refused(x):
    parts = {"conv": layers.Conv2d.init(3, 1, 3), "mean": layers.GlobalAvgPool2d()}
    net = Model(layers.Sequential(parts), outputs="scores").astype(np.float64)
    for attack in (fgsm, pgd, smallest_perturbation):
        result = attack(net, x)
        assert {result.before, result.after} == {0, 1} and result.after == int(net(result.image)[0, 0] > 0)
        with pytest.raises(InputError, match='expected a network with classes, found outputs="value"'):
            attack(replace(net, outputs="value"), x)
