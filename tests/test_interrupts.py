"""A little of `python -m tests.interrupts`, disks that are full, folders that are read-only, and several at once."""

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import folder_runs
import interrupts
import numpy as np
import pytest
from interrupts import works
from web_server import BODY, run, together, with_ranges

import npgrad

KINDS = [
    "saving a network", "writing checkpoints", "writing pictures and arrays", "writing animations", "a download",
    "npgrad attribute FOLDER", "npgrad fool --checkpoint", "convert_weights.py",
]  # fmt: skip
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are those of POSIX")


@pytest.fixture(scope="module")
def server():
    with works.serving() as server:
        yield server


@pytest.mark.parametrize("kind", KINDS)
def test_interrupted_at_any_moment_all_is_whole(kind, server, tmp_path):
    known = works.works(server)
    assert list(known) == KINDS
    (tmp_path / "work").mkdir()
    count = interrupts.interrupt(known[kind], tmp_path / "work", 2, rng=len(kind))
    assert (count.interrupted, count.survived, count.faults) == (2, 2, [])


def test_what_is_torn_is_seen(tmp_path, server):
    """The test of the tests: a file that is written in place is found torn, or the old one found gone."""
    works.two_networks(tmp_path)
    whole = (tmp_path / "net.h5").read_bytes()
    (tmp_path / "net.h5").write_bytes(whole[: len(whole) // 2])
    assert "SHA-256" in works.torn_network(tmp_path)
    for name, fault in [
        ("run.ckpt", works.torn_checkpoint), ("out.png", works.torn_picture), ("out.gif", works.torn_animation),
        ("weights.bin", works.torn_download), ("run.ckpt", works.torn_fool), ("net.h5", works.torn_conversion),
    ]:  # fmt: skip
        (tmp_path / name).write_bytes(b"half of it")
        assert fault(tmp_path), name
    (tmp_path / ".npgrad-0123456789ab.h5").write_bytes(b"")
    assert interrupts.leftovers(tmp_path) == [".npgrad-0123456789ab.h5"]


LIMITED = """if True:
    import resource, sys
    limit = int(sys.argv.pop(1))  # bytes in a file: what follows fails, as on a full disk
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    sys.argv.pop(0)
    if sys.argv[0] == "npgrad":
        from npgrad.cli import main
        sys.exit(main(sys.argv[1:]))
    import runpy
    runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture
def place(tmp_path):
    """A folder with a photo, a network, a weights file, and something where outputs go."""
    folder_runs.photo(tmp_path / "photo.png", 3)
    folder_runs.little_net().save(tmp_path / "net.h5")
    model = npgrad.models.squeezenet1_1(num_classes=3, rng=0)
    np.savez(tmp_path / "net.npz", **model.parameters())
    for name in OUTPUTS:
        (tmp_path / name).write_bytes(b"it was here before")
    return tmp_path


OUTPUTS = ("out.png", "out.npy", "out.h5", "out.gif")
COMMANDS = {
    "attribute": "npgrad attribute photo.png --weights net.h5 -o out.png --save-array out.npy",
    "fool": "npgrad fool photo.png --target dog --weights net.h5 --method fgsm -o out.png",
    "fool, a checkpoint": "npgrad fool photo.png --target dog --weights net.h5 --method pgd -o out.png --checkpoint c",
    "invert, an animation": "npgrad invert photo.png --layer conv --weights net.h5 --steps 3 -o out.png "
    "--animate out.gif",
    "convert": f"{interrupts.ROOT / 'scripts' / 'convert_weights.py'} net.npz -o out.h5",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_on_a_full_disk_what_stood_there_stays(name, place):
    command = [sys.executable, "-c", LIMITED, "200", *COMMANDS[name].split()]
    done = subprocess.run(
        command, cwd=place, env=interrupts.environment(), capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    said = [line for line in done.stderr.split("\n") if ": " in line and "cannot be written" in line]
    assert len(said) == 1 and "File too large" in said[0]
    assert all((place / output).read_bytes() == b"it was here before" for output in OUTPUTS)
    assert interrupts.leftovers(place) == []


@pytest.mark.parametrize("name", ["attribute", "fool", "convert"])
def test_where_nothing_can_be_written_it_says_so(name, place):
    """A folder in the place of the output, and a file in the place of its folder: these stop root, too."""
    for output in OUTPUTS:
        (place / output).unlink()
        (place / output).mkdir()
    program, *arguments = COMMANDS[name].split()
    start = [sys.executable, *(["-m", "npgrad"] if program == "npgrad" else [program])]
    for there, message in (("", "it is a folder"), ("photo.png/", "there is no folder")):
        words = [word.replace("out.", f"{there}out.") for word in arguments]
        done = subprocess.run(
            [*start, *words], cwd=place, env=interrupts.environment(), capture_output=True, text=True
        )
        assert (done.returncode, "Traceback" in done.stderr) == (2, False)
        assert message in done.stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder(place):
    for output in OUTPUTS:
        (place / output).unlink()
    place.chmod(0o500)
    try:
        with pytest.raises(npgrad.InputError, match="cannot be written: Permission denied"):
            folder_runs.little_net().save(place / "new.h5")
    finally:
        place.chmod(0o700)


GET = """if True:
    import sys
    from npgrad.download import download
    download(sys.argv[1], sys.argv[2], sha256=sys.argv[3], max_bytes=1 << 20)
"""


@pytest.mark.parametrize("count", [2, 4])
def test_several_processes_get_the_same_file_at_once(count, server, tmp_path):
    server.answers["/w"] = together(with_ranges(), count)
    address, path = f"{server.url}/w", tmp_path / "w.bin"
    with ThreadPoolExecutor(count) as pool:
        waiting = [
            pool.submit(run, GET, address, path, hashlib.sha256(BODY).hexdigest()) for _ in range(count)
        ]
        for future in waiting:
            future.result()
    assert path.read_bytes() == BODY
    assert [other.name for other in tmp_path.iterdir()] == ["w.bin"]


def test_one_of_two_that_get_the_same_file_is_killed(server, tmp_path):
    server.answers["/slow"] = works.slowly(BODY, rest=0.2)
    arguments = [f"{server.url}/slow", str(tmp_path / "w.bin"), hashlib.sha256(BODY).hexdigest()]
    command = [sys.executable, "-c", GET, *arguments]
    first, second = (subprocess.Popen(command, env=interrupts.environment()) for _ in range(2))
    while not list(tmp_path.glob("*.part")):
        pass
    first.kill()
    first.wait()
    assert second.wait(timeout=60) == 0
    assert (tmp_path / "w.bin").read_bytes() == BODY
