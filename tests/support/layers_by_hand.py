"""Students' layers for the tests: the course's, with a mistake planted in them, and those of other styles."""

import inspect
import linecache
from types import SimpleNamespace

import layers_in_other_styles
import layers_in_other_styles_2
import layers_in_other_styles_3
import layers_in_other_styles_4
import layers_of_a_course
import layers_of_a_course_2
import numpy as np
import planted_layers_1
import planted_layers_2
import planted_layers_3
import planted_layers_4
import planted_layers_5

from npgrad.course.layers_by_hand import FUNCTIONS

COURSE = {**vars(layers_of_a_course), **vars(layers_of_a_course_2)}
PLANTED = {
    function: rows
    for module in (planted_layers_1, planted_layers_2, planted_layers_5, planted_layers_3, planted_layers_4)
    for function, rows in module.PLANTED.items()
}
STYLES = (
    layers_in_other_styles,
    layers_in_other_styles_2,
    layers_in_other_styles_3,
    layers_in_other_styles_4,
)
SOURCE = "\n".join(inspect.getsource(each) for each in (layers_of_a_course, layers_of_a_course_2))


def with_needed(functions, name):
    """The function of a name and those whose results it needs."""
    return {each: functions[each] for each in (name, *FUNCTIONS[name])}


def planted(name, old, new, edited=None):
    """The course's functions after an edit of one of them; their source is known, as that of a cell is."""
    source = inspect.getsource(COURSE[edited or name])
    assert source.count(old) >= 1, (name, old)
    text = SOURCE.replace(source, source.replace(old, new, 1))
    file = f"<{name} with {new}>"
    linecache.cache[file] = (len(text), None, text.splitlines(True), file)
    names = {"__name__": "student", **{key: COURSE[key] for key in ("batchnorm_forward", "relu_forward")}}
    imports = [line for line in text.splitlines() if line.startswith("from layers_of_a_course")]
    for line in imports:
        text = text.replace(line, "")
    exec(compile(text, file, "exec"), names)
    return with_needed(names, name)


CACHES = {
    "as it is": (lambda cache: cache, lambda cache: cache),
    "in a list": (lambda cache: ["unused", cache], lambda cache: cache[1]),
    "in a dict": (lambda cache: {"kept": cache, 0: None}, lambda cache: cache["kept"]),
    "in an object": (lambda cache: SimpleNamespace(kept=cache), lambda cache: cache.kept),
    "in a function": (lambda cache: lambda: cache, lambda cache: cache()),
    "in a generator": (lambda cache: iter([cache]), next),
}


def pair(family):
    """The names of the forward and the backward function of a family."""
    stem, _, naive = family.partition("_naive")
    return (
        (f"{stem}_forward_naive", f"{stem}_backward_naive")
        if family.endswith("_naive")
        else (
            f"{family}_forward",
            f"{family}_backward",
        )
    )


def variants():
    """{function: {style: {name: function}}} of right answers: ways to compute, each with four kinds of cache."""
    found, families, functions = {name: {} for name in FUNCTIONS}, {}, {}
    for module in STYLES:
        for family, pairs in module.LAYERS.items():
            families.setdefault(family, []).extend(pairs)
        functions.update(getattr(module, "FUNCTIONS", {}))
    for family, pairs in families.items():
        names = pair(family)
        for i, (forward, backward) in enumerate([*pairs, tuple(COURSE[name] for name in names)]):
            for kind in [*CACHES, *CACHES][i : i + 4]:
                wrap, unwrap = CACHES[kind]
                given = dict(zip(names, (_kept(forward, wrap), _taken(backward, unwrap)), strict=True))
                for name in names:
                    found[name][f"{forward.__name__}, cache {kind}"] = given
                if family == "batchnorm":
                    again = {**given, "batchnorm_backward_alt": given[names[1]]}
                    found["batchnorm_backward_alt"][f"{forward.__name__}, cache {kind}"] = again
    for name, each in functions.items():
        for function in [*each, COURSE[name]]:
            for kind, changed in RESULTS.items():
                found[name][f"{function.__name__}, {kind}"] = {name: _changed(function, changed)}
    return found


RESULTS = {
    "as it is": lambda value: value,
    "in a list": list,
    "in Fortran's order": lambda value: tuple(np.asfortranarray(v) if np.ndim(v) else v for v in value),
    "of numbers of another type": lambda value: tuple(
        float(v) if np.ndim(v) == 0 and v is value[0] else v for v in value
    ),
}


def _locked(value):
    value = np.array(value) if isinstance(value, (np.ndarray, float)) else value
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    return value


def _changed(function, changed):
    return lambda *arguments: changed(function(*arguments))


def _kept(forward, wrap):
    def function(*arguments):
        out, cache = forward(*arguments)
        return out, wrap(cache)

    return function


def _taken(backward, unwrap):
    return lambda dout, cache: backward(dout, unwrap(cache))
