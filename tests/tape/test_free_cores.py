"""Products on no more BLAS threads than there are free cores."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import npgrad
from npgrad import _blas as blas

A = np.ones((128, 128), np.float32)
AA = np.full((128, 128), 128, np.float32)  # so that no test waits for threads that spin


@pytest.fixture
def machine(monkeypatch):
    """A machine of which each product on t threads has min(t, `cores`) cores and takes `seconds`."""

    class Machine:
        wall = processor = 0.0
        cores, seconds, seen = 4.0, 2**-4, ()

        def matmul(self, a, b, out=None):
            threads = max(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas")
            self.seen = (*self.seen, threads)
            self.wall += self.seconds
            self.processor += self.seconds * min(threads, self.cores)
            return AA if a is b is A else a.dot(b)

    machine = Machine()
    monkeypatch.setattr(blas.np, "matmul", machine.matmul)
    monkeypatch.setattr(blas.time, "perf_counter", lambda: machine.wall)
    monkeypatch.setattr(blas.time, "process_time", lambda: machine.processor)
    monkeypatch.setattr(blas, "_free", blas.FreeCores())
    with threadpool_limits(4, user_api="blas"):
        yield machine


def products(machine, count):
    """The number of threads of each of the next products."""
    machine.seen = ()
    for _ in range(count):
        np.testing.assert_array_equal(blas.product(A, A), AA)
    assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {4}
    return list(machine.seen)


def test_all_threads_where_all_cores_are_free(machine):
    assert products(machine, 20) == [4] * 20


@pytest.mark.parametrize(
    ("cores", "threads"), [(0.5, 1), pytest.param(1.2, 1, marks=pytest.mark.exhaustive), (2.1, 2)]
)
def test_fewer_where_other_programs_have_cores(machine, monkeypatch, cores, threads):
    monkeypatch.setattr(blas, "PAUSE", 8)
    machine.cores = cores
    pauses = [count for pause in (2, 4, 8, 8) for count in [4] + [threads] * pause]
    assert products(machine, len(pauses)) == pauses
    machine.cores = 4
    assert products(machine, 3) == [4] * 3
    machine.cores = cores
    assert products(machine, 4) == [4, threads, threads, 4]  # the first pause is short again


def test_short_products_are_judged_together(machine):
    machine.cores, machine.seconds = 1, 2**-6
    assert products(machine, 5) == [4, 4, 4, 1, 1]


def test_small_products_and_one_thread_are_left_alone(machine):
    machine.cores = 1
    for a in (A[:16], A):
        with threadpool_limits(4 if len(a) < 128 else 1, user_api="blas"):
            for _ in range(5):
                blas.product(a, A)
    assert blas._free.seconds == 0


def test_while_a_batch_runs_the_number_is_not_touched(machine):
    machine.cores = 1
    products(machine, 1)
    with blas.changing:
        assert products(machine, 2) == [4, 4]


def test_what_must_be_bit_identical_keeps_its_threads(machine, monkeypatch):
    machine.cores = 1
    products(machine, 1)
    with blas.same_threads(), blas.same_threads(keep=False):
        assert products(machine, 2) == [4, 4]
    assert products(machine, 1) == [1]
    monkeypatch.setattr(blas.config, "exact", True)
    assert products(machine, 1) == [4]


def test_training_and_runs_with_a_checkpoint_keep_their_threads(tmp_path):
    seen, model = [], npgrad.models.squeezenet1_1(num_classes=3, rng=0)
    x = np.ones((2, 3, 40, 40), np.float32)

    def note(*_):
        seen.append(blas._same_threads.get())

    npgrad.training.train(model, lambda t: (x, np.array([0, 1])), 1, callback=note)
    for checkpoint in (None, tmp_path / "run.npz"):
        npgrad.synthesis.make_fooling_image(model, x[:1], 1, max_iter=1, callback=note, checkpoint=checkpoint)
    assert seen[0] is seen[-1] is True and seen[1] is False and not blas._same_threads.get()


def test_an_error_leaves_the_threads_as_they_were(machine):
    machine.cores = 1
    products(machine, 1)
    with pytest.raises(ValueError, match="align"):
        blas.product(A, np.ones((200, 128), np.float32))
    products(machine, 1)
    assert not blas.changing.locked()


def test_results_are_matmuls():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 1, 150, 150))
    out = np.empty((1, 150, 150))
    assert blas.product(a, b, out=out) is out
    np.testing.assert_allclose(out, a @ b, rtol=1e-12)
    found = [None] * 4

    def work(i):
        found[i] = blas.product(a, b)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    np.testing.assert_allclose(found, np.stack([a @ b] * 4), rtol=1e-12)
