"""npgrad's public modules, and the names in each."""

import importlib
import inspect

MODULES = [
    "npgrad", "npgrad.layers", "npgrad.models", "npgrad.attribution", "npgrad.attribution.lrp_rules",
    "npgrad.attribution.concepts", "npgrad.attribution.ledgers",
    "npgrad.evaluation", "npgrad.losses", "npgrad.optim", "npgrad.synthesis", "npgrad.scenes", "npgrad.training",
    "npgrad.course", "npgrad.rules", "npgrad.attribution.folders", "npgrad.images",
    "npgrad.testing",
]  # fmt: skip


def public_names(name):
    module = importlib.import_module(name)
    if hasattr(module, "__all__"):
        return module.__all__
    return [
        key
        for key, value in vars(module).items()
        if (inspect.isfunction(value) or inspect.isclass(value))
        and value.__module__ == name
        and not key.startswith("_")
    ]
