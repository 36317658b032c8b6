"""Files of class names: read as they are meant, or refused with one line; never cut."""

import csv
import io
import json
import warnings

import pytest
import strategies  # noqa: F401  (its profile)
from hypothesis import given
from hypothesis import strategies as st

from npgrad.errors import WeightsError
from npgrad.io.labels import imagenet_classes, read_labels, read_wordnet_ids

ANIMALS = ["cat", "dog", "fox"]
SIMPLE = {
    "one per line": "cat\ndog\nfox\n",
    "byte order mark, CRLF and blank lines": "\ufeffcat\r\n\r\ndog\r\n  fox  \r\n\r\n",
    "commas at the end": "cat,\ndog,\nfox,",
    "commas at the end but for the last": "'cat',\n'dog',\n\"fox\"",
    "index,name": "0,cat\n1,dog\n2,fox\n",
    "name,index": "cat,0\ndog,1\nfox,2\n",
    "in another order": "2\tfox\n0\tcat\n1\tdog\n",
    "quoted indices": '"0","cat"\n"1","dog"\n"2","fox"\n',
    "semicolons": "0; cat\n1; dog\n2; fox",
    "YAML": "0: cat\n1: dog\n2: fox",
    "YAML, a list": "- cat\n- dog\n- fox",
    "numbered": "0. cat\n1. dog\n2. fox",
    "JSON list": '["cat", "dog", "fox"]',
    "Python list": "['cat', 'dog', 'fox',]",
    "Python tuple": "('cat',\n'dog',\n'fox')",
    "JSON dict": '{"1": "dog", "0": "cat", "2": "fox"}',
    "JSON dict of a class by name": '{"dog": 1, "cat": 0, "fox": 2}',
    "Python dict, one a line": "{0: 'cat',\n 1: 'dog',\n 2: 'fox'}\n",
    "Python dict without braces": "0: 'cat',\n1: 'dog',\n2: 'fox'",
}


@pytest.fixture
def read(tmp_path):
    """read(text, count) -> the names in a file with this text."""
    path = tmp_path / "labels.txt"

    def read(text, count=3):
        path.write_bytes(text.encode())
        return read_labels(path, count)

    read.path = path
    return read


@pytest.mark.parametrize("form", SIMPLE)
def test_every_form(read, form):
    assert read(SIMPLE[form]) == ANIMALS and read_wordnet_ids(read.path) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("dog, brown\ndog, black\ncat\n", ["dog, brown", "dog, black", "cat"]),
        ("0,dog, brown\n1,dog, black\n2,cat\n", ["dog, brown", "dog, black", "cat"]),
        ('"dog, brown"\ncat\n"the ""big"" fox"', ["dog, brown", "cat", 'the "big" fox']),
        ('0,"dog, brown"\n1,cat\n2,fox', ["dog, brown", "cat", "fox"]),
        ("{0: 'tench, Tinca',\n 1: \"jack-o'-lantern\",\n 2: 'é'}", ["tench, Tinca", "jack-o'-lantern", "é"]),
        ("0: 'tench, Tinca',\n1: \"jack-o'\",\n2: 'x'", ["tench, Tinca", "jack-o'", "x"]),
        ("7 up\ncola\n3-toed sloth", ["7 up", "cola", "3-toed sloth"]),
        ("digit 0\ndigit 1\ndigit 2", ["digit 0", "digit 1", "digit 2"]),
        ("0\n1\n2", ["0", "1", "2"]),
        ('{"1": 0, "0": 1, "2": 2}', ["1", "0", "2"]),
        ("(background)\ncat's\n'n' roll", ["(background)", "cat's", "'n' roll"]),
        (r'["cat\u00e9", "a\/b", "\ud83d\ude00"]', ["caté", "a/b", "\U0001f600"]),
        ('["cat, 1", "dog, 2", "fox, 3"]', ["cat, 1", "dog, 2", "fox, 3"]),
        (r'["\"cat\"", "dog", "fox"]', ['"cat"', "dog", "fox"]),
        (r"['a\d', 'b', 'c']", [r"a\d", "b", "c"]),
    ],
)  # fmt: skip
def test_names_are_whole(read, text, names):
    assert read(text) == names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected class names, found none"),
        ("{}", "expected class names, found none"),
        ("cat\ndog", "expected 3 class names, one per line; found 2"),
        ("cat,\ndog\nfox", "expected a comma after every name or none, found one after 'cat,'"),
        ("1,cat\n2,dog\n3,fox", "expected every index from 0 to 2 once, found 1, 2, 3, ..."),
        ("1 cat\n2 dog\n3 fox", "expected every index from 0 to 2 once, found 1, 2, 3, ..."),
        ("0 cat\n1 cat\n2 dog", "the number in '0 cat' may be an index or part of the name"),
        ("0,cat\n1,dog\n1,fox", "expected every index from 0 to 2 once, found 0, 1, 1, ..."),
        ("0,cat\n1,dog\nfox", "'0,cat' has an index, 'fox' has none"),
        ("index,name\n0,cat\n1,dog", "'0,cat' has an index, 'index,name' has none"),
        ("0,cat\n1,dog,\n2,fox", "found one after '1,dog,'"),
        ("0\tcat\n1\t \n2\tfox", "'0\\tcat' has an index, '1' has none"),
        ('"",0\n"cat",1\ndog,2', "expected a printable name for every class, found ''"),
        ("0,cat,12\n1,dog,13\n2,fox,9", "expected a name, found more columns: 'cat,12'"),
        ("cat,n00000001\ndog,n00000002\nfox,n00000003", "found more columns: 'cat,n00000001'"),
        ("cat\tx\ndog\ty\nfox\tz", r"expected a printable name for every class, found 'cat\tx'"),
        ('"cat\ndog\nfox', "expected a name in quotes, found '\"cat'"),
        ('"ca"t"\ndog\nfox', "expected a name in quotes"),
        ('"C:\\new"\ndog\nfox', "expected a name in quotes"),
        ('{"0": "cat", "0": "dog", "1": "fox"}', "expected every index from 0 to 2 once, found 0, 0, 1, ..."),
        ("{0: 'cat', 0: 'dog', 1: 'fox'}", "expected every index from 0 to 2 once, found 0, 0, 1, ..."),
        ("{0.5: 'cat'}", "expected every index from 0 to 0 once, found 0.5, ..."),
        ('{"id2label": {"0": "cat"}}', "expected every index from 0 to 0 once, found id2label, ..."),
        ("[1, 2, 3]", "expected names as text, found '1'"),
        ('[["cat", "dog"], "fox", "owl"]', "expected names as text"),
        ('{"0": "cat", "1": null, "2": "fox"}', "expected names as text, found 'None'"),
        ("[PAD]\ncat\ndog", "expected a list or dict of JSON or Python, since it begins like one"),
        ("[" * 100_000, "expected a list or dict of JSON or Python"),
        ("{**{0: 'cat'}}", "expected a list or dict of JSON or Python"),
        ("[__import__('os').getcwd()]", "expected a list or dict of JSON or Python"),
        ("n00000001 cat\nfox\nn00000002 dog", "expected a WordNet id and a name for every class, found 'fox'"),
        ("n00000001 1 cat\nn00000003 2 fox\nn00000002 3 dog", "expected every index from 0 to 2 once"),
    ],
)  # fmt: skip
def test_what_is_unclear_is_refused(read, text, message):
    with pytest.raises(WeightsError) as raised:
        read(text)
    assert message in str(raised.value) and str(raised.value).startswith(str(read.path))


def test_a_huge_file_is_refused(read, monkeypatch):
    monkeypatch.setattr("npgrad.io.labels.LONGEST", 10)
    with pytest.raises(WeightsError, match="expected class names, at most 10 characters; found more"):
        read("x" * 11)


def test_what_is_assumed_is_said(read):
    for text, first in (("0 cat\n1 dog\n2 fox", "0 cat"), ("cat 0\ndog 1\nfox 2", "cat 0")):
        with pytest.warns(
            UserWarning, match=f"the number in '{first}' and in all other lines is taken as the"
        ):
            assert read(text) == ANIMALS
    with pytest.warns(UserWarning, match=r"several classes are named 'cat' \(0, 2\), and 1 more names"):
        assert read("cat\ndog\ncat\ndog", 4) == ["cat", "dog"] * 2


@pytest.mark.parametrize(
    "text",
    [
        "n02123045 tabby, tabby cat\nn02012849 crane\nn03126707 crane\nn00000001 dog, brown\nn00000002 dog, black",
        'n02123045,"tabby, cat"\nn02012849,crane\nn03126707,crane\nn00000001,"dog, brown"\nn00000002,"dog, black"',
        '{"1": ["n02012849", "crane"], "0": ["n02123045", "tabby"], "2": ["n03126707", "crane"],'
        ' "3": ["n00000001", "dog, brown"], "4": ["n00000002", "dog, black"]}',
        "4\tn00000002\tdog, black\n0\tn02123045\ttabby\n1\tn02012849\tcrane\n2\tn03126707\tcrane\n"
        "3\tn00000001\tdog, brown",
    ],
)  # fmt: skip
def test_wordnet_ids(read, text):
    """Synonyms are left out where no two names become equal by that."""
    assert read(text, 5) == ["tabby", "crane bird", "crane", "dog, brown", "dog, black"]
    ids = ["n02123045", "n02012849", "n03126707", "n00000001", "n00000002"]
    assert read_wordnet_ids(read.path) == ids
    assert read("\n".join(ids), 5) == ids and read_wordnet_ids(read.path) == []  # which are the names


def test_the_usual_file_of_imagenet_gives_torchvision_s_names(shared):
    assert tuple(read_labels(shared / "data" / "synset_words.txt", 1000)) == imagenet_classes()


def table(pairs, delimiter):
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(pairs)
    return text.getvalue()


WRITERS = {
    "lines": lambda pairs: "\n".join(name for _, name in sorted(pairs)),
    "CSV lines": lambda pairs: table([[name] for _, name in sorted(pairs)], ","),
    "index,name": lambda pairs: table(pairs, ","),
    "name;index": lambda pairs: table([pair[::-1] for pair in pairs], ";"),
    "index tab name": lambda pairs: "\n".join(f"{index}\t{name}" for index, name in pairs),
    "index: name": lambda pairs: "\n".join(f"{index}: {name}" for index, name in pairs),
    "index name": lambda pairs: "\n".join(f"{index} {name}" for index, name in pairs),
    "JSON list": lambda pairs: json.dumps([name for _, name in sorted(pairs)]),
    "Python list": lambda pairs: repr([name for _, name in sorted(pairs)]),
    "JSON dict": lambda pairs: json.dumps(dict(pairs), indent=1),
    "Python dict": lambda pairs: str(dict(pairs)).replace(", ", ",\n "),
    "JSON dict by name": lambda pairs: json.dumps({name: index for index, name in pairs}),
}
UNQUOTED = {"lines", "index tab name", "index: name", "index name"}
ALWAYS = {"JSON list", "Python list", "JSON dict", "JSON dict by name"}
# None begins or ends with a comma, which could be the file's; the first is from letter to letter, since "0,a" may be
# an index and a name.
NAMES = st.lists(
    st.text("abZé猫 ,;:.'\"\\()#-=0123", max_size=8).map(lambda name: name.strip(" ,") or "b"), max_size=4
).map(lambda names: list(dict.fromkeys([f"a{''.join(names[:1])}é", *names[1:]])))


@given(st.data(), NAMES, st.sampled_from(sorted(WRITERS)), st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_what_is_written_is_read_or_refused(tmp_path_factory, data, names, form, end):
    if form in UNQUOTED:  # here '"0"' is the name 0, as in CSV
        names = list(dict.fromkeys(name.replace('"', "").strip(" ,") or "b" for name in names))
    pairs = data.draw(st.permutations(list(enumerate(names))))
    path = tmp_path_factory.getbasetemp() / "labels.txt"
    text = data.draw(st.sampled_from(["", "\ufeff"])) + WRITERS[form](pairs).replace("\n", end)
    path.write_bytes(text.encode())
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            found = read_labels(path, len(names))
        except WeightsError as error:
            assert form not in ALWAYS and "\n" not in str(error), (form, names, error)
            return
    whole = form == "index name" and len(names) == 1  # a number in a single name is no index
    assert found == (["0 " + names[0]] if whole else names), (form, text)
    assert len(said) == (form == "index name" and not whole)
