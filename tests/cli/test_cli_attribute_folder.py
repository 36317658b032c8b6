"""`npgrad attribute FOLDER`: what it prints, its exit codes, and that no end of a run loses or spoils anything."""

import json
import os
import random
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import threadpoolctl
from folder_runs import files, lines, little_net, photo, photos
from messages import NOT_WRITTEN
from PIL import Image

import npgrad
from npgrad.attribution.folders import attribute_folder, processes
from npgrad.cli import _methods as methods


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "net.h5"
    little_net().save(path)
    return str(path)


@pytest.fixture
def folder(tmp_path):
    return photos(tmp_path / "photos", 4)


def said(err):
    """The lines for people, without the progress bar's, and that the photos are not square."""
    lines = [line for line in re.split(r"[\r\n]", err) if line.startswith("npgrad: ")]
    return [line for line in lines if "is seen by the network" not in line]


def test_a_folder(run, weights, folder):
    photo(folder / "deep" / "a.png")
    (folder / "notes.txt").write_text("")
    code, out, err = run("attribute", "photos", "--weights", weights)
    assert code == 0 and said(err) == []
    told = r"photos: saliency of 5 photos in [\d.]+ s, 1 other file skipped -> photos-saliency\n"
    assert re.fullmatch(told, out)
    expected = attribute_folder(npgrad.load(weights), folder, "expected")
    assert expected.made == 5 and files("expected") == files("photos-saliency")
    code, out, err = run("attribute", "photos", "--weights", weights)
    assert code == 0 and "saliency of 0 photos in " in out and "5 already done" in out


def test_broken_photos_make_it_2(run, weights, folder):
    (folder / "000.jpg").write_bytes(b"\xff\xd8\xff")
    (folder / "two\nlines.jpg").write_text("no image")
    code, out, err = run("attribute", folder, "--weights", weights, "-o", "out")
    assert code == 2
    assert "saliency of 3 photos" in out and "2 unreadable" in out
    assert len(said(err)) == 2
    assert said(err)[0].startswith("npgrad: 000.jpg: ") and said(err)[1].startswith(
        r"npgrad: 'two\nlines.jpg': "
    )
    code, out, err = run("attribute", folder, "--weights", weights, "-o", "out", "--json")
    result = json.loads(out)
    assert code == 2
    assert [broken["image"] for broken in result.pop("broken")] == ["000.jpg", "two\nlines.jpg"]
    assert result.pop("seconds") > 0
    assert result == {
        "folder": str(folder), "method": "saliency", "output": "out", "manifest": "out/manifest.jsonl", "photos": 5,
        "made": 0, "there": 3, "warned": 0, "skipped": 0, "interrupted": False, "limit": None,
    }  # fmt: skip


def test_many_broken_photos_are_not_all_listed(run, weights, folder):
    for i in range(120):
        (folder / f"b{i:03}.png").write_bytes(b"")
    code, _, err = run("attribute", folder, "--weights", weights, "-o", "out")
    assert code == 2 and len(said(err)) == 101
    assert said(err)[-1] == "npgrad: and 20 more, see out/manifest.jsonl"


def test_options_reach_every_photo(run, weights, folder):
    flags = [
        "--method",
        "occlusion",
        "--window",
        16,
        "--stride",
        16,
        "--target",
        "owl",
        "--save-arrays",
        "--alone",
    ]
    code, _, _ = run("attribute", folder, "--weights", weights, *flags, "-o", "out")
    assert code == 0
    model = npgrad.load(weights)
    for line in lines("out"):
        x = model.preprocess(folder / line["image"])
        expected = npgrad.attribution.occlusion(model, x, 2, window=16, stride=16)[0]
        np.testing.assert_array_equal(np.load(f"out/{line['array']}"), expected)
        assert line["target"]["name"] == "owl"


def test_a_sheet_of_each(run, weights, folder, monkeypatch):
    few = {name: methods.METHODS[name] for name in ("saliency", "deconvolution", "lrp")}
    monkeypatch.setattr(methods, "METHODS", few)
    code, out, _ = run("attribute", folder, "--weights", weights, "--method", "all", "-o", "out")
    assert code == 0 and "all of 4 photos" in out
    with Image.open("out/000.jpg.png") as sheet:
        assert sheet.width > 2 * 64


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["photos", "--method", "grad_can"], "no method 'grad_can'; nearest: grad_cam"),
        (["photos", "--n-steps", "3"], "saliency takes no --n-steps"),
        (["photos", "--method", "grad_cam", "--layer", "covn"], "no layer 'covn'; nearest: conv"),
        (["photos", "--method", "grad_cam", "--layer", "covn", "--workers", "2"], "no layer 'covn'; nearest: conv"),
        (["photos", "--target", "cta"], "no class 'cta'; nearest: cat"),
        (["photos", "--save-array", "a.npy"], "--save-arrays saves the arrays of a folder"),
        (["photos", "--method", "all", "--save-arrays"], "--save-array: expected one --method, found all"),
        (["photos", "-o", "sheet.png"], "sheet.png: expected the name of a folder"),
        (["photos", "-o", "photos"], "photos: expected a new or empty folder for the results"),
        (["photos", "-o", "photos/000.jpg/x"], "photos/000.jpg/x: expected a folder to write to; "),
        (["empty"], "empty: no images in it (JPEG, PNG"),
        (["photos/000.jpg", "--workers", "2"], "--workers: expected a folder of images, found photos/000.jpg"),
        (["photos/000.jpg", "--save-arrays"], "--save-arrays: expected a folder of images"),
    ],
)  # fmt: skip
def test_mistakes(run, weights, folder, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    code, out, err = run("attribute", *arguments, "--weights", weights)
    assert (code, out) == (2, "")
    [line] = said(err)
    assert message in line
    assert sorted(os.listdir(tmp_path)) == ["empty", "photos"]


def test_how_many_processes(monkeypatch):
    monkeypatch.setattr(npgrad.config, "threads", 6)
    assert [processes.usual_count(photos) for photos in (0, 1, 19, 20, 45, 1000)] == [1, 1, 1, 2, 4, 6]
    monkeypatch.setattr(npgrad.config, "threads", 64)
    assert processes.usual_count(1000) == 8
    monkeypatch.setattr(npgrad.config, "threads", 1)
    assert processes.usual_count(1000) == 1


def test_processes_leave_ctrl_c_to_their_parent_and_share_the_cores():
    here = max(library["num_threads"] for library in threadpoolctl.threadpool_info())
    with processes.Processes(2) as executor:
        assert executor.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN
        assert executor.submit(signal.pthread_sigmask, signal.SIG_BLOCK, []).result() == {signal.SIGINT}
        for library in executor.submit(threadpoolctl.threadpool_info).result():
            assert library["num_threads"] == max(1, here // 2)
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_processes_can_be_stopped_in_the_midst_of_their_work():
    start = time.monotonic()
    with processes.Processes(1) as executor:
        executor.submit(os.getpid).result()
        future = executor.submit(time.sleep, 60)
        while not future.running():
            time.sleep(0.01)
        executor.stop()
    assert time.monotonic() - start < 30


@pytest.fixture
def begin(weights):
    """Start runs, each at the head of a process group, as a shell does; the test's end is also theirs."""
    begun = []

    def start(folder, *arguments):
        command = [sys.executable, "-m", "npgrad", "attribute", "photos", "--weights", weights, "-o", "out"]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        begun.append(
            subprocess.Popen([*command, *arguments], cwd=folder.parent, start_new_session=True, **pipes)
        )
        return begun[-1]

    yield start
    for process in begun:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def after_lines(process, folder, count):
    """Wait until the manifest has so many lines."""
    manifest = folder.parent / "out" / "manifest.jsonl"
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        if manifest.exists() and manifest.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.001)


def is_whole_and_like(folder, expected):
    """Whether the manifest has each photo, once or (killed between image and line) more, and the files are those."""
    assert {line["image"] for line in lines(folder.parent / "out")} == {
        path.name for path in folder.iterdir()
    }
    return files(folder.parent / "out") == expected


@pytest.mark.exhaustive
def test_killed_at_any_moment_it_goes_on(begin, weights, tmp_path):
    folder = photos(tmp_path / "photos", 60)
    attribute_folder(npgrad.load(weights), folder, tmp_path / "expected")
    moments, kills = random.Random(0), 0
    for count in (0, 8, 20, 33):
        process = begin(folder)
        after_lines(process, folder, count)
        time.sleep(moments.uniform(0, 0.02))
        process.kill()
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        done = lines_of_whole(tmp_path / "out")
        for line in done:  # what is in the manifest is whole, at every moment
            image = (tmp_path / "out" / line["output"]).read_bytes()
            assert image == (tmp_path / "expected" / line["output"]).read_bytes()
    assert kills >= 3
    process = begin(folder, "--json")
    result = json.loads(process.communicate()[0])
    assert process.returncode == 0 and result["there"] > 0
    assert result["made"] + result["there"] == 60
    assert is_whole_and_like(folder, files(tmp_path / "expected"))
    assert len(lines(tmp_path / "out")) <= 60 + kills


def lines_of_whole(output):
    manifest = output / "manifest.jsonl"
    text = manifest.read_bytes() if manifest.exists() else b""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]


@pytest.mark.exhaustive
@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_ends_it_and_it_goes_on(begin, weights, tmp_path, workers):
    folder = photos(tmp_path / "photos", 100)
    attribute_folder(npgrad.load(weights), folder, tmp_path / "expected")
    process = begin(folder, "--workers", str(workers))
    after_lines(process, folder, 5)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the processes, too
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in err
    [line] = said(err)
    left = int(
        re.fullmatch(
            r"npgrad: interrupted, (\d+) of 100 photos left; the same command continues the run", line
        )[1]
    )
    assert 0 < left <= 95
    assert not [name for name in files(tmp_path / "out") if "npgrad-" in name]
    process = begin(folder, "--workers", str(workers), "--json")
    assert json.loads(process.communicate(timeout=60)[0])["made"] == left
    assert is_whole_and_like(folder, files(tmp_path / "expected"))


@pytest.mark.exhaustive
def test_processes_end_with_the_command(begin, tmp_path):
    psutil = pytest.importorskip("psutil")
    folder = photos(tmp_path / "photos", 150)
    process = begin(folder, "--workers", "2")
    after_lines(process, folder, 3)
    workers = psutil.Process(process.pid).children()
    assert len(workers) >= 2
    process.kill()
    alive = psutil.wait_procs(workers, timeout=10)[1]
    for worker in alive:
        worker.kill()
    process.communicate(timeout=30)
    assert not alive


@pytest.mark.exhaustive
def test_a_process_that_is_killed_is_told_of(begin, tmp_path):
    psutil = pytest.importorskip("psutil")
    folder = photos(tmp_path / "photos", 150)
    process = begin(folder, "--workers", "2")
    after_lines(process, folder, 3)
    children = psutil.Process(process.pid).children()
    # All are looked at before one is killed: the others are ended as soon as the first is missed.
    workers = [child for child in children if "spawn_main" in " ".join(child.cmdline())]
    workers[-1].kill()
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "Traceback" not in err
    [line] = said(err)
    assert "a worker process was killed" in line and "the same command continues the run" in line


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", ["images", "manifest"])
def test_a_full_disk(weights, tmp_path, part):
    pytest.importorskip("resource")
    folder = photos(tmp_path / "photos", 60)
    attribute_folder(npgrad.load(weights), folder, tmp_path / "expected", bare=True)
    expected = files(tmp_path / "expected")
    limit = min(map(len, expected.values())) - 1 if part == "images" else max(map(len, expected.values()))
    assert part == "images" or limit < (tmp_path / "expected" / "manifest.jsonl").stat().st_size
    code = """if True:
        import resource, sys
        from npgrad.cli import main
        limit = int(sys.argv.pop())  # bytes in a file
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        sys.exit(main(sys.argv[1:]))
    """
    command = [
        sys.executable,
        "-c",
        code,
        "attribute",
        "photos",
        "--bare",
        "--weights",
        weights,
        "-o",
        "out",
        str(limit),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    [line] = said(done.stderr)
    assert f"{NOT_WRITTEN}: File too large" in line
    assert ("manifest.jsonl" in line) == (part == "manifest")
    assert attribute_folder(npgrad.load(weights), folder, tmp_path / "out", bare=True).left == 0
    assert is_whole_and_like(folder, expected)
