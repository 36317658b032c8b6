"""How far each attribution method is from its references: the largest deviation that the comparisons of a run find.

python -m pytest tests/attribution --deviations build/deviations.json
python scripts/methods_table.py

A comparison (`checks.assert_close`) counts for a method if what it compares is what the method has returned, or a view
of it, and the test's file has a reference in torch, Captum or scikit-learn.
"""

import functools
import json
import pkgutil
import sys
from importlib import import_module
from pathlib import Path

import checks
import numpy as np
import pytest

__name__ = "npgrad.deviations"  # so that a warning is shown where a method was called, not here
REFERENCES = ("torch", "captum.", "sklearn.")
LAST = 64  # results that are remembered


def has_reference(module):
    """Whether a test's file imports something of torch, Captum or scikit-learn."""
    names = (
        getattr(value, "__module__", None) or getattr(value, "__name__", "")
        for value in vars(module).values()
    )
    return any(str(name).startswith(REFERENCES) for name in names)


class Deviations:
    """A pytest plugin that writes {method: [deviation, the test that found it]}."""

    def __init__(self, path):
        self.path, self.found, self.test, self.results = Path(path), {}, None, []
        import npgrad.attribution as package
        from npgrad.attribution import methods

        for module in pkgutil.iter_modules(package.__path__, "npgrad.attribution."):
            import_module(module.name)
        for name in methods.METHODS:
            function = methods.function_of(name)
            noted = self.noted(name, function)
            for module in [module for key, module in sys.modules.items() if key.startswith("npgrad")]:
                for key, value in list(vars(module).items()):
                    if value is function:
                        setattr(module, key, noted)
        checks.assert_close = self.measured(checks.assert_close)

    def noted(self, name, function):
        @functools.wraps(function)
        def method(*args, **options):
            result = function(*args, **options)
            array = result[0] if isinstance(result, tuple) else result
            if isinstance(array, np.ndarray):
                self.results = [*self.results[-LAST:], (name, array)]
            return result

        return method

    def measured(self, assert_close):
        @functools.wraps(assert_close)
        def compare(found, expected, rtol, name="result"):
            assert_close(found, expected, rtol, name)
            method, of = self.method_of(found), self.method_of(expected)
            if method and not of and has_reference(self.test.module):
                scale = np.abs(np.asarray(expected)).max(initial=0)
                off = float(np.abs(np.asarray(found) - np.asarray(expected)).max(initial=0) / (scale or 1))
                if off >= self.found.get(method, [-1])[0]:
                    self.found[method] = [off, self.test.nodeid]

        return compare

    def method_of(self, array):
        if not isinstance(array, np.ndarray):
            return None
        return next((name for name, one in reversed(self.results) if np.may_share_memory(one, array)), None)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self, item):
        self.test, self.results = item, []

    def pytest_sessionfinish(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(dict(sorted(self.found.items())), indent=1))
