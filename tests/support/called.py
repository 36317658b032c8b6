"""A pytest plugin: `make test` fails unless its tests call every public function, class and method.

A function or class has to be called by a test, not by another part of npgrad on a test's behalf. For methods, which
are often reached through a model, any call counts. Calls are seen as they happen, so a name that is only mentioned, or
a table that leaves one out, does not count: while npgrad is imported, each function gets a first statement that notes
the call. (Tracing would make the tests half again as slow.) Only whole runs of the quick tests are watched.
"""

import ast
import builtins
import importlib
import inspect
import sys
from importlib.machinery import PathFinder, SourceFileLoader
from pathlib import Path

import pytest
from public_names import MODULES, public_names
from tiers import QUICK

TESTS, PACKAGE = (str(Path(__file__).resolve().parents[2] / part) + "/" for part in ("tests", "npgrad"))
WRAPPERS = set()  # code of the functions that stand in for public ones
NOTE = "_npgrad_function_called"  # a builtin while the tests run


class Noting(SourceFileLoader):
    """Compiles a module of npgrad with the notes in it."""

    def path_stats(self, path):
        raise OSError("no bytecode: neither read nor written")

    def source_to_code(self, data, path, **options):
        tree = ast.parse(data, path)
        bodies = [
            ("", tree.body),
            *((f"{c.name}.", c.body) for c in tree.body if isinstance(c, ast.ClassDef)),
        ]
        for prefix, body in bodies:
            for function in body:
                if isinstance(function, ast.FunctionDef):
                    name = f"{self.name}:{prefix}{function.name}"
                    [note] = ast.parse(f"{NOTE}({name!r})").body
                    line = ast.copy_location(note, function.body[0])
                    function.body.insert(ast.get_docstring(function, clean=False) is not None, line)
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


class Finder:
    """Finds the modules of npgrad for the import system."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name.partition(".")[0] != "npgrad":
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec and isinstance(spec.loader, SourceFileLoader):
            spec.loader = Noting(spec.loader.name, spec.loader.path)
        return spec


def functions():
    """{"module:function": (its public name, whether a test must call it itself)}."""
    found = {}
    for module in MODULES:
        for key in public_names(module):
            value, name = getattr(importlib.import_module(module), key), f"{module}.{key}"
            methods = vars(value).items() if inspect.isclass(value) else [(None, value)]
            for method, function in methods:
                function = function.fget if isinstance(function, property) else function
                function = unwrapped(getattr(function, "__func__", function))
                written = getattr(function, "__code__", None)
                if (
                    not written
                    or not written.co_filename.startswith(PACKAGE)
                    or written.co_name == "<lambda>"
                    or written.co_name != function.__name__
                ):
                    continue  # a constant, made by dataclasses or for a row of a table, or too short for a note
                if not method or method == "__init__" or not method.startswith("_"):
                    called = f"{function.__module__}:{function.__qualname__}"
                    found[called] = (f"{name}.{method}" if method else name, method in (None, "__init__"))
    return found


def unwrapped(function):
    """The function that decorators have wrapped."""
    while hasattr(function, "__wrapped__"):
        WRAPPERS.add(function.__code__)
        function = function.__wrapped__
    return function


def called_by_a_test(frame):
    """Whether the next frame above that is a test's or npgrad's, and not a decorator's, is a test's."""
    while frame := frame.f_back:
        if frame.f_code.co_filename.startswith((TESTS, PACKAGE)) and frame.f_code not in WRAPPERS:
            return frame.f_code.co_filename.startswith(TESTS)
    return False


class Called:
    """Notes the calls in one process, and puts together what the workers of pytest-xdist have noted."""

    def __init__(self, config):
        self.config, self.uncalled, self.waiting = config, None, {}
        setattr(builtins, NOTE, self.note)
        self.workers = not hasattr(config, "workerinput") and config.getoption("dist", "no") != "no"
        if not self.workers:  # which call the functions themselves: nothing is imported to wait for them
            sys.meta_path.insert(0, Finder)
            self.waiting = functions()

    def note(self, name):
        if name in self.waiting and (not self.waiting[name][1] or called_by_a_test(sys._getframe(1))):
            self.waiting.pop(name, None)

    def pytest_configure_node(self, node):
        node.workerinput["whole"] = True

    def pytest_testnodedown(self, node):
        if "uncalled" in getattr(node, "workeroutput", ()):
            self.add(node.workeroutput["uncalled"])

    def add(self, uncalled):
        self.uncalled = set(uncalled) if self.uncalled is None else self.uncalled & set(uncalled)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        uncalled = [name for name, _ in self.waiting.values()]
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["uncalled"] = uncalled
            return
        if self.uncalled is None:  # there were no workers, or none has told
            self.add([name for name, _ in functions().values()] if self.workers else uncalled)
        if self.uncalled and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if self.uncalled:
            terminalreporter.section("public, but called by no test of this run")
            terminalreporter.write_line("\n".join(sorted(self.uncalled)))


def whole_run(config):
    """Whether all quick tests run, and no others."""
    if hasattr(config, "workerinput"):
        return config.workerinput.get("whole", False)
    option = config.option
    partial = (
        option.keyword or option.deselect or option.collectonly or config.args != config.getini("testpaths")
    )
    return not partial and option.markexpr == QUICK
