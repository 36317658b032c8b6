"""Settings of the process: how many threads, and whether freed memory is kept."""

import ctypes
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_limits

import npgrad
from npgrad import InputError, config
from npgrad._parallel import threads as parallel

FAULTS = """
import resource
import numpy as np
from npgrad.models import squeezenet1_1
model, x = squeezenet1_1(num_classes=5), np.ones((1, 3, 224, 224), np.float32)
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    tape = model.forward(x)
    tape.backward(np.ones((1, 5), np.float32))
    del tape
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def python(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("threads", [1, 3, "2"])
def test_threads(threads, monkeypatch):
    monkeypatch.setattr(npgrad.config, "threads", threads)
    names = set()
    with threadpool_limits(2, user_api="blas"):
        import threading

        together = threading.Barrier(int(threads), timeout=30)

        def work(i):
            together.wait()
            names.add(threading.current_thread().name)

        parallel.thread_map(work, range(6))
    assert len(names) == int(threads)


@pytest.mark.parametrize("threads", [0, -1, 1.5, True, "many"])
def test_what_is_no_number_of_threads(threads, monkeypatch):
    monkeypatch.setattr(config, "threads", threads)
    with pytest.raises(InputError, match="NPGRAD_THREADS"):
        config.number_of_threads(2)


def test_environment_variables():
    show = "from npgrad import config; print(config.threads, config.keep_memory)"
    assert python(show).stdout.split() == ["None", "True"]
    assert python(show, NPGRAD_THREADS="1", NPGRAD_KEEP_MEMORY="0").stdout.split() == ["1", "False"]


@pytest.mark.exhaustive
@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc here")
def test_freed_memory_is_kept_unless_told_otherwise():
    kept, returned = int(python(FAULTS).stdout), int(python(FAULTS, NPGRAD_KEEP_MEMORY="0").stdout)
    own = int(python(FAULTS, MALLOC_TRIM_THRESHOLD_="0").stdout)
    assert kept < 300  # pages that the system had to clear for the fourth pass
    assert returned > 1000
    assert own > 1000  # the user's own setting was not overwritten
