"""Worker processes on this machine that share the photos of a folder, and the cores."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from npgrad import config
from npgrad._blas import libraries

MOST, PHOTOS_EACH = 8, 10  # with fewer photos a process is not worth the second that it takes to start


class Processes(ProcessPoolExecutor):
    """An executor of spawned processes, which divide the threads of BLAS among them.

    They ignore Ctrl-C: the parent handles it and calls `stop`. If the parent is killed, they end as well.

    Parameters
    ----------
    count : int
        The number of processes.
    """

    def __init__(self, count: int) -> None:
        self._others = multiprocessing.active_children()
        super().__init__(count, multiprocessing.get_context("spawn"), _begin, (count,))

    def submit(self, work: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> "Future[Any]":
        """Submit a task.

        Parameters
        ----------
        work : callable
            The function, which a process must be able to import.
        *arguments, **keywords
            Its arguments.

        Returns
        -------
        concurrent.futures.Future
        """
        with _ctrl_c_later():  # a process may start here, and inherits the blocked signal
            return super().submit(work, *arguments, **keywords)

    def stop(self) -> None:
        """Terminate the processes now, without finishing their tasks."""
        self.shutdown(wait=False, cancel_futures=True)
        own = [process for process in multiprocessing.active_children() if process not in self._others]
        for process in own:
            process.terminate()
        for process in own:
            process.join()

    def __exit__(self, kind: type[BaseException] | None, *error: Any) -> bool | None:
        """On an error stop the processes, otherwise wait for their tasks."""
        if kind is not None:
            self.stop()
        return super().__exit__(kind, *error)


def usual_count(photos: int) -> int:
    """Choose the number of processes: up to one per thread of BLAS, at most MOST, with PHOTOS_EACH for each.

    Parameters
    ----------
    photos : int
        The number of photos.

    Returns
    -------
    int
    """
    threads = max((library.get_num_threads() for library in libraries()), default=1)
    return max(1, min(config.number_of_threads(threads), MOST, photos // PHOTOS_EACH))


@contextmanager
def _ctrl_c_later():
    """Defer SIGINT to the end of the block, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(count):
    """Initialize each process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    for library in libraries():
        library.set_num_threads(max(1, library.get_num_threads() // count))
    if config.threads is not None:
        config.threads = max(1, config.number_of_threads(1) // count)


def _end_with_the_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
