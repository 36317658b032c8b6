"""Public text is written in the field's own words and in American English; docs/reference/glossary.md has the words.

Read are the docstrings, comments, messages and names in the code and its tests, the documents, and the notebooks.
"""

import io
import json
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "SECURITY.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "weights/README.md",
    "docs/**/*.md",
]
CODE = [
    "npgrad/**/*.py",
    "scripts/*.py",
    "tests/**/*.py",
    "fuzz/**/*.py",
    "benchmarks/**/*.py",
    "docs/**/*.py",
]
NOTEBOOKS = ["notebooks/*.ipynb", "notebooks/student/*.ipynb"]

# (pattern, what to write instead, a sentence in which it must be found); a space in a pattern is any white space.
WORDS = [
    (r"\bpictures?\b", "image; photo", "Each picture gets a class."),
    # A seed is only ever that of a random generator.
    (r"\b(?:backward|parameter_gradients)\(\s*seeds?\b", "dy", "Call tape.backward(seeds)."),
    (r"\bseeds? at\b", "upstream gradient", "seed at fire4: expected shape (1, 2)"),
    (
        r"\bseeds? (?:reach|reaches|enters?|put in) ",
        "upstream gradient",
        "No seed reaches it.",
    ),
    (r"\b(?:from|at) (?:the )?seeds\b", "upstream gradient", "Walk it backward from seeds."),
    (r"\bforward, seeds?, backward\b", "upstream gradient", "The loop: forward, seeds, backward, update."),
    (r"\bseed for (?:backward|a|the|an) \b", "upstream gradient", "The seed for backward from a score."),
    (
        r"\bseeds? of (?:a |the |each )?(?:loss|layer|gradient|score|target)",
        "upstream gradient",
        "The seed of a loss.",
    ),
    # The path of integrated gradients.
    (
        r"\b(?:on|along|of) (?:the|that|this|its) way\b",
        "path; integration steps",
        "The mean gradient along the way.",
    ),
    (r"\bthe straight way\b", "the straight-line path", "Points on the straight way."),
    (r"\bway (?:from|to) (?:a|the|its) (?:baseline|input|image)\b", "path", "The way from a baseline."),
    (r"\bextents?\b", "spatial size", "The last layer with an extent."),
    (
        r"\b(?:the|no|has|have|with|without|little|more) room\b(?! (?:for|on|there|to|in memory))",
        "spatial size",
        "The room of a layer.",
    ),
    (r"\b(?:a|one|per) class an? (?:image|photo|picture)\b", "a class per image", "With a class an image."),
    (r"\bone an image\b|\ba number an image\b", "one per image", "N of them, one an image."),
    (
        r"\b(?:speak|speaks|spoke|spoken) (?:for|of|against)\b",
        "positive evidence; supports",
        "It speaks for the class.",
    ),
    (
        r"\b(?:no|without a|without any|has a) circles?\b",
        "directed acyclic graph",
        "An order that has no circle.",
    ),
    (r"\bwhat (?:the|a|its) network says\b", "logits, scores", "It shows what the network says."),
    (
        r"\b(?:is|are|be|was|were) told\b(?! apart)|\btold of\b|\btells? of\b",
        "reported",
        "The user is told of them at the end.",
    ),
    (r"\banew\b", "again; re-initialize", "The weights are drawn anew."),
    (r"--rng\b", "--seed", "Use --rng 3."),
    # Turns of phrase.
    (r"\bfor who(?:ever)?\b", "for those who", "It is for who teaches."),
    (r"\bwhoever\b", "anyone who; rephrase", "Whoever sets it gets it."),
    (r"\bof all that is\b", "all; every", "The size of all that is kept."),
    (r"\b(?:come|comes|came|coming) along\b", "is included", "A network comes along."),
    (
        r"\b(?:stand|stands|stood|standing) (?:there|here|in(?! for)|at|beside|above|below|where)\b",
        "is",
        "It stands there.",
    ),
    (
        r"\bin two thirds of the (?:memory|time)\b",
        "using a third less memory",
        "A pass in two thirds of the memory.",
    ),
    (r"\bin two thirds\b", "two thirds of", "It is done in two thirds."),
    (r"\b(?:is|are|was|were|be|to be) had\b", "is available", "Nothing more is had from it."),
    (r"\blest\b", "so that ... not", "Lest it be lost."),
    (r"\bwhether or no\b", "whether or not", "Whether or no it is there."),
    (r"\b(?:give|gives|gave|giving|given) back\b", "return", "It gives back an array."),
    (r"\bas (?:it|they) stands?\b", "unchanged", "Taken as it stands."),
    (r"\bby lot\b", "at random", "Chosen by lot."),
    (r"\bat a time of its own\b", "separately", "Read at a time of its own."),
    (r"\basked about\b", "the target class", "The class asked about."),
]
# What a name in code must not be; only names are read, so that a generator's seed can have its name.
NAMES = [
    (r"(?i)picture", "image", "by_picture"),
    (
        r"(?i)(?<![a-z])seeds?_(?:at|for)(?![a-z])|check_seeds?|_seeds(?![a-z])",
        "upstream, dy",
        "_checked_seeds",
    ),
]
BRITISH = [
    (rf"(?i)\b\w*?{stem}", "American spelling", f"It is {example}.")
    for stem, example in [
        (r"(?:col|fav|behavi|neighb|flav|lab|hon|vap|rum|hum|harb|rig|vig)our(?!g)", "coloured"),
        (
            r"(?:normal|recogn|organ|initial|visual|regular|summar|general|minim|maxim|real|serial|parametr|quant"
            r"|vector|penal|random|local|custom|author|standard|character|digit|optim|equal|capital|emphas|special"
            r"|util|stabil|symbol|token|categor|discret|factor|final|memor|modern|neutral|priorit|synchron|synthes"
            r"|raster|linear|binar|harmon|jeopard)is(?:e|ed|es|er|ers|ing|ation|ations|able)\b",
            "normalised",
        ),
        (r"(?:anal|paral|catal)ys(?:e|ed|es|ing)\b(?<!analyses)", "analysed"),
        (r"\bcent(?:re|res|red|ring)\b", "centred"),
        (r"\b(?:metre|litre|fibre|theatre|calibre)s?\b", "two metres"),
        (r"\bgrey(?:s|er|ish|scale|scaled)?\b", "grey"),
        (r"\b(?:label|model|cancel|travel|signal|channel|level|total|marvel|fuel|dial|tunnel|equal)l(?:ed|ing|er)\b",
         "labelled"),
        (r"\b(?:licence|defence|offence|pretence)s?\b", "a licence"),
        (r"\b(?:catalogue|dialogue|analogue|prologue)s?\b", "a catalogue"),
        (r"\b(?:programme|artefact|judgement|cheque|tyre|plough|sceptic\w*|aluminium)s?\b", "an artefact"),
        (r"\b(?:whilst|amongst|learnt|spelt|burnt|leant)\b", "whilst"),
        (r"\b(?:skilful|fulfil|enrol|instalment|wilful)s?\b", "skilful"),
    ]
]  # fmt: skip
# Names that others gave.
ALLOWED = re.compile(
    r"grey (?:fox|wolf|whale)|african grey|timber wolf, grey"
    r"|\b(?:Grey|GREY)\b(?= ?(?:fox|wolf|whale))"
    r"|scipy-openblas"
    r"|no option '--rng'|^--rng(?:=3)?$"  # tests that there is none
)


def spaced(pattern):
    """The pattern with every space taking line breaks and comment signs as well."""
    return re.compile(pattern.replace(" ", r"(?:[ ]|[\s#>*|]*\n[\s#>*|]*)"), re.IGNORECASE)


TEXT = [(spaced(pattern), instead) for pattern, instead, _ in [*WORDS, *BRITISH]]
SEED = next(
    rule for rule in TEXT if "parameter_gradients" in rule[0].pattern
)  # looked for in the code itself, too
NAME = [(re.compile(pattern), instead) for pattern, instead, _ in [*NAMES, *BRITISH]]


def pieces(code):
    """(line, text, whether it is a name): strings, comments and names of Python code, adjoining ones as one."""
    glue = {tokenize.NL, tokenize.INDENT, tokenize.DEDENT}
    kind, first, text, last = None, 0, "", 0
    middle = getattr(tokenize, "FSTRING_MIDDLE", -1)
    ends = {getattr(tokenize, "FSTRING_START", -1), getattr(tokenize, "FSTRING_END", -1)}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string, True
        if token.type in (tokenize.STRING, tokenize.COMMENT, middle):
            body = token.string
            if token.type == tokenize.STRING:
                body = re.sub(r"(?s)^\w*('''|\"\"\"|'|\")(.*)\1$", r"\2", body)
            if token.type == kind and (kind != tokenize.COMMENT or token.start[0] == last + 1):
                text += ("\n" if kind == tokenize.COMMENT else "") + body
            else:
                if kind is not None:
                    yield first, text, False
                kind, first, text = token.type, token.start[0], body
            last = token.end[0]
        elif token.type not in glue and token.type not in ends and kind is not None:
            yield first, text, False
            kind, text = None, ""
    if kind is not None:
        yield first, text, False


def found_in_text(text, line=1, rules=None):
    """Lines such as `12: 'pictures': write image; photo`."""
    for pattern, instead in rules or TEXT:
        for match in pattern.finditer(text):
            around = text[max(0, match.start() - 20) : match.end() + 20]
            if not ALLOWED.search(around):
                at = line + text.count("\n", 0, match.start())
                yield at, f"{at}: {' '.join(match[0].split())!r}: write {instead}"


def found_in_code(code):
    yield from found_in_text(code, rules=[SEED])
    for line, text, is_name in pieces(code):
        yield from found_in_text(text, line, NAME if is_name else TEXT)


def found_in_notebook(text):
    """Of the cells' sources, with the number of the cell in place of a line."""
    for number, cell in enumerate(json.loads(text)["cells"], 1):
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            source = re.sub(r"(?m)^(\s*)[%!]", r"\1# ", source)
            hits = found_in_code(source)
        else:
            hits = found_in_text(source)
        yield from ((number, f"cell {number}, line {hit}") for _, hit in hits)


def found_in(path):
    text = path.read_text(encoding="utf-8")
    find = {".py": found_in_code, ".ipynb": found_in_notebook}.get(path.suffix, found_in_text)
    return [hit for _, hit in sorted(set(find(text)))]


FILES = [path for pattern in [*DOCUMENTS, *CODE, *NOTEBOOKS] for path in sorted(ROOT.glob(pattern))]
FILES.remove(Path(__file__).resolve())


@pytest.mark.exhaustive  # `make docs-check` has it, too
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_words_are_the_fields(path):
    assert found_in(path) == []


def test_every_kind_of_file_is_read():
    assert {path.suffix for path in FILES} == {".md", ".py", ".ipynb"}
    assert len(FILES) > 180 and all(any(ROOT.glob(pattern)) for pattern in DOCUMENTS)


# The tests of the tests.


@pytest.mark.sampled(40)
@pytest.mark.parametrize("pattern, _, sentence", [*WORDS, *BRITISH])
@pytest.mark.parametrize(
    "file",
    [
        '"""{}"""',
        "def f():\n    pass  # {}\n",
        'raise ValueError(\n    "{}"\n)',
        "x = f'''{}'''\n",
    ],
)
def test_a_planted_word_is_found_in_code(pattern, _, sentence, file):
    assert re.search(pattern, sentence, re.IGNORECASE)
    assert list(found_in_code(file.format(sentence)))


@pytest.mark.parametrize("pattern, _, sentence", [*WORDS, *BRITISH])
def test_a_planted_word_is_found_in_documents(pattern, _, sentence, tmp_path):
    path = tmp_path / "a.md"
    path.write_text(f"# All\n\nIs well.\n{sentence}\n")
    assert [hit.split(":")[0] for hit in found_in(path)][0] == "4"
    for kind, source in ("markdown", [sentence]), ("code", ["%time\n", f"# {sentence}"]):
        notebook = {"cells": [{"cell_type": kind, "source": source}]}
        path = tmp_path / "a.ipynb"
        path.write_text(json.dumps(notebook))
        assert found_in(path)[0].startswith("cell 1")


@pytest.mark.parametrize("pattern, _, name", NAMES)
def test_a_planted_name_is_found(pattern, _, name):
    assert re.search(pattern, name)
    assert list(found_in_code(f"def {name}():\n    return 1\n"))


@pytest.mark.parametrize(
    "code",
    [
        '"""A pass in two thirds\n    of the memory."""',
        "# A network\n# comes along.\n",
        'x = ("it is told "\n     "of later, by "\n     "lot")',
    ],
)
def test_line_breaks_hide_nothing(code):
    assert list(found_in_code(code))


@pytest.mark.parametrize(
    "sentence",
    [
        "The seed of the random generator; --seed 3; rng: a Generator or the seed of one.",
        "An image of a mushroom on a runway: either way, there is no way to find the grey fox.",
        "A gray image is normalized, labeled, centered and visualized; its colors stay; four hours, contour, detour.",
        "The upstream gradient enters at fire4. Precise, otherwise, exercise, likewise, comprise, analyses.",
        "The path from baseline to input, and the standing wave; understand there are analyses of promises.",
    ],
)
def test_good_sentences_pass(sentence):
    assert list(found_in_text(sentence)) == [] == list(found_in_code(f'"""{sentence}"""'))
