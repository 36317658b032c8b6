"""Run one reader in libFuzzer's loop: python -m fuzz.child READER [options of libFuzzer] FOLDER ..."""

import importlib
import pkgutil
import sys
import time
import warnings

import atheris


def main():
    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["npgrad", "PIL"], enable_loader_override=False):
        import npgrad

        for module in pkgutil.walk_packages(npgrad.__path__, "npgrad."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
        from PIL import Image

        Image.init()
    from fuzz import targets

    warnings.simplefilter("ignore")  # Pillow's, about damaged EXIF data for example
    atheris.Setup(sys.argv, lambda data: targets.one(name, data))
    print(f"began at {time.monotonic():.0f}", file=sys.stderr, flush=True)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
