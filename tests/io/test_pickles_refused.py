"""What the pickle reader must refuse: calls, imports, damage and bombs, without running any of it."""

import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import pytest
from pickle_table import REFUSED, read

from npgrad import WeightsError
from npgrad.io.formats._pickle_machine import INSTRUCTIONS, MAX_WORK


@pytest.mark.parametrize("what", REFUSED)
def test_refused(what):
    data, words = REFUSED[what]
    start = time.process_time()
    with pytest.raises(WeightsError) as error:
        read(data)
    assert time.process_time() - start < 1
    message = str(error.value)
    assert message.startswith("w.pth: byte ") and "expected" in message and "found" in message
    assert "\n" not in message and len(message) < 400
    assert all(word in message for word in words), message


def test_every_other_opcode_is_refused():
    for opcode in set(range(256)) - set(INSTRUCTIONS):
        with pytest.raises(WeightsError, match=f"opcode 0x{opcode:02x}"):
            read(b"\x80\x04NN" + bytes([opcode]) + b".")


@pytest.mark.exhaustive
def test_memory_stays_in_proportion():
    for data, _ in REFUSED.values():
        tracemalloc.start()
        try:
            with pytest.raises(WeightsError):
                read(data)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 100_000 + 250 * min(len(data), MAX_WORK)  # an empty dict is one byte of a pickle


WATCH = """
import sys
sys.path[:0] = {path!r}
import pickle
from npgrad import WeightsError
from pickle_table import CALLS, read

seen = []
watching = False
def hook(event, arguments):
    if watching:
        seen.append((event, *map(str, arguments[:2])))
sys.addaudithook(hook)

for what, data in CALLS.items():
    watching = True
    try:
        read(data)
        seen.append("read: " + what)
    except WeightsError:
        pass
    watching = False
print(seen)

watching = True  # Python's own reader, which imports: the hook does see it
pickle.loads(CALLS["an import alone"])
print(sorted({{event for event, *_ in seen}}))
"""


def test_nothing_is_imported_or_called():
    root = Path(__file__).resolve().parents[2]
    script = WATCH.format(path=[str(root / "tests" / "support"), str(root)])
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    nothing, pythons = done.stdout.splitlines()
    assert nothing == "[]"
    assert "import" in pythons and "pickle.find_class" in pythons
