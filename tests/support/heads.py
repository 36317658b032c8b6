"""Little networks of every kind of output: with a head, nested or as a graph, and the same in torch up to the head."""

import inspect

import numpy as np
import torch

from npgrad import Model, layers
from npgrad.attribution._by_name import BY_NAME
from npgrad.attribution.methods import METHODS

HEADS = {  # name: (layer or None, what torch makes probabilities with)
    "logits": (None, lambda s: torch.softmax(s, 1)),
    "Softmax": (layers.Softmax(), lambda s: torch.softmax(s, 1)),
    "LogSoftmax": (layers.LogSoftmax(), lambda s: torch.softmax(s, 1)),
    "Sigmoid": (layers.Sigmoid(), torch.sigmoid),
}
FORMS = ("flat", "one pixel", "nested", "graph", "flattened at the end")


def drawn_net(seed, classes=3, head="logits", form="flat", scale=1.0, **options):
    """(Model, the same in torch up to the head, images), all float64; the weights depend only on seed and classes."""
    rng = np.random.default_rng(seed)
    w, b = rng.normal(size=(4, 3, 3, 3)), rng.normal(size=4)
    v, c = scale * rng.normal(size=(classes, 4)), scale * rng.normal(size=classes)
    x = rng.normal(size=(2, 3, 6, 6))
    last = {} if HEADS[head][0] is None else {"head": HEADS[head][0]}
    body = {"conv": layers.Conv2d(w, b), "relu": layers.ReLU()}
    if form in ("one pixel", "flattened at the end"):
        top = {"mean": layers.AdaptiveAvgPool2d(1), "fc": layers.Conv2d(v[:, :, None, None], c), **last}
        if form == "flattened at the end":
            top |= {"flat": layers.Flatten(), "drop": layers.Dropout()}
    else:
        top = {"mean": layers.GlobalAvgPool2d(), "fc": layers.Linear(v, c), **last}
    if form == "nested":
        network = layers.Sequential({"body": layers.Sequential(body), "top": layers.Sequential(top)})
    elif form == "graph":
        chain = {**body, **top}
        network = layers.Graph(
            dict(zip(chain, zip(chain.values(), ["input", *chain], strict=False), strict=True))
        )
    else:
        network = layers.Sequential({**body, **top})

    def scores(x):
        y = torch.relu(torch.conv2d(x, torch.tensor(w), torch.tensor(b))).mean(dim=(2, 3))
        return y @ torch.tensor(v).T + torch.tensor(c)

    return Model(network, **options), scores, x


def torch_gradient(scores, x, column):
    """d score / d x of one column, in torch."""
    leaf = torch.tensor(x, requires_grad=True)
    return torch.autograd.grad(scores(leaf)[:, column].sum(), leaf)[0].numpy()


UNTOLD = (
    *(name for name, method in METHODS.items() if method.blind),
    "neuron_gradient",
    "neuron_guided_backprop",
    "neuron_deconvolution",
    "neuron_deep_lift",
    "neuron_feature_ablation",
    "neuron_gradient_shap",
    "neuron_integrated_gradients",
)
SCORED = [name for name in BY_NAME if name not in UNTOLD]
FEW = {"n_steps": 3, "n_samples": 4, "window": 3, "layer": "relu", "neuron": (0, 1, 1), "stride": 2}
FEW |= {"mask": np.arange(36).reshape(6, 6) // 9}


def call(name, model, x, target):
    """A method by name, with few samples."""
    takes = inspect.signature(BY_NAME[name]).parameters
    return BY_NAME[name](
        model,
        x,
        target,
        **{
            key: value for key, value in FEW.items() if key in takes and (key, name[:6]) != ("mask", "layer_")
        },
    )


def as_rows(prediction, count):
    """What `predict` returned as probabilities (N, classes)."""
    rows = np.full((len(prediction), count), np.nan)
    for row, classes in zip(rows, prediction, strict=True):
        for index, _, p in classes:
            row[index] = p
        assert [p for _, _, p in classes] == sorted((p for _, _, p in classes), reverse=True)
    return rows
