"""The grammar of targets that are expressions, such as "0.5*tabby - prob(golden retriever)".

    sum      = [sign] product {sign product}
    product  = {number "*"} operand {"*" number | "/" number}
    operand  = class | function "(" class ")" | "(" sum ")" | sign operand
    class    = words | digits | "text in quotes"

A "-" or "+" directly after a letter or digit belongs to the word, and so does a "/" between two: names with hyphens
need no quotes, and "a - b" needs its spaces.
"""

import re

from npgrad.errors import TargetError

KINDS = {
    "score": "score",
    "prob": "probability",
    "probability": "probability",
    "logprob": "log-probability",
    "log_probability": "log-probability",
}
OPERATORS = "+-*/()"
NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?=[\s*/()]|[+-](?:\s|\d|$)|$)")
SIGNED = re.compile("[+-][0-9]+")
DEEPEST = 50  # parentheses within parentheses


def has_operators(text):
    """Whether a text has operators or quotes and is not just a negative number."""
    if SIGNED.fullmatch(text.strip()):
        return False
    return any(kind in ("operator", "quoted") for kind, _, _ in _tokens(text, lenient=True))


def parsed(text):
    """[(factor, kind, class, position)] of the text of an expression, the same class and kind only once.

    A TargetError names the position of what is wrong, counted from 1.
    """
    if not isinstance(text, str):
        raise TargetError(f"target: expected a text, found {type(text).__name__}")
    terms = _Parser(text).parse()
    merged = {}
    for factor, kind, name, position in terms:
        before, first = merged.get((kind, name), (0.0, position))
        merged[kind, name] = before + factor, first
    found = [(f, kind, name, position) for (kind, name), (f, position) in merged.items() if f]
    if not found:
        raise TargetError(f"target {text!r}: the terms cancel, and nothing is left to explain")
    return found


class _Parser:
    def __init__(self, text):
        self._text, self._tokens, self._at, self._depth = text, list(_tokens(text)), 0, 0

    def parse(self):
        terms = self._sum()
        if self._peek():
            self._fail("an operator")
        return terms

    def _sum(self):
        terms, sign = [], self._take("+-") or "+"
        while sign:
            terms += self._scaled(self._product(), -1.0 if sign == "-" else 1.0)
            sign = self._take("+-")
        return terms

    def _product(self):
        factor = 1.0
        while self._kind() == "number" and self._is_operator(self._at + 1, "*"):
            factor *= self._number()
            self._at += 1
        terms = self._operand()
        while operator := self._take("*/"):
            number = self._number()
            factor = factor * number if operator == "*" else factor / number
        return self._scaled(terms, factor)

    def _operand(self):
        if sign := self._take("+-"):
            return self._scaled(self._operand(), -1.0 if sign == "-" else 1.0)
        if self._take("("):
            self._depth += 1
            if self._depth > DEEPEST:
                self._fail(f"at most {DEEPEST} parentheses within each other")
            terms = self._sum()
            self._depth -= 1
            self._expect(")")
            return terms
        kind = "score"
        if self._kind() == "words" and self._is_operator(self._at + 1, "("):
            name = self._peek()[1].casefold()
            if name not in KINDS:
                self._fail("prob, logprob or score before a parenthesis, or a name in quotes")
            kind = KINDS[name]
            self._at += 2
            found = self._class()
            self._expect(")")
        else:
            found = self._class()
        return [(1.0, kind, *found)]

    def _class(self):
        """(name or index, position)"""
        kind, value, position = self._peek() or ("end", "", 0)
        if not value or kind == "operator" or (kind == "number" and not value.isdecimal()):
            self._fail("a class")
        self._at += 1
        return int(value) if kind == "number" else value, position

    def _number(self):
        if self._kind() != "number" or not 0 < float(self._peek()[1]) < float("inf"):
            self._fail("a number")
        self._at += 1
        return float(self._tokens[self._at - 1][1])

    @staticmethod
    def _scaled(found, factor):
        return [(factor * f, kind, name, position) for f, kind, name, position in found]

    def _peek(self):
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _kind(self):
        return self._peek() and self._peek()[0]

    def _is_operator(self, at, which):
        return at < len(self._tokens) and self._tokens[at][0] == "operator" and self._tokens[at][1] in which

    def _take(self, which):
        if not self._is_operator(self._at, which):
            return None
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, which):
        if not self._take(which):
            self._fail(repr(which))

    def _fail(self, expected):
        token = self._peek()
        where, found = (token[2], repr(token[1])) if token else (len(self._text) + 1, "the end")
        raise TargetError(f"target {self._text!r}, position {where}: expected {expected}, found {found}")


def _tokens(text, lenient=False):
    """(kind, text, position) of the numbers, words, quoted texts and operators; of words, several are one token.

    lenient: an opening quote without a closing one is a word.
    """
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif (
            text[at] in "\"'"
            and (end := text.find(text[at], at + 1)) > 0
            or (text[at] == '"' and not lenient)
        ):
            if end < 0:
                raise TargetError(f"target {text!r}, position {at + 1}: expected a closing {text[at]}")
            yield "quoted", text[at + 1 : end], at + 1
            at = end + 1
        elif text[at] in OPERATORS:
            yield "operator", text[at], at + 1
            at += 1
        else:
            end = _end_of_words(text, at)
            words = text[at:end].rstrip()
            yield ("number" if NUMBER.fullmatch(words) else "words"), words, at + 1
            at = end


def _end_of_words(text, at):
    """Where the words that begin at `at` end: before the first operator that is not within a word."""
    number = NUMBER.match(text, at)
    if number and text[number.end() :].lstrip()[:1] in tuple(OPERATORS):
        return number.end()
    for end in range(at + 1, len(text)):
        if text[end] in "()":
            return end
        before, after = text[end - 1], text[end + 1 : end + 2] or " "
        if text[end] == "*" or (text[end] in "+-" and before.isspace()):
            return end
        if text[end] == "/" and (before.isspace() or after.isspace()):
            return end
    return len(text)
