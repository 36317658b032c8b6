"""The tests that lean on rounding, again under BLAS kernels of other processors, with one and with two threads.

    NPGRAD_TEST_CORETYPES="Haswell Zen SkylakeX Prescott" python -m pytest -m slow tests/package/test_kernels.py

(`make test-kernels`.) OpenBLAS takes its kernels by the processor, or by OPENBLAS_CORETYPE; a matrix product's last
bits depend on the kernel, on the number of threads and on where in the matrix a row is.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WANTED = os.environ.get("NPGRAD_TEST_CORETYPES", "").replace(",", " ").split()
# OpenBLAS may have one set of kernels for several processors, and names it as it likes
ALSO_CALLED = {"Zen": {"Haswell"}, "Prescott": {"Katmai"}, "Cooperlake": {"SkylakeX"}}
NEEDS = {  # flags in /proc/cpuinfo; without them a kernel is an illegal instruction
    "Prescott": ("pni",),
    "Nehalem": ("sse4_2",),
    "Sandybridge": ("avx",),
    "Haswell": ("avx2", "fma"),
    "Zen": ("avx2", "fma"),
    "SkylakeX": ("avx512f", "avx512dq", "avx512bw", "avx512vl"),
    "Cooperlake": ("avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_bf16"),
}
# Batches of other sizes, parts on other numbers of threads, images alone and in a batch, passes that keep less.
SENSITIVE = [
    "parallel", "batch_tape", "every_method", "backbones_everything", "input_attributions", "layer_attributions",
    "neurons", "cams", "surrogates", "evaluation", "deep_lift", "tape", "tape_keep", "tape_walk", "passes",
    "composites", "perturbation", "lrp", "training", "runs",
]  # fmt: skip


def architectures(environment):
    """The kernels that NumPy's and SciPy's OpenBLAS take in a process with this environment."""
    code = (
        "import json, numpy, scipy.linalg, threadpoolctl\n"
        "found = threadpoolctl.threadpool_info()\n"
        "print(json.dumps([[one['architecture'], one['num_threads']] for one in found if 'architecture' in one]))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this processor or BLAS does not take the kernel: {done.stderr.strip()[-200:]}")
    return json.loads(done.stdout)


def missing(coretype):
    """What the processor lacks for the kernel; unknown kernels and systems are left to OpenBLAS."""
    try:
        flags = re.search(r"^flags\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)[1].split()
    except (OSError, TypeError):
        return []
    return [flag for flag in NEEDS.get(coretype, ()) if flag not in flags]


def sensitive_files():
    return [path for name in SENSITIVE for path in (ROOT / "tests").glob(f"*/test_{name}.py")]


def test_the_sensitive_tests_exist():
    assert [path.stem.removeprefix("test_") for path in sensitive_files()] == SENSITIVE


@pytest.mark.slow
@pytest.mark.skipif(not WANTED, reason="NPGRAD_TEST_CORETYPES names no kernels")
@pytest.mark.skipif("OPENBLAS_CORETYPE" in os.environ, reason="this machine's kernel is chosen already")
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("coretype", WANTED or [None])
def test_other_kernels(coretype, threads):
    if lacking := missing(coretype):
        pytest.skip(f"this processor has no {' '.join(lacking)}")
    count = str(threads)
    environment = {**os.environ, "OPENBLAS_CORETYPE": coretype, "OPENBLAS_NUM_THREADS": count}
    expected = {coretype, *ALSO_CALLED.get(coretype, ())}
    for found, number in (taken := architectures(environment)):
        assert found in expected, f"{coretype}: OpenBLAS took {found}"
        assert number <= threads
    assert taken, "no OpenBLAS in this process"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--tb=short",
        *map(str, sensitive_files()),
    ]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:]
