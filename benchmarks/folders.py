"""Photos per second of `attribute_folder`, with more and more workers: processes, and those of a Dask cluster.

No more workers compute than there are cores. For more, the work is simulated: a network that only waits, which any
number of workers can do at the same time. What is measured is how fast work is handed out and results are written.
"""

import os
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import npgrad
from npgrad.attribution.folders import attribute_folder
from npgrad.images import Preprocessing, save_image
from npgrad.layers import Conv2d, GlobalAvgPool2d, ReLU, Sequential
from npgrad.layers.base import Layer
from npgrad.scenes import scene

FOLDER = "folder"
PHOTOS, SIDE, WORKERS = 60, 64, (1, 2, 4, 8)
WAIT = 0.05  # seconds of a simulated forward pass


@dataclass(frozen=True)
class Waiting(Layer):
    """y = x, after some time."""

    seconds: float

    def forward(self, x):
        time.sleep(self.seconds)
        return x, None

    def backward(self, dy, cache):
        return dy


def waiting_model():
    """A network that waits, and computes next to nothing."""
    conv = Conv2d.init(3, 2, 3)  # not 1x1, whose saliency would be the same everywhere
    layers = {"wait": Waiting(WAIT), "conv": conv, "relu": ReLU(), "pool": GlobalAvgPool2d()}
    return npgrad.Model(Sequential(layers), preprocessing=Preprocessing(resize=SIDE, crop=SIDE))


@contextmanager
def processes(count):
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
        yield executor


@contextmanager
def dask(count):
    from distributed import Client, LocalCluster

    options = {"threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(n_workers=count, **options) as cluster, Client(cluster) as client:
        yield client.get_executor()


EXECUTORS = {"processes": processes, "Dask": dask}


def measure_folders(job, folder, tell):
    """{"photos", "values": {what: numbers of workers}, "seconds": {what: one number per value}}."""
    photos = Path(folder, "photos")
    photos.mkdir(exist_ok=True)
    for i in range(PHOTOS):
        save_image(scene(i, seed=0, size=SIDE)[0], photos / f"{i:03}.png")
    works = {
        job["network"]: (npgrad.load(Path(folder, f"{job['network']}.h5")), os.cpu_count()),
        "simulated": (waiting_model(), max(WORKERS)),
    }
    found = {"photos": PHOTOS, "values": {}, "seconds": {}}
    for work, (model, most) in works.items():
        for kind, executors in EXECUTORS.items():
            if kind == "Dask" and not find_spec("distributed"):
                continue
            what, counts = f"{work}, {kind}", [count for count in WORKERS if count <= most]
            found["values"][what], found["seconds"][what] = counts, []
            for count in counts:
                tell(f"{what}, {count} workers")
                with executors(count) as executor:
                    found["seconds"][what].append(seconds_with(executor, model, photos, 2 * count))
    return found


def seconds_with(executor, model, photos, ahead):
    """The time of one folder, after a first one in which the workers start and import."""
    for _ in range(2):
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            run = attribute_folder(model, photos, out, "saliency", executor=executor, ahead=ahead)
            seconds = time.perf_counter() - start
        if run.made != len(list(photos.iterdir())):
            raise SystemExit(f"benchmarks: {FOLDER}: {run.made} photos were done, expected all of them")
    return seconds
