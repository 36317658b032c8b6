"""Every way in which npgrad writes a file, with two contents each, so that old and new can be told apart."""

import dataclasses
import hashlib
from functools import cache, partial
from pathlib import Path

import numpy as np
from folder_runs import little_net

from npgrad import training
from npgrad.io import checkpoints
from npgrad.io import known_weights as fetch
from npgrad.io.download import download
from npgrad.models import squeezenet1_1
from npgrad.optim import Adam


@cache
def network(which=0):
    """3 MB, so that writing it takes a while."""
    return squeezenet1_1(num_classes=2, rng=which)


def _pixels(which, count=1):
    return list(np.random.default_rng(which).integers(0, 256, (count, 60, 80, 3), np.uint8))


def _save(path, which):
    network(which).save(path)


def _little(path, which):
    little_net(which).save(path)


def _image(path, which):
    from npgrad.images import save_image

    save_image(_pixels(which)[0], path)


def _array(path, which):
    from npgrad.attribution.explanation import save_array

    save_array(np.full((3, 20, 20), which, np.float32), path)


def _animation(path, which):
    from npgrad.images import animation

    animation.write(path, _pixels(which, 3))


def _checkpoint(path, which):
    state = np.random.default_rng(which).standard_normal((1, 3, 30, 30))
    checkpoints.write(path, "settings", {"image": state}, {"t": which})


# name -> (the file's suffix, write(path, 0 or 1))
WRITERS = {
    "Model.save": (".h5", _save),
    "Model.save, little": (".h5", _little),
    "PNG": (".png", _image),
    "JPEG": (".jpg", _image),
    "TIFF": (".tif", _image),
    "BMP": (".bmp", _image),
    "PPM": (".ppm", _image),
    "array": (".npy", _array),
    "GIF": (".gif", _animation),
    "WebP": (".webp", _animation),
    "checkpoint": (".ckpt", _checkpoint),
}


def target(folder, name):
    """The file that this writer writes in a folder."""
    return Path(folder) / f"target{WRITERS[name][0]}"


def content(path, name):
    """What is in a file, to be compared: a checkpoint's bytes tell the time."""
    data = Path(path).read_bytes()
    if name != "checkpoint":
        return data
    (arrays, rest) = checkpoints.read(path, "settings")
    return arrays["image"].tobytes(), rest["t"]


BODY = np.random.default_rng(0).bytes(300_000)
OLD = b"what was there before"


def get_file(url, path, resumable=True):
    sha256 = hashlib.sha256(BODY).hexdigest()
    download(url, path, sha256=sha256 if resumable else None, max_bytes=10**6)


def know_small(original):
    """Make `npgrad weights get small` possible: the file `original`, wherever it comes from."""
    data = Path(original).read_bytes()
    entry = fetch.Known(
        name="small",
        kind="weights",
        title="two classes",
        url="http://weights.invalid/small.npz",
        license="free",
        source="this test",
        max_bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        architecture="squeezenet1_1",
    )
    fetch.known = lambda: {"small": entry}


def _batch(t):
    rng = np.random.default_rng(t)
    return rng.standard_normal((2, 3, 8, 8)).astype(np.float32), rng.integers(0, 5, 2)


def _validate(model):
    return float(np.sum(model(_batch(10**6)[0])))


def train(folder, steps=400):
    """A training run that goes on from its checkpoint: trained.h5, which also tells what was validated."""
    options = {"validate": _validate, "validate_every": 3, "checkpoint_every": 4}
    path = Path(folder) / "run.ckpt"
    result = training.train(little_net(), _batch, steps, Adam(1e-3), checkpoint=path, **options)
    if result.interrupted:
        raise KeyboardInterrupt
    dataclasses.replace(result.model, source={"validations": result.validations}).save(
        Path(folder) / "trained.h5"
    )


def write_in_turns(folder, name):
    """One content after the other, for ever."""
    write = partial(WRITERS[name][1], target(folder, name))
    while True:
        write(1)
        write(0)
