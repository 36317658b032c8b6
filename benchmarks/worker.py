"""One contender in a process of its own: reads cases, one JSON a line, and answers with the seconds of one run.

python -m benchmarks.worker npgrad|torch|channels_last
"""

import json
import os
import sys
import time

import numpy as np


def npgrad_cases(model, x, target):
    """{case: a function to be timed}."""
    from npgrad import attribution, losses, training

    seed = np.zeros((len(x), model.num_classes), np.float32)
    seed[np.arange(len(x)), target] = 1
    return {
        "forward": lambda: model(x),
        "input gradient": lambda: model.forward(x).backward(seed)["input"],
        "saliency": lambda: attribution.saliency(model, x, target),
        "guided backprop": lambda: attribution.guided_backprop(model, x, target),
        "Grad-CAM": lambda: attribution.grad_cam(model, x, target, layer="fire9"),
        "integrated gradients (50)": lambda: attribution.integrated_gradients(model, x, target, n_steps=50),
        "smoothgrad (25)": lambda: attribution.smoothgrad(model, x, target, n_samples=25),
        "occlusion (45 px, stride 16)": lambda: attribution.occlusion(model, x, target, window=45, stride=16),
        "training gradients": lambda: training.batch_gradients(model, x, target, losses.cross_entropy),
    }


def torch_cases(model, x, target, channels_last):
    import captum.attr
    import torch

    from benchmarks.torch_squeezenet import torch_squeezenet

    torch.set_num_threads(int(os.environ["OPENBLAS_NUM_THREADS"]))
    net, x, target = torch_squeezenet(model), torch.tensor(x), torch.tensor(target)
    if channels_last:
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    wanted, every = x.clone().requires_grad_(), list(net.parameters())
    for parameter in every:
        parameter.requires_grad_(False)

    def forward():
        with torch.no_grad():
            return net(x)

    def gradient():
        return torch.autograd.grad(net(wanted).gather(1, target[:, None]).sum(), wanted)

    def training():
        for parameter in every:
            parameter.requires_grad_(True)
        torch.autograd.grad(torch.nn.functional.cross_entropy(net(x), target), every)
        for parameter in every:
            parameter.requires_grad_(False)

    def captum_method(name, *arguments, **options):
        method = getattr(captum.attr, name)(net, *arguments)
        return lambda: method.attribute(wanted, target=target, **options)

    tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(net))
    return {
        "forward": forward,
        "input gradient": gradient,
        "saliency": captum_method("Saliency"),
        "guided backprop": captum_method("GuidedBackprop"),
        "Grad-CAM": captum_method("LayerGradCam", net.fire9),
        "integrated gradients (50)": captum_method("IntegratedGradients", n_steps=50),
        "smoothgrad (25)": lambda: tunnel.attribute(
            wanted, nt_samples=25, nt_samples_batch_size=5, stdevs=0.5, target=target
        ),
        "occlusion (45 px, stride 16)": captum_method(
            "Occlusion", sliding_window_shapes=(3, 45, 45), strides=(3, 16, 16)
        ),
        "training gradients": training,
    }


def main(contender):
    import warnings

    warnings.simplefilter("ignore")
    from npgrad import models

    ready = {}
    for line in sys.stdin:
        arch, batch, case = key = tuple(json.loads(line))
        if key[:2] not in ready:
            model = getattr(models, arch)(num_classes=1000, rng=0)
            # An untrained network has its scores about 0: open the final ReLU, so that gradients flow.
            model = model.with_parameters({"conv10.bias": np.full(1000, 5.0, np.float32)})
            x = np.random.default_rng(0).normal(size=(batch, 3, 224, 224)).astype(np.float32)
            target = np.arange(batch) % 1000
            made = npgrad_cases if contender == "npgrad" else torch_cases
            options = () if contender == "npgrad" else (contender == "channels_last",)
            ready = {key[:2]: made(model, x, target, *options)}  # one at a time: memory
        run = ready[key[:2]][case]
        begin = time.perf_counter()
        run()
        print(json.dumps(time.perf_counter() - begin), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
