"""What `make test` keeps of a function with many sets of arguments."""

from types import SimpleNamespace

import pytest
from tiers import leave_to_test_all


def item(number, *marks):
    """One of six items of a function that is sampled."""
    own = {mark.name: mark for mark in (pytest.mark.sampled(2).mark, *(mark.mark for mark in marks))}
    indices = {"net": number // 3, "option": number % 3}
    return SimpleNamespace(
        nodeid=f"test_a.py::test[{number}]",
        callspec=SimpleNamespace(indices=indices),
        get_closest_marker=own.get,
        add_marker=lambda mark: own.update({mark.name: mark.mark}),
    )


@pytest.mark.parametrize("mark", [pytest.mark.exhaustive, pytest.mark.slow])
def test_it_chooses_among_those_without_a_mark_of_their_own(mark):
    items = [item(number, *([mark] if number < 3 else [])) for number in range(6)]
    leave_to_test_all(items)
    left = [
        one for one in items if not (one.get_closest_marker("exhaustive") or one.get_closest_marker("slow"))
    ]
    assert len(left) == 2 and all(one in items[3:] for one in left)
