"""Settings of the whole process, each also an environment variable that is read when npgrad is imported.

    npgrad.config.threads = 1           NPGRAD_THREADS=1         one thread, whatever the batch
    npgrad.config.keep_memory = False   NPGRAD_KEEP_MEMORY=0     freed memory goes back to the system at once

threads: how many threads a batch's images are spread over; None is as many as BLAS has
(OPENBLAS_NUM_THREADS, threadpoolctl). keep_memory: whether glibc is told, at the first pass, to keep up to 256 MB of
what a pass has freed for the next one. It takes a third to half off the time of a backward pass, since memory that
comes fresh from the system has to be cleared by it, page by page. A MALLOC_ or GLIBC_TUNABLES variable of your own
wins; on other systems nothing is done.
"""

import os

from npgrad.errors import InputError

threads = os.environ.get("NPGRAD_THREADS") or None
keep_memory = os.environ.get("NPGRAD_KEEP_MEMORY", "1") != "0"

_LIMITS = {-1: 256 << 20, -3: 32 << 20}  # mallopt's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (its largest value)
_told = False


def number_of_threads(otherwise):
    """`threads`, or `otherwise` where it is None."""
    if threads is None:
        return otherwise
    if isinstance(threads, bool) or not str(threads).isdecimal() or int(threads) < 1:
        raise InputError(f"npgrad.config.threads (NPGRAD_THREADS): expected a number >= 1, found {threads!r}")
    return int(threads)


def tell_allocator():
    """Have freed memory kept, once, if `keep_memory` and if there is a glibc to be told."""
    global _told
    if _told or not keep_memory:
        return
    _told = True
    own = [name for name in os.environ if name.startswith("MALLOC_")]
    if own or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, TypeError, AttributeError):  # no glibc here
        return
    for option, size in _LIMITS.items():
        mallopt(option, size)
