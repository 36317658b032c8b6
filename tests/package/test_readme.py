"""The README is short, and is written for people who read fast."""

import re

from documents import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def prose(text):
    """The sentences of a Markdown text, without code, tables, images, headings and the addresses of links."""
    text = re.sub(r"(?s)```.*?```", "", text)
    lines = [line for line in text.splitlines() if not re.match(r"(    |#|!\[|\|)", line)]
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", "\n".join(lines))
    text = re.sub(r"`[^`]*`", "code", text)
    text = re.sub(r"(?m)^(?:- |\d\. )(.*)$", r"\1.", text)
    return [each for each in re.split(r"[.?!]\s|\n\n", text) if len(each.split()) > 2]


def syllables(word):
    """Groups of vowels, without a silent e at the end."""
    word = word.lower()
    groups = len(re.findall(r"[aeiouy]+", word))
    return max(1, groups - (word.endswith("e") and not word.endswith("le") and groups > 1))


def reading_ease(text):
    """Flesch's: 206.8 - 1.015 * words per sentence - 84.6 * syllables per word; 60 and more is plain English."""
    sentences = prose(text)
    words = [word for sentence in sentences for word in re.findall(r"[A-Za-z][A-Za-z']*", sentence)]
    score = 206.835 - 1.015 * len(words) / len(sentences) - 84.6 * sum(map(syllables, words)) / len(words)
    return score, len(words)


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 120 and len(README.encode()) <= 8000


def test_the_readme_is_easy_to_read():
    score, words = reading_ease(README)
    assert score >= 60 and 200 <= words <= 500, (score, words)


def test_hard_text_is_noticed():
    easy = "The cat sat on the mat. It was warm.\n" * 30
    hard = (
        "Differentiability considerations notwithstanding, attribution methodologies exhibit incompatibility.\n"
        * 30
    )
    assert reading_ease(easy)[0] > 90 and reading_ease(hard)[0] < 0
    assert prose("# Title\n\nA [link](a.b) to `x.y`.\n\n    code\n\n```\nmore\n```\n") == ["\nA link to code"]
