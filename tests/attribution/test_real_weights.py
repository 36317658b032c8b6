"""Attributions of SqueezeNet with its real weights and photos are Captum's, for classes and for expressions."""

import captum.attr as C
import numpy as np
import pytest
import torch
from captum_nets import Pair
from checks import assert_close
from little_nets import photo
from torch import nn
from torch_nets import torch_twin

from npgrad import attribution

pytestmark = [
    pytest.mark.exhaustive,
    pytest.mark.filterwarnings("ignore:Setting backward hooks on ReLU activations"),  # Captum's own
    pytest.mark.filterwarnings("ignore:Input Tensor 0 did not already require gradients"),
    pytest.mark.filterwarnings("ignore:.*Setting forward, backward hooks and attributes on non-linear"),
]
TARGETS = {  # of two classes: ours, and the same of torch's logits
    "a class": lambda a, b: (a, lambda y: y[:, a]),
    "a difference": lambda a, b: (f"{a} - {b}", lambda y: y[:, a] - y[:, b]),
    "negative": lambda a, b: (f"- {a}", lambda y: -y[:, a]),
    "a probability": lambda a, b: (f"prob({a})", lambda y: y.softmax(1)[:, a]),
}
STEPS = 6
LAYER = "fire9"
ROWS = np.arange(80)[:, None].repeat(80, axis=1) // 20
METHODS = {  # name: (Captum's class, its options, ours, tolerance)
    "saliency": (C.Saliency, {}, {}, 1e-8),
    "input_x_gradient": (C.InputXGradient, {}, {}, 1e-8),
    "guided_backprop": (C.GuidedBackprop, {}, {}, 1e-8),
    "deconvolution": (C.Deconvolution, {}, {}, 1e-8),
    "integrated_gradients": (C.IntegratedGradients, {"n_steps": STEPS}, {"n_steps": STEPS}, 1e-7),
    "feature_ablation": (C.FeatureAblation, {"feature_mask": torch.tensor(ROWS)}, {"mask": ROWS}, 1e-8),
    "grad_cam": (C.LayerGradCam, {}, {"layer": LAYER}, 1e-8),
    "layer_gradient_x_activation": (C.LayerGradientXActivation, {}, {"layer": LAYER}, 1e-8),
    "layer_integrated_gradients": (
        C.LayerIntegratedGradients,
        {"n_steps": STEPS},
        {"layer": LAYER, "n_steps": STEPS},
        1e-7,
    ),
    "layer_conductance": (
        C.LayerConductance,
        {"n_steps": STEPS},
        {"layer": LAYER, "n_steps": STEPS},
        1e-7,
    ),
}


class Wrapped(nn.Module):
    """One output: the value of a target."""

    def __init__(self, net, value):
        super().__init__()
        self.net, self.value = net, value

    def forward(self, x):
        return self.value(self.net(x))[:, None]


@pytest.fixture(scope="module")
def pair(real_model, shared):
    model = real_model.astype(np.float64)
    x = np.concatenate([photo(real_model, shared, name) for name in ("Egyptian_cat", "kitten")])
    return Pair("squeezenet1_0", model, torch_twin(model), x)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", METHODS)
def test_equals_captum(name, target, pair):
    captums, options, ours, tolerance = METHODS[name]
    alive = np.argsort(pair.model(pair.x).min(axis=0))  # the last ReLU shuts many scores off
    asked, value = TARGETS[target](int(alive[-1]), int(alive[-2]))
    layer = [pair.layer(LAYER)] if "layer" in ours else []
    method = captums(Wrapped(pair.net, value), *layer)
    expected = method.attribute(pair.tensor().requires_grad_(), target=0, **options).detach().numpy()
    found = getattr(attribution, name)(pair.model, pair.x, asked, **ours)
    shut = name == "deconvolution" or (name, target) == (
        "guided_backprop",
        "negative",
    )  # by its rule, in both
    assert expected.any(axis=(1, 2, 3)).all() != shut
    assert_close(found.reshape(expected.shape), expected, tolerance)
