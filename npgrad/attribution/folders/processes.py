"""Processes of this machine that share the photos of a folder, and the cores."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

from npgrad import config

MOST, PHOTOS_EACH = 8, 10  # for fewer photos a process is not worth the second it takes to begin


class Processes(ProcessPoolExecutor):
    """An executor of `count` fresh processes; each has its share of the threads that BLAS would have.

    Ctrl-C does not reach them: it is for their parent, which calls `stop`. They end with it, too, should it be killed.
    """

    def __init__(self, count):
        self._others = multiprocessing.active_children()
        super().__init__(count, multiprocessing.get_context("spawn"), _begin, (count,))

    def submit(self, work, /, *arguments, **keywords):
        with _ctrl_c_later():  # a process may start here, and inherits that
            return super().submit(work, *arguments, **keywords)

    def stop(self):
        """End now, with whatever is under way."""
        self.shutdown(wait=False, cancel_futures=True)
        own = [process for process in multiprocessing.active_children() if process not in self._others]
        for process in own:
            process.terminate()
        for process in own:
            process.join()

    def __exit__(self, kind, *error):
        if kind is not None:
            self.stop()
        return super().__exit__(kind, *error)


def usual_count(photos):
    """How many processes for so many photos: up to one a thread that BLAS would have, and no more than MOST."""
    threads = max((library.get_num_threads() for library in _blas()), default=1)
    return max(1, min(config.number_of_threads(threads), MOST, photos // PHOTOS_EACH))


@contextmanager
def _ctrl_c_later():
    """Hold back SIGINT during the block, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(count):
    """The first thing that each process does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    for library in _blas():
        library.set_num_threads(max(1, library.get_num_threads() // count))
    if config.threads is not None:
        config.threads = max(1, config.number_of_threads(1) // count)


def _blas():
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController().select(user_api="blas").lib_controllers


def _end_with_the_parent():
    multiprocessing.parent_process().join()
    os._exit(1)
