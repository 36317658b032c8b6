"""What `make test` runs of a function with many sets of arguments and what is left to `make test-all`; the order."""

import random
from collections import defaultdict

import pytest

QUICK = "not exhaustive and not slow"  # the markers of `make test`, which setup.cfg repeats


def leave_to_test_all(items):
    """Mark as exhaustive what `@pytest.mark.sampled(n)` does not keep of each function's items.

    Those that have a mark of their own, such as those of a large network, are none to choose from.
    """
    functions = defaultdict(list)
    for item in items:
        left = item.get_closest_marker("exhaustive") or item.get_closest_marker("slow")
        if item.get_closest_marker("sampled") and not left:
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
    values = [set(numbers.items()) for numbers in sets]
    kept, seen, distance = set(), set(), [0] * len(sets)
    while len(kept) < min(count, len(sets)):
        best = max(set(range(len(sets))) - kept, key=lambda n: (len(values[n] - seen), distance[n], -n))
        distance = [abs(n - best) if not kept else min(d, abs(n - best)) for n, d in enumerate(distance)]
        kept.add(best)
        seen |= values[best]
    return kept
