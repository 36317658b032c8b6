"""Settings of the whole process, each also an environment variable that is read when npgrad is imported.

    npgrad.config.threads = 1           NPGRAD_THREADS=1         one thread for every batch
    npgrad.config.exact = True          NPGRAD_EXACT=1           no algorithm that adds rounding
    npgrad.config.keep_memory = False   NPGRAD_KEEP_MEMORY=0     return freed memory to the system at once

threads : int or None
    The number of threads that the images of a batch are distributed over. None: as many as BLAS uses
    (OPENBLAS_NUM_THREADS, threadpoolctl).
exact : bool
    Whether to leave out what is faster in float32 at the cost of rounding: Winograd's algorithm for 3x3 convolutions,
    whose errors are up to 2e-6 of a layer's largest output instead of 5e-7 (float64 never uses it). Also whether BLAS
    keeps all its threads where other programs have some of the cores: their number can change a product's last bits.
keep_memory : bool
    Whether glibc keeps up to 256 MB of the memory that a pass frees for the next one, from the first pass on. This
    reduces the time of a backward pass by a third to a half, since the system clears new memory page by page. A MALLOC_
    or GLIBC_TUNABLES variable of your own takes precedence. Without glibc, the setting has no effect.
"""

import os

from npgrad.errors import InputError

threads = os.environ.get("NPGRAD_THREADS") or None
exact = os.environ.get("NPGRAD_EXACT", "0") != "0"
keep_memory = os.environ.get("NPGRAD_KEEP_MEMORY", "1") != "0"

_LIMITS = {-1: 256 << 20, -3: 32 << 20}  # mallopt's M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (its largest value)
_done = False


def number_of_threads(otherwise: int) -> int:
    """Return the number of threads to use.

    Parameters
    ----------
    otherwise : int
        The number if `threads` is None.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If `threads` is not a whole number >= 1.
    """
    if threads is None:
        return otherwise
    if isinstance(threads, bool) or not str(threads).isdecimal() or int(threads) < 1:
        raise InputError(f"npgrad.config.threads (NPGRAD_THREADS): expected a number >= 1, found {threads!r}")
    return int(threads)


def tell_allocator() -> None:
    """Make glibc keep freed memory, once, if `keep_memory` is set and the C library is glibc."""
    global _done
    if _done or not keep_memory:
        return
    _done = True
    own = [name for name in os.environ if name.startswith("MALLOC_")]
    if own or "malloc" in os.environ.get("GLIBC_TUNABLES", ""):
        return
    try:
        import ctypes

        mallopt = ctypes.CDLL(None).mallopt
    except (ImportError, OSError, TypeError, AttributeError):  # not glibc
        return
    for option, size in _LIMITS.items():
        mallopt(option, size)
