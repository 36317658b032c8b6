"""Downloads that are interrupted and go on, and several at once."""

import os
from concurrent.futures import ThreadPoolExecutor

import pytest
import web_server
from web_server import (
    BODY,
    SHA256,
    in_turn,
    names,
    refused,
    run,
    together,
    whole,
    with_ranges,
)

from npgrad import _files as files
from npgrad._files import take

no_proxies, server, get = web_server.no_proxies, web_server.server, web_server.get  # fixtures


def interrupted(get, server, tmp_path):
    """What an interrupted download leaves behind: the first bytes, under another name."""
    server.answers["/file"] = whole(BODY[:200_000], declare=len(BODY))
    refused(get, attempts=1)
    assert names(tmp_path) == ["file.pth.part"]
    part = tmp_path / "sub" / "file.pth.part"
    assert part.read_bytes() == BODY[: part.stat().st_size]
    assert part.stat().st_size >= 100_000
    server.requests.clear()
    return part


def test_resumed_within_one_call(server, get, tmp_path):
    server.answers["/file"] = in_turn(whole(BODY[:200_000], declare=len(BODY)), with_ranges())
    assert get().read_bytes() == BODY
    first, second = server.ranges()
    assert first is None
    assert second.startswith("bytes=")
    assert second != "bytes=0-"
    assert names(tmp_path) == ["file.pth"]


def test_resumed_by_a_later_call(server, get, tmp_path):
    size = interrupted(get, server, tmp_path).stat().st_size
    server.answers["/file"] = with_ranges()
    seen = []
    assert get(progress=lambda done, total: seen.append((done, total))).read_bytes() == BODY
    assert server.ranges() == [f"bytes={size}-"]
    assert seen[0][0] > size
    assert seen[-1] == (len(BODY), len(BODY))
    assert names(tmp_path) == ["file.pth"]


def test_server_without_ranges(server, get, tmp_path):
    interrupted(get, server, tmp_path)
    server.answers["/file"] = whole()
    assert get().read_bytes() == BODY
    assert len(server.requests) == 1
    assert names(tmp_path) == ["file.pth"]


@pytest.mark.parametrize(
    "left", [b"of another file", BODY[:-1] + b"?", BODY, BODY + b"more", BODY * 4], ids=len
)
def test_part_that_does_not_belong(server, get, tmp_path, left):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.pth.part").write_bytes(left)
    server.answers["/file"] = with_ranges()
    assert get(attempts=1).read_bytes() == BODY
    assert names(tmp_path) == ["file.pth"]


@pytest.mark.parametrize("where", ["bytes 0-9/300000", "bytes */300000", "nonsense", ""])
def test_server_that_sends_another_range(server, get, tmp_path, where):
    interrupted(get, server, tmp_path)
    another = whole(BODY[:10], status=206, headers={"Content-Range": where})
    server.answers["/file"] = in_turn(another, whole())
    assert get(attempts=1).read_bytes() == BODY


def test_no_network_keeps_the_part(server, get, tmp_path):
    part = interrupted(get, server, tmp_path)
    content = part.read_bytes()
    server.answers["/file"] = whole(status=503)
    refused(get)
    assert part.read_bytes() == content


def test_wrong_file_drops_the_part(server, get, tmp_path):
    interrupted(get, server, tmp_path)
    server.answers["/file"] = with_ranges(BODY[::-1])
    assert "is not the expected file" in refused(get)
    assert names(tmp_path) == []


def test_without_a_hash_nothing_is_put_together_from_parts(server, get, tmp_path):
    interrupted(get, server, tmp_path)
    server.answers["/file"] = in_turn(whole(BODY[:200_000], declare=len(BODY)), with_ranges(BODY[::-1]))
    assert get(sha256=None).read_bytes() == BODY[::-1]
    assert server.ranges() == [None, None]


def test_interrupted_by_the_user(server, get, tmp_path):
    server.answers["/file"] = with_ranges()

    def progress(done, total):
        if done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=progress)
    assert names(tmp_path) == ["file.pth.part"]
    assert get().read_bytes() == BODY
    assert server.ranges()[1].startswith("bytes=1")
    assert names(tmp_path) == ["file.pth"]


def test_interrupted_by_the_user_without_a_hash(server, get, tmp_path):
    server.answers["/file"] = whole()

    def progress(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        get(progress=progress, sha256=None)
    assert names(tmp_path) == []


@pytest.mark.parametrize("resumable", [True, False])
def test_what_killed_processes_left(server, get, tmp_path, resumable):
    server.answers["/file"] = with_ranges()
    folder = tmp_path / "sub"
    folder.mkdir()
    sizes = {"file.pth.7-0123abcd": 20_000, "file.pth.8-0123abcd": 70_000, "file.pth.9-0123abcd": 90_000}
    small, large, alive = (folder / f"{name}.part" for name in sizes)
    for path, size in zip((small, large, alive), sizes.values(), strict=True):
        path.write_bytes(BODY[:size])
    (folder / "file.pth.part").write_bytes(BODY[:40_000])
    (folder / "file.pth.x.part").write_bytes(b"somebody's own")
    hold = take(alive)
    get(**({} if resumable else {"sha256": None}))
    hold.release()
    assert server.ranges() == ["bytes=70000-" if resumable else None]
    kept = [] if resumable else ["file.pth.part"]
    assert names(folder) == sorted(["file.pth", alive.name, "file.pth.x.part", *kept])


def test_without_locks_only_old_leftovers_go(server, get, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "fcntl", None)
    server.answers["/file"] = with_ranges()
    folder = tmp_path / "sub"
    folder.mkdir()
    old, new = (folder / f"file.pth.{n}-0123abcd.part" for n in (7, 8))
    for path in (old, new):
        path.write_bytes(BODY[:1000])
    os.utime(old, (0, 0))
    (folder / "file.pth.part").write_bytes(BODY[:40_000])
    get()
    assert server.ranges() == ["bytes=40000-"] and names(folder) == ["file.pth", new.name]


@pytest.mark.sampled(1)
@pytest.mark.parametrize("left", [0, 100_000])
def test_two_processes_at_once(server, tmp_path, left):
    code = """if True:
        import sys
        from npgrad.io.download import download
        url, path, sha256 = sys.argv[1:]
        print(download(url, path, sha256=sha256, max_bytes=10**6).stat().st_size)
    """
    path = tmp_path / "file"
    if left:
        path.with_name("file.part").write_bytes(BODY[:left])
    server.answers["/file"] = together(with_ranges(), 2)
    with ThreadPoolExecutor() as pool:
        runs = [pool.submit(run, code, f"{server.url}/file", path, SHA256) for _ in range(2)]
        assert [r.result() for r in runs] == [str(len(BODY))] * 2
    assert path.read_bytes() == BODY
    assert names(tmp_path) == ["file"]
    assert sorted(map(str, server.ranges())) == ["None", f"bytes={left}-" if left else "None"]
