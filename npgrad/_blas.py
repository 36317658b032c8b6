"""The BLAS libraries of this process, and matrix products on no more of their threads than there are free cores.

The threads of a product wait for each other by spinning. Where another program has one of the cores, two threads take
several times as long as one, and more than one core's time. A product with threads t takes t times as much processor
time as wall time if all of them had a core. Where it was less, the next products use fewer threads, until they have
taken twice as long as the products that were slow; then all are tried again. If those are slow, too, the next pause is
twice as long, up to PAUSE times the products. So a short disturbance costs little, and so does trying again.

The last bits of a product can depend on the number of threads (with OpenBLAS's kernels for Haswell they do), so what
promises bit-identical results keeps it, and so does `npgrad.config.exact`.
"""

import contextlib
import contextvars
import functools
import sys
import threading
import time

import numpy as np

from npgrad import config

LARGE = 1 << 18  # multiply-adds; for fewer, OpenBLAS takes one thread
LEAST = 0.04  # seconds of products that are judged together; processor time is too coarse for fewer
FREE = 0.75  # the share of the threads' time that they must have had
PAUSE = 32  # the longest pause, as a multiple of the products that were slow

# The number of BLAS threads belongs to the whole process: one at a time may change it.
changing = threading.Lock()
_same_threads = contextvars.ContextVar("same_threads", default=False)


@contextlib.contextmanager
def same_threads(keep=True):
    """Within this block, every product has all threads, busy or not; `keep` False leaves it as it is."""
    token = _same_threads.set(keep or _same_threads.get())
    try:
        yield
    finally:
        _same_threads.reset(token)


def libraries():
    """The libraries whose numbers of threads can be set; SciPy brings one of its own."""
    return _loaded("scipy.linalg" in sys.modules)


@functools.cache
def _loaded(with_scipy):
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


class FreeCores:
    """How many cores the last products had, and for how many seconds of products that counts."""

    def __init__(self):
        self.threads, self.seconds = 1, 0.0
        self._wall = self._processor = 0.0
        self._pause = 1

    def note(self, threads, wall, processor):
        """A product on all `threads` took these seconds."""
        self._wall += wall
        self._processor += processor
        if self._wall >= LEAST:
            had = self._processor / self._wall
            busy = had < FREE * threads
            self._pause = min(2 * self._pause, PAUSE) if busy else 1
            if busy:
                self.threads, self.seconds = max(1, round(had)), self._pause * self._wall
            self._wall = self._processor = 0.0


_free = FreeCores()


def product(a, b, out=None):
    """``np.matmul(a, b, out=out)``."""
    small = a.shape[-2] * a.shape[-1] * b.shape[-1] <= LARGE
    # While a batch is distributed over threads, BLAS has one. Asking would hand over the interpreter's lock.
    if small or changing.locked() or config.exact or _same_threads.get():
        return np.matmul(a, b, out=out)
    blas = libraries()
    threads = max((library.get_num_threads() for library in blas), default=1)
    if threads == 1:
        return np.matmul(a, b, out=out)
    wall = time.perf_counter()
    if _free.seconds > 0 and changing.acquire(blocking=False):
        try:
            with limited(blas, _free.threads):
                return np.matmul(a, b, out=out)
        finally:
            _free.seconds -= time.perf_counter() - wall
            changing.release()
    processor = time.process_time()
    y = np.matmul(a, b, out=out)
    _free.note(threads, time.perf_counter() - wall, time.process_time() - processor)
    return y


class limited:
    """A context manager that limits the libraries to a number of threads."""

    def __init__(self, blas, threads):
        self._blas, self._threads = blas, threads

    def __enter__(self):
        self._before = [library.get_num_threads() for library in self._blas]
        for library in self._blas:
            library.set_num_threads(self._threads)
        return self._before

    def __exit__(self, *error):
        for library, count in zip(self._blas, self._before, strict=True):
            library.set_num_threads(count)
