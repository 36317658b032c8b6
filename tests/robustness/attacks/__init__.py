"""Attack files, made by code: what no honest program writes, for every reader there is.

`python -m tests.robustness.attacks` tries them all and prints how many were refused;
test_attacks.py tests them kind by kind.
They are read in a child process that watches itself (watch.py) and knows nothing of what is in them.
"""

import functools
import importlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

KINDS = (
    "pickles", "torch_pth", "hdf5", "caffe", "deep_compression", "npz", "safetensors", "onnx", "images",
)  # fmt: skip
SECRET = "PLANTED-7f3a91c5"  # is in files beside the attacks, and must never come out


@dataclass(frozen=True)
class Attack:
    """A file, how a user opens it, and what must come of that.

    name: what is wrong with it. file: its name. content: its bytes, or a function that makes it at a path.
    reader: one of watch.READERS. message: a regular expression found in the one line of the refusal; None for a file
    that is read as documented. pixels: what an image's uint8 (H, W, 3) must then be; None: anything.
    tolerance: how far those may be off, for formats that lose something. may_pass: it may also be read, since what is
    damaged may have no meaning.
    """

    name: str
    file: str
    content: bytes | Callable[[Path], None]
    reader: str
    message: str | None
    pixels: list | None = None
    tolerance: int = 0
    may_pass: bool = False


@functools.cache
def attacks(kind):
    """{name: Attack} of one of the KINDS."""
    found = list(importlib.import_module(f"attacks.{kind}").attacks())
    by_name = {attack.name: attack for attack in found}
    assert len(by_name) == len(found), f"{kind}: a name twice"
    return by_name


def good_files(kind):
    """[(reader, file name, bytes)] of files with nothing wrong in them, one for each reader of the kind."""
    return importlib.import_module(f"attacks.{kind}").good_files()


def tried(kind, folder):
    """{name: what came of it} of all attacks of a kind, as watch.py tells it; missing: the child had died before."""
    plant_secrets(folder)
    goods, jobs = [], []
    for number, (reader, file, content) in enumerate(good_files(kind)):
        goods.append((reader, file, write(folder / f"good-{number}-{file}", content)))
    for number, attack in enumerate(attacks(kind).values()):
        jobs.append(
            (attack.reader, attack.name, write(folder / f"{number:04}-{attack.file}", attack.content))
        )
    return watched(folder, goods, jobs)


def watched(folder, goods, jobs):
    """{name: what came of it} of jobs (reader, name, path) in a child process, after it has read the good files."""
    command = [sys.executable, str(Path(__file__).with_name("watch.py"))]
    told = json.dumps({"goods": goods, "jobs": jobs})
    done = subprocess.run(command, input=told, capture_output=True, text=True, cwd=folder, timeout=120)
    results = {line["name"]: line for line in map(json.loads, done.stdout.splitlines())}
    if done.returncode and len(results) < len(jobs):
        missing = next(name for _, name, _ in jobs if name not in results)
        results[missing] = {"outcome": f"the child ended with {done.returncode}: {done.stderr[-2000:]}"}
    return results


def write(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content(path)
    return str(path)


def plant_secrets(folder):
    """Files that attacks point at: text.txt and secret.h5, the latter with a dataset `x` and a group `arrays`."""
    import h5py
    import numpy as np

    text = (SECRET * 40).encode()
    (folder / "secret.txt").write_bytes(text)
    with h5py.File(folder / "secret.h5", "w") as file:
        file["x"] = np.frombuffer(text[: 3 * 36 * 4], "<f4").reshape(3, 36)
        file["metadata"] = np.frombuffer(text, np.uint8)
        file["arrays/last.weight"] = file["x"][()]
