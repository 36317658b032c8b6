"""The child process: reads files named on stdin, and reports on stdout the outcome of each, one line of JSON per file.

Everything that readers import is imported, and a good file of each kind is read, before the watching begins. While a
file is read, an audit hook notes whatever Python is asked to do: import, compile, exec, start a process, open anything.
Memory is limited to MEMORY over what the process had by then.
"""

import contextlib
import importlib
import json
import os
import pkgutil
import sys
import time
from pathlib import Path

# instead of this folder, in which `safetensors` is a module of ours
sys.path[:1] = [str(Path(__file__).resolve().parents[up]) for up in (1, 3)]

import numpy as np  # noqa: E402

import npgrad  # noqa: E402
from attacks import SECRET  # noqa: E402

MEMORY = 256 << 20
HARMLESS = {
    "builtins.id",
    "sys._getframe",
    "object.__getattr__",
    "object.__setattr__",
    "array.__new__",
    "mmap.__new__",
}
KNOWN = str(npgrad._files.weights_folder() / "known.json")  # the package's own, whatever the file
SMALL = 4000  # numbers of a result that are reported


def _predict(path):
    """What was read can be used."""
    return npgrad.load(path).predict(np.zeros((1, 4, 12, 6), np.float32))


def _convert(path):
    from npgrad.io.converting import convert

    return convert(path)


def _read(path):
    from npgrad.io.formats import reading

    return reading.read(path)


def _load_imagenet_val(path):
    from npgrad.course import load_imagenet_val

    return load_imagenet_val(path=path)


def _image(path):
    """As it is, without resizing: uint8 (H, W, 3)."""
    preprocessing = npgrad.Preprocessing()
    return preprocessing.invert(preprocessing.apply(path, resize=False))[0]


def _resized(path):
    return npgrad.Preprocessing().apply(path)


def _runs(path):
    """No reader of npgrad's: what the watching must see, for the test of the tests."""
    import pickle

    return pickle.loads(Path(path).read_bytes())


def _takes_memory(path):
    return np.ones(int(Path(path).read_text()), np.uint8)


def _reads_beside(path):
    return Path(path).with_name("secret.txt").read_text()


def _takes_time(path):
    began = time.process_time()
    while time.process_time() < began + float(Path(path).read_text()):
        pass


def _dies(path):
    os._exit(3)


READERS = {
    "npgrad.load": npgrad.load,
    "npgrad.load, predict": _predict,
    "convert": _convert,
    "formats.read": _read,
    "load_imagenet_val": _load_imagenet_val,
    "preprocess": _image,
    "preprocess, resized": _resized,
    "unsafe: runs": _runs,
    "unsafe: takes memory": _takes_memory,
    "unsafe: reads beside": _reads_beside,
    "unsafe: takes time": _takes_time,
    "unsafe: dies": _dies,
}

watched_path, events = None, []


def hook(event, arguments):
    if watched_path is None or event in HARMLESS:
        return
    if event == "open" and str(arguments[0]) in (watched_path, KNOWN) and "w" not in str(arguments[1]):
        return
    events.append(" ".join([event, *(str(argument)[-60:] for argument in arguments[:2])]))


def import_everything():
    """All of npgrad, and what it and its packages import only when it is needed."""
    own = [name for _, name, _ in pkgutil.walk_packages(npgrad.__path__, "npgrad.")]
    for name in (
        *own,
        "difflib",
        "encodings.ascii",
        "encodings.latin_1",
        "encodings.utf_8_sig",
        "onnx",
        "safetensors",
    ):
        with contextlib.suppress(ImportError):  # onnx and safetensors are extras
            if not name.endswith("__main__"):
                importlib.import_module(name)
    from PIL import Image

    Image.init()


def limit_memory():
    """The process may have MEMORY more than now; malloc gets no more, whether it is used or not."""
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MEMORY,) * 2)


def peak_memory(reset=False):
    """The most memory that the process has held since the last reset, in bytes."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) << 10


def try_one(reader, path):
    """What comes of reading one file."""
    global watched_path
    events.clear()
    before = peak_memory(reset=True)
    began = time.process_time()
    watched_path = path
    try:
        result, outcome, message = READERS[reader](path), "read", ""
    except Exception as error:  # any exception is reported; the parent judges it
        result, outcome, message = None, type(error).__name__, str(error)
    watched_path = None
    told = {"outcome": outcome, "message": message, "seconds": time.process_time() - began}
    told |= {"memory": peak_memory() - before, "events": list(events), "secret": SECRET in message}
    if isinstance(result, np.ndarray):
        told |= {"shape": result.shape, "secret": SECRET.encode() in result.tobytes()}
        told |= {"pixels": result.tolist()} if result.size <= SMALL else {}
    return told


def main():
    told = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")
    import_everything()
    for reader, _, path in told["goods"]:
        READERS[reader](path)
    sys.addaudithook(hook)
    if sys.platform == "linux":
        limit_memory()
    for reader, name, path in told["jobs"]:
        print(json.dumps({"name": name, **try_one(reader, path)}), file=out, flush=True)


if __name__ == "__main__":
    main()
