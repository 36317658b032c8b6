"""The 1,000 class names, and finding a class by index or name."""

import dataclasses

import numpy as np
import pytest
from folder_runs import little_net, photos
from messages import AN_INDEX

import npgrad
from npgrad import _imagenet as module
from npgrad._imagenet import imagenet_synsets
from npgrad._parallel import threads
from npgrad._targets import find_class, resolve_targets
from npgrad.attribution.folders import attribute_folder
from npgrad.errors import TargetError, UnknownName, WeightsError
from npgrad.io.labels import imagenet_classes, read_wordnet_ids
from npgrad.models import squeezenet1_1


def test_names_are_the_first_of_each_synset(shared):
    lines = (shared / "data" / "synset_words.txt").read_text().splitlines()
    first = tuple(line.split(" ", 1)[1].split(",")[0].strip() for line in lines)
    assert [i for i in range(1000) if imagenet_classes()[i] != first[i]] == [134, 639]


def test_names_are_torchvision_s_a_thousand_and_no_two_equal():
    names = imagenet_classes()
    assert isinstance(names, tuple) and len(names) == len(set(names)) == 1000
    assert [names[i] for i in (134, 517, 638, 639)] == ["crane bird", "crane", "maillot", "maillot tank suit"]


def test_every_class_is_found_by_its_index_and_its_name():
    names = imagenet_classes()
    for index, name in enumerate(names):
        assert find_class(index, names) == find_class(str(index), names) == find_class(name, names) == index


@pytest.mark.parametrize("text", ["great_white_shark", "GREAT_WHITE-Shark", "great  white shark"])
def test_spelling_is_forgiven_and_said(text):
    with pytest.warns(UserWarning, match=rf"target '{text}' taken as great white shark \(2\)"):
        assert find_class(text, imagenet_classes()) == 2
    assert find_class(" great white shark ", imagenet_classes()) == 2


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
    with pytest.raises(TargetError, match=rf"{AN_INDEX} 999; found -?\d+") as raised:
        find_class(index, imagenet_classes())
    assert isinstance(raised.value, IndexError)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, np.float32(1), None, [1], b"tench"])
def test_other_types_are_refused(value):
    with pytest.raises(TypeError, match="class: expected an index .* or a name; found"):
        find_class(value, imagenet_classes())


@pytest.mark.parametrize("name", ["crane", "Crane"])
def test_a_name_of_two_classes(name):
    with pytest.raises(TargetError, match=f"{name} is two classes: 1, 2"):
        find_class(name, ["bus", "crane", "crane"])


def test_a_name_of_three_classes():
    with pytest.raises(TargetError, match="a is 3 classes: 0, 2, 3"):
        find_class("a", ["a", "b", "a", "a"])


def test_unknown_names_get_the_nearest():
    with pytest.raises(UnknownName, match="no class 'Goldfihs'; nearest: goldfish"):
        find_class("Goldfihs", imagenet_classes())
    with pytest.raises(UnknownName) as raised:
        find_class("crne", imagenet_classes())
    assert str(raised.value).count("crane,") == 1
    for text in ("", "9" * 5000):
        with pytest.raises(UnknownName):
            find_class(text, imagenet_classes())


def test_a_damaged_list_is_refused(tmp_path, monkeypatch):
    (tmp_path / "imagenet_classes.txt").write_text("tench\ngoldfish\n")
    monkeypatch.setattr(module, "weights_folder", lambda: tmp_path)
    with pytest.raises(WeightsError, match="expected 1000 class names, one per line; found 2"):
        imagenet_classes.__wrapped__()


def test_the_one_class_that_contains_the_words_is_taken_and_said():
    names = imagenet_classes()
    with pytest.warns(UserWarning, match=r"target 'tabby-CAT' taken as my tabby cat \(1\)"):
        assert find_class("tabby-CAT", ["dog", "my tabby cat", "cat tabby"]) == 1
    with pytest.warns(UserWarning, match=r"target 'mastiff' taken as Tibetan mastiff \(243\)"):
        assert names[find_class("mastiff", [name for name in names if name != "bull mastiff"])]


def test_words_that_several_classes_contain():
    names = imagenet_classes()
    with pytest.raises(TargetError) as raised:
        find_class("cat", names)
    message = str(raised.value)
    cats = "tabby (281), tiger cat (282), Persian cat (283), Siamese cat (284), Egyptian cat (285)"
    assert message.startswith(f"no class 'cat'; classes with this word in a name: {cats}, ")
    assert "crate" not in message and "oxcart" not in message and "catamaran" not in message
    with pytest.raises(TargetError) as raised:
        find_class("Dog", [f"dog {letter}" for letter in "abcdefghij"])
    assert str(raised.value).endswith("dog g (6), dog h (7) and 2 more")
    with pytest.raises(
        TargetError, match=r"classes with these words in a name: one two a \(0\), one two b \(1\)$"
    ):
        find_class("One_Two", ["one two a", "one two b", "two one"])


@pytest.mark.parametrize("text", ["ca", "at cat", "-", "cat,dog"])
def test_parts_of_words_are_not_taken(text):
    with pytest.raises(UnknownName):
        find_class(text, ["cat house", "dog"])


IDS = ["n02123045", "n02123159", "n02123394"]
NAMES = ["tabby", "tiger cat", "Persian cat"]


def test_wordnet_ids():
    assert find_class("n02123159", NAMES, IDS) == find_class(" N02123159", NAMES, tuple(IDS)) == 1
    carried = [f"{one} {name}, {name}" for one, name in zip(IDS, NAMES, strict=True)]
    assert find_class("n02123394", carried) == 2
    assert find_class("n02123045", IDS) == 0  # which are the names
    with pytest.raises(
        TargetError, match="no class 'n99999999': this network has no class with that WordNet id"
    ):
        find_class("n99999999", NAMES, IDS)
    message = "'n02123045' is a WordNet id; this network's classes are known by name only"
    for ids in ((), IDS[:2], "n02123045", 3, None, [1, 2, 3], [[], {}, None]):  # as a file may hold anything
        with pytest.raises(TargetError, match=message):
            find_class("n02123045", NAMES, ids)


@pytest.mark.parametrize("index", [0, 134, 281, 517, 639, 999])
def test_wordnet_ids_of_imagenet(index):
    assert find_class(imagenet_synsets()[index][0], imagenet_classes()) == index


def test_other_names_in_wordnet():
    names = imagenet_classes()
    for text, index in (("puma", 286), ("Tabby Cat", 281), ("carassius_auratus", 1), ("siamese", 284)):
        with pytest.warns(UserWarning, match=rf"target '{text}' taken as {names[index]} \({index}\)"):
            assert find_class(text, names) == index
    with pytest.raises(UnknownName):
        find_class("puma", ["cougar", "dog"])  # not ImageNet's classes


def test_the_synsets_are_those_of_the_labels_file(shared):
    lines = (shared / "data" / "synset_words.txt").read_text(encoding="utf-8").splitlines()
    for line, short, (key, *others) in zip(lines, imagenet_classes(), imagenet_synsets(), strict=True):
        assert line.split(" ", 1)[0] == key
        here = {short, *others} - {"crane bird", "maillot tank suit"}  # which are not WordNet's
        assert set(line.split(" ", 1)[1].split(", ")) == here


def test_wordnet_ids_of_a_labels_file_reach_the_model(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_text("\n".join(f"{one} {name}, more" for one, name in zip(IDS, NAMES, strict=True)) + "\n\n")
    assert read_wordnet_ids(path) == IDS
    fresh = squeezenet1_1(num_classes=3, rng=1)
    fresh.save(tmp_path / "plain.h5")
    source = {"wordnet_ids": IDS}
    npgrad.Model(fresh.network, NAMES, None, fresh.architecture, fresh.aliases, source).save(
        tmp_path / "net.h5"
    )
    model = npgrad.load(tmp_path / "net.h5")
    assert model.class_index("n02123159") == 1
    assert resolve_targets(model, np.zeros((2, 3)), ["n02123159", 0]).tolist() == [1, 0]


def test_a_name_for_many_images_is_warned_of_once():
    model = npgrad.Model(squeezenet1_1(num_classes=3, rng=1).network, NAMES)
    with pytest.warns(UserWarning) as warned:
        assert resolve_targets(model, np.zeros((4, 3)), "tiger").tolist() == [1] * 4
    assert len(warned) == 1


def test_a_name_for_a_folder_is_warned_of_once(tmp_path):
    model = little_net()
    model = dataclasses.replace(model, classes=tuple(f"little {name}" for name in model.classes))
    with pytest.warns(UserWarning, match="target 'owl' taken as little owl") as warned:
        run = attribute_folder(model, photos(tmp_path / "photos", 3), tmp_path / "out", target="owl")
    assert (len(warned), run.made, run.warned) == (1, 3, 0)


def test_a_name_is_warned_of_once_for_all_parts_of_a_batch(monkeypatch):
    monkeypatch.setattr(threads, "PIXELS", 1)  # each image a part of its own
    model = dataclasses.replace(squeezenet1_1(num_classes=3, rng=1), classes=NAMES)
    x = np.random.default_rng(0).normal(size=(4, 3, 40, 40)).astype(np.float32)
    with pytest.warns(UserWarning, match=r"target 'persian' taken as Persian cat \(2\)") as warned:
        npgrad.attribution.saliency(model, x, "persian")
    assert len(warned) == 1 and warned[0].filename == __file__
