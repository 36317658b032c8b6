"""Work that is killed or ended by Ctrl-C: nothing half-written is taken for whole, no old file is lost.

`python -m tests.robustness.interrupts` does the same at many more moments, and prints a table.
"""

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
import web_server
from folder_runs import little_net
from interrupts import driver, kinds, work
from web_server import with_ranges

from npgrad import _files as files
from npgrad import training
from npgrad._files import atomic_write, ctrl_c_later

POSIX = pytest.mark.skipif(os.name != "posix", reason="signals, locks and limits as POSIX has them")
pytestmark = POSIX
no_proxies, server = web_server.no_proxies, web_server.server  # fixtures


@pytest.fixture(scope="module")
def slow_server():
    with driver.server() as at_work:
        yield at_work


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["PNG", "download, resumed", "attribute FOLDER, workers 1"])
def test_ended_at_random_moments(tmp_path, slow_server, name):
    (kind,) = [kind for kind in kinds.kinds(slow_server.url) if kind.name == name]
    count = driver.end_often(kind, 3, np.random.default_rng(1), tmp_path, slow_server.url)
    assert not count.faults and count.finished
    assert sum(count.survived.values()) == sum(count.tried.values()) >= 2


@pytest.mark.exhaustive
@pytest.mark.parametrize("signal_name", driver.SIGNALS)
@pytest.mark.parametrize(
    ("job", "each", "least"),
    [
        ("array", 2, 20),
        ("download", 12, 12),
        pytest.param("array", 1, 40, marks=pytest.mark.slow),
        pytest.param("download", 6, 25, marks=pytest.mark.slow),
    ],
)
def test_ended_at_each_line(slow_server, job, each, least, signal_name):
    found = driver.at_each_line(job, signal_name, slow_server.url, each)
    assert found["tried"] >= least and found["faults"] == []


def test_what_is_careless_is_seen(slow_server):
    """The test of the tests: a file that is written in place."""
    assert driver.at_each_line("careless", "kill -9", slow_server.url)["faults"]


def weights_get(folder, url):
    small = folder / "small.npz"
    command = [sys.executable, str(driver.CHILD), "weights get", str(small)]
    environment = driver.environment(folder, url)
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.sampled(1)
@pytest.mark.parametrize(("count", "killed"), [(2, 0), (4, 0), (3, 1)])
def test_processes_that_get_the_same_weights_at_once(server, tmp_path, count, killed):
    np.savez(tmp_path / "small.npz", **work.network().parameters())
    data = (tmp_path / "small.npz").read_bytes()
    half, go_on = threading.Barrier(count + 1), threading.Event()

    def reply(handler):  # half of it, and the rest when some are dead
        web_server.answer(handler, data[: len(data) // 2], declare=len(data))
        half.wait(timeout=60)
        go_on.wait(timeout=60)
        handler.wfile.write(data[len(data) // 2 :])

    server.answers["/small.npz"] = web_server.in_turn(*[reply] * count, with_ranges(data))
    processes = [weights_get(tmp_path, server.url) for _ in range(count)]
    half.wait(timeout=60)
    for process in processes[:killed]:
        process.kill()
        assert process.wait(timeout=60) == -signal.SIGKILL
    go_on.set()
    said = [process.communicate(timeout=60) for process in processes]
    path = tmp_path / "home" / "small.h5"
    for out, _ in said[killed:]:
        assert out == f"begun\n{path}\n"
    loaded = files_of_network(path)
    assert all(np.array_equal(loaded[name], array) for name, array in work.network().parameters().items())
    assert (tmp_path / "home" / "downloads" / "small.npz").read_bytes() == data
    left = [name for name in web_server.names(tmp_path / "home") if name not in ("small.h5", "small.npz")]
    assert len(left) <= killed


def files_of_network(path):
    import npgrad

    return npgrad.load(path).parameters()


def test_leftovers_go_but_for_those_of_the_living(tmp_path):
    names = [".npgrad-0123456789ab.h5", ".npgrad-0123456789ac", ".npgrad-0123456789ad.png"]
    others = [".npgrad-mine.png", "npgrad-0123456789ab.h5", ".npgrad-0123456789abc.h5"]
    for name in names + others:
        (tmp_path / name).write_bytes(b"half")
    os.mkfifo(tmp_path / ".npgrad-0123456789ae.png")
    hold = files.take(tmp_path / names[2])
    with atomic_write(tmp_path / "out") as temporary:
        temporary.write_bytes(b"new")
        assert files.take(temporary) is None
    assert sorted(os.listdir(tmp_path)) == sorted([*others, names[2], "out", ".npgrad-0123456789ae.png"])
    hold.release()
    with atomic_write(tmp_path / "out"):
        pass  # a folder is looked through once by a process
    assert names[2] in os.listdir(tmp_path)
    files._tidied.clear()
    with atomic_write(tmp_path / "out"):
        pass
    assert names[2] not in os.listdir(tmp_path)


def test_without_locks_a_leftover_must_be_old(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    old, new = (tmp_path / f".npgrad-0123456789a{c}.png" for c in "bc")
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    with atomic_write(tmp_path / "out") as temporary:
        temporary.write_bytes(b"new")
    assert sorted(os.listdir(tmp_path)) == [new.name, "out"]


@pytest.fixture
def heeded():
    """Ctrl-C raises KeyboardInterrupt, even if the tests run in the background of a shell, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_waits(heeded):
    done = []
    with pytest.raises(KeyboardInterrupt), ctrl_c_later():
        signal.raise_signal(signal.SIGINT)
        done.append(1)
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    thread = threading.Thread(target=lambda: done.append(ctrl_c_later().__enter__()))
    thread.start()
    thread.join()
    assert done == [1, None]


def test_ctrl_c_in_a_validation_does_not_lose_it(tmp_path):
    """Between the last step and what belongs to it: the run that goes on makes up for it."""
    times = []

    def validate(model):
        times.append(1)
        if len(times) == 2:
            raise KeyboardInterrupt
        return float(np.sum(model.parameters()["conv.weight"]))

    def train(**options):
        return training.train(little_net(), work._batch, 6, validate=validate, validate_every=3, **options)

    path = tmp_path / "run.ckpt"
    first = train(checkpoint=path)
    assert first.interrupted and [step for step, _ in first.validations] == [3]
    second = train(checkpoint=path)
    assert not second.interrupted and second.steps == 6
    assert second.validations == train().validations and len(second.validations) == 2
