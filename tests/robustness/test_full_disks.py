"""Disks that are full or read-only, and names that cannot be written: one line, exit code 2, the old file stays."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import web_server
from folder_runs import little_net, photo, photos
from interrupts import disks, driver, kinds, work
from messages import NOT_WRITTEN
from web_server import whole

from npgrad import DownloadError, InputError
from npgrad._files import atomic_write

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits, links and pipes as POSIX has them")
no_proxies, server = web_server.no_proxies, web_server.server  # fixtures


def test_a_writer_that_does_not_notice_is_seen(tmp_path, monkeypatch):
    """The test of the tests: np.save to a real file is silent about the last bytes."""

    def silent(path, which):
        with atomic_write(path) as temporary, open(temporary, "wb") as file:
            np.save(file, np.full(600, which, np.float32))

    monkeypatch.setitem(work.WRITERS, "silent", (".npy", silent))
    silent(tmp_path / "target.npy", 0)
    assert "nothing was said" in disks.fault(tmp_path, "silent", disks.limited(1000))
    assert "nothing was said" in disks.fault(tmp_path, "array", nullcontext())


@pytest.mark.exhaustive
@pytest.mark.parametrize(("what", "least"), [("limit", 60), ("writes", 11)])
def test_no_room(what, least):
    found = driver.on_a_disk(what, few=4)
    assert found["tried"] >= least and found["faults"] == []


def private_disk(folder):
    """The beginning of a command that sees a file system of 16 MB in the folder, or a skip."""
    mount = f"mount -t tmpfs -o size=16m tmpfs '{folder}' && exec \"$@\""
    for flags in ("-m", "-rm"):
        before = ["unshare", flags, "sh", "-c", mount, "sh"]
        if shutil.which("unshare") and subprocess.run([*before, "true"], capture_output=True).returncode == 0:
            return before
    pytest.skip("mounting a small file system is not permitted here")


@pytest.mark.exhaustive
def test_a_full_disk(tmp_path):
    found = driver.on_a_disk("full", tmp_path, before=private_disk(tmp_path), few=4)
    assert found["tried"] >= 20 and found["faults"] == []


@pytest.mark.exhaustive
def test_folders_that_this_user_may_not_write_to():
    with tempfile.TemporaryDirectory() as place:  # pytest's are closed to other users
        found = driver.on_a_disk("user", place)
    assert found["tried"] == len(work.WRITERS) and found["faults"] == []


def bad_places(folder, suffix):
    """{what is said: a path that this is said of}."""
    names = ("file", "folder", "pipe", "loop", "nowhere", "full")
    file, inside, pipe, loop, nowhere, full = (folder / f"{name}{suffix}" for name in names)
    file.write_bytes(work.OLD)
    inside.mkdir()
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    nowhere.symlink_to("no/such")
    full.symlink_to("/dev/full")
    return {
        "there is no folder .*missing; create it first": folder / "missing" / f"target{suffix}",
        "there is no folder .*file.*; create it first": file / f"target{suffix}",
        "it is a folder, expected a file name": inside,
        "it is a device or pipe, expected a regular file": pipe,
        "it is a device or .*, expected a regular file": full,
        "Too many levels of symbolic links": loop,
        "there is no folder .*no; create it first": nowhere,
        "File name too long; choose a shorter name": folder / f"{'x' * 300}{suffix}",
    }


@pytest.mark.sampled(2)
@pytest.mark.parametrize("writer", work.WRITERS)
def test_names_that_cannot_be_written(tmp_path, writer):
    suffix, write = work.WRITERS[writer]
    places = bad_places(tmp_path, suffix)
    before = sorted(tmp_path.rglob("*"))
    for said, path in places.items():
        with pytest.raises(InputError, match=f": {NOT_WRITTEN}: {said}") as caught:
            write(path, 1)
        assert str(caught.value).startswith(str(path)) and len(str(caught.value).splitlines()) == 1
    assert (tmp_path / f"file{suffix}").read_bytes() == work.OLD and sorted(tmp_path.rglob("*")) == before


def test_links(tmp_path):
    """A link to a name that is not taken yet, and one to another disk."""
    places = [tmp_path, *([Path("/dev/shm")] if os.access("/dev/shm", os.W_OK) else [])]
    for place in places:
        target = place / f"npgrad-test-{os.getpid()}.npy"
        (tmp_path / "link.npy").symlink_to(target)
        try:
            for which in (0, 1):
                work.WRITERS["array"][1](tmp_path / "link.npy", which)
                assert (tmp_path / "link.npy").is_symlink() and np.load(target)[0, 0, 0] == which
        finally:
            target.unlink(missing_ok=True)
            (tmp_path / "link.npy").unlink()


@pytest.mark.parametrize("place", ["file/sub/target", "folder", "x" * 300])
def test_downloads_to_names_that_cannot_be_written(server, tmp_path, place):
    server.answers["/file"] = whole(work.BODY)
    (tmp_path / "file").write_bytes(work.OLD)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DownloadError, match=f"{NOT_WRITTEN}: ") as caught:
        work.get_file(f"{server.url}/file", tmp_path / place)
    assert str(caught.value).startswith(str(tmp_path / place))
    assert web_server.names(tmp_path) == ["file"] and (tmp_path / "file").read_bytes() == work.OLD


def commands(folder):
    """(name, child.py's arguments, the largest file that is allowed, the file that is too large)."""
    photo(folder / "photo.png")
    little_net().save(folder / "little.h5")
    photos(folder / "in", 2)
    np.savez(folder / "small.npz", **work.network().parameters())
    weights, out = ["--weights", f"{folder}/little.h5"], f"{folder}/out.png"
    one = ["command", "attribute", f"{folder}/photo.png", *weights, "-o", out]
    every = ["command", "attribute", f"{folder}/in", *weights]
    visualize = ["command", "visualize", "owl", *weights, "-o", out, "--steps", "4"]
    return {
        "image": (one, 500, "out.png"),
        "array": ([*one, "--save-array", f"{folder}/out.npy"], 500, "out.npy"),
        "folder": ([*every, "-o", f"{folder}/out", "--workers", "1"], 900, "000.jpg.png"),
        "checkpoint": ([*visualize, "--checkpoint", f"{folder}/run.ckpt"], 5000, "run.ckpt"),
        "animation": ([*visualize, "--animate", f"{folder}/run.gif"], 5000, "run.gif"),
        "download": (["weights get", f"{folder}/small.npz"], 500_000, "home/downloads/small.npz"),
        "converter": (["convert", f"{folder}/small.npz", "-o", f"{folder}/new.h5"], 500_000, "new.h5"),
    }  # fmt: skip


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    "name", ["image", "array", "folder", "checkpoint", "animation", "download", "converter"]
)
def test_commands_on_a_full_disk(server, tmp_path, name):
    arguments, limit, file = commands(tmp_path)[name]
    server.answers["/small.npz"] = whole((tmp_path / "small.npz").read_bytes())
    old = tmp_path / file
    if name != "folder":
        old.parent.mkdir(parents=True, exist_ok=True)
    if name not in ("folder", "checkpoint"):
        old.write_bytes(work.OLD)
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(limit), str(driver.CHILD), *arguments],
        env=driver.environment(tmp_path, server.url) | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    lines = [line for line in re.split(r"[\r\n]", done.stderr) if line.startswith("npgrad: ")]
    lines = [line for line in lines if not line.endswith("is seen by the network")]
    assert (
        done.returncode == (2 if name in ("folder", "download", "checkpoint") else 1)
        and "Traceback" not in done.stderr
    )
    too_large = f"{NOT_WRITTEN}: File too large; "
    assert any(
        f"{file}: {too_large}" in line for line in lines
    )  # others of the command may be too large as well
    assert all(too_large in line for line in lines) and len(set(lines)) == len(lines)
    assert kinds.leftovers(tmp_path) == []
    if old.exists():
        assert old.read_bytes() == work.OLD


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_full_disk_behind_stdout(more):
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "npgrad", "weights", "list", *more]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    cure = "free some space there, or choose another folder"
    assert done.stderr == f"npgrad: stdout: {NOT_WRITTEN}: No space left on device; {cure}\n"
    assert done.returncode == 2


LIMITED = """if True:
    import resource, runpy, sys
    limit = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv = sys.argv[2:]
    runpy.run_path(sys.argv[0], run_name="__main__")
"""
