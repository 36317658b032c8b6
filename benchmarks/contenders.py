"""The contenders: each has its network and images for one batch size and image size, and runs them.

Every contender is made by (folder of `inputs.write_files`, network, batch, side, threads). While `checking` is set,
dropout and noise are left out, so that results can be compared.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np

import npgrad
from benchmarks.inputs import channels_last, images, targets
from npgrad.layers import Conv2d

# How many images Captum sends through the network at once for torch at its best. By default it sends all copies, or one
# in Occlusion; both take longer (measured), and all copies of 8 images would take 20 GB.
AT_ONCE = 8


class Contender:
    checking = False

    @staticmethod
    def warm_up():
        """Import what is slow to import; the contenders' processes do so at the same time."""

    def __init__(self, folder, network, batch, side, threads):
        self.folder, self.network, self.threads = Path(folder), network, threads
        self.batch, self.side = batch, side


class Npgrad(Contender):
    def __init__(self, *given):
        super().__init__(*given)
        self.model = npgrad.load(self.folder / f"{self.network}.h5")
        self.x, self.target = channels_last(images(self.batch, self.side)), targets(self.batch)
        self.dy = np.zeros((self.batch, self.model.num_classes), np.float32)
        self.dy[np.arange(self.batch), self.target] = 1

    def logits(self):
        return self.model(self.x)

    def input_gradient(self):
        tape = self.model.forward(self.x)
        return tape.output, tape.backward(self.dy)["input"]

    def attribution(self, name, **options):
        return partial(getattr(npgrad.attribution, name), self.model, self.x, self.target, **options)


class Torch(Contender):
    """torch eager in its usual memory format (NCHW), and Captum."""

    channels_last = False

    @staticmethod
    def warm_up():
        import torch  # noqa: F401

    def __init__(self, *given):
        super().__init__(*given)
        import torch

        from benchmarks.torch_networks import make

        torch.set_num_threads(self.threads)
        self.net = make(self.network).requires_grad_(False)
        self.net.load_state_dict(
            torch.load(self.folder / f"{self.network}.pth"), strict=False
        )  # except counters
        self.net = self.in_order(self.net)
        self.x = self.in_order(torch.from_numpy(images(self.batch, self.side)))
        self.wanted = self.x.clone().requires_grad_()
        self.target = torch.from_numpy(targets(self.batch))

    def in_order(self, value):
        """A network or tensor in this contender's memory format."""
        import torch

        return value.to(memory_format=torch.channels_last) if self.channels_last else value

    def logits(self):
        import torch

        with torch.no_grad():
            return self.net(self.x)

    def input_gradient(self):
        import torch

        logits = self.net(self.wanted)
        return logits, torch.autograd.grad(logits.gather(1, self.target[:, None]).sum(), self.wanted)[0]

    def captum(self, name, *arguments, **options):
        import captum.attr

        method = getattr(captum.attr, name)(self.net, *arguments)
        return partial(method.attribute, self.wanted, target=self.target, **options)

    def captum_smoothgrad(self, samples):
        import captum.attr

        tunnel = captum.attr.NoiseTunnel(captum.attr.Saliency(self.net))
        options = {"nt_samples": samples, "nt_samples_batch_size": self.copies_at_once(samples), "abs": False}
        deviation = 0.0 if self.checking else 0.5
        return partial(tunnel.attribute, self.wanted, target=self.target, stdevs=deviation, **options)

    def copies_at_once(self, usual):
        """How many copies of each image; `usual` is Captum's default."""
        as_people_run_it = self.batch == 1 and not self.channels_last
        return usual if as_people_run_it else max(1, AT_ONCE // self.batch)


class TorchChannelsLast(Torch):
    """torch at its best on a CPU: network and images in the memory format channels_last."""

    channels_last = True


class OnnxRuntime(Contender):
    def __init__(self, *given):
        super().__init__(*given)
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = self.threads, 1
        path, providers = str(self.folder / f"{self.network}.onnx"), ["CPUExecutionProvider"]
        self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        self.x = images(self.batch, self.side)

    def logits(self):
        return self.session.run(["logits"], {"x": self.x})[0]


class Products(Contender):
    """The lower bound: only the matrix products of the network's convolutions, on prepared arrays.

    A single image uses all BLAS threads; of a batch, as many images run at the same time as there are threads, with
    one BLAS thread each. NumPy code that computes a convolution by matrix products cannot be faster.
    """

    def __init__(self, *given):
        super().__init__(*given)
        from threadpoolctl import threadpool_limits

        model = npgrad.load(self.folder / f"{self.network}.h5")
        shapes = [
            (record.y[0, 0].size, record.layer.weight[0].size, len(record.layer.weight))
            for record in model.forward(images(1, self.side))
            if isinstance(record.layer, Conv2d)
        ]
        self.workers = 1 if self.batch == 1 else self.threads
        if self.workers > 1:
            threadpool_limits(1, user_api="blas")  # permanently: this process does nothing else
        self.pool = ThreadPoolExecutor(self.workers)
        rng = np.random.default_rng(0)

        def some(*shape):
            return rng.random(shape, np.float32)

        # pixels x (kernel x channels), (kernel x channels) x filters, and the gradient of the product
        self.arrays = [(some(p, k), some(k, f), some(p, f)) for p, k, f in shapes]
        self.made = [[(some(p, f), some(p, k)) for p, k, f in shapes] for _ in range(self.workers)]

    def forward(self):
        self._each_image(self._forward)

    def forward_and_back(self):
        self._each_image(self._forward, self._back)

    def _each_image(self, *passes):
        def some_images(worker):
            for _ in range(worker, self.batch, self.workers):
                for one in passes:
                    one(self.made[worker])

        if self.workers == 1:
            some_images(0)
        else:
            list(self.pool.map(some_images, range(self.workers)))

    def _forward(self, made):
        for (columns, weight, _), (y, _) in zip(self.arrays, made, strict=True):
            np.matmul(columns, weight, out=y)

    def _back(self, made):
        for (_, weight, dy), (_, dcolumns) in zip(self.arrays, made, strict=True):
            np.matmul(dy, weight.T, out=dcolumns)


CONTENDERS = {
    "npgrad": Npgrad,
    "torch": Torch,
    "channels_last": TorchChannelsLast,
    "onnxruntime": OnnxRuntime,
    "products": Products,
}
