"""Hostile and broken .pth files: each refused at once, in one line, and nothing in it run or imported."""

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from pickle_writer import encode, program
from torch_files import BAD_FILES, BAD_OBJECTS, HOSTILE
from torch_writer import (
    legacy_file,
    legacy_one,
    one,
    storage,
    tensor,
    zip_file,
)
from zip_writer import DEFLATED, archive

from npgrad import WeightsError
from npgrad.io.formats import torch_pth


@pytest.mark.parametrize("what", BAD_OBJECTS)
def test_refused_in_a_zip(what):
    value, word = BAD_OBJECTS[what]
    check_refused(zip_file(value), word)


@pytest.mark.parametrize("what", BAD_OBJECTS)
def test_refused_in_a_legacy_file(what):
    value, word = BAD_OBJECTS[what]
    check_refused(legacy_file(value, None if b"Storage" in encode(value) else {}), word)


@pytest.mark.parametrize("what", BAD_FILES)
def test_refused_file(what):
    check_refused(*BAD_FILES[what])


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive(what):
    check_refused(*HOSTILE[what])


def test_views_of_a_compressed_storage():
    """A storage may be compressed, and may be used several times; one upon the other is out of proportion."""
    members = {"a/data/0": bytes(200_000), "a/noise": np.random.default_rng(0).bytes(2000)}

    def data(views):
        whole = {f"w{number}": tensor(storage("0", 50_000), (50_000,), (1,)) for number in range(views)}
        return archive({"a/data.pkl": program(whole), **members}, DEFLATED)

    assert 70 * len(data(1)) < 200_000
    assert list(torch_pth.read(data(1), "w.pth")) == ["w0"]
    check_refused(data(3), "used at most")


WATCH = """
import sys
sys.path.insert(0, {path!r})
from npgrad import WeightsError
from npgrad.io.formats import torch_pth

seen, watching = [], False
def hook(event, arguments):
    if watching and event != "builtins.id":
        seen.append((event, *map(str, arguments[:2])))
sys.addaudithook(hook)

for name in {names!r}:
    with open(name, "rb") as file:
        data = file.read()
    watching = True
    try:
        seen.append(list(torch_pth.read(data, name)))
    except WeightsError:
        pass
    watching = False
print(seen, "torch" in sys.modules)
"""


def test_nothing_is_imported_or_called(tmp_path):
    """Not torch either: what the pickle calls torch._utils._rebuild_tensor_v2 is a function of npgrad's."""
    files = {"good zip": zip_file(one()), "good legacy": legacy_file(legacy_one())}
    for what in ("os.system", "os.system beside the tensors", "a whole model", "torch's dangerous parts"):
        files[f"{what} zip"] = zip_file(BAD_OBJECTS[what][0])
        files[f"{what} legacy"] = legacy_file(BAD_OBJECTS[what][0])
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    root = Path(__file__).resolve().parents[2]
    script = WATCH.format(path=str(root), names=[str(tmp_path / name) for name in files])
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[['w'], ['w']] False\n"


def check_refused(data, word):
    start = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(WeightsError) as error:
            torch_pth.read(data, "folder/w.pth")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    message = str(error.value)
    assert message.startswith("folder/w.pth: ") and "\n" not in message and len(message) < 400
    assert "expected" in message and "found" in message and word in message, message
    assert peak < 1_000_000 + 110 * len(data)
    assert time.process_time() - start < 1
