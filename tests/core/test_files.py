"""Writing a file whole or not at all, whatever goes wrong."""

import errno
import os
import stat

import pytest
from messages import NOT_WRITTEN

from npgrad import _files as files
from npgrad._files import atomic_write, shown, weights_folder
from npgrad.errors import InputError


def test_a_new_file_appears_only_at_the_end(tmp_path):
    path = tmp_path / "out.bin"
    with atomic_write(path) as temporary:
        assert temporary.parent == tmp_path and temporary.suffix == ".bin"
        temporary.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError, SystemExit])
def test_any_failure_leaves_the_old_file_and_nothing_else(tmp_path, failure):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(failure), atomic_write(path) as temporary:
        temporary.write_bytes(b"half of the n")
        raise failure
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.parametrize("step", ["os.fsync", "os.replace"])
def test_a_disk_that_fails_at_the_end(tmp_path, monkeypatch, step):
    def fail(*args):
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    monkeypatch.setattr(f"npgrad._files.{step}", fail)
    with (
        pytest.raises(InputError, match=rf"out\.bin: {NOT_WRITTEN}: Input/output error"),
        atomic_write(path) as file,
    ):
        file.write_bytes(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


def test_bytes_are_on_the_disk_before_the_name_is_taken(tmp_path, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(files.os, name, lambda *a, n=name, f=real: (calls.append(n), f(*a))[1])
    with atomic_write(tmp_path / "x") as temporary:
        temporary.write_bytes(b"new")
    assert calls == ["fsync", "replace"]


def test_a_full_disk_is_one_line(tmp_path):
    path = tmp_path / "out.bin"
    path.write_bytes(b"old")
    with pytest.raises(InputError) as raised, atomic_write(path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    cure = "free some space there, or choose another folder"
    assert str(raised.value) == f"{path}: {NOT_WRITTEN}: No space left on device; {cure}"
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.skipif(os.name != "posix", reason="permission bits")
def test_permissions(tmp_path):
    old = tmp_path / "old"
    old.write_bytes(b"old")
    old.chmod(0o600)
    before = os.umask(0o022)
    try:
        for path in (old, tmp_path / "new"):
            with atomic_write(path) as temporary:
                if path == old:
                    assert temporary.stat().st_mode & 0o077 == 0, "no more readable while it is written"
                temporary.write_bytes(b"new")
    finally:
        os.umask(before)
    assert stat.S_IMODE(old.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o644  # 0o666 less the umask


@pytest.mark.skipif(os.name != "posix", reason="symbolic links and pipes")
def test_a_link_is_followed_and_a_pipe_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    real, link, pipe = tmp_path / "folder" / "real", tmp_path / "link", tmp_path / "pipe"
    real.write_bytes(b"old")
    link.symlink_to(real)
    with atomic_write(link) as temporary:
        temporary.write_bytes(b"new")
    assert link.is_symlink() and real.read_bytes() == b"new"
    os.mkfifo(pipe)
    with pytest.raises(InputError, match="device or pipe"), atomic_write(pipe):
        pytest.fail("the block ran")


def test_places_that_cannot_be_written(tmp_path):
    for path, reason in [
        (tmp_path / "no" / "x.png", "there is no folder"),
        (tmp_path, "it is a folder"),
        (tmp_path / ("x" * 300), "File name too long"),
    ]:
        with pytest.raises(InputError, match=reason) as raised, atomic_write(path):
            pytest.fail("the block ran")
        assert "\n" not in str(raised.value)


def test_read_only_places(tmp_path, monkeypatch):
    def denied(*args, **keywords):
        raise PermissionError(errno.EACCES, "Permission denied")

    path = tmp_path / "kept"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:  # not by chmod: the tests may run as root
        patch.setattr("npgrad._files.os.access", lambda *args: False)
        with pytest.raises(InputError, match="the file is read-only"), atomic_write(path):
            pytest.fail("the block ran")
    monkeypatch.setattr("npgrad._files.os.open", denied)
    with pytest.raises(InputError, match=f"{NOT_WRITTEN}: Permission denied"), atomic_write(path):
        pytest.fail("the block ran")
    assert path.read_bytes() == b"old"


def test_a_path_in_a_message_is_one_line():
    assert shown("kitten.jpg") == "kitten.jpg"
    assert "\n" not in shown("a\nb.jpg")
    assert shown("\udcff.jpg").encode("utf-8")
    assert shown("") == "''"


def test_weights_folder_inside_the_package_wins(tmp_path, monkeypatch):
    assert (weights_folder() / "imagenet_classes.txt").is_file()
    package = tmp_path / "npgrad"
    (package / "weights").mkdir(parents=True)
    (tmp_path / "weights").mkdir()
    monkeypatch.setattr(files, "__file__", str(package / "files.py"))
    assert weights_folder() == package.resolve() / "weights"
    (package / "weights").rmdir()
    assert weights_folder() == tmp_path.resolve() / "weights"
    (tmp_path / "weights").rmdir()
    with pytest.raises(files.WeightsError, match="expected a folder 'weights'"):
        weights_folder()
