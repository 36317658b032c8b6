"""What is interrupted and is no command of npgrad's: python -m interrupts.child WORK."""

import sys
from pathlib import Path

import numpy as np

import npgrad


def save():
    """One of two networks over the other, again and again."""
    first, second = npgrad.load(Path("first.h5")), npgrad.load(Path("second.h5"))
    while True:
        second.save("net.h5")
        first.save("net.h5")


def checkpoint():
    """A run's state over the last, again and again: its arrays say which step it was."""
    from npgrad import checkpoints

    step = 0
    while True:
        step += 1
        arrays = {"x": np.full(50_000, step), "m": np.full((50, 1000), -step)}
        checkpoints.write("run.ckpt", "settings", arrays, {"step": step})


def picture():
    """One of two pictures over the other, and an array beside it."""
    from npgrad.files import atomic_write
    from npgrad.images import save_png

    while True:
        for value in (10, 200):
            save_png(np.full((200, 300, 3), value, np.uint8), "out.png")
            with atomic_write("out.npy") as temporary:
                np.save(temporary, np.full(100_000, value))


def animation():
    """One of two animations over the other."""
    from npgrad import animation

    while True:
        for value in (0, 120):
            animation.write("out.gif", [np.full((80, 90, 3), value + i, np.uint8) for i in range(6)])


def download(url, sha256):
    """A file from a server that is slow, over an older one; an interrupted download goes on."""
    from npgrad.download import download

    download(url, "weights.bin", sha256=sha256, max_bytes=1 << 22)


if __name__ == "__main__":
    {
        "save": save,
        "checkpoint": checkpoint,
        "picture": picture,
        "animation": animation,
        "download": download,
    }[sys.argv[1]](*sys.argv[2:])
