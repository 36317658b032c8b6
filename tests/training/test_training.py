"""Training: the same steps as torch takes, the same bits after an interruption, and what feeds and measures it."""

import dataclasses
import functools

import numpy as np
import pytest
import torch
from torch_nets import small_net, torch_state, torch_twin

from npgrad import InputError, Model, training
from npgrad.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, ReLU, Sequential
from npgrad.models import squeezenet1_1
from npgrad.optim import SGD, Adam, cosine


def batches(size=33, n=6, classes=10, dtype=np.float64):
    def batch(t):
        rng = np.random.default_rng([7, t])
        return rng.normal(size=(n, 3, size, size)).astype(dtype), rng.integers(classes, size=n)

    return batch


def without_dropout(model):
    network = model.network
    return dataclasses.replace(model, network=network.with_parts({**network.parts(), "drop9": Dropout(0.0)}))


OPTIMIZERS = {
    "adam": (lambda: Adam(1e-3), lambda p: torch.optim.Adam(p, lr=1e-3)),
    "adamw": (
        lambda: Adam(1e-3, weight_decay=0.05, decoupled=True),
        lambda p: torch.optim.AdamW(p, lr=1e-3, weight_decay=0.05),
    ),
    "sgd": (
        lambda: SGD(1e-2, momentum=0.9, weight_decay=1e-3),
        lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, weight_decay=1e-3),
    ),
}


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fifty_steps_are_torchs(name):
    model, batch = without_dropout(small_net()), batches()
    ours, theirs = OPTIMIZERS[name]
    net = torch_twin(small_net())  # evaluation mode: no dropout here either
    optimizer = theirs(net.parameters())
    losses = []
    for t in range(50):
        x, target = batch(t)
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(target))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    result = training.train(model, batch, 50, ours())
    np.testing.assert_allclose(result.losses, losses, rtol=1e-8)
    trained, state = torch_state(result.model), net.state_dict()
    start = torch_state(model)
    for key, array in trained.items():
        moved = (state[key] - start[key]).abs().max()
        assert moved > 0
        assert (array - state[key]).abs().max() <= 1e-8 * moved, key


def test_parts_add_up_to_the_whole(rng):
    model = without_dropout(small_net())
    x, target = batches(n=7)(0)
    loss, right, gradients, _ = training.batch_gradients(model, x, target, rng=0, parts=1)
    for parts in (2, 3, 20):
        other = training.batch_gradients(model, x, target, rng=0, parts=parts)
        assert other[1] == right
        np.testing.assert_allclose(other[0], loss, rtol=1e-13)
        for name, gradient in gradients.items():
            np.testing.assert_allclose(other[2][name], gradient, atol=1e-12 * np.abs(gradient).max())


def test_how_many_parts_there_are_unless_one_says(rng, monkeypatch):
    model, (x, target) = without_dropout(small_net()), batches(n=7)(0)
    sizes = []
    forward = Model.forward
    monkeypatch.setattr(
        Model, "forward", lambda self, x, **how: sizes.append(len(x)) or forward(self, x, **how)
    )

    def found(model):
        sizes.clear()
        training.batch_gradients(model, x, target)
        return sorted(sizes)

    assert found(model) == [3, 4]
    monkeypatch.setattr("npgrad.training.gradients.AT_ONCE", 2 * x[0, 0].size)
    assert found(model) == [2, 2, 3]
    norm = {"norm": BatchNorm2d.init(3), **model.network.layers}
    assert found(Model(Sequential(norm))) == [7]


def test_dropout_masks_differ_between_parts_and_steps_and_come_from_the_seed():
    model = Model(Sequential({"drop": Dropout(0.5), "flat": Flatten(), "fc": Linear(np.eye(8), np.zeros(8))}))
    x, target = np.ones((2, 2, 2, 2)), np.zeros(2, int)

    def weight_gradient(seed):
        return training.batch_gradients(model, x, target, rng=seed)[2]["fc.weight"]

    assert (weight_gradient(1) == weight_gradient(1)).all()
    assert (weight_gradient(1) != weight_gradient(2)).any()
    ones = [training.batch_gradients(model, x[:1], target[:1], rng=s)[2]["fc.weight"] for s in range(4)]
    assert any((one != ones[0]).any() for one in ones)


def test_batch_norm_statistics_go_into_the_model(rng):
    network = Sequential(
        {
            "conv": Conv2d.init(3, 4, 3, rng=0),
            "bn": BatchNorm2d(np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)),
            "relu": ReLU(),
            "flat": Flatten(),
            "fc": Linear.init(4 * 9, 3, rng=0),
        }
    )
    model = Model(network).astype(np.float64)
    result = training.train(model, batches(size=5, classes=3), 3, SGD(0.1), parts=1)
    before, after = (m.network.arrays(buffers=True) for m in (model, result.model))
    assert (before["bn.running_mean"] != after["bn.running_mean"]).all()


def small_run(steps=7, **options):
    model = squeezenet1_1(num_classes=4, rng=0)
    options = {"rng": 3, **options}
    return training.train(
        model, batches(size=25, n=4, classes=4, dtype=np.float32), steps, Adam(cosine(1e-3, 7, 2)), **options
    )


def same(a, b):
    return all((x == y).all() for x, y in zip(a.parameters().values(), b.parameters().values(), strict=True))


@pytest.mark.exhaustive
@pytest.mark.parametrize("stop", [1, 3, 6])
def test_interrupted_and_resumed_is_the_same_to_the_bit(tmp_path, stop):
    def interrupt(step, seen):
        if step == stop:
            raise KeyboardInterrupt

    path = tmp_path / "training.ckpt"
    whole = small_run()
    part = small_run(callback=interrupt, checkpoint=path)
    assert part.interrupted
    assert part.steps == stop
    rest = small_run(checkpoint=path, checkpoint_every=2)
    assert not rest.interrupted
    assert same(whole.model, rest.model)
    assert whole.losses == rest.losses
    assert whole.accuracies == rest.accuracies
    again = small_run(checkpoint=path, callback=lambda *_: pytest.fail("nothing is left to do"))
    assert same(whole.model, again.model)


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    path = tmp_path / "training.ckpt"
    small_run(steps=1, checkpoint=path)
    with pytest.raises(InputError, match="other settings"):
        small_run(steps=1, checkpoint=path, rng=4)


def test_what_it_tells_meanwhile():
    seen, valid = [], []

    def validate(model):
        valid.append(model)
        return 0.5

    result = small_run(
        validate=validate, validate_every=3, callback=lambda step, values: seen.append((step, values))
    )
    assert [step for step, _ in seen] == [1, 2, 3, 4, 5, 6, 7]
    assert [values["loss"] for _, values in seen] == result.losses
    assert all(values["rate"] > 0 for _, values in seen)
    assert result.validations == [(3, 0.5), (6, 0.5), (7, 0.5)]
    assert same(valid[-1], result.model)


def test_a_loss_that_is_no_number_is_said():
    model = squeezenet1_1(num_classes=4, rng=0)
    batch = batches(size=25, n=4, classes=4, dtype=np.float32)
    with np.errstate(all="ignore"), pytest.raises(InputError, match="a lower learning rate"):
        training.train(model, batch, 5, SGD(1e30), parts=1)


def test_ahead_gives_the_same_values_in_and_out_of_order():
    squares = functools.partial(pow, exp=2)  # of builtins: a process that makes them imports no test
    with training.Ahead(squares, start=2, count=5, ahead=3) as batch:
        assert [batch(t) for t in (2, 3, 4, 5, 6)] == [4, 9, 16, 25, 36]
        assert batch(3) == 9
        assert batch(100) == 10000


def test_as_input_is_what_preprocess_gives(rng):
    model = squeezenet1_1(num_classes=4)
    images = rng.integers(0, 256, size=(3, 20, 30, 3), dtype=np.uint8)
    x = training.as_input(images, model.preprocessing)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, model.preprocess(images, resize=False), atol=1e-6)


def test_augment_changes_images_a_little_each_its_own_way(rng):
    images = np.broadcast_to(rng.integers(0, 256, size=(16, 16, 3), dtype=np.uint8), (40, 16, 16, 3))
    assert (training.augment(images, 0, flip=False, shift=0, light=0) == images).all()
    mirrored = training.augment(images, 0, shift=0, light=0)
    straight = (mirrored == images).all(axis=(1, 2, 3))
    assert 5 < straight.sum() < 35
    assert (mirrored[~straight] == images[~straight][:, :, ::-1]).all()
    moved = training.augment(images, 1, flip=False, shift=2, light=0)
    inner = {image[4:12, 4:12].tobytes() for image in moved}
    places = {images[0][4 + i : 12 + i, 4 + j : 12 + j].tobytes() for i in range(-2, 3) for j in range(-2, 3)}
    assert len(inner) > 10
    assert inner <= places
    lit = training.augment(np.full((40, 8, 8, 3), 100, np.uint8), 2, light=0.1)
    assert 89 <= lit.min() < 95
    assert 105 < lit.max() <= 110
    assert (training.augment(images, 5) == training.augment(images, 5)).all()


def test_augment_adds_noise_and_blurs_each_image_as_much_as_is_drawn():
    still = {"flip": False, "shift": 0, "light": 0.0}
    gray = np.full((200, 32, 32, 3), 128, np.uint8)
    stds = training.augment(gray, 0, noise=0.1, **still).std(axis=(1, 2, 3)) / 255
    assert stds.min() < 0.01 and 0.095 < stds.max() <= 0.102
    assert stds.mean() == pytest.approx(0.05, abs=0.006)
    noisy = training.augment(gray, 0, noise=0.1, **still) - 128.0
    assert abs(noisy.mean()) < 0.1  # rounded, not cut off
    dot = np.zeros((50, 41, 41, 3), np.uint8)
    dot[:, 20, 20] = 255
    blurred = training.augment(dot, 0, blur=2.0, **still).astype(float)[..., 0]
    weights = blurred / blurred.sum(axis=(1, 2), keepdims=True)
    widths = np.sqrt((weights * (np.arange(41) - 20) ** 2).sum(axis=(1, 2)))
    assert widths.min() < 0.4 and 1.4 < widths.max() <= 2.0
    assert (training.augment(gray, 0, **still) == gray).all()
    with pytest.raises(InputError, match="noise: expected"):
        training.augment(gray, 0, noise=-1)


def test_accuracy_counts_by_class():
    weights = np.array([[1.0, 0], [0, 1], [0.5, 0.5]])
    model = Model(Sequential({"flat": Flatten(), "fc": Linear(weights, np.zeros(3))}))
    x = np.array([[3.0, 0], [0, 3], [3, 0]]).reshape(3, 2, 1, 1)
    found = training.accuracy(model, [(x[:2], np.array([0, 0])), (x[2:], np.array([0]))])
    assert found.confusion.tolist() == [[2, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert found.overall == pytest.approx(2 / 3)
    assert found.per_class[0] == pytest.approx(2 / 3)
    assert np.isnan(found.per_class[1:]).all()
    with pytest.raises(InputError, match="at least one batch"):
        training.accuracy(model, [])


def test_rescaled_changes_the_scale_and_no_bit_of_a_logit(rng):
    model = squeezenet1_1(num_classes=4, rng=0)
    biases = {name: a + 0.1 for name, a in model.parameters().items() if name.endswith("bias")}
    model = model.with_parameters(biases)
    x = rng.normal(size=(2, 3, 40, 40)).astype(np.float32)
    other = training.rescaled(model, x, rms=300)
    size = np.sqrt(np.mean(np.square(other.forward(x)["fire3"])))
    assert 300 / 1.5 < size < 300 * 1.5
    assert (model(x) == other(x)).all()
