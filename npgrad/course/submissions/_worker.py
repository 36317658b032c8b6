"""In the student's process: run the functions that are asked for, and report what they return and what they call.

`prepare` runs before the first cell. Everything that it needs later is in its closures, and names that a cell deletes
or replaces in builtins, sys, NumPy and npgrad are put back before each call. Nothing here decides about points: a
request is a file with arguments, the answer is a file with values, and the process that compares them never runs a
cell.

The answer also says which functions of npgrad ran (`_observe`). It is signed with a key that the cells do not get, so
that a cell cannot write answers of its own by the ordinary means of the language. Code in the same process can always
find a way around such a report; it cannot know the right values.
"""

import builtins
import contextlib
import functools
import hmac
import inspect
import io
import os
import pickle
import sys
import time
import warnings
from pathlib import Path

import numpy as np

from npgrad.course.submissions import _observe, _wire

PRINTED = 10_000  # characters of a function's output that are kept
OUTPUT = 2**20  # characters of a cell's output


class Limited(io.TextIOBase):
    """A stream that passes on the first characters only."""

    def __init__(self, stream, limit):
        self.stream, self.limit, self.left = stream, limit, limit

    def write(self, text):
        if self.left > 0:
            self.stream.write(text[: self.left])
        self.left -= len(text)
        return len(text)

    def flush(self):
        self.stream.flush()

    def __getattr__(self, name):
        return getattr(self.stream, name)


def prepare(key_file, memory):
    """Make the magic `npgrad_answer`, which answers one request, and take the key from its file."""
    from IPython import get_ipython

    from npgrad import attribution, course, evaluation, losses, optim, rules, synthesis  # noqa: F401
    from npgrad.course.grading import _results

    key = Path(key_file).read_bytes()
    os.unlink(key_file)
    _limit_memory(memory)
    _results.later["checks"] = True
    shell, home = get_ipython(), os.getcwd()
    streams = {name: Limited(getattr(sys, name), OUTPUT) for name in ("stdout", "stderr")}
    shell.ask_exit = lambda: None  # exit() and quit()
    start, stop = _observe.observer()
    put_back, run_code = _snapshot(streams, shell.user_ns), shell.run_code

    def restore():
        put_back()
        for stream in streams.values():
            stream.left = OUTPUT

    def answer(path):
        restore()
        with open(path, "rb") as file:
            nonce, request = file.read(16), pickle.load(file)
        if request["do"] in ("call", "chain"):
            os.chdir(home)
        reply = _wire.encode(_answered(request, shell.user_ns, start, stop, restore))
        signature = hmac.digest(key, nonce + reply, "sha256")
        with open(path + ".writing", "wb") as file:
            file.write(signature + reply)
        os.replace(path + ".writing", path + ".reply")

    async def run_code_and_put_back(*arguments, **options):
        try:
            return await run_code(*arguments, **options)
        finally:
            put_back()  # at once: IPython needs the builtins that a cell has deleted

    shell.run_code = run_code_and_put_back
    shell.register_magic_function(answer, "line", "npgrad_answer")
    shell.events.register("post_execute", restore)
    restore()


def _limit_memory(gigabytes):
    try:
        import resource
    except ImportError:  # Windows
        return
    size = int(gigabytes * 2**30)
    for which, limit in (
        (resource.RLIMIT_AS, size),
        (resource.RLIMIT_FSIZE, size),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(which)
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(which, (limit, limit))


def _snapshot(streams, names_of_cells):
    """A function that puts back what the names in builtins, sys, NumPy and npgrad stand for now."""
    modules = dict(sys.modules)
    kept = [
        (vars(module), dict(vars(module)))
        for name, module in modules.items()
        if module is not None and name.partition(".")[0] in ("npgrad", "numpy")
    ]
    names = ("path", "modules", "meta_path", "path_hooks", "exit", "_getframe", "setprofile", "getprofile")
    kept += [(vars(sys), {name: vars(sys)[name] for name in names})]
    kept.reverse()
    restore_builtins, own_builtins = vars(builtins).update, dict(vars(builtins))
    path, errors, depth = list(sys.path), np.geterr(), sys.getrecursionlimit()
    system, all_modules = vars(sys), sys.modules

    def put_back():
        restore_builtins(own_builtins)  # first, since what follows needs them
        names_of_cells["__builtins__"] = builtins
        for namespace, before in kept:
            namespace.update(before)
        system.update(streams)
        for name, module in modules.items():
            if name not in all_modules:
                all_modules[name] = module
        sys.path[:] = [*path, *(each for each in sys.path if each not in path)]
        np.seterr(**errors)
        sys.setrecursionlimit(depth)

    return put_back


def _answered(request, names, start, stop, restore):
    """The answer to a request, a dict."""
    if request["do"] == "ping":
        return {}
    given = next((each for each in request.get("names", ()) if each in names), None)
    if request["do"] == "describe":
        return {} if given is None else _description(names[given])
    if request["do"] == "chain":
        return _chained(request["steps"], names, start, stop, restore)
    function, arguments, options = names.get(given), request["arguments"], request["options"]
    printed = Limited(io.StringIO(), PRINTED)
    before = pickle.dumps(arguments)
    result = {}
    with _quiet(printed):
        start()
        begin = time.process_time()
        try:
            value = function(*arguments, **options)
        except NotImplementedError:
            result["not yet"] = True
        except KeyboardInterrupt:
            stop()
            raise
        except BaseException as error:
            restore()
            result["raised"] = _raised(error, function)
        else:
            restore()
            result["value"] = value
        seconds = time.process_time() - begin
        observed = stop()
    watched = [each for each in (*arguments, *options.values()) if hasattr(each, "seen")]
    return {
        **result,
        "seconds": seconds,
        "printed": bool(printed.stream.getvalue().strip()),
        "changed": _changed(pickle.loads(before), arguments),
        "seen": [list(each.seen) for each in watched],
        **observed,
    }


def _chained(steps, names, start, stop, restore):
    """The answer to a request to call several functions one after another."""
    from npgrad.course.grading import _chain

    seen = {step.name: {"called": set(), "copies": set(), "events": set()} for step in steps}

    def observed(name):
        function = names.get(name)

        @functools.wraps(function)
        def call(*arguments):
            start()
            try:
                return function(*arguments)
            except (Exception, SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                raise RuntimeError(f"{type(error).__name__}: {error}") from None
            finally:
                restore()
                for key, found in stop().items():
                    seen[name][key].update(found)

        return call

    with _quiet(Limited(io.StringIO(), PRINTED)):
        replies = _chain.run({name: observed(name) for name in seen}, steps, _raised)
    sets = {name: {key: sorted(each) for key, each in found.items()} for name, found in seen.items()}
    return {"replies": replies, "seen": sets}


def _changed(before, after):
    from npgrad.course.grading._answer import same

    return [i for i, (a, b) in enumerate(zip(before, after, strict=True)) if not same(a, b)]


def _description(value):
    about = {"module": str(getattr(value, "__module__", "")), "callable": callable(value)}
    about |= {"type": type(value).__name__, "parameters": None}
    with contextlib.suppress(TypeError, ValueError):
        parameters = inspect.signature(value).parameters.values()
        about["parameters"] = [
            [each.name, int(each.kind), each.default is not each.empty] for each in parameters
        ]
    return about


def _raised(error, function):
    from npgrad.course.grading._answer import raised

    return raised(error, function)


@contextlib.contextmanager
def _quiet(printed):
    from npgrad.course.grading._answer import quiet

    with (
        quiet(),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        warnings.catch_warnings(),
        np.errstate(all="warn", under="ignore"),
    ):
        warnings.simplefilter("ignore")
        yield
