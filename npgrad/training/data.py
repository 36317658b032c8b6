"""Training data: images as network input, augmentation, and batches prepared ahead of time by other processes."""

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from npgrad._typing import Array, Rng
from npgrad._validate import generator, not_negative, share, whole_number
from npgrad.errors import InputError
from npgrad.images.preprocessing import Preprocessing

__all__ = ["Ahead", "as_input", "augment"]


def as_input(images: Array, preprocessing: Preprocessing) -> Array:
    """Normalize images without resizing or cropping.

    Parameters
    ----------
    images : ndarray of uint8 (N, H, W, 3)
        RGB images.
    preprocessing : Preprocessing
        The network's.

    Returns
    -------
    ndarray of float32 (N, C, H, W)
    """
    return preprocessing.apply(images, resize=False)


def augment(
    images: Array,
    rng: Rng,
    flip: bool = True,
    shift: int = 4,
    light: float = 0.15,
    noise: float = 0.0,
    blur: float = 0.0,
) -> Array:
    """Flip, shift, tint, blur images and add noise to them at random, each independently.

    Parameters
    ----------
    images : ndarray of uint8 (N, H, W, 3)
        RGB images.
    rng : numpy.random.Generator or int
    flip : bool, default True
        Mirror half of the images horizontally.
    shift : int, default 4
        Largest shift in px, vertically and horizontally; the border is repeated.
    light : float, default 0.15
        Every channel is multiplied by a factor from 1 - light to 1 + light.
    noise : float, default 0
        Largest standard deviation of Gaussian noise, in pixel values on the scale 0 to 1; each image's is drawn.
    blur : float, default 0
        Largest standard deviation of a Gaussian blur, in px; each image's is drawn.

    Returns
    -------
    ndarray of uint8 (N, H, W, 3)

    Raises
    ------
    InputError
        A number is negative, not finite or too large, or the images are others.
    """
    rng, images = generator(rng), np.asarray(images)
    noise, blur = not_negative(noise, "noise"), not_negative(blur, "blur")
    shift, light = whole_number(shift, "shift", 0), share(light, "light", zero=True)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        found = f"{images.dtype} of shape {images.shape}"
        raise InputError(f"images: expected uint8 (N, H, W, 3), found {found}")
    _, h, w, _ = images.shape
    changed = np.empty_like(images)
    for i, image in enumerate(images):
        down, right = rng.integers(-shift, shift + 1, size=2)
        rows = np.clip(np.arange(h) + down, 0, h - 1)
        columns = np.clip(np.arange(w) + right, 0, w - 1)
        if flip and rng.random() < 0.5:
            columns = columns[::-1]
        lamp = rng.uniform(1 - light, 1 + light, size=3).astype(np.float32)
        found = image[rows[:, None], columns] * lamp
        if blur:
            from scipy.ndimage import gaussian_filter  # takes longer to import than the rest of npgrad

            sigma = rng.uniform(0, blur)
            found = gaussian_filter(found, (sigma, sigma, 0), mode="nearest")
        if noise:
            std = 255 * rng.uniform(0, noise)
            found = found + std * rng.standard_normal(found.shape, dtype=np.float32)
        changed[i] = np.clip(np.rint(found), 0, 255)
    return changed


class Ahead:
    """The values of ``make(t)`` for t = start, start + 1, ..., computed by other processes a few steps ahead.

        with Ahead(make, count=1000) as batch:
            x, target = batch(0)

    Values are expected to be requested in order; any other value is computed when requested.

    Parameters
    ----------
    make : callable
        A function defined in a module, whose result depends on t only.
    start : int, default 0
        The first t.
    count : int or None
        Number of values to prepare. None: no limit.
    ahead : int, default 6
        Number of values prepared in advance.
    processes : int, default 1
        Number of processes.

    Raises
    ------
    InputError
        A number is not a whole one, or it is used outside of a ``with`` block.
    """

    def __init__(
        self,
        make: Callable[[int], Any],
        start: int = 0,
        count: int | None = None,
        ahead: int = 6,
        processes: int = 1,
    ) -> None:
        self._make, self._ahead = make, whole_number(ahead, "ahead", 0)
        self._processes, self._pool = whole_number(processes, "processes"), None
        self._next = whole_number(start, "start", 0)
        self._end = None if count is None else self._next + whole_number(count, "count", 0)
        self._waiting = deque()

    def __enter__(self) -> "Ahead":
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        context = multiprocessing.get_context("spawn")  # fork would copy locks that other threads hold
        self._pool = ProcessPoolExecutor(self._processes, mp_context=context, initializer=_ignore_interrupts)
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)

    def __call__(self, t: int) -> Any:
        """Return ``make(t)``."""
        if self._pool is None:
            raise InputError(
                "Ahead: expected a with block, in which its processes run, such as: with Ahead(make) as batch"
            )
        if self._waiting and self._waiting[0][0] != t:
            self._waiting.clear()
        if not self._waiting:
            self._next = t
        while len(self._waiting) < self._ahead and (self._end is None or self._next < self._end):
            self._waiting.append((self._next, self._pool.submit(self._make, self._next)))
            self._next += 1
        return self._waiting.popleft()[1].result() if self._waiting else self._make(t)


def _ignore_interrupts():
    """Ctrl-C is handled by the training process, which then ends this one."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
