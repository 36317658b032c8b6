"""Adversarial training: the attack of a whole batch, and that a training with it takes torch's steps."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from messages import A_NUMBER
from torch_nets import small_net, torch_state, torch_twin

from npgrad import InputError, config, training
from npgrad.layers import Dropout
from npgrad.models import squeezenet1_1
from npgrad.optim import Adam
from npgrad.synthesis import pgd
from npgrad.synthesis.pixels import image_limits, pixel_std

RADIUS = {"linf": 8 / 255, "l2": 0.6}


def images(n=4, size=33, seed=3, dtype=np.float64):
    """A batch that an image file can hold, some of it close to black."""
    values = np.random.default_rng(seed).uniform(0, 1, (n, 3, size, size)) ** 2
    return ((values - np.reshape(MEAN, (3, 1, 1))) / np.reshape(STD, (3, 1, 1))).astype(dtype)


MEAN, STD = small_net().preprocessing.pixel_mean, small_net().preprocessing.pixel_std


def size(change, norm):
    rows = change.reshape(len(change), -1)
    return np.abs(rows).max(axis=1) if norm == "linf" else np.sqrt((rows**2).sum(axis=1))


@pytest.mark.parametrize("norm", RADIUS)
@pytest.mark.parametrize("steps", [1, 4])
def test_each_image_is_attacked_as_pgd_attacks_it_alone(norm, steps):
    model, x, target = small_net(), images(), np.array([3, 1, 4, 1])
    found = training.Attack(norm, RADIUS[norm], steps, random_start=False)(model, x, target)
    step_size = RADIUS[norm] * (1.25 if steps == 1 else 2.5 / steps)
    for i in range(len(x)):
        alone = pgd(
            model, x[i : i + 1], int(target[i]), RADIUS[norm], norm, steps, step_size, until_fooled=False
        )
        np.testing.assert_allclose(found[i : i + 1], alone.image, rtol=0, atol=1e-12)
        assert np.abs(found[i] - x[i]).max() > 1e-3


@pytest.mark.parametrize("norm", RADIUS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_attacked_images_are_images_within_the_ball(norm, dtype):
    model, x, target = small_net().astype(dtype), images(dtype=dtype), np.array([0, 1, 2, 3])
    before = x.copy()
    attack = training.Attack(norm, RADIUS[norm], steps=2, step_size=3.0)
    found = attack(model, x, target, rng=5)
    assert found.dtype == dtype and (x == before).all()
    low, high = image_limits(model, x)
    assert (found >= low).all() and (found <= high).all()
    # To the border of the ball, but for what the image's range cuts off.
    sizes = size((found - x) * pixel_std(model, x), norm)
    assert (sizes <= RADIUS[norm] * 1.00001).all() and (sizes > 0.5 * RADIUS[norm]).all()
    assert (found == attack(model, x, target, rng=5)).all()
    assert (found != attack(model, x, target, rng=6)).any()


def test_the_loss_of_each_image_rises():
    model, x, target = small_net(), images(), np.array([3, 1, 4, 1])

    def losses(x):
        logits = model(x)
        return np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(4), target]

    for norm, radius in RADIUS.items():
        worst = training.Attack(norm, radius, steps=5)(model, x, target)
        start = training.Attack(norm, radius, steps=0)(model, x, target)
        assert (losses(worst) > losses(start) + 0.001).all()


def test_only_the_share_is_attacked_and_only_with_a_radius():
    model, x, target = small_net(), images(5), np.arange(5)
    found = training.Attack(share=0.5)(model, x, target)
    changed = (found != x).any(axis=(1, 2, 3))
    assert changed.tolist() == [True, True, True, False, False]
    assert training.Attack(share=0)(model, x, target) is x
    assert training.Attack(radius=training.ramp(0.1, 4))(model, x, target, step=0) is x
    late = training.Attack(radius=training.ramp(0.1, 4))(model, x, target, step=9)
    assert (late == training.Attack(radius=0.1)(model, x, target)).all()


def test_threads_and_neighbors_change_nothing_but_rounding(monkeypatch):
    model, x, target = small_net(), images(6, 97), np.arange(6)
    attack = training.Attack("l2", 0.6, random_start=False)
    whole = attack(model, x, target)
    monkeypatch.setattr(config, "threads", 2)
    np.testing.assert_allclose(attack(model, x, target), whole, atol=1e-12)
    np.testing.assert_allclose(attack(model, x[4:], target[4:]), whole[4:], atol=1e-12)


def torch_attack(net, x, target, norm, radius, steps, start, std, low, high):
    """The attack once more, by autograd, one image at a time."""
    attacked = []
    for i in range(len(x)):
        now = start[i : i + 1]
        for _ in range(steps):
            now = now.clone().requires_grad_()
            torch.nn.functional.cross_entropy(net(now), target[i : i + 1]).backward()
            g = now.grad / std
            g = g.sign() if norm == "linf" else g / g.norm().clamp(min=1e-300)
            change = (now.detach() - x[i : i + 1]) * std + (1.25 if steps == 1 else 2.5 / steps) * radius * g
            if norm == "linf":
                change = change.clamp(-radius, radius)
            elif change.norm() > radius:
                change = change * radius / change.norm()
            now = (x[i : i + 1] + change / std).clamp(low, high)
        attacked.append(now)
    return torch.cat(attacked)


def uniform_in_ball(rng, shape, radius, norm):
    if norm == "linf":
        return rng.uniform(-radius, radius, shape)
    direction = rng.standard_normal(shape)
    length = radius * rng.uniform(size=(shape[0], 1, 1, 1)) ** (1 / np.prod(shape[1:]))
    return direction * length / np.sqrt((direction**2).sum(axis=(1, 2, 3), keepdims=True))


def assert_torchs_training(norm, attack_steps, steps):
    model = small_net().with_parameters({"conv10.bias": np.full(10, 1.0)})  # a class at 0 has no gradient
    network = model.network
    model = dataclasses.replace(model, network=network.with_parts({**network.parts(), "drop9": Dropout(0.0)}))
    std, (low, high) = pixel_std(model, images(1)), image_limits(model, images(1))
    std, low, high = torch.tensor(std), torch.tensor(low), torch.tensor(high)
    net, rng = torch_twin(model), np.random.default_rng(2)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4)
    schedule = training.ramp(RADIUS[norm], 3)

    def batch(t):
        return images(4, 25, seed=[7, t]), np.random.default_rng([8, t]).integers(10, size=4)

    losses = []
    for t in range(steps):
        x, target = (torch.tensor(array) for array in batch(t))
        rng.integers(2**63)  # the seed of the dropout masks
        radius = RADIUS[norm] * min(1, t / 3)
        if radius:
            start = (x[:3] + torch.tensor(uniform_in_ball(rng, (3, *x.shape[1:]), radius, norm)) / std).clamp(
                low, high
            )
            worst = torch_attack(net, x[:3], target[:3], norm, radius, attack_steps, start, std, low, high)
            x = torch.cat([worst, x[3:]])
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(x), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    attack = training.Attack(norm, schedule, attack_steps, share=0.75)
    result = training.train(model, batch, steps, Adam(1e-4), rng=2, attack=attack)
    assert len(set(losses)) == steps  # it has not died
    np.testing.assert_allclose(result.losses, losses, rtol=1e-8)
    state, start = net.state_dict(), torch_state(model)
    for key, array in torch_state(result.model).items():
        moved = (state[key] - start[key]).abs().max()
        assert moved > 0
        assert (array - state[key]).abs().max() <= 1e-8 * moved, key


@pytest.mark.parametrize(
    "norm, attack_steps", [pytest.param("linf", 1, marks=pytest.mark.exhaustive), ("l2", 2)]
)
def test_six_steps_are_torchs(norm, attack_steps):
    assert_torchs_training(norm, attack_steps, 6)


@pytest.mark.exhaustive
@pytest.mark.parametrize("norm, attack_steps", [("linf", 1), ("l2", 3)])
def test_fifty_steps_are_torchs_under_attack(norm, attack_steps):
    assert_torchs_training(norm, attack_steps, 50)


def attacked_run(radius=RADIUS["l2"], steps=5, **options):
    def batch(t):
        return images(4, 25, seed=[7, t], dtype=np.float32), np.arange(4)

    options = {"attack": training.Attack("l2", radius, steps=2), **options}
    return training.train(squeezenet1_1(num_classes=4, rng=0), batch, steps, Adam(1e-3), rng=1, **options)


def test_interrupted_under_attack_and_resumed_is_the_same_to_the_bit(tmp_path):
    def interrupt(step, seen):
        if step == 2:
            raise KeyboardInterrupt

    path = tmp_path / "training.ckpt"
    schedule = training.ramp(RADIUS["l2"], 4)
    whole = attacked_run(schedule)
    assert attacked_run(schedule, callback=interrupt, checkpoint=path).steps == 2
    rest = attacked_run(schedule, checkpoint=path)
    assert rest.losses == whole.losses and rest.losses != attacked_run(0.0).losses
    for name, array in whole.model.parameters().items():
        assert (array == rest.model.parameters()[name]).all()


def test_a_checkpoint_of_another_attack_is_refused(tmp_path):
    path = tmp_path / "training.ckpt"
    attacked_run(0.5, steps=1, checkpoint=path)
    with pytest.raises(InputError, match="other settings"):
        attacked_run(0.6, steps=1, checkpoint=path)


@dataclasses.dataclass(frozen=True)
class Around:
    """An attack made of another one."""

    attack: training.Attack

    def __call__(self, *given):
        return self.attack(*given)


class Plain:
    def __init__(self, attack):
        self.attack = attack

    def __call__(self, *given):
        return self.attack(*given)


def by_function(attack, *given):
    return attack(*given)


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "kind",
    [
        Around,
        Plain,
        lambda attack: functools.partial(by_function, attack),
        lambda attack: Plain(attack).__call__,
    ],
)
def test_attacks_around_others_are_resumed_and_told_apart(kind, tmp_path):
    """Each is new: what counts is what it does, not where it is in memory."""

    def run(radius, steps, **options):
        return attacked_run(steps=steps, attack=kind(training.Attack("l2", radius)), **options)

    for made, radius in {"number": lambda: 0.5, "schedule": lambda: lambda t: 0.5}.items():
        path = tmp_path / f"{made}.ckpt"
        first, second = radius(), radius()
        run(first, 1, checkpoint=path)
        assert run(second, 1, checkpoint=path, callback=lambda *_: pytest.fail("it was done")).steps == 1
        with pytest.raises(InputError, match="other settings"):
            run(0.6, 1, checkpoint=path)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"norm": "l1"}, "norm: expected one of linf, l2; found 'l1'"),
        ({"radius": -1}, "radius: expected"),
        ({"steps": 1.5}, "steps: expected"),
        ({"step_size": float("nan")}, "step_size: expected"),
        ({"share": 1.5}, f"share: {A_NUMBER} from 0 to 1, found 1.5"),
    ],
)
def test_an_attack_that_cannot_be_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        training.Attack(**options)


def test_a_schedule_is_checked_when_asked():
    with pytest.raises(InputError, match="radius: expected"):
        training.Attack(radius=lambda t: -1.0)(small_net(), images(), np.arange(4))
    with pytest.raises(InputError, match="steps: expected"):
        training.ramp(1.0, 0)
