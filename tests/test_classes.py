"""The 1,000 class names, and finding a class by index or name."""

from collections import Counter

import numpy as np
import pytest

from npgrad import _targets as module
from npgrad._targets import find_class
from npgrad.errors import TargetError, UnknownName, WeightsError
from npgrad.io.labels import imagenet_classes


def test_names_are_the_first_of_each_synset(shared):
    lines = (shared / "data" / "synset_words.txt").read_text().splitlines()
    assert imagenet_classes() == tuple(line.split(" ", 1)[1].split(",")[0].strip() for line in lines)


def test_names_are_a_thousand_and_two_occur_twice():
    names = imagenet_classes()
    assert isinstance(names, tuple) and len(names) == 1000
    assert {name: n for name, n in Counter(names).items() if n > 1} == {"crane": 2, "maillot": 2}


def test_every_class_is_found_by_its_index_and_its_name():
    names = imagenet_classes()
    for index, name in enumerate(names):
        assert find_class(index, names) == find_class(str(index), names) == index
        if name not in ("crane", "maillot"):
            assert find_class(name, names) == find_class(name.replace(" ", "_"), names) == index


@pytest.mark.parametrize("text", ["great white shark", "GREAT_WHITE-Shark", " great  white shark "])
def test_spelling_is_forgiven(text):
    assert find_class(text, imagenet_classes()) == 2


def test_case_decides_where_it_must():
    names = imagenet_classes()
    assert names[find_class("Cardigan", names)] == "Cardigan"
    assert names[find_class("cardigan", names)] == "cardigan"
    with pytest.raises(TargetError, match="CARDIGAN is two classes: 264, 474"):
        find_class("CARDIGAN", names)


@pytest.mark.parametrize("index", [2, np.int64(2), np.uint8(2), "2", " 2 ", "+2", "002"])
def test_kinds_of_index(index):
    found = find_class(index, imagenet_classes())
    assert found == 2 and type(found) is int


@pytest.mark.parametrize("index", [-1, 1000, "-1", "1000", np.int64(-1), 10**30])
def test_index_out_of_range(index):
    with pytest.raises(TargetError, match=r"expected 0 to 999; found -?\d+") as raised:
        find_class(index, imagenet_classes())
    assert isinstance(raised.value, IndexError)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float32(1), None, [1], b"tench"])
def test_other_types_are_refused(value):
    with pytest.raises(TypeError, match="class: expected an index .* or a name; found"):
        find_class(value, imagenet_classes())


@pytest.mark.parametrize(("name", "indices"), [("crane", "134, 517"), ("Maillot", "638, 639")])
def test_a_name_of_two_classes(name, indices):
    with pytest.raises(TargetError, match=f"{name} is two classes: {indices}"):
        find_class(name, imagenet_classes())


def test_a_name_of_three_classes():
    with pytest.raises(TargetError, match="a is 3 classes: 0, 2, 3"):
        find_class("a", ["a", "b", "a", "a"])


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownName, match="no class 'goldfihs'; nearest: goldfish"):
        find_class("Goldfihs", imagenet_classes())
    with pytest.raises(UnknownName) as raised:
        find_class("crne", imagenet_classes())
    assert str(raised.value).count("crane") == 1
    for text in ("", "9" * 5000):
        with pytest.raises(UnknownName):
            find_class(text, imagenet_classes())


def test_a_damaged_list_is_refused(tmp_path, monkeypatch):
    (tmp_path / "imagenet_classes.txt").write_text("tench\ngoldfish\n")
    monkeypatch.setattr(module, "weights_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="expected 1000 class names, one a line; found 2"):
        imagenet_classes.__wrapped__()
