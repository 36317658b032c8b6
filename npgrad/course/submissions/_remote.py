"""A student's function in another process, as an Answer: the checks call it as they call one in their own process."""

import inspect
from functools import cache
from importlib.machinery import SourceFileLoader
from pathlib import Path

import numpy as np

from npgrad.course.grading import QUESTIONS
from npgrad.course.grading._answer import Answer, NotAnswered, Wrong, in_case
from npgrad.course.grading._questions import OTHER_NAMES
from npgrad.course.submissions import _observe, _source, _wire
from npgrad.course.submissions._session import Stopped

KEPT_CALLS = 3  # names in a message


class Described:
    """A function of the student's process: what is known of it here."""

    def __init__(self, about):
        self.__module__ = str(about.get("module"))
        self.callable = about.get("callable") is True
        self.kind = str(about.get("type"))
        self.parameters = _parameters(about.get("parameters"))


def _parameters(found):
    """{name: inspect.Parameter}, or None where the function has no signature."""
    try:
        return {
            name: inspect.Parameter(
                name, inspect._ParameterKind(kind), default=None if default else inspect.Parameter.empty
            )
            for name, kind, default in found
        }
    except (TypeError, ValueError):
        return None


class Observed:
    """What a function did: names of npgrad that it called, fingerprints of its code, and events."""

    def __init__(self):
        self.called, self.copies, self.events = set(), set(), set()

    def note(self, reply):
        """Add what a reply says."""
        for key in ("called", "copies", "events"):
            getattr(self, key).update(map(str, reply.get(key, ())))

    def not_own(self, question):
        """What it did that an answer to a question may not do, one sentence each."""
        called = [name for name in self.called if not question.may_call(name)]
        called.sort(key=lambda name: ("._" in name, name))  # what a student may have heard of comes first
        copied = {name for each in self.copies for name in originals().get(each, ())}
        copied = sorted(name for name in copied if not question.may_call(name))
        texts = [f"{text}, which no answer needs" for text in sorted(self.events)]
        if called:
            texts.append(f"calls {_listed(called)}, expected your own code")
        if copied:
            texts.append(f"is copied from {_listed(copied)}, expected your own code")
        return texts


class RemoteAnswer(Answer, Observed):
    """An Answer whose function runs in the process of a session. `limit`: seconds that are left for its check."""

    guarded = True

    def __init__(self, name, function, given, session, question, draw):
        super().__init__(name, function, given)
        self.session, self.question, self.draw = session, question, draw
        self.limit, self.took = session.limits.check, 0.0
        Observed.__init__(self)
        self.before = {}  # {function that a chain called before: what it did}

    def __call__(self, arguments, options=None, where=""):
        options = self._accepted(options or {})
        self._check_signature(arguments, options)
        names = [self.name, OTHER_NAMES.get(self.name, self.name)]
        request = {"do": "call", "names": names, "arguments": list(arguments.values()), "options": options}
        reply = self._ask(request)
        self.took = float(reply.get("seconds", 0.0))
        self.note(reply)
        watched = [each for each in (*arguments.values(), *options.values()) if hasattr(each, "seen")]
        for model, seen in zip(watched, reply.get("seen", ()), strict=True):
            new = seen[len(model.seen) :]
            model.seen.extend(each for each in new if isinstance(each, np.ndarray) and each.ndim == 4)
        if reply.get("not yet"):
            raise NotAnswered
        if "raised" in reply:
            raise Wrong(str(reply["raised"]) + in_case(where))
        changed = [list(arguments)[i] for i in reply.get("changed", ())]
        for name in changed:
            self.modified.setdefault(name, where)
        return self._checked_value(_shown(reply.get("value")), changed, bool(reply.get("printed")))

    def _run(self, steps):
        for name in {step.name for step in steps}:
            if name not in self.given:
                raise Wrong(f"needs {name}, which is not answered yet")
        reply = self._ask({"do": "chain", "steps": steps})
        replies, seen = reply.get("replies"), reply.get("seen")
        for name, found in seen.items() if isinstance(seen, dict) else ():
            (self if name == self.name else self.before.setdefault(name, Observed())).note(found)
        if not isinstance(replies, list) or not all(isinstance(each, dict) for each in replies):
            raise Wrong("not graded: the check was not answered")
        return [_shown(each) for each in replies]

    def _ask(self, request):
        before = self.session.left
        try:
            return self.session.call(request, self.limit)
        except Stopped as stopped:
            self.session.recover()
            raise Wrong(f"not graded: the check {stopped}") from None
        finally:
            self.limit -= before - self.session.left

    def part(self, name):
        if name not in self.given:
            raise NotAnswered
        return RemoteAnswer(name, self.given[name], self.given, self.session, self.question, self.draw)

    def parameters(self):
        return self.function.parameters or {}

    def source(self):
        names = (self.name, OTHER_NAMES.get(self.name))
        sources = (_source.function_source(self.session.cells.values(), name) for name in names)
        return next(filter(None, sources), None)

    def seconds(self, arguments):
        self(arguments)
        return self.took

    def mistakes(self, error=None):
        return self._not_own() + super().mistakes(error)

    def _not_own(self):
        """What the function did that an answer may not do, one sentence each."""
        question = QUESTIONS[self.question]
        texts = self.not_own(question)
        for name, found in self.before.items():
            texts += [f"its {name} {text}" for text in found.not_own(question)]
        return texts + [
            f"cell {n} meddles with the grader: {words}" for n, words in self.session.meddling.items()
        ]

    def _accepted(self, options):
        parameters = self.function.parameters
        if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return options
        return {key: value for key, value in options.items() if key in parameters}

    def _check_signature(self, arguments, options):
        if not self.function.callable:
            raise Wrong(f"expected a function, found {self.function.kind}")
        if self.function.parameters is not None:
            try:
                signature = inspect.Signature(list(self.function.parameters.values()))
            except ValueError:
                return
            self._check_binding(signature, arguments, options)


def _shown(value):
    """A value as the checks see it: what has no form here is an object whose type has the name that it had there."""
    if type(value) in (list, tuple):
        return type(value)(_shown(each) for each in value)
    if type(value) is dict:
        return {key: _shown(each) for key, each in value.items()}
    return type(value.kind, (), {})() if isinstance(value, _wire.Other) else value


def _listed(names):
    more = f" and {len(names) - KEPT_CALLS} more" if len(names) > KEPT_CALLS else ""
    return ", ".join(names[:KEPT_CALLS]) + more


@cache
def originals():
    """{fingerprint: names of npgrad's functions with it}."""
    found = {}
    for path in sorted(Path(_observe.ROOT).rglob("*.py")):
        module = _observe.module_name(str(path))
        code = SourceFileLoader(module, str(path)).get_code(module)
        for each in _codes(code):
            if mark := _observe.fingerprint(each):
                found.setdefault(mark, []).append(f"{module}.{each.co_name}")
    return found


def _codes(code):
    for each in code.co_consts:
        if hasattr(each, "co_consts"):
            yield each
            yield from _codes(each)
