"""TracIn, against Captum's and against the steps of training that it foretells."""

import numpy as np
import pytest
import torch
from captum.influence import TracInCP
from captum_nets import pairs
from checks import assert_close
from messages import A_NUMBER, AN_INDEX

from npgrad import InputError, Model, UnknownName, layers, training
from npgrad.layers import BatchNorm2d, Conv2d, Dropout, GlobalAvgPool2d, Linear, ReLU, Sequential
from npgrad.optim import SGD
from npgrad.training import checkpoint_model, tracin

PAIRS = {pair.name: pair for pair in pairs()}
RATES = [0.1, 0.03, 0.02]


def states(pair, rng):
    """Three models and three states of torch, of the same random changes of the weights."""
    models, kept = [], []
    for _ in RATES:
        state = {
            name: p + 0.1 * torch.tensor(rng.normal(size=p.shape))
            for name, p in pair.net.state_dict().items()
        }
        kept.append(state)
        own = pair.model.parameters()
        same = dict(zip(own, state.values(), strict=True))
        models.append(pair.model.with_parameters({name: p.numpy() for name, p in same.items()}))
    return models, kept


def captums(pair, kept, x, y, x_test, y_test):
    data = torch.utils.data.TensorDataset(torch.tensor(x), torch.tensor(y))
    original = {name: p.clone() for name, p in pair.net.state_dict().items()}

    def load(model, index):
        model.load_state_dict(kept[index])
        return RATES[index]

    # sample-wise gradients: Captum's trick is for linear and convolutional layers alone, without groups
    method = TracInCP(
        pair.net, data, list(range(len(RATES))), load, loss_fn=torch.nn.CrossEntropyLoss(reduction="none"),
        batch_size=1, sample_wise_grads_per_batch=False,
    )  # fmt: skip
    try:
        rows = [
            method.influence((torch.tensor(x_test[i : i + 1]), torch.tensor(y_test[i : i + 1])))
            for i in range(len(x_test))
        ]
        return torch.cat(rows).numpy()
    finally:
        pair.net.load_state_dict(original)


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", PAIRS)
def test_influence_is_captums(name, rng):
    pair = PAIRS[name]
    x, x_test = rng.normal(size=(7, *pair.x.shape[1:])), pair.x
    y, y_test = rng.integers(0, 5, 7), np.array([1, 4, 0])
    models, kept = states(pair, rng)
    found = tracin(pair.model, models, x, y, x_test, y_test, RATES)
    assert found.shape == (3, 7) and found.dtype == np.float64
    assert_close(found, captums(pair, kept, x, y, x_test, y_test), 1e-8)
    both = tracin(pair.model, models, x, y, x, y, RATES)
    assert_close(both, both.T, 1e-12)
    assert_close(tracin(pair.model, models, x, y, learning_rates=RATES), np.diag(both), 1e-12)


def test_influence_is_the_sum_of_torchs_dot_products(rng):
    """Without Captum: the gradients of single examples by autograd, of all parameters and of one layer's."""
    pair = PAIRS["fires"]
    x, y = rng.normal(size=(4, *pair.x.shape[1:])), [0, 3, 2, 2]

    def gradient(i, part):
        loss = torch.nn.functional.cross_entropy(
            pair.net(torch.tensor(x[i : i + 1])), torch.tensor(y[i : i + 1])
        )
        named = dict(pair.net.named_parameters())
        chosen = [p for name, p in named.items() if name.startswith(part)]
        return np.concatenate([g.numpy().ravel() for g in torch.autograd.grad(loss, chosen)])

    for layer in ("", "fire4.", "conv5."):
        G = np.stack([gradient(i, layer) for i in range(4)])
        chosen = [layer.rstrip(".")] if layer else None
        found = tracin(pair.model, [pair.model], x[:3], y[:3], x[1:], y[1:], 0.5, layers=chosen)
        assert_close(found, 0.5 * G[1:] @ G[:3].T, 1e-8)


def little(rng=0):
    parts = {
        "conv": Conv2d.init(3, 6, 3, rng=rng), "bn": BatchNorm2d.init(6), "relu": ReLU(), "mean": GlobalAvgPool2d(),
        "drop": Dropout(0.5), "fc": Linear.init(6, 3, rng=rng),
    }  # fmt: skip
    return Model(Sequential(parts), classes=["ant", "bee", "cat"]).astype(np.float64)


def test_a_small_step_changes_the_loss_as_foretold(rng):
    """-influence is the change of the test losses by a step on one example, to first order."""
    model = Model(Sequential({k: v for k, v in little().network.layers.items() if k not in ("bn", "drop")}))
    x, y = rng.normal(size=(5, 3, 6, 6)), np.array([0, 1, 2, 2, 1])
    rate = 1e-6
    influence = tracin(model, [model], x[:1], y[:1], x[1:], y[1:], rate)

    def losses(model):
        return np.array([training.batch_gradients(model, x[i : i + 1], y[i : i + 1])[0] for i in range(1, 5)])

    step = training.train(model, lambda t: (x[:1], y[:1]), 1, SGD(rate)).model
    np.testing.assert_allclose(losses(step) - losses(model), -influence[:, 0], rtol=1e-3)


def test_checkpoints_of_training(tmp_path, rng):
    """Models that are collected in training, and its files, give the same; names of classes as well as indices."""
    model, x, y = little(), rng.normal(size=(12, 3, 6, 6)), np.arange(12) % 3
    models = []
    path = tmp_path / "run.npz"
    training.train(
        model, lambda t: (x, y), 4, SGD(0.1), validate=models.append, validate_every=2, checkpoint=path,
        checkpoint_every=2,
    )  # fmt: skip
    assert len(models) == 2
    last = checkpoint_model(model, path)
    for name, array in last.network.arrays(buffers=True).items():
        np.testing.assert_array_equal(array, models[-1].network.arrays(buffers=True)[name])
    found = tracin(model, [models[0], path], x, y, x[:2], ["ant", "bee"], [0.1, 0.1])
    assert_close(found, tracin(model, models, x, y, x[:2], y[:2], 0.1), 1e-12)
    np.testing.assert_array_equal(found, tracin(model, [models[0], str(path)], x, y, x[:2], y[:2], 0.1))


def test_a_mislabeled_example_stands_out(rng):
    """Of examples of two colors, the one with the wrong label has the highest influence on itself, and opposes."""
    model = little()
    x, y = rng.normal(scale=0.3, size=(24, 3, 6, 6)), np.arange(24) % 2
    x[y == 1, 0] += 2
    x[y == 0, 1] += 2
    wrong = y.copy()
    wrong[5] = 0
    models = []
    training.train(model, lambda t: (x, wrong), 60, SGD(0.1), validate=models.append, validate_every=20)
    own = tracin(model, models, x, wrong)
    assert own.argmax() == 5 and (own >= 0).all()
    assert tracin(model, models, x, wrong, x[7:8], y[7:8])[0].argmin() == 5


def test_parts_progress_and_precision(rng, monkeypatch):
    pair = PAIRS["convolutions"]
    x, y = rng.normal(size=(3, *pair.x.shape[1:])), [0, 1, 2]
    calls = []
    found = tracin(
        pair.model, [pair.model] * 2, x, y, pair.x, [1, 1, 1], progress=lambda *at: calls.append(at)
    )
    assert calls == [(k, 6) for k in range(1, 7)]
    monkeypatch.setattr("npgrad.training.influence.BUDGET", 1)  # one test example at a time
    assert_close(tracin(pair.model, [pair.model] * 2, x, y, pair.x, [1, 1, 1]), found, 1e-12)
    single = tracin(
        pair.model.astype(np.float32), [pair.model.astype(np.float32)] * 2, x.astype(np.float32), y,
        pair.x.astype(np.float32), [1, 1, 1],
    )  # fmt: skip
    assert single.dtype == np.float64
    assert_close(single, found, 1e-4)


MODEL = little()
X = np.random.default_rng(0).normal(size=(2, 3, 6, 6))
OTHER = Model(layers.Sequential({"fc": Linear.init(3, 3, rng=0)}))


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"checkpoints": []}, InputError, r"checkpoints: expected a list of models or files, found \[\]"),
        ({"checkpoints": "run.npz"}, InputError, "checkpoints: expected a list of models or files"),
        ({"checkpoints": [5]}, InputError, "checkpoints: expected models or files, found int"),
        (
            {"checkpoints": ["/no/such.npz"]},
            InputError,
            "/no/such.npz: expected a checkpoint, found no such file",
        ),
        ({"target": [0]}, InputError, "target: expected 2 classes, one per image"),
        ({"target": [0, 7]}, IndexError, f"{AN_INDEX} 2"),
        ({"target": ["ant", "bea"]}, UnknownName, "nearest: bee"),
        ({"target_test": [0, 1]}, InputError, "target_test: expected None without x_test"),
        ({"x_test": X}, InputError, "target_test: expected 2 classes"),
        ({"learning_rates": [1, 2]}, InputError, f"learning_rates: {A_NUMBER}, or 1"),
        ({"learning_rates": "x"}, InputError, f"learning_rates: {A_NUMBER}"),
        ({"layers": ["fd"]}, UnknownName, "nearest: fc"),
        ({"layers": ["relu"]}, InputError, "layers: expected layers with parameters"),
        ({"layers": "fc"}, InputError, "layers: expected a list of names, found 'fc'"),
        ({"x": "photos"}, InputError, "input: expected floats"),
    ],
)
def test_refused_arguments_of_tracin(options, error, words):
    with pytest.raises(error, match=words):
        tracin(**{"model": MODEL, "checkpoints": [MODEL], "x": X, "target": [0, 1], **options})


def test_refused_checkpoints(tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(b"damaged")
    with pytest.raises(InputError, match="not an npgrad checkpoint, or a damaged one"):
        checkpoint_model(MODEL, path)
    path.unlink()
    training.train(MODEL, lambda t: (X, np.array([0, 1])), 1, checkpoint=path)
    with pytest.raises(UnknownName, match="parameter"):
        checkpoint_model(OTHER, path)
    larger = Model(Sequential({**MODEL.network.layers, "more": Linear.init(3, 3, rng=0)}))
    with pytest.raises(InputError, match=r"it has no more.bias, which the network has"):
        checkpoint_model(larger, path)
