"""SqueezeNet once more, in torch, for comparison (the network itself is the benchmarks'); and small models.

net = torch_twin(model)                 the torch network with a model's weights, in float64
activations(net, x)                     {"features.3.squeeze": its output, ...}, and the output as ""
"""

import numpy as np

from benchmarks.torch_squeezenet import TorchFire, TorchSqueezeNet, torch_names, torch_state, torch_twin
from npgrad.models import squeezenet1_1

__all__ = [
    "TorchFire", "TorchSqueezeNet", "activations", "random_biases", "small_net", "torch_names", "torch_state",
    "torch_twin",
]  # fmt: skip


def random_biases(model, seed=5):
    """A copy with biases that are not 0: fresh ones would hide a bias that is forgotten."""
    rng = np.random.default_rng(seed)
    biases = {
        name: rng.normal(scale=0.1, size=array.shape).astype(array.dtype)
        for name, array in model.parameters().items()
        if name.endswith("bias")
    }
    return model.with_parameters(biases)


def small_net():
    """SqueezeNet 1.1 for 10 classes with random weights and biases, in float64."""
    return random_biases(squeezenet1_1(num_classes=10, rng=1)).astype(np.float64)


def activations(net, x):
    """Every module's output in one pass of a tensor x, by the module's name; the network's own name is ""."""
    outputs = {}
    hooks = [
        module.register_forward_hook(lambda module, args, y, name=name: outputs.update({name: y}))
        for name, module in net.named_modules()
    ]
    net(x)
    for hook in hooks:
        hook.remove()
    return outputs
