"""Training again, for a few minutes: its accuracy, and that the results are bit-identical. `make test-slow`"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "train_scenes.py"


@pytest.mark.slow
def test_a_short_training_reaches_its_accuracy_and_twice_the_same_bits(tmp_path):
    files = []
    for name in ("first.h5", "second.h5"):
        command = [sys.executable, str(SCRIPT), "--quick", "-o", name]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=3600)
        assert done.returncode == 0, done.stderr
        accuracy = float(re.search(r"held-out accuracy (\d+\.\d+)%", done.stdout)[1])
        # So short a training depends on its start: measured 18.9, 8.3 and 14.4 % with the seeds 0, 1 and 2. By chance,
        # 520 scenes would give 3.8 %, and 6.4 % once in a thousand.
        assert accuracy >= 6.5, accuracy
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
