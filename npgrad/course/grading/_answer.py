"""Call a student's function safely: on copies, without output, and with every failure described in words."""

import contextlib
import inspect
import io
import sys
import textwrap
import time
import warnings

import numpy as np

from npgrad.course.grading._chain import Kept, Step, run

NOT_YET = "not answered yet"


class Wrong(Exception):
    """What is wrong with an answer: one sentence, or several."""


class NoExample(Exception):
    """A draw without inputs that tell a right answer from a wrong one: another draw is needed."""


class NotAnswered(Wrong):
    """There is no answer yet."""

    def __init__(self):
        super().__init__(NOT_YET)


class Answer:
    """A function to check. notes: remarks that are not mistakes; modified: {argument that it modified: the case}.

    draw: which networks and images it is checked on; 0 are those of `check`. guarded: whether an error of a check
    itself is a mistake of the answer, as where another process says what the answer is.
    """

    draw, guarded = 0, False

    def __init__(self, name, function, given=None):
        self.name, self.function, self.given = name, function, given or {}
        self.notes, self.modified = [], {}

    def __call__(self, arguments, options=None, where=""):
        """Call the function on copies of {name: argument}, passed by position, and of options, passed by name.

        Options that it does not accept are omitted. Wrong if it raises, or does not accept the arguments.
        """
        options = self._accepted(options or {})
        copies = {name: _copied(value) for name, value in arguments.items()}
        self._check_signature(copies, options)
        with quiet() as printed:
            try:
                value = self.function(*copies.values(), **options)
            except NotImplementedError:
                raise NotAnswered from None
            except (Exception, SystemExit) as error:
                raise Wrong(raised(error, self.function) + in_case(where)) from None
        changed = [name for name in arguments if not same(arguments[name], copies[name])]
        for name in changed:
            self.modified.setdefault(name, where)
        return self._checked_value(value, changed, bool(printed.getvalue().strip()))

    def chain(self, steps, where=""):
        """Call several functions of the question, as `_chain.run` does; its replies.

        steps: Steps, the last one of this function. Wrong if one raises, or an array among the arguments was changed.
        """
        replies = self._run(steps)
        for step, reply in zip(steps, replies, strict=False):
            own = step.name == self.name
            if reply.get("not yet"):
                if own or self._unanswered(steps[-1]):
                    raise NotAnswered
                raise Wrong(f"needs {step.name}, which is not answered yet")
            if "raised" in reply:
                text = reply["raised"] if own else f"needs {step.name}, which {reply['raised']}"
                raise Wrong(text + in_case(where))
            for i, j in reply["changed"]:
                names = list(self.names_of(steps[i].name))
                self.modified.setdefault(names[j] if j < len(names) else f"number {j + 1}", where)
        return replies

    def _unanswered(self, step):
        """Whether the function has no answer yet, whatever its cache is."""
        arguments = [None if isinstance(each, Kept) else each for each in step.arguments]
        return any(reply.get("not yet") for reply in self._run([Step(self.name, arguments)]))

    def _run(self, steps):
        functions = {step.name: self.given.get(step.name) for step in steps} | {self.name: self.function}
        for name, function in functions.items():
            if function is None:
                raise Wrong(f"needs the cache of your {name}: check('{self.name}', {self.name}, {name})")
            if not callable(function):
                raise Wrong(f"{name}: expected a function, found {type(function).__name__}")
        with quiet():
            return run(functions, steps, raised)

    def names_of(self, function):
        """The names of a function's parameters, as it has them."""
        part = self if function == self.name else self.part(function)
        return part.parameters()

    def _checked_value(self, value, changed, printed):
        """The value; Wrong if it is None. printed: whether the function printed something."""
        if value is None:
            hint = "it prints its result: return it" if printed else "is there a return?"
            if changed and changed[0] in self.modified:
                del self.modified[changed[0]]  # this message already says it
                hint = (
                    f"it modified {changed[0]} in place: return the result, and leave {changed[0]} as it was"
                )
            raise Wrong(f"returned None; {hint}")
        return value

    def part(self, name):
        """The Answer of another function of the same question; Wrong if it was not given."""
        if name not in self.given:
            raise NotAnswered
        return Answer(name, self.given[name])

    def parameters(self):
        """The function's parameters, {name: inspect.Parameter}; {} if they are not known."""
        try:
            return inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return {}

    def source(self):
        """The function's source, or None."""
        if getattr(self.function, "__name__", "") == "<lambda>":
            return None  # inspect returns the whole line of a lambda, with any other code in it
        try:
            return textwrap.dedent(inspect.getsource(self.function))
        except (OSError, TypeError):
            return None

    def seconds(self, arguments):
        """How much of a processor's time a call takes, whatever else runs there."""
        begin = time.process_time()
        self(arguments)
        return time.process_time() - begin

    def mistakes(self, error=None):
        """Everything that is wrong, one sentence each."""
        changed = [
            f"modified the argument {name}: work on a copy{in_case(where)}"
            for name, where in self.modified.items()
        ]
        return changed + ([] if error is None else list(error.args))

    def _accepted(self, options):
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return options
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return options
        return {key: value for key, value in options.items() if key in parameters}

    def _check_signature(self, arguments, options):
        if not callable(self.function):
            raise Wrong(f"expected a function, found {type(self.function).__name__}")
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return
        self._check_binding(signature, arguments, options)

    def _check_binding(self, signature, arguments, options):
        try:
            signature.bind(*arguments.values(), **options)
        except TypeError:
            names = ", ".join(signature.parameters)
            raise Wrong(
                f"takes ({names}), expected ({', '.join(arguments)}) and only optional parameters after them"
            ) from None


def raised(error, function):
    """The exception in one line, with the line of the function, counted from its def."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    lines, trace = [], error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code is code:
            lines.append(trace.tb_lineno - code.co_firstlineno + 1)
        trace = trace.tb_next
    text = " ".join(str(error).split())
    text = text if len(text) <= 200 else text[:197] + "..."
    line = f", in line {lines[-1]} of the function" if lines else ""
    return f"raised {type(error).__name__}{': ' + text if text else ''}{line}"


@contextlib.contextmanager
def quiet():
    """Suppress output, warnings and figures in the block; yields what was printed."""
    figures = sys.modules.get("matplotlib.pyplot")
    before = set(figures.get_fignums()) if figures else set()
    show = getattr(figures, "show", None)
    if figures:
        figures.show = lambda *arguments, **options: None
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield printed
    finally:
        figures = sys.modules.get("matplotlib.pyplot")
        for number in set(figures.get_fignums()) - before if figures else ():
            figures.close(number)
        if show:
            figures.show = show


def in_case(where):
    """The case, in parentheses, for the end of a message."""
    return f" ({where})" if where else ""


def _copied(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(each) for each in value)
    return value


def same(value, copy):
    if isinstance(value, np.ndarray):
        return np.array_equal(value, copy)
    if isinstance(value, (list, tuple)):
        return len(value) == len(copy) and all(map(same, value, copy))
    return True
