"""The loop that every generated image shares: callbacks, interruptions, and going on from a checkpoint."""

import os

import numpy as np
import pytest
from little_runs import STEPS, InterruptAt, assert_same, make, noise, settings_of

from npgrad.io import checkpoints
from npgrad.synthesis._run import Run, Synthesis


def test_the_callback_sees_every_step():
    seen, x = [], noise()
    before = x.copy()
    result = make(x, callback=lambda *step: seen.append(step))
    assert [t for t, _, _ in seen] == list(range(1, STEPS + 1)) and result.steps == STEPS
    assert [losses["far"] for _, _, losses in seen] == result.losses["far"]
    assert seen[-1][1] is result.image and not np.array_equal(seen[0][1], seen[1][1])
    assert not result.interrupted
    np.testing.assert_array_equal(x, before)
    assert repr(result) == f"Synthesis(4x5 px, 12 steps; far {result.losses['far'][-1]:.4g})"


def test_no_steps_leave_the_image_as_it_is():
    x = noise()
    result = make(x, steps=0)
    np.testing.assert_array_equal(result.image, x)
    assert result.steps == 0 and result.losses == {} and repr(result) == "Synthesis(4x5 px, 0 steps)"


@pytest.mark.parametrize("step", range(1, STEPS + 1))
def test_an_interruption_keeps_the_latest_image(step):
    callback = InterruptAt(step)
    result = make(noise(), callback=callback)
    assert result.interrupted and result.steps == step == len(result.losses["far"])
    assert result.image is callback.seen and "interrupted" in repr(result)
    result = make(noise(), at=InterruptAt(step - 1))  # before the step is done
    assert result.interrupted and result.steps == step - 1


def test_other_errors_come_through():
    def fail(*step):
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        make(noise(), callback=fail)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("step", range(1, STEPS))
@pytest.mark.parametrize("inside", [False, True])
def test_a_resumed_run_has_the_same_bits(tmp_path, step, inside):
    path, interrupt = tmp_path / "run.ckpt", InterruptAt(step)
    expected = make(noise())
    first = make(noise(), checkpoint=path, **{"at" if inside else "callback": interrupt})
    assert first.interrupted and first.steps == step
    seen = []
    result = make(noise(), checkpoint=path, callback=lambda t, *rest: seen.append(t))
    assert_same(result, expected)
    assert seen == list(range(step + 1, STEPS + 1)) and not result.interrupted


@pytest.mark.parametrize("rng", [3, np.random.SeedSequence(7), None], ids=["seed", "sequence", "none"])
def test_the_generators_state_goes_on(tmp_path, rng):
    path = tmp_path / "run.ckpt"
    first = make(noise(), rng=rng, checkpoint=path, callback=InterruptAt(6))
    result = make(noise(), rng=rng, checkpoint=path)  # without a seed, the draws of the first go on
    assert result.losses["far"][:6] == first.losses["far"]
    again = make(noise(), rng=rng, checkpoint=path)
    assert_same(again, result)
    if rng is not None:
        assert_same(result, make(noise(), rng=rng))


def test_a_image_in_another_order_in_memory_gives_the_same_bits(tmp_path):
    norms = []

    def run(x, checkpoint=None, stop=None):
        with Run(x, 6, checkpoint=checkpoint, settings={"a": 1}) as run:
            for _ in run:
                image = run.image + x / np.linalg.norm(run.image)
                run.update(image, {"norm": np.linalg.norm(image)})
                if run.t == stop:
                    raise KeyboardInterrupt
        norms.append(run.losses["norm"])
        return run.image

    x = np.random.default_rng(0).standard_normal((1, 3, 40, 50)).astype(np.float32)
    for order in (
        x,
        np.asfortranarray(x),
        np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    ):
        run(order, tmp_path / "run.ckpt", stop=3)
        images = run(order), run(order, tmp_path / "run.ckpt")
        np.testing.assert_array_equal(*images)
        assert norms[-1] == norms[-2]
        (tmp_path / "run.ckpt").unlink()


def test_checkpoints_are_written_at_every_fifth_step_at_ctrl_c_and_at_the_end(tmp_path):
    path, written = tmp_path / "run.ckpt", []

    def note(t, image, losses):
        stored = checkpoints.read(path, settings_of(path))
        written.append((t, stored[1]["t"]))

    make(noise(), checkpoint=path, callback=note)
    assert written == [(t, (t - 1) // 5 * 5) for t in range(1, STEPS + 1)]  # as the callback sees it, before
    assert checkpoints.read(path, settings_of(path))[1]["t"] == STEPS
    path.unlink()
    make(noise(), checkpoint=path, callback=InterruptAt(7))
    arrays, rest = checkpoints.read(path, settings_of(path))
    assert rest["t"] == 7 and sorted(arrays) == ["image", "optimizer/t", "optimizer/x/0", "optimizer/x/1"]
    assert os.listdir(tmp_path) == ["run.ckpt"]


@pytest.mark.parametrize("stop", [None, 5, 7])
def test_a_finished_run_returns_at_once(tmp_path, stop):
    path = tmp_path / "run.ckpt"
    expected = make(noise(), checkpoint=path, stop=stop)

    def never(*step):
        raise AssertionError("there was nothing left to do")

    assert_same(make(noise(), checkpoint=path, stop=stop, callback=never), expected)
    assert expected.steps == (stop or STEPS)


def test_a_loop_that_is_left_is_kept_where_it_was_left(tmp_path):
    done = []
    for _ in range(2):
        with Run(noise(), 20, checkpoint=tmp_path / "run.ckpt", settings={}) as run:
            for t in run:
                if t == 3:
                    break
                run.update(run.image + 1)
                done.append(t)
        assert run.t == 3 and not run.interrupted
    assert done == [0, 1, 2]  # the second time there was nothing to do
    np.testing.assert_array_equal(run.image, noise() + 1 + 1 + 1)


def test_rounds_go_on_from_their_beginning(tmp_path):
    """As with L-BFGS: a step inside a round is shown, but not yet kept."""

    def rounds(checkpoint=None, stop=None):
        with Run(noise(), 9, checkpoint=checkpoint, settings={}, every=3) as run:
            while run.t < run.steps:
                begin = run.t
                for i in range(3):
                    run.show(run.image + run.t, {"t": begin + i})
                    if run.t == stop:
                        raise KeyboardInterrupt
                run.keep(run.image, begin + 3)
        return Synthesis(run.image, run.t, run.losses, run.interrupted)

    expected, path = rounds(), tmp_path / "run.ckpt"
    first = rounds(path, stop=5)
    assert first.interrupted and first.steps == 5
    assert checkpoints.read(path, settings_of(path))[1]["t"] == 3
    assert_same(rounds(path), expected)
