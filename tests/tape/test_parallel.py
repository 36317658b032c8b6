"""A batch in parts on threads: the same result, the caller's settings, and nothing left changed."""

import os
import threading

import numpy as np
import pytest
from checks import additions_in, assert_rounding
from threadpoolctl import threadpool_info, threadpool_limits

from npgrad import attribution
from npgrad._parallel import threads as parallel
from npgrad.models import squeezenet1_1


def blas_threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]


@pytest.fixture
def two_threads():
    with threadpool_limits(2, user_api="blas"):
        yield


def test_parts_cover_the_batch_in_order():
    for shape in (
        (1, 3, 224, 224),
        (7, 3, 224, 224),
        (100, 1, 64, 96),
        (5, 3, 1000, 1000),
        (3, 0, 0, 4),
        (6, 9),
    ):
        x = np.zeros(shape)
        covered = np.concatenate([np.arange(len(x))[rows] for rows in parallel.split_batch(x)])
        np.testing.assert_array_equal(covered, np.arange(len(x)))
    assert len(parallel.split_batch(np.zeros((7, 3, 224, 224)))) == 7
    assert len(parallel.split_batch(np.zeros((100, 3, 8, 8)))) == 1
    assert len(parallel.split_batch(np.zeros((9, 5)))) == 1


def test_results_come_in_order_from_several_threads(two_threads):
    together = threading.Barrier(2, timeout=30)  # two are at work at the same time, or this fails

    def work(i):
        together.wait()
        return i, threading.current_thread().name, blas_threads()

    results = parallel.thread_map(work, range(4))
    assert [i for i, _, _ in results] == [0, 1, 2, 3]
    assert len({name for _, name, _ in results}) == 2
    assert all(set(counts) == {1} for _, _, counts in results)
    assert set(blas_threads()) == {2}


def test_one_blas_thread_means_one_thread():
    with threadpool_limits(1, user_api="blas"):
        names = parallel.thread_map(lambda i: threading.current_thread().name, range(4))
    assert set(names) == {threading.current_thread().name}


def test_without_blas_threads_a_batch_still_has_as_many_threads(two_threads):
    with parallel.one_blas_thread():
        assert set(blas_threads()) == {1}
        together = threading.Barrier(2, timeout=30)
        names = parallel.thread_map(lambda i: (together.wait(), threading.get_ident())[1], range(4))
        assert len(set(names)) == 2 and set(blas_threads()) == {1}
    assert set(blas_threads()) == {2} and parallel.config.threads is None


def test_an_exception_comes_through_and_nothing_stays_changed(two_threads):
    with pytest.raises(KeyError, match="3"):
        parallel.thread_map(lambda i: {}[i + 3], range(4))
    assert set(blas_threads()) == {2}
    assert parallel.thread_map(lambda i: i, range(3)) == [0, 1, 2]


def test_a_batch_within_a_batch(two_threads):
    assert parallel.thread_map(lambda i: parallel.thread_map(lambda j: (i, j), range(2)), range(2)) == [
        [(0, 0), (0, 1)],
        [(1, 0), (1, 1)],
    ]


def test_errstate_holds_in_the_threads(two_threads):
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        parallel.thread_map(lambda i: np.ones(1) / np.zeros(1), range(2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process")  # that it has threads: the very thing
def test_a_forked_process_has_its_own_threads(two_threads):
    parallel.thread_map(lambda i: i, range(4))
    child = os.fork()
    if child == 0:
        os._exit(parallel.thread_map(lambda i: i, range(4)) != [0, 1, 2, 3])
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.exhaustive
def test_the_same_bits_again_and_the_same_to_rounding_for_any_number_of_threads():
    model = squeezenet1_1(num_classes=5, rng=1)
    model = model.with_parameters({"conv10.bias": np.full(5, 6, np.float32)})
    x = np.random.default_rng(0).normal(size=(3, 3, 224, 224)).astype(np.float32)
    found = []
    for threads in (1, 2, 2):
        with threadpool_limits(threads, user_api="blas"):
            found.append(
                (model(x), attribution.saliency(model, x, [1, 2, 3]), attribution.full_grad(model, x))
            )
    n = additions_in(model)
    for one, two, again in zip(*found, strict=True):
        np.testing.assert_array_equal(two, again)
        assert_rounding(one, two, n)
    singles = [attribution.saliency(model, x[i : i + 1], i + 1) for i in range(3)]
    assert_rounding(found[0][1], np.concatenate(singles), n)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_is_little(dtype, rng):
    """The tolerance of these tests: a sum in another order passes, an error of 0.1 % does not."""
    terms = rng.normal(size=(5, 10_000)).astype(dtype)
    found, expected = terms.sum(axis=1), np.cumsum(terms[:, ::-1], axis=1)[:, -1]
    scale = np.abs(terms).max() * 100  # the square root of how many there are
    assert not np.array_equal(found, expected)
    assert_rounding(found, expected, 10_000, scale)
    for wrong in (found * dtype(1.001), found.astype(np.longdouble), found[:4], found * dtype(np.nan)):
        with pytest.raises(AssertionError):
            assert_rounding(wrong, expected, 10_000)
