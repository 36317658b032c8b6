"""The penalty of gradients outside of the object: its value, its gradient by torch's second backward, the loop."""

import dataclasses

import numpy as np
import pytest
import torch
from messages import A_NUMBER, A_WHOLE_NUMBER
from torch_nets import small_net, torch_state, torch_twin

from npgrad import InputError, attribution, evaluation, training
from npgrad.layers import Dropout
from npgrad.optim import SGD, Adam


def network():
    """Without dropout, and with a bias that keeps the classes alive."""
    model = small_net().with_parameters({"conv10.bias": np.full(10, 9.0)})
    network = model.network
    return dataclasses.replace(model, network=network.with_parts({**network.parts(), "drop9": Dropout(0.0)}))


def batch(t=0, n=4, size=33):
    """Images, classes, and a mask of about a third of each image."""
    rng = np.random.default_rng([7, t])
    return (
        rng.standard_normal((n, 3, size, size)),
        rng.integers(10, size=n),
        rng.random((n, size, size)) < 0.3,
    )


def torch_penalty(net, x, target, mask, weight):
    """The definition, whose gradient autograd gets by a second backward pass through the first."""
    x = torch.tensor(x, requires_grad=True)
    scores = net(x)[torch.arange(len(x)), torch.tensor(target)]
    (g,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    outside = torch.tensor(~mask[:, None], dtype=g.dtype)
    shares = (outside * g.abs()).sum(dim=(1, 2, 3)) / g.abs().sum(dim=(1, 2, 3))
    return weight * shares.mean()


def test_value_and_gradients_are_those_of_torchs_double_backward():
    model, (x, target, mask) = network(), batch()
    net = torch_twin(model)
    wanted = torch_penalty(net, x, target, mask, 3.0)
    wanted.backward()
    penalty = training.RightReasons(3.0, step=1e-7)  # so small that no ReLU and no maximum changes
    found, gradients = penalty(model, x, target, mask)
    assert found == pytest.approx(wanted.item(), rel=1e-12)
    gradients = torch_state(model.with_parameters(gradients))
    moved = 0
    for key, parameter in net.named_parameters():
        if parameter.grad is None:  # a bias after the last maximum and ReLU
            assert np.abs(gradients[key]).max() < 1e-6, key
            continue
        largest = parameter.grad.abs().max().item()
        np.testing.assert_allclose(
            gradients[key], parameter.grad.numpy(), rtol=0, atol=1e-6 * max(largest, 1e-3)
        )
        moved += largest > 1e-3
    assert moved > 20


def test_the_value_is_what_saliency_has_outside_of_the_mask():
    model, (x, target, mask) = network(), batch()
    energy = evaluation.energy_inside(attribution.saliency(model, x, target), mask)
    found, _ = training.RightReasons()(model, x, target, mask)
    assert found == pytest.approx(1 - energy.mean(), rel=1e-10)


def test_only_the_last_images_count():
    model, (x, target, mask) = network(), batch()
    found, gradients = training.RightReasons(2.0, count=3)(model, x, target, mask)
    alone, same = training.RightReasons(2.0)(model, x[1:], target[1:], mask[1:])
    assert found == alone
    for name, array in gradients.items():
        np.testing.assert_array_equal(array, same[name])


def test_a_step_along_the_gradient_lowers_the_penalty_in_single_precision():
    model, (x, target, mask) = network().astype(np.float32), batch()
    x = x.astype(np.float32)
    penalty = training.RightReasons()
    before, gradients = penalty(model, x, target, mask)
    length = np.sqrt(sum(np.square(array).sum() for array in gradients.values()))
    parameters = model.parameters()
    after, _ = penalty(
        model.with_parameters({k: parameters[k] - 0.001 / length * g for k, g in gradients.items()}),
        x,
        target,
        mask,
    )
    assert all(array.dtype == np.float32 for array in gradients.values())
    assert after < before - 0.3 * 0.001 * length


def test_a_score_without_a_gradient_is_no_trouble():
    model, (x, target, mask) = network(), batch()
    dead = model.with_parameters({"conv10.bias": np.full(10, -1e3)})  # the last ReLU is shut for all images
    found, gradients = training.RightReasons()(dead, x, target, mask)
    assert found == 0 and not any(array.any() for array in gradients.values())


def test_training_with_it_takes_torchs_steps():
    model, steps = network(), 4
    net = torch_twin(model)
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-3)
    losses, penalties, seen = [], [], []
    for t in range(steps):
        x, target, mask = batch(t)
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(target))
        added = torch_penalty(net, x, target, mask, 2.0)
        optimizer.zero_grad()
        (loss + added).backward()
        optimizer.step()
        losses.append(loss.item())
        penalties.append(added.item())
    result = training.train(
        model, batch, steps, SGD(1e-3), penalty=training.RightReasons(2.0, step=1e-7),
        callback=lambda step, found: seen.append(found["penalty"]),
    )  # fmt: skip
    np.testing.assert_allclose(result.losses, losses, rtol=1e-6)
    np.testing.assert_allclose(seen, penalties, rtol=1e-6)


def test_interrupted_and_resumed_is_the_same_to_the_bit_and_another_penalty_is_refused(tmp_path):
    def run(weight=1.0, **options):
        return training.train(
            network(), batch, 4, Adam(1e-4), penalty=training.RightReasons(weight), **options
        )

    def interrupt(step, seen):
        if step == 2:
            raise KeyboardInterrupt

    path = tmp_path / "training.ckpt"
    whole = run()
    assert run(callback=interrupt, checkpoint=path).steps == 2
    with pytest.raises(InputError, match="other settings"):
        run(2.0, checkpoint=path)
    rest = run(checkpoint=path).model.parameters()
    for name, array in whole.model.parameters().items():
        assert (array == rest[name]).all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"weight": -1}, f"weight: {A_NUMBER}"),
        ({"step": 0}, "step: expected"),
        ({"count": 0}, f"count: {A_WHOLE_NUMBER} >= 1, found 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, message):
    with pytest.raises(InputError, match=message):
        training.RightReasons(**options)


def test_masks_of_another_shape_are_refused():
    x, target, mask = batch()
    with pytest.raises(
        InputError, match=r"mask: expected bools of shape \(4, 33, 33\), found bool of shape \(4, 32, 33\)"
    ):
        training.RightReasons()(network(), x, target, mask[:, 1:])
