"""The script that trains the bundled network: its batches, its options, and that its first steps are torch's."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import own_scripts
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch_nets import torch_state, torch_twin

import npgrad
from npgrad import training
from npgrad.optim import Adam
from npgrad.scenes import CLASSES, scene

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_scenes.py"


@pytest.fixture(scope="module")
def script():
    return own_scripts.loaded("train_scenes")


def test_no_scene_is_seen_twice_and_none_is_left_out(script):
    next_scene = 0
    for phase in script.PHASES:
        for t in range(phase.steps):
            size, n, first = phase.stage(t)
            assert first == next_scene and 96 <= size <= 224
            next_scene += n
        with pytest.raises(ValueError, match=f"expected one below {phase.steps}"):
            phase.stage(phase.steps)
    assert phase.stage(phase.steps - 1)[0] == 224  # the size of use comes last


def test_the_rate_goes_down_twice_in_the_first_phase(script):
    rates = [script.PHASES[0].rate(t) for t in range(7600)]
    assert max(rates) == rates[300] == 1e-3
    assert max(rates[5200:]) == rates[5250] == 4e-4
    assert rates[5199] < 1e-4 and rates[-1] < 1e-8
    for first, last in ((300, 5200), (5250, 7600)):
        assert (np.diff(rates[first:last]) < 0).all()


def test_the_attack_grows_to_the_same_change_of_each_pixel_at_every_size(script):
    assert script.PHASES[0].attack() is None
    for phase in script.PHASES[1:]:
        attack = phase.attack()
        assert attack.norm == phase.norm and attack.share == phase.share
        scales = [phase.stage(t)[0] / 224 if phase.norm == "l2" else 1 for t in range(phase.steps)]
        radii = np.array([attack.radius(t) for t in range(phase.steps)]) / scales
        assert radii[0] == 0 and (np.diff(radii[: phase.warmup + 1]) > 0).all()
        np.testing.assert_allclose(radii[phase.warmup :], phase.radius)


def test_a_batch_holds_the_scenes_of_the_training_seed(script):
    x, target = script.batch(3)
    image, label, _ = scene(194, script.TRAINING_SEED, 96)
    assert x.shape == (64, 3, 96, 96) and target[2] == label
    np.testing.assert_array_equal(npgrad.Preprocessing().invert(x[2:3])[0], image)


def test_every_third_scene_of_the_second_phase_is_noisy_or_blurred(script):
    first, size = script.PHASES[1].first, 112
    x, target = script.batch(0, "weak")
    changed = []
    for i in range(len(x)):
        image, label, _ = scene(first + i, script.TRAINING_SEED, size)
        assert label == target[i]
        changed.append((npgrad.Preprocessing().invert(x[i : i + 1])[0] != image).any())
    assert changed == [i % 3 == 0 for i in range(48)]
    assert (x == script.batch(0, "weak")[0]).all()


def test_only_the_last_phase_knows_the_masks(script):
    assert [phase.penalty() is None for phase in script.PHASES] == [True] * 5 + [False]
    x, target, masks = script.batch(0, "reasons")
    image, label, mask = scene(script.PHASES[-1].first + 1, script.TRAINING_SEED, 224)
    assert target[1] == label and (masks[1] == mask).all()
    np.testing.assert_array_equal(npgrad.Preprocessing().invert(x[1:2])[0], image)


@pytest.mark.exhaustive
def test_the_first_fifty_steps_are_torchs(script):
    model = script.fresh_network(0).astype(np.float64)

    def batch(t):
        x, target = script.labeled(range(4 * t, 4 * t + 4), script.TRAINING_SEED, 48)
        return x.astype(np.float64), target

    net = torch_twin(model)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=1e-4)
    losses = []
    for t in range(50):
        x, target = batch(t)
        loss = torch.nn.functional.cross_entropy(net(torch.tensor(x)), torch.tensor(target))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    result = training.train(
        model, batch, 50, Adam(1e-3, weight_decay=1e-4, decoupled=True), parts=script.PARTS
    )
    np.testing.assert_allclose(result.losses, losses, rtol=1e-8)
    trained, state = torch_state(result.model), net.state_dict()
    for key, array in trained.items():
        np.testing.assert_allclose(array, state[key].numpy(), rtol=1e-8, atol=1e-10, err_msg=key)


@pytest.mark.exhaustive
def test_the_script_writes_a_network_that_loads(tmp_path):
    command = [sys.executable, str(SCRIPT), "--quick", "--steps", "2", "--checkpoint", "c", "-o"]

    def run(*options, threads="2"):
        environment = {**os.environ, "NPGRAD_THREADS": threads}
        return subprocess.run(
            [*command, *options], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=True,
            env=environment,
        ).stdout  # fmt: skip

    assert "little.h5: 4 steps, held-out accuracy" in run("little.h5")
    model = npgrad.load(tmp_path / "little.h5")
    assert model.classes == CLASSES and model.preprocessing.resize == model.preprocessing.crop == 224
    assert (tmp_path / "little.h5").stat().st_size < 3e6  # half precision
    run("again.h5")  # both phases are in the checkpoints
    assert (tmp_path / "again.h5").read_bytes() == (tmp_path / "little.h5").read_bytes()
    # The second phase goes on from the stored weights of the first one.
    assert "2 steps" in run("first.h5", "--phases", "quick-standard")
    (tmp_path / "c.quick-strong").unlink()
    assert "2 steps" in run("second.h5", "--start", "first.h5", "--phases", "quick-strong", threads="1")
    assert (tmp_path / "second.h5").read_bytes() == (tmp_path / "little.h5").read_bytes()


def test_threads_do_not_change_a_bit_of_a_step(script, monkeypatch):
    """Every kind of step, with as many parts as the script has: clean, attacked, and attacked with a penalty."""
    model = script.fresh_network(0)
    for phase in (script.PHASES[0], script.PHASES[2], script.PHASES[5]):
        made = script.masked if phase.outside else script.labeled
        batch = made(range(9), 1, 64)
        attack = phase.attack() and training.Attack(phase.norm, phase.radius, share=phase.share)
        found = []
        for threads in (1, 2):
            monkeypatch.setattr(npgrad.config, "threads", threads)
            with threadpool_limits(1):
                trained = training.train(
                    model, lambda t, batch=batch: batch, 1, Adam(1e-3), parts=script.PARTS, attack=attack,
                    penalty=phase.penalty(),
                )  # fmt: skip
            found.append(trained.model.parameters())
        assert all((found[0][name] == found[1][name]).all() for name in found[0]), phase.name


def test_weights_between_two_networks(script):
    start = script.fresh_network(0)
    end = start.with_parameters({name: 1.4 * array for name, array in start.parameters().items()})
    assert script.between(start, end, 1.0) is end
    found = script.between(start, end, 0.25)
    x, _ = script.labeled(range(16), script.VALIDATION_SEED, 224)
    middle = start.with_parameters({name: 1.1 * array for name, array in start.parameters().items()})
    np.testing.assert_allclose(found(x[:2]), middle(x[:2]), rtol=0.02)  # but for half precision
