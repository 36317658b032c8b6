"""One piece of work as a process: python child.py KIND ARGUMENT ...  It says "begun" when its modules are there.

At Ctrl-C it says one line and ends with 130, as the commands do.
"""

import importlib.util
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "robustness"), str(ROOT / "tests" / "support")]


def _begun():
    print("begun", flush=True)


def _command(*arguments):
    from npgrad.cli import main

    _begun()
    return main(arguments)


def _weights_get(original, *arguments):
    from interrupts import work

    work.know_small(original)
    return _command("weights", "get", "small", *arguments)


def _convert(*arguments):
    path = ROOT / "scripts" / "convert_weights.py"
    spec = importlib.util.spec_from_file_location("convert_weights", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    _begun()
    return script.main(arguments)


def _in_turns(folder, name):
    from interrupts import work

    for which in (1, 0):  # loads what is loaded at first use
        work.WRITERS[name][1](work.target(folder, name), which)
    _begun()
    work.write_in_turns(folder, name)


def _download(url, path, *without):
    from interrupts import work

    _begun()
    work.get_file(url, path, resumable=not without)


def _train(folder):
    from interrupts import work

    _begun()
    work.train(folder)


KINDS = {
    "command": _command,
    "weights get": _weights_get,
    "convert": _convert,
    "in turns": _in_turns,
    "download": _download,
    "train": _train,
}

if __name__ == "__main__":
    try:
        sys.exit(KINDS[sys.argv[1]](*sys.argv[2:]))
    except KeyboardInterrupt:
        print("child: interrupted", file=sys.stderr)
        sys.exit(130)
