"""What training is fed with: images as inputs, changed a little, made ahead of time by another process."""

from collections import deque

import numpy as np

from npgrad._validate import generator


def as_input(images, preprocessing):
    """Images uint8 (N, H, W, 3) as a network's input, float32 (N, 3, H, W); they keep their size."""
    mean, std = (np.array(v, np.float32) for v in (preprocessing.mean, preprocessing.std))
    x = images.astype(np.float32)
    x *= 1 / (255 * std)
    x -= mean / std
    return x.transpose(0, 3, 1, 2)


def augment(images, rng, flip=True, shift=4, light=0.15):
    """Images uint8 (N, H, W, 3) changed a little, each in its own way.

    flip: half of them mirrored. shift: moved by up to so many pixels each way, the border repeated. light: every
    channel's brightness times 1 - light to 1 + light, as under another lamp.
    """
    rng = generator(rng)
    n, h, w, _ = images.shape
    changed = np.empty_like(images)
    for i, image in enumerate(images):
        down, right = rng.integers(-shift, shift + 1, size=2)
        rows = np.clip(np.arange(h) + down, 0, h - 1)
        columns = np.clip(np.arange(w) + right, 0, w - 1)
        if flip and rng.random() < 0.5:
            columns = columns[::-1]
        lamp = rng.uniform(1 - light, 1 + light, size=3).astype(np.float32)
        changed[i] = np.clip(image[rows[:, None], columns] * lamp, 0, 255)
    return changed


class Ahead:
    """The values of `make(t)` for t = start, start + 1, ..., made by processes beside this one, a few ahead.

        with Ahead(make, start=0, count=1000) as batch:
            x, y = batch(0)

    make must be a function of a module, and depend on t alone. Values are asked for in order; whatever is
    asked for out of turn is made on the spot.
    """

    def __init__(self, make, start=0, count=None, ahead=6, processes=1):
        self._make, self._ahead, self._processes = make, ahead, processes
        self._next, self._end = start, None if count is None else start + count
        self._waiting = deque()

    def __enter__(self):
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("spawn")  # no copy of this process's threads
        self._pool = ProcessPoolExecutor(
            self._processes, mp_context=context, initializer=_leave_interrupts_alone
        )
        return self

    def __exit__(self, *error):
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, t):
        if self._waiting and self._waiting[0][0] != t:
            self._waiting.clear()
        if not self._waiting:
            self._next = t
        while len(self._waiting) < self._ahead and (self._end is None or self._next < self._end):
            self._waiting.append((self._next, self._pool.submit(self._make, self._next)))
            self._next += 1
        return self._waiting.popleft()[1].result() if self._waiting else self._make(t)


def _leave_interrupts_alone():
    """Ctrl-C is for the training; this process ends with it."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
