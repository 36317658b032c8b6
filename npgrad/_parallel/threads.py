"""Split a batch into parts of a few images, and distribute them over the processor's cores.

The matrix products of one image are too small to gain much from two BLAS threads. Two images in parallel, with one
BLAS thread each, gain nearly the full factor, since NumPy releases the interpreter's lock while it multiplies and
copies. In addition, the working set of one image fits into the processor's cache; that of a whole batch does not.
"""

import contextlib
import contextvars
import functools
import os

from npgrad import _blas as blas
from npgrad import config

PIXELS = 224 * 224  # about the number of pixels in one part


def split_batch(x):
    """Slices of a batch (N, C, H, W) with about PIXELS pixels each; a batch of vectors is one slice."""
    size = max(1, PIXELS // max(1, x.shape[2] * x.shape[3])) if x.ndim == 4 else len(x)
    return [slice(first, first + size) for first in range(0, len(x), size)]


def thread_map(work, items):
    """[work(item) for item in items], on as many threads as BLAS has; BLAS is limited to one thread meanwhile.

    Setting BLAS to one thread (OPENBLAS_NUM_THREADS=1, or threadpoolctl) therefore gives one thread here, too;
    `npgrad.config.threads` takes precedence over both. A call while another thread's batch is running uses one
    thread. Results for other numbers of threads agree up to rounding.
    """
    return list(thread_imap(work, items))


def thread_imap(work, items):
    """The results of `thread_map`, one by one as they become available."""
    items = list(items)
    if len(items) < 2 or not blas.changing.acquire(blocking=False):
        yield from map(work, items)
        return
    try:
        with blas.limited(blas.libraries(), 1) as before:
            threads = config.number_of_threads(max(before, default=1))
            if threads == 1:
                yield from map(work, items)
            else:
                here = contextvars.copy_context()  # so that np.errstate applies in the threads, too
                yield from _pool(threads).map(lambda item: here.copy().run(work, item), items)
    finally:
        blas.changing.release()


@contextlib.contextmanager
def one_blas_thread():
    """Limit BLAS to one thread; batches are still distributed over as many threads as it had.

    BLAS threads wait for each other by spinning. If other processes need the cores, a long series of small products
    then takes several times the processor time that one thread would need.
    """
    own = config.threads
    with blas.limited(blas.libraries(), 1) as before:
        config.threads = config.number_of_threads(max(before, default=1))
        try:
            yield
        finally:
            config.threads = own


@functools.cache
def _pool(threads):
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(threads, thread_name_prefix="npgrad")


if hasattr(os, "register_at_fork"):  # a forked process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
