"""Optimizers: step by step torch's, L-BFGS on known minima, states put back, schedules, and what is refused."""

import re

import numpy as np
import pytest
import torch
from checks import assert_close, same_bits
from messages import A_NUMBER, A_WHOLE_NUMBER
from scipy.optimize import rosen, rosen_der

from npgrad import InputError, optim
from npgrad.optim import LBFGS, SGD, Adam, NormalizedAscent

PAIRS = {
    "adam": (lambda: Adam(0.05), lambda p: torch.optim.Adam(p, lr=0.05)),
    "adam of the course": (lambda: Adam(3.0), lambda p: torch.optim.Adam(p, lr=3.0)),
    "adam with betas": (lambda: Adam(0.1, (0.5, 0.9), 1e-3), lambda p: torch.optim.Adam(p, 0.1, (0.5, 0.9), 1e-3)),
    "adam with decay": (lambda: Adam(0.05, weight_decay=0.1), lambda p: torch.optim.Adam(p, 0.05, weight_decay=0.1)),
    "adamw": (lambda: Adam(0.05, weight_decay=0.1, decoupled=True),
              lambda p: torch.optim.AdamW(p, lr=0.05, weight_decay=0.1)),
    "sgd": (lambda: SGD(0.05), lambda p: torch.optim.SGD(p, lr=0.05)),
    "sgd with decay": (lambda: SGD(0.05, weight_decay=0.1), lambda p: torch.optim.SGD(p, 0.05, weight_decay=0.1)),
    "momentum": (lambda: SGD(0.05, 0.9, 0.01), lambda p: torch.optim.SGD(p, 0.05, 0.9, weight_decay=0.01)),
    "nesterov": (lambda: SGD(0.05, 0.9, 0.01, nesterov=True),
                 lambda p: torch.optim.SGD(p, 0.05, 0.9, weight_decay=0.01, nesterov=True)),
}  # fmt: skip
SHAPES = {"weight": (4, 3, 2, 2), "bias": (4,), "lost": (2, 2)}


def start(dtype=np.float64):
    rng = np.random.default_rng(1)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in SHAPES.items()}


def gradients(x, t):
    """A gradient that depends on x, so that an error is carried on; that of "lost" is 0 now and then."""
    rng = np.random.default_rng(t)
    noise = {name: rng.standard_normal(a.shape).astype(a.dtype) for name, a in x.items()}
    return {name: a**3 + noise[name] if name != "lost" or t % 3 else 0 * a for name, a in x.items()}


@pytest.mark.parametrize("name", PAIRS)
def test_fifty_steps_are_torchs(name):
    ours, theirs = PAIRS[name]
    optimizer, x = ours(), start()
    leaves = {key: torch.tensor(a, requires_grad=True) for key, a in x.items()}
    theirs = theirs(list(leaves.values()))
    for t in range(50):
        x = optimizer.step(x, gradients(x, t))
        for key, dx in gradients({key: leaf.detach().numpy() for key, leaf in leaves.items()}, t).items():
            leaves[key].grad = torch.tensor(dx)
        theirs.step()
        for key, leaf in leaves.items():
            assert_close(x[key], leaf.detach().numpy(), 1e-12, f"{key} after step {t + 1}")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("make", [*(pair[0] for pair in PAIRS.values()), lambda: NormalizedAscent(1.0)])
def test_an_array_goes_as_a_dict_of_one_and_keeps_its_type(make, dtype):
    alone, among, x = make(), make(), start(dtype)["weight"]
    y = {"only": x}
    for t in range(5):
        dx = gradients({"weight": x}, t)["weight"]
        x, y = alone.step(x, dx), among.step(y, {"only": dx})
        assert x.dtype == dtype
        np.testing.assert_array_equal(x, y["only"])


@pytest.mark.parametrize("make", [*(pair[0] for pair in PAIRS.values()), lambda: NormalizedAscent(1.0)])
def test_nothing_is_changed_in_place_and_a_state_put_back_gives_the_same_bits(make):
    optimizer, x = make(), start()
    for t in range(4):
        x = optimizer.step(x, gradients(x, t))
    kept, state = {name: a.copy() for name, a in x.items()}, optimizer.state
    state_then = {name: np.copy(a) for name, a in state.items()}
    expected = x
    for t in range(4, 8):
        dx = gradients(expected, t)
        before = {name: a.copy() for name, a in dx.items()}
        for array in (*dx.values(), *expected.values()):
            array.flags.writeable = False
        expected = optimizer.step(expected, dx)
        assert same_bits(dx, before)
    assert same_bits(x, kept)
    assert same_bits({name: np.asarray(a) for name, a in state.items()}, state_then)
    other = make()
    other.state = {name: np.array(a) for name, a in reversed(state_then.items())}  # as a file gives them back
    for t in range(4, 8):
        x = other.step(x, gradients(x, t))
    assert same_bits(x, expected) and other.t == 8


def test_a_copy_of_the_state_without_the_moments_is_not_enough():
    optimizer, x = Adam(0.1), start()
    for t in range(4):
        x = optimizer.step(x, gradients(x, t))
    fresh = Adam(0.1)
    fresh.state = {"t": 4}
    assert not same_bits(fresh.step(x, gradients(x, 4)), optimizer.step(x, gradients(x, 4)))


def test_normalized_ascent_goes_a_fixed_distance_up_and_stays_without_a_gradient():
    x, dx = np.zeros((1, 3, 4, 4)), np.random.default_rng(0).standard_normal((1, 3, 4, 4))
    moved = NormalizedAscent(2.5).step(x, dx)
    np.testing.assert_allclose(moved, 2.5 * dx / np.sqrt(np.sum(dx**2)), rtol=1e-14)
    np.testing.assert_array_equal(NormalizedAscent(2.5).step(moved, 0 * dx), moved)


def rosenbrock(x):
    return {"valley": rosen(x.ravel())}, rosen_der(x.ravel()).reshape(x.shape)


def test_lbfgs_finds_rosenbrocks_minimum_in_rounds():
    optimizer, x, seen = LBFGS(stride=20), np.full((2, 2), -1.2), []
    for _ in range(5):
        x, losses = optimizer.advance(rosenbrock, x, show=lambda x, losses: seen.append((x, losses)))
    np.testing.assert_allclose(x, 1, atol=1e-8)
    assert optimizer.t == 100 and len(seen) <= 100 and losses["valley"] < 1e-15
    for x, losses in seen:
        assert losses["valley"] == pytest.approx(rosen(x.ravel()), rel=1e-12)
    values = [losses["valley"] for _, losses in seen]
    assert values == sorted(values, reverse=True)


def test_lbfgs_keeps_within_bounds_and_the_type_of_x():
    types = set()

    def objective(x):
        types.add(x.dtype)
        return {"square": float(np.sum((x - 3) ** 2))}, 2 * (x - 3)

    low, high = np.array([-1.0, 0])[None, :, None, None], np.array([1.0, 4])[None, :, None, None]
    x = np.zeros((1, 2, 3, 3), np.float32)
    found, _ = LBFGS(bounds=(low, high)).advance(objective, x)
    np.testing.assert_allclose(found[:, 0], 1)
    np.testing.assert_allclose(found[:, 1], 3, atol=1e-6)
    assert found.dtype == np.float32 and types == {np.dtype(np.float32)} and not x.any()
    found, _ = LBFGS(bounds=(-2, 2)).advance(objective, x)
    np.testing.assert_allclose(found, 2)


def test_lbfgs_rounds_begin_afresh_so_a_resumed_one_has_the_same_bits():
    whole, x = LBFGS(stride=6), np.full((2, 2), -1.2)
    halfway, _ = whole.advance(rosenbrock, x)
    expected, _ = whole.advance(rosenbrock, halfway)
    other = LBFGS(stride=6)
    other.state = {"t": 6}
    np.testing.assert_array_equal(other.advance(rosenbrock, halfway)[0], expected)
    assert other.state == whole.state == {"t": 12}
    fewer, _ = LBFGS(stride=6).advance(rosenbrock, x, iterations=2)
    longer, _ = LBFGS(stride=6).advance(rosenbrock, x, iterations=100)  # never more than a round
    assert rosen(fewer.ravel()) > rosen(halfway.ravel())
    np.testing.assert_array_equal(longer, halfway)


def test_the_interface_is_one_for_all():
    for optimizer in (Adam(0.1), SGD(1e-4), LBFGS()):
        x = np.full((2, 2), -1.2)
        moved, losses = optimizer.advance(rosenbrock, x, iterations=optimizer.stride)
        assert list(losses) == ["valley"] and rosen(moved.ravel()) < rosen(x.ravel())


def test_steps_as_in_the_homework():
    rate = optim.steps((0, 3.0), (180, 0.1))
    assert [rate(t) for t in (0, 1, 179, 180, 199, 1000)] == [3, 3, 3, 0.1, 0.1, 0.1]
    optimizer, x = SGD(optim.steps((0, 1.0), (2, 0.25))), np.zeros(1)
    path = [x := optimizer.step(x, -np.ones(1)) for _ in range(4)]
    assert [float(x[0]) for x in path] == [1, 2, 2.25, 2.5]


def test_cosine_is_torchs():
    leaf = torch.zeros(1, requires_grad=True)
    inner = torch.optim.SGD([leaf], lr=0.3)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(inner, T_max=40, eta_min=0.02)
    rate = optim.cosine(0.3, 40, last=0.02)
    for t in range(41):
        np.testing.assert_allclose(rate(t), inner.param_groups[0]["lr"], rtol=1e-12)
        inner.step()
        theirs.step()
    assert rate(41) == rate(400) == 0.02


def test_cosine_warms_up_in_a_line():
    rate = optim.cosine(1.0, 14, warmup=4)
    np.testing.assert_allclose([rate(t) for t in (0, 1, 2, 3, 4, 9, 14)], [0.25, 0.5, 0.75, 1, 1, 0.5, 0])


def test_a_schedule_of_numpy_numbers_leaves_float32_what_it_is():
    x = np.ones((2, 2), np.float32)
    for make in (Adam, SGD, NormalizedAscent):
        assert make(lambda t: np.float64(0.1)).step(x, x).dtype == np.float32
        assert make(np.float64(0.1)).step(x, x).dtype == np.float32


X = np.ones((2, 2))
REFUSED = [
    (lambda: Adam(-1), f"lr: {A_NUMBER} >= 0, found -1"),
    (lambda: SGD("fast"), f"lr: {A_NUMBER} >= 0, found 'fast'"),
    (lambda: SGD(np.nan), f"lr: {A_NUMBER} >= 0, found nan"),
    (lambda: SGD(0.1, momentum=1.0), f"momentum: {A_NUMBER} from 0 to below 1, found 1.0"),
    (lambda: SGD(0.1, weight_decay=-0.1), f"weight_decay: {A_NUMBER} >= 0, found -0.1"),
    (lambda: Adam(betas=(0.9, 1.0)), f"betas: {A_NUMBER} from 0 to below 1, found 1.0"),
    (lambda: Adam(eps=-1), f"eps: {A_NUMBER} >= 0, found -1"),
    (lambda: Adam().step(X, X[0]), "gradient of x: expected shape (2, 2), found (2,)"),
    (lambda: Adam().step({"a": X}, {"b": X}), "expected a gradient for each array, found none or no array: a, b"),
    (lambda: LBFGS(stride=0), f"stride: {A_WHOLE_NUMBER} >= 1, found 0"),
    (lambda: LBFGS(memory=2.5), f"memory: {A_WHOLE_NUMBER} >= 1, found 2.5"),
    (lambda: optim.steps(), "steps: expected (start, rate) from start 0 on"),
    (lambda: optim.steps((5, 1.0)), "steps: expected (start, rate) from start 0 on, rising, found starts [5]"),
    (lambda: optim.steps((0, 1.0), (0, 2.0)), "rising, found starts [0, 0]"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_used_is_refused_in_one_line(call, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        call()
    assert len(str(caught.value).splitlines()) == 1
