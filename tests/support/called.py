"""A pytest plugin: `make test` fails unless its tests call every public function, class and method.

A function or class has to be called by a test, not by another part of npgrad on a test's behalf. For methods, which
are often reached through a model, any call counts. Calls are seen as they happen, so a name that is only mentioned, or
a table that leaves one out, does not count. It watches only whole runs of the quick tests: not part of them, and not
`make test-all`.
"""

import importlib
import inspect
import sys
from pathlib import Path

import pytest
from public_names import MODULES, public_names
from tiers import QUICK

TESTS, PACKAGE = (str(Path(__file__).resolve().parents[2] / part) + "/" for part in ("tests", "npgrad"))


def functions():
    """{code object: (name, whether a test must call it itself)} of the public functions, classes and methods."""
    found = {}
    for module in MODULES:
        for key in public_names(module):
            value = getattr(importlib.import_module(module), key)
            name = f"{module}.{key}"
            if inspect.isclass(value):
                for method, function in vars(value).items():
                    function = function.fget if isinstance(function, property) else function
                    code = getattr(inspect.unwrap(getattr(function, "__func__", function)), "__code__", None)
                    if code and (method == "__init__" or not method.startswith("_")):
                        found[code] = (f"{name}.{method}", method == "__init__")
            elif inspect.isfunction(value):
                found[inspect.unwrap(value).__code__] = (name, True)
    return found


def called_by_a_test(frame):
    """Whether the next frame above that is a test's or npgrad's is a test's."""
    while frame := frame.f_back:
        if frame.f_code.co_filename.startswith((TESTS, PACKAGE)):
            return frame.f_code.co_filename.startswith(TESTS)
    return False


class Called:
    """Watches the tests of one process, and puts together what the workers of pytest-xdist have seen."""

    def __init__(self, config):
        self.config, self.uncalled, self.waiting = config, None, functions()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self):
        before = sys.gettrace()
        if before is None:  # else a debugger or coverage is at work
            sys.settrace(self.watch)
        try:
            return (yield)
        finally:
            sys.settrace(before)

    def watch(self, frame, event, argument):
        waiting = self.waiting.get(frame.f_code)
        if waiting and (not waiting[1] or called_by_a_test(frame)):
            self.waiting.pop(frame.f_code, None)

    def add(self, uncalled):
        self.uncalled = set(uncalled) & (set(uncalled) if self.uncalled is None else self.uncalled)

    def pytest_configure_node(self, node):
        node.workerinput["whole"] = True

    def pytest_testnodedown(self, node):
        if "uncalled" in getattr(node, "workeroutput", ()):
            self.add(node.workeroutput["uncalled"])

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session, exitstatus):
        uncalled = [name for name, _ in self.waiting.values()]
        if hasattr(self.config, "workeroutput"):
            self.config.workeroutput["uncalled"] = uncalled
            return
        if self.uncalled is None:  # without workers
            self.add(uncalled)
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
