"""A little of what fuzzing does, the same at every run: damaged files get npgrad's own refusal, or are read.

`make fuzz` goes on from here, guided by coverage, for as long as it is let.
"""

import contextlib
import time
import warnings

import numpy as np
import pytest

from fuzz import targets

TIMES = 120
NUMBERS = [
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    2**15,
    2**16 - 1,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    2**63,
    2**64 - 1,
]


def damaged(data, others, rng):
    """`data` with one to four things wrong."""
    data = bytearray(data)
    for _ in range(rng.integers(1, 5)):
        place, length = int(rng.integers(len(data) + 1)), int(rng.geometric(0.2))
        what = rng.integers(7)
        if what == 0 and data:  # one bit
            data[place % len(data)] ^= 1 << int(rng.integers(8))
        elif what == 1 and data:  # one byte
            data[place % len(data)] = int(rng.integers(256))
        elif what == 2:  # cut off
            del data[place:]
        elif what == 3:  # some bytes less
            del data[place : place + length]
        elif what == 4:  # some bytes twice
            data[place:place] = data[place : place + length * 8]
        elif what == 5:  # a number that is often too large
            size = int(rng.choice([1, 2, 4, 8]))
            number = NUMBERS[rng.integers(len(NUMBERS))] % (1 << 8 * size)
            data[place : place + size] = number.to_bytes(size, ["little", "big"][rng.integers(2)])
        else:  # the end of another file
            other = others[rng.integers(len(others))]
            data[place:] = other[int(rng.integers(len(other) + 1)) :]
    return bytes(data)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", targets.TARGETS)
def test_damaged_files_are_refused_or_read(name):
    rng, seeds = np.random.default_rng(sum(name.encode())), targets.seeds(name)
    assert seeds
    small = [seed for seed in seeds if len(seed) < 5000] or seeds
    tried = small[: len(small) : max(1, len(small) // TIMES)]
    tried += [damaged(small[rng.integers(len(small))], small, rng) for _ in range(TIMES)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about what is damaged
        for data in tried:
            targets.one(name, data)


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in targets.TARGETS if name != "convert"])
def test_some_seed_files_are_good(name):
    """So that the damage begins inside, not at the door. Of the networks that `convert` knows, each is megabytes."""
    from npgrad.errors import NpgradError

    good = 0
    for seed in targets.seeds(name):
        with contextlib.suppress(NpgradError):
            good += targets.TARGETS[name].read(seed) is not None
    assert good >= 1


def test_a_known_network_without_its_weights():
    """Found by fuzzing: the refusal did not name the file."""
    for data in targets.seeds_of_networks():
        targets.one("convert", data)


@pytest.mark.exhaustive
def test_what_is_a_finding(monkeypatch):
    from npgrad.errors import WeightsError

    def broken(data):
        raise ZeroDivisionError

    def slow(data):
        until = time.process_time() + 1.1
        while time.process_time() < until:
            pass

    def refuse(message):
        def read(data):
            raise WeightsError(message)

        return read

    for read, kind in (
        (broken, ZeroDivisionError),
        (slow, AssertionError),
        (refuse("no name"), AssertionError),
    ):
        monkeypatch.setitem(targets.TARGETS, "broken", targets.Target(read, ()))
        with pytest.raises(kind):
            targets.one("broken", b"")
    for message in "fuzz.h5: expected", "fuzz.h5: " + "\U000e0001\n" * 1000:
        monkeypatch.setitem(targets.TARGETS, "fine", targets.Target(refuse(message), ()))
        targets.one("fine", b"")
