"""A folder of drawn photos and a little network that explains them in no time, for the tests of folder runs."""

import json
import os
from pathlib import Path

import numpy as np
from PIL import Image

from npgrad import Model, Preprocessing, layers


def little_net(seed=0):
    """Five classes by name, at 32 px: a convolution, a ReLU, the mean over the image."""
    weight = 0.3 * np.random.default_rng(seed).standard_normal((5, 3, 3, 3)).astype(np.float32)
    conv = layers.Conv2d(weight, np.full(5, 0.5, np.float32))
    network = layers.Sequential({"conv": conv, "relu": layers.ReLU(), "mean": layers.GlobalAvgPool2d()})
    return Model(network, ("cat", "dog", "owl", "hen", "ant"), Preprocessing(resize=32, crop=32))


def photo(path, seed=0):
    """Write a drawn photo: waves of color."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    y, x = np.mgrid[:40, :50] / 8
    a, b, c = np.random.default_rng(seed).uniform(0.3, 2, 3)
    waves = np.stack([np.sin(a * x + b * y), np.cos(b * x - y), np.sin(c * x * y / 4)], axis=-1)
    Image.fromarray((127.5 * (1 + waves)).astype(np.uint8)).save(path)
    return path


def photos(folder, count):
    """A folder of so many."""
    for i in range(count):
        photo(Path(folder) / f"{i:03}.jpg", i)
    return Path(folder)


def lines(output):
    """The manifest, line by line."""
    return [json.loads(line) for line in (Path(output) / "manifest.jsonl").read_text("utf-8").splitlines()]


def files(folder):
    """{name: bytes} of all files below the folder but the records."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place) / name
            if name not in ("manifest.jsonl", "npgrad-run.json"):
                found[path.relative_to(folder).as_posix()] = path.read_bytes()
    return found
