"""The script that trains the bundled network: its batches, its options, and that its first steps are torch's."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch_nets import torch_state, torch_twin

import npgrad
from npgrad import training
from npgrad.optim import Adam
from npgrad.scenes import CLASSES, scene

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_scenes.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("train_scenes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_no_scene_is_seen_twice_and_none_is_left_out(script):
    next_scene, steps = 0, sum(steps for steps, _, _ in script.STAGES)
    for t in range(steps):
        size, n, first = script.stage(t)
        assert first == next_scene and 96 <= size <= 224
        next_scene += n
    assert script.stage(steps - 1)[0] == 224  # the size of use comes last
    with pytest.raises(ValueError, match=f"expected one below {steps}"):
        script.stage(steps)


def test_the_rate_goes_down_twice(script):
    rates = [script.rate(t) for t in range(7600)]
    assert max(rates) == rates[300] == 1e-3
    assert max(rates[5200:]) == rates[5250] == 4e-4
    assert rates[5199] < 1e-4 and rates[-1] < 1e-8
    for first, last in ((300, 5200), (5250, 7600)):
        assert (np.diff(rates[first:last]) < 0).all()


def test_a_batch_holds_the_scenes_of_the_training_seed(script):
    x, target = script.batch(3, ((40, (64,), 4),))
    image, label, _ = scene(14, script.TRAINING_SEED, 64)
    assert x.shape == (4, 3, 64, 64) and target[2] == label
    np.testing.assert_array_equal(npgrad.Preprocessing().invert(x[2:3])[0], image)


@pytest.mark.exhaustive
def test_the_first_fifty_steps_are_torchs(script):
    model, stages = script.fresh_network(0).astype(np.float64), ((50, (48,), 4),)

    def batch(t):
        x, target = script.batch(t, stages)
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
    command = [sys.executable, str(SCRIPT), "--quick", "--steps", "2", "-o", "little.h5"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
    assert "little.h5: 2 steps, held-out accuracy" in done.stdout
    model = npgrad.load(tmp_path / "little.h5")
    assert model.classes == CLASSES and model.preprocessing.resize == model.preprocessing.crop == 224
    assert (tmp_path / "little.h5").stat().st_size < 3e6  # half precision
