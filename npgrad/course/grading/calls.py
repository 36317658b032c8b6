"""Calling a function that somebody wrote for the homework, and saying in words what is wrong with its answer.

A judge gets an `Answer` and asks it for values. What makes it wrong is raised as `Wrong`, one sentence. A wrong value
is compared with what typical mistakes give: `faults` are options of a twin of the right function, which makes them,

    faults = {"reduce": {"mean": "found the mean over channels, expected the maximum"}}
    right = twin(X, y, model);  wrong = twin(X, y, model, reduce="mean")

so that a mistake, or two of them at once, is recognized by its numbers.
"""

import contextlib
import inspect
import io
import itertools
import sys
import warnings

import numpy as np

NOT_YET = "not answered yet"
RTOL = {"float32": 1e-4, "float64": 1e-8}  # of the largest value


class Wrong(Exception):
    """What is wrong with an answer: a sentence, or several."""


class NotAnswered(Wrong):
    """There is no answer yet."""

    def __init__(self):
        super().__init__(NOT_YET)


class Answer:
    """A function under check. notes: what is worth saying though it is no mistake; modified: what it changed."""

    def __init__(self, name, function, given=None):
        self.name, self.function, self.given = name, function, given or {}
        self.notes, self.modified = [], {}

    def __call__(self, arguments, options=None, where=""):
        """The function's value for {name: argument}, handed over by position, and options by name. On copies.

        Options that it does not take are left out. Wrong for an exception, or for arguments that it cannot take.
        """
        options = self._taken(options or {})
        copies = {name: _copied(value) for name, value in arguments.items()}
        self._fits(copies, options, where)
        with quiet() as printed:
            try:
                value = self.function(*copies.values(), **options)
            except NotImplementedError:
                raise NotAnswered from None
            except (Exception, SystemExit) as error:
                raise Wrong(self._raised(error) + in_case(where)) from None
        changed = [name for name in arguments if not _same(arguments[name], copies[name])]
        for name in changed:
            self.modified.setdefault(name, where)
        if value is None:
            hint = "it prints its result: return it" if printed.getvalue().strip() else "is there a return?"
            if changed and changed[0] in self.modified:
                del self.modified[changed[0]]  # said here
                hint = (
                    f"it changed {changed[0]} in place: return the result, and leave {changed[0]} as it was"
                )
            raise Wrong(f"returned None; {hint}")
        return value

    def part(self, name):
        """The Answer of another function of the same question; Wrong if it was not given."""
        if name not in self.given:
            raise NotAnswered
        return Answer(name, self.given[name])

    def findings(self, error=None):
        """All that is wrong, a sentence each."""
        changed = [
            f"changed {name}, which was handed in: work on a copy{in_case(where)}"
            for name, where in self.modified.items()
        ]
        return changed + ([] if error is None else list(error.args))

    def _taken(self, options):
        try:
            parameters = inspect.signature(self.function).parameters
        except (TypeError, ValueError):
            return options
        if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
            return options
        return {key: value for key, value in options.items() if key in parameters}

    def _fits(self, arguments, options, where):
        if not callable(self.function):
            raise Wrong(f"expected a function, found {type(self.function).__name__}")
        try:
            signature = inspect.signature(self.function)
        except (TypeError, ValueError):
            return
        try:
            signature.bind(*arguments.values(), **options)
        except TypeError:
            names = ", ".join(signature.parameters)
            raise Wrong(
                f"takes ({names}), expected ({', '.join(arguments)}) and what has a default"
            ) from None

    def _raised(self, error):
        """The exception in a line, with the line of the function, counted from its def."""
        code = getattr(inspect.unwrap(self.function), "__code__", None)
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
    """Nothing that runs inside prints, warns or draws; yields what was printed."""
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
    """Where it was seen, to stand behind a sentence."""
    return f" ({where})" if where else ""


def number(value, where):
    """`value` as a float, if it is one real number; Wrong otherwise."""
    if isinstance(value, (tuple, list)):
        raise Wrong(f"expected one number, found a {type(value).__name__} of {len(value)}{in_case(where)}")
    return array(value, (), where)


def array(value, shape, where):
    """`value`, if it is a NumPy array of floats (or with shape () a number), all finite; Wrong otherwise.

    shape: the expected one, for the message; another one is left to be explained by `compare`.
    """
    expected = f"an array of shape {shape}" if shape else "one number"
    if not isinstance(value, (np.ndarray, np.generic) if shape else (np.ndarray, np.generic, float, int)):
        raise Wrong(f"expected {expected}, found {type(value).__name__}{in_case(where)}")
    found = np.asarray(value)
    if found.dtype.kind != "f":
        raise Wrong(f"expected floats, found {found.dtype}{in_case(where)}")
    if not np.isfinite(found).all():
        count = int(np.sum(~np.isfinite(found)))
        raise Wrong(f"found {count} of {found.size} values NaN or Inf: a division by 0?{in_case(where)}")
    return found


def close(found, expected, rtol):
    """Equal up to rtol of the largest expected value, and of one shape."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    return bool(np.max(np.abs(found - expected), initial=0) <= rtol * np.max(np.abs(expected), initial=1e-30))


def tolerance(found, arguments, coarsest=0.0):
    """The rtol that fits the coarser one of the result and of the arrays handed in."""
    given = [v for value in arguments.values() for v in (value if isinstance(value, list) else [value])]
    arrays = [np.asarray(found), *(value for value in given if isinstance(value, np.ndarray))]
    floats = [each.dtype.name for each in arrays if each.dtype.kind == "f"]
    return max(coarsest, *(RTOL.get(name, 1e-4) for name in floats))


def compare(found, twin, arguments, faults, where, coarsest=0.0, single=None, pairs=True):
    """Nothing, if `found` is twin(**arguments); otherwise Wrong, with the mistake's name if it is a typical one.

    single: what the function gives for image i alone and what is right there, as a function of i; it shows
    whether the images of a batch are mixed. pairs: look for two mistakes at once, too.
    """
    expected = np.asarray(twin(**arguments))
    found = array(found, expected.shape, where)
    rtol = tolerance(found, arguments, coarsest)
    if not close(found, expected, rtol):
        rtol = max(1e-6, 10 * rtol)
        why = diagnosis(found, expected, twin, arguments, faults, rtol, single, pairs)
        raise Wrong(why + in_case(where))


def named(found, twin, arguments, faults, rtol, pairs=True):
    """The typical mistake that gives `found`, in words, or two at once; or None."""
    for texts, options in variants(faults, pairs):
        if close(found, twin(**arguments, **options), rtol):
            return "; ".join(texts)
    return None


def diagnosis(found, expected, twin, arguments, faults, rtol, single=None, pairs=True):
    """In words, why `found` is not `expected`."""
    if why := named(found, twin, arguments, faults, rtol, pairs):
        return why
    if found.shape != expected.shape:
        return f"expected shape {expected.shape}, found {found.shape}".replace("shape ()", "one number")
    if not np.any(found):
        return "found 0 everywhere"
    if close(found, expected, 1e-5):
        return "right to a few digits only: is it rounded, or float64 made float32, on the way?"
    if single is not None and len(found) > 1 and all(close(*single(i), rtol) for i in range(len(found))):
        return (
            "right for a single image, wrong for a batch: each image's result must depend on that image alone"
        )
    factor = np.vdot(found, expected) / (np.vdot(expected, expected) or 1)
    if close(found, factor * expected, rtol):
        turned = abs(factor + 1) < rtol
        return "the sign is turned around" if turned else f"found {factor:.4g} times what is right"
    if not expected.shape:
        return f"expected {float(expected):.6g}, found {float(found):.6g}"
    place = np.unravel_index(np.argmax(np.abs(found - expected)), expected.shape)
    at = ", ".join(map(str, place))
    return f"wrong values, most of all at [{at}]: expected {expected[place]:.4g}, found {found[place]:.4g}"


def variants(faults, pairs=True):
    """(sentences, options) of each single fault, then of every two that go together."""
    single = [((text,), {key: value}) for key, texts in faults.items() for value, text in texts.items()]
    yield from single
    for (a, first), (b, second) in itertools.combinations(single, 2) if pairs else ():
        if first.keys() != second.keys():
            yield a + b, {**first, **second}


def _copied(value):
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, (list, tuple)):
        return type(value)(_copied(each) for each in value)
    return value


def _same(value, copy):
    if isinstance(value, np.ndarray):
        return np.array_equal(value, copy)
    if isinstance(value, (list, tuple)):
        return len(value) == len(copy) and all(map(_same, value, copy))
    return True
