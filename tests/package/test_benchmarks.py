"""The benchmarks: contenders compute the same, a wrong one is noticed, and the arithmetic. No times."""

import json
import math
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import busy, folders, growth, inputs, tables, turns
from benchmarks.__main__ import parse
from benchmarks.cases import CASES, GRADIENT
from benchmarks.contenders import Products
from benchmarks.page import BEGIN, END, FILE
from benchmarks.plan import plan
from benchmarks.programs import IMPORT, PROGRAM, commands, run
from benchmarks.worker import answers

ROOT = Path(__file__).resolve().parents[2]
NETWORK, SIDE = "squeezenet1_1", 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("benchmarks")
    inputs.write_files(path, NETWORK)
    return path


@pytest.fixture(autouse=True)
def torch_threads():
    """A torch contender sets them for its whole process, which here is the tests'."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def found(folder, contender, case, batch=2):
    """{name: array}: a contender's results, through the loop of its process."""
    path = Path(folder, f"{contender}-{case}.npz")
    job = {"network": NETWORK, "batch": batch, "side": SIDE, "case": case, "result": str(path)}
    (answer,) = answers(contender, folder, 1, [job])
    assert answer["seconds"] > 0
    with np.load(path) as file:
        return dict(file)


@pytest.mark.exhaustive
@pytest.mark.parametrize("case", [name for name in CASES if name != "style-512"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Captum warns about its hooks
def test_contenders_compute_the_same(folder, case):
    names = ["npgrad", "torch", "channels_last"]
    differs = turns.differences(
        case, {name: found(folder, name, case) for name in names}, CASES[case].tolerance
    )
    assert list(differs) == ["torch", "channels_last"]


@pytest.mark.exhaustive
def test_onnx_computes_the_same(folder):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    results = {name: found(folder, name, "forward") for name in ("npgrad", "onnxruntime")}
    turns.differences("forward", results, tolerance=1e-5)


@pytest.mark.exhaustive
def test_a_wrong_contender_is_found_out(folder, tmp_path):
    """torch with one bias changed."""
    for suffix in ("h5", "pth"):
        name = f"{NETWORK}.{suffix}"
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    state = torch.load(tmp_path / f"{NETWORK}.pth")
    state["features.0.bias"][0] += 1
    torch.save(state, tmp_path / f"{NETWORK}.pth")
    for case in ("forward", "gradient", "style-192", "training"):
        results = {name: found(tmp_path, name, case) for name in ("npgrad", "torch")}
        with pytest.raises(turns.Disagreement, match=f"{case}: torch differs from npgrad by"):
            turns.differences(case, results, CASES[case].tolerance)


@pytest.mark.parametrize("other", [{"a": np.ones(4)}, {"b": np.ones(3)}, {"a": np.full(3, np.nan)}, {}])
def test_what_cannot_be_compared_is_no_agreement(other):
    with pytest.raises(turns.Disagreement):
        turns.differences("forward", {"npgrad": {"a": np.ones(3)}, "torch": other}, tolerance=0.1)


@pytest.mark.exhaustive
def test_products_are_all_of_the_networks(folder):
    """0.349 G multiply-adds, forward, at 224 px."""
    products = Products(folder, NETWORK, 2, 224, 1)
    assert sum(columns.size * weight.shape[1] for columns, weight, _ in products.arrays) == 349_151_936
    products.forward_and_back()
    for (columns, weight, dy), (y, dcolumns) in zip(products.arrays, products.made[0], strict=True):
        np.testing.assert_allclose(y, columns @ weight, rtol=1e-5)
        np.testing.assert_allclose(dcolumns, dy @ weight.T, rtol=1e-5)


def test_a_ratio_is_the_median_of_the_rounds_own():
    record = {"seconds": {"npgrad": [1.0, 2.0, 9.0], "torch": [4.0, 4.0, 6.0]}}
    assert tables.ratios(record, "torch") == [0.25, 0.5, 1.5]
    assert tables.ratio(record, "torch") == "0.50" and tables.ratio(record, "products") == ""
    assert tables.spread(record, "torch") == "0.50 (0.25-1.50)"
    assert tables.milliseconds(record, "npgrad") == "2000"


def test_torchs_best_is_the_faster_format_of_each_round():
    record = {
        "seconds": {"npgrad": [1.0, 2.0, 9.0], "torch": [4.0, 4.0, 6.0], "channels_last": [5.0, 1.0, 3.0]}
    }
    assert tables.ratios(record, tables.BEST) == [0.25, 2, 3]
    assert (
        tables.ratio(record, tables.BEST) == "2.00"
        and tables.spread(record, tables.BEST) == "2.00 (0.25-3.00)"
    )
    del record["seconds"]["channels_last"]
    assert tables.ratio(record, tables.BEST) == tables.spread(record, tables.BEST) == ""


def test_growth_is_the_exponent_of_a_power():
    values = [1, 2, 4, 8]
    assert math.isclose(growth.exponent(values, [3 * value**1.5 for value in values]), 1.5)
    record = {"case": "growth-side", "network": NETWORK, "threads": 2, "batch": None, "values": values,
              "seconds": {"npgrad": [1, 4, 16, 64]}, "megabytes": {"npgrad": [5, 10, 20, 40]}}  # fmt: skip
    assert tables.section(record) == ("growth", 2)
    [line] = tables.row(record).splitlines()
    columns = tables.header(tables.section(record))[2].split(" | ")
    cells = dict(zip(columns, line.split(" | "), strict=True))
    assert cells["time grows as"] == "^2.00" and cells["s"] == "1, 4, 16, 64"
    assert cells["memory grows as |"] == "^1.00 |"


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("case", "values", "contenders"),
    [("growth-side", (48,), growth.COMPARED), ("growth-steps", (2, 3), ("npgrad", "torch"))],
)
def test_growth_is_measured(folder, monkeypatch, case, values, contenders):
    monkeypatch.setattr(growth, "GROWTH", {case: ("what grows", values)})
    monkeypatch.setattr(growth, "COMPARED", contenders)
    job = {"network": NETWORK, "case": case, "threads": 1}
    found = growth.measure_growth(job, folder, tell=lambda what: None)
    for quantity in ("seconds", "megabytes"):
        assert list(found[quantity]) == list(contenders)
        for numbers in found[quantity].values():
            assert len(numbers) == len(values) and min(numbers) >= 0


@pytest.mark.exhaustive
def test_folders_are_measured(folder, monkeypatch):
    monkeypatch.setattr(folders, "PHOTOS", 2)
    monkeypatch.setattr(folders, "WAIT", 0.0)
    monkeypatch.setattr(folders.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(folders, "EXECUTORS", {"threads": ThreadPoolExecutor, "Dask": None})
    monkeypatch.setattr(folders, "find_spec", lambda name: None)  # as if it were not installed
    job = {"network": NETWORK, "case": folders.FOLDER, "threads": 1, "batch": None}
    record = {**job, **folders.measure_folders(job, folder, tell=lambda what: None)}
    assert record["values"] == {f"{NETWORK}, threads": [1, 2], "simulated, threads": [1, 2, 4, 8]}
    assert [len(seconds) for seconds in record["seconds"].values()] == [2, 4]
    assert tables.section(record)[0] == folders.FOLDER and len(tables.row(record).splitlines()) == 2
    record["seconds"] = {f"{NETWORK}, threads": [4, 2]}  # of two photos
    columns = tables.header(tables.section(record))[2].split(" | ")
    cells = dict(zip(columns, tables.row(record).split(" | "), strict=True))
    assert cells["photos per second"] == "0.5, 1" and cells["times one worker's |"] == "1, 2 |"


def test_cores_are_taken_and_given_back():
    with busy.taken(2) as others:
        assert len(others) == 2 and all(other.poll() is None for other in others)
    assert all(other.poll() is not None for other in others)


def test_the_table_says_what_is_not_installed():
    record = {"case": "forward", "network": NETWORK, "batch": 1, "threads": 1, "seconds": {"npgrad": [0.002]}}
    cells = tables.row({**record, "left_out": {"onnxruntime": "not installed"}}).split(" | ")
    columns = tables.header(tables.section(record))[2].split(" | ")
    assert dict(zip(columns, cells, strict=True))["ONNX Runtime ms"] == "not installed"


def test_turns_begin_with_another_one_each_round(monkeypatch):
    monkeypatch.setattr(turns, "PAUSE", 0)
    order = []
    asked = {name: lambda name=name: order.append(name) or name for name in "abc"}
    got = turns.take_turns(asked, 4, tell=lambda what: None)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert got == {name: [name] * 4 for name in "abc"}


def test_rounds_keep_to_the_budget():
    rounds = [turns.number_of_rounds(seconds, 9, budget=10) for seconds in (0, 0.5, 2, 100)]
    assert rounds == [9, 9, 5, 3]
    assert turns.number_of_rounds(100, 1, budget=10) == 1


def test_what_is_left_out_by_default():
    def cells(*arguments):
        return {tuple(job.values()) for job in plan(parse(arguments))}

    usual, full = cells(), cells("--full")
    assert usual < full
    assert (2, NETWORK, 8, "occlusion") in usual and (1, NETWORK, 8, "occlusion") not in usual
    assert (2, NETWORK, 32, "occlusion") not in usual and (1, NETWORK, 32, "occlusion") in full
    assert (2, NETWORK, 32, "training") in usual and (2, NETWORK, 1, "training") not in full
    assert (1, NETWORK, 1, PROGRAM) in usual and (2, None, None, IMPORT) in usual
    assert (2, "resnet50", 8, "gradient") in usual and (1, "resnet50", 8, "gradient") not in usual
    assert (1, "vgg16", 8, "gradient") in full and (2, "vgg16", 1, "saliency") not in full
    assert cells("--only", "growth-side") == {(2, "squeezenet1_0", None, "growth-side")}
    named = cells("--cases", "occlusion", "--networks", NETWORK, "--batches", "32", "--threads", "1")
    assert named == {(1, NETWORK, 32, "occlusion")}


@pytest.mark.exhaustive
def test_peak_memory_is_the_programs_own():
    """Not that of the process which starts it: this one holds torch."""
    nothing, much = (run(["-c", code], threads=1) for code in ("pass", "x = b'1' * 10**8"))
    assert nothing["megabytes"] < 60
    assert 95 <= much["megabytes"] - nothing["megabytes"] < 200
    assert nothing["seconds"] > 0


@pytest.mark.exhaustive
def test_whole_programs_find_the_same(folder):
    results = {}
    for name, command in commands(folder, NETWORK).items():
        run([*command, "--save-array", folder / f"{name}.npy"], threads=1)
        assert (folder / f"{name}.png").exists()
        results[name] = {"saliency": np.load(folder / f"{name}.npy")}
    assert turns.differences(PROGRAM, results, GRADIENT)


@pytest.mark.exhaustive
def test_a_run_is_interrupted_and_goes_on(tmp_path):
    """From the command line: a table and a JSON; after Ctrl-C what there is; --resume adds what is missing."""
    output = tmp_path / "made" / "bench"
    options = (
        f"--rounds 1 --networks {NETWORK} --batches 1 --side {SIDE} --threads 1 --contenders npgrad,torch"
    )
    command = [sys.executable, "-m", "benchmarks", *options.split(), "-o", str(output)]
    pipes = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}

    first = subprocess.Popen([*command, "--cases", "forward,saliency,occlusion"], **pipes)
    while not (line := first.stdout.readline()).startswith(f"| {NETWORK} | 1 | forward |"):
        assert line, first.communicate()
    first.send_signal(signal.SIGINT)
    _, errors = first.communicate()
    assert first.returncode == 130 and "--resume continues" in errors, errors
    assert "| forward |" in output.with_suffix(".md").read_text()

    again = subprocess.run([*command, "--cases", "forward,style-192", "--resume"], **pipes)
    assert again.returncode == 0, again.stderr
    stored = json.loads(output.with_suffix(".json").read_text())
    assert [record["case"] for record in stored["records"]] == ["forward", "style-192"]
    seconds = stored["records"][0]["seconds"]
    assert list(seconds) == ["npgrad", "torch"]
    assert all(math.isfinite(value) for values in seconds.values() for value in values)
    assert stored["about"]["date"] and stored["about"]["versions"]["torch"] in again.stdout
    assert output.with_suffix(".md").read_text().strip() == again.stdout.strip()

    page = tmp_path / "page.md"
    page.write_text(f"# Times\n\n{BEGIN}old\n{END}\nEnd.\n")
    short = subprocess.run([*command, "--page", output.with_suffix(".json"), "--into", page], **pipes)
    assert short.returncode == 0 and "| style transfer, a step at 192 px | 1 |" in page.read_text()
    title, _, table = page.read_text().partition(BEGIN)
    assert title == "# Times\n\n" and "One thread" in table and "old" not in table
    assert table.endswith(f" |\n{END}\nEnd.\n") and BEGIN in FILE.read_text(encoding="utf-8")
    page.write_text("# Times\n")
    short = subprocess.run([*command, "--page", output.with_suffix(".json"), "--into", page], **pipes)
    assert short.returncode == 1 and short.stderr.startswith(f"benchmarks: {page}: expected the line")

    other = subprocess.run([*command, "--cases", "forward", "--resume", "--side", "65"], **pipes)
    assert other.returncode == 1 and "measured with other side: 64, now 65" in other.stderr
