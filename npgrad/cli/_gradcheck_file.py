"""`npgrad gradcheck FILE.py:NAME`: the gradients of a function or object in somebody's own file."""

import os
import re
import sys
import traceback

from npgrad._files import shown
from npgrad.cli._common import print_json, table
from npgrad.errors import InputError, NpgradError, unknown


def add_arguments(parser):
    """FILE.py:NAME and the options that go with it."""
    parser.add_argument(
        "code", nargs="?", metavar="FILE.py:NAME", help="check this function or object; the file is run"
    )
    group = parser.add_argument_group("with FILE.py:NAME")
    group.add_argument("--backward", metavar="NAME", help="the function backward(dy, cache)")
    group.add_argument(
        "--shape",
        action="append",
        metavar="NAME=NxM",
        help="shape of an argument, drawn from the normal distribution; once for each, in their order; of an object, "
        "the first is x and others are attributes",
    )
    group.add_argument(
        "--inputs",
        metavar="NAME",
        help="instead of --shape, a dict {argument: value} in the file, or a function that returns it",
    )
    group.add_argument(
        "--to", metavar="NAME", help="function that converts arrays for this code, such as torch.from_numpy"
    )


def refuse_without_code(args):
    """The options of FILE.py:NAME mean nothing for a network."""
    for name in ("backward", "shape", "inputs", "to"):
        if getattr(args, name) is not None:
            raise InputError(f"--{name}: expected FILE.py:NAME with it, found none")


def run(args):
    """Print the check; the exit code is 1 if a gradient is wrong, 3 if some cannot be judged."""
    path, _, name = args.code.rpartition(":")
    if not path.endswith(".py") or not name:
        raise InputError(f"{args.code}: expected FILE.py:NAME")
    if args.weights or args.arch:
        raise InputError(f"{args.code}: expected no --weights or --arch with it, found one")
    names = _names_of(path)
    subject, backward = _found(names, name), _backward(names, name, args.backward)
    if isinstance(subject, type) and not hasattr(subject, "apply"):
        subject = _trusting(path, subject)
    inputs = _inputs(path, names, args)
    first, *others = inputs
    parameters = {key: inputs[key] for key in others}
    if backward is None and args.to is None and hasattr(subject, "forward"):
        within = getattr(subject, "params", None)
        (within if isinstance(within, dict) else vars(subject)).update(parameters)
        parameters = others or None
    check = _trusting(
        path,
        _gradcheck(),
        subject,
        inputs[first],
        args.method,
        args.entries,
        rng=args.seed,
        backward=backward,
        parameters=parameters,
        to=args.to and _found(names, args.to),
    )
    _print(check, args.json)
    return 0 if check else 1 if check.verdict == "WRONG" else 3


def _gradcheck():
    from npgrad.gradcheck import gradcheck

    return gradcheck


def _print(check, as_json):
    if as_json:
        rows = [
            {
                "array": row.name,
                "index": row.index,
                "found": _number(row.found),
                "expected": _number(row.expected),
                "error": _number(row.error),
                "uncertainty": row.uncertainty,
                "right": bool(row.judged and row.error <= check.tolerance),
                "diagnoses": [{"kind": one.kind, "text": one.text} for one in row.diagnoses],
            }
            for row in check.rows
        ]
        return print_json(
            {
                "verdict": check.verdict,
                "right": bool(check),
                "method": check.method,
                "tolerance": check.tolerance,
                "notes": check.notes,
                "rows": rows,
            }
        )
    if check.rows:
        wrong, lines = (
            {row.name for row in check.wrong},
            [["gradient of", "worst entry", "found", "expected", "error", ""]],
        )
        for row in check.rows:
            numbers = [f"{row.found:.6g}", f"{row.expected:.6g}", f"{row.error:.1e}"]
            verdict = "WRONG" if row.name in wrong else "" if row.judged else "cannot be judged at a kink"
            lines.append([row.name, f"[{', '.join(map(str, row.index))}]", *numbers, verdict])
        print(table(lines, right=(2, 3, 4)))
    print(check)
    return None


def _number(value):
    return value if abs(value) < float("inf") else None  # neither infinity nor NaN is JSON


def _names_of(path):
    """What the file defines, after running it with its folder in the search path, as Python does."""
    import runpy

    if not os.path.isfile(path):
        raise InputError(f"{shown(path)}: expected a Python file, found none")
    sys.path.insert(0, os.path.dirname(os.path.abspath(path)))
    try:
        return _trusting(path, runpy.run_path, path)
    finally:
        del sys.path[0]


def _trusting(path, function, *arguments, **options):
    """Call what runs the file's code; an exception of that code is a line that says where it came from."""
    try:
        return function(*arguments, **options)
    except NpgradError:
        raise
    except Exception as error:
        own = [
            frame
            for frame in traceback.extract_tb(error.__traceback__)
            if os.path.basename(path) in frame.filename
        ]
        where = f", line {own[-1].lineno}" if own else ""
        raise InputError(f"{shown(path)}{where}: {type(error).__name__}: {error}") from error


def _found(names, name):
    first, *others = name.split(".")
    if first not in names:
        raise unknown("name in the file", first, [key for key in names if not key.startswith("__")])
    value = names[first]
    for other in others:
        if not hasattr(value, other):
            raise InputError(f"{name}: expected an attribute {other!r}, found none")
        value = getattr(value, other)
    return value


def _backward(names, name, given):
    if given:
        return _found(names, given)
    candidates = [name.replace("forward", "backward"), f"{name}_backward"]
    return next((names[key] for key in candidates if key != name and callable(names.get(key))), None)


def _inputs(path, names, args):
    """{argument: value}, x first."""
    import numpy as np

    if (args.inputs is None) == (args.shape is None):
        found = "neither" if args.inputs is None else "both"
        raise InputError(f"{args.code}: expected --shape or --inputs, found {found}")
    if args.inputs is not None:
        inputs = _found(names, args.inputs)
        inputs = _trusting(path, inputs) if callable(inputs) else inputs
        if not isinstance(inputs, dict) or not inputs:
            raise InputError(f"--inputs: expected a dict of arguments, found {type(inputs).__name__}")
        return inputs
    rng, inputs = np.random.default_rng(args.seed), {}
    for text in args.shape:
        name, _, shape = text.rpartition("=")
        if not re.fullmatch(r"[1-9]\d*(x[1-9]\d*)*", shape) or not name and inputs or name in inputs:
            raise InputError(f"--shape: expected NAME=NxM, each name once, found {text!r}")
        inputs[name or "x"] = rng.standard_normal(tuple(map(int, shape.split("x"))))
    return inputs
