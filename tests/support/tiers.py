"""What `make test` runs of a function with many sets of arguments and what is left to `make test-all`; the order."""

import random
from collections import defaultdict

import numpy as np
import pytest

QUICK = "not exhaustive and not slow"  # the markers of `make test`, which setup.cfg repeats


def leave_to_test_all(items):
    """Mark as exhaustive what `@pytest.mark.sampled(n)` does not keep of each function's items.

    Those that have a mark of their own, such as those of a large network, are none to choose from.
    """
    functions = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sampled") and not (
            item.get_closest_marker("exhaustive") or item.get_closest_marker("slow")
        ):
            functions[item.nodeid.partition("[")[0]].append(item)
    for group in functions.values():
        (count,) = group[0].get_closest_marker("sampled").args
        kept = sample([item.callspec.indices for item in group], count)
        for number, item in enumerate(group):
            if number not in kept:
                item.add_marker(pytest.mark.exhaustive)


def shuffle(items, seed):
    """Put the files in another order, and the tests of each file; alike in every worker."""
    draw = random.Random(seed)
    files = {path: draw.random() for path in dict.fromkeys(item.path for item in items)}
    items.sort(key=lambda item: (files[item.path], draw.random()))


def sample(sets, count):
    """The positions of `count` of `sets`, {argument: its value's number}, in which as many values occur as possible.

    Each next one is that with the most values which none before it has; of equals, that farthest from the ones before.
    """
    names = sorted({name for numbers in sets for name in numbers})
    columns = [np.array([numbers.get(name, -1) for numbers in sets]) for name in names]
    fresh = np.full(len(sets), len(names))  # of each, the values that none kept has
    distance, left = np.zeros(len(sets), int), np.ones(len(sets), bool)
    kept = set()
    while len(kept) < min(count, len(sets)):
        best = int(np.where(left, fresh * len(sets) + distance, -1).argmax())
        away = abs(np.arange(len(sets)) - best)
        distance = np.minimum(distance, away) if kept else away
        for column in columns:
            if not (column[~left] == column[best]).any():
                fresh[column == column[best]] -= 1
        left[best] = False
        kept.add(best)
    return kept
