"""Downloads: what a web server may do, and what a download makes of it."""

import os
import threading
import time

import pytest
import web_server
from messages import NOT_WRITTEN
from web_server import (
    BODY,
    SHA256,
    answer,
    free_port,
    in_turn,
    names,
    refused,
    whole,
)

from npgrad.io import download

no_proxies, server, get = web_server.no_proxies, web_server.server, web_server.get  # fixtures


@pytest.mark.parametrize("check", [{"sha256": SHA256.upper()}, {"sha256": None, "sha256_prefix": SHA256[:8]}])
def test_good(server, get, tmp_path, check):
    server.answers["/file"] = whole()
    seen = []
    path = get(progress=lambda done, total: seen.append((done, total)), **check)
    assert path.read_bytes() == BODY
    assert names(tmp_path) == ["file.pth"]
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert len(seen) > 2


def test_size_not_declared(server, get):
    server.answers["/file"] = whole(length=False)
    seen = []
    assert get(progress=lambda done, total: seen.append((done, total))).read_bytes() == BODY
    assert seen[-1] == (len(BODY), None)


def test_chunked_answer(server, get):
    def reply(handler):
        handler.protocol_version = "HTTP/1.1"
        answer(handler, length=False, headers={"Transfer-Encoding": "chunked", "Connection": "close"})
        for part in (BODY[:1000], BODY[1000:]):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
        handler.wfile.write(b"0\r\n\r\n")

    server.answers["/file"] = reply
    assert get().read_bytes() == BODY


def test_replaces_what_is_there(server, get, tmp_path):
    server.answers["/file"] = whole()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file.pth").write_bytes(b"old")
    assert get().read_bytes() == BODY


def test_truncated(server, get, tmp_path):
    server.answers["/file"] = whole(BODY[:200_000], declare=len(BODY))
    message = refused(get, sha256=None)
    assert "the connection ended after" in message or "IncompleteRead" in message
    assert "300,000 bytes" in message or "IncompleteRead" in message
    assert names(tmp_path) == []
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "check, expected",
    [
        ({"sha256": "0" * 64}, f"expected SHA-256 {'0' * 64}, found {SHA256}"),
        ({"sha256": None, "sha256_prefix": "b66bff10"}, f"beginning with b66bff10, found {SHA256}"),
        ({"sha256_prefix": "b66bff10"}, f"beginning with b66bff10, found {SHA256}"),
    ],
)
def test_wrong_hash(server, get, tmp_path, check, expected):
    server.answers["/file"] = whole()
    message = refused(get, **check)
    assert expected in message
    assert f"{server.url}/file" in message
    assert names(tmp_path) == []
    assert len(server.requests) == 1


def test_wrong_hash_leaves_the_old_file(server, get, tmp_path):
    server.answers["/file"] = whole()
    path = get()
    server.answers["/file"] = whole(b"<html>please log in</html>")
    refused(get)
    assert path.read_bytes() == BODY


def test_too_large_as_declared(server, get, tmp_path):
    server.answers["/file"] = whole(b"", declare=64 << 30)
    message = refused(get)
    assert "expected at most 1,000,000 bytes, found 68,719,476,736" in message
    assert names(tmp_path) == []


def test_too_large_undeclared(server, get, tmp_path):
    sent = []

    def endless(handler):
        answer(handler, length=False)
        while len(sent) < 1000:
            handler.wfile.write(BODY)
            sent.append(len(BODY))

    server.answers["/file"] = endless
    assert "is too large: expected at most 1,000,000 bytes" in refused(get)
    assert names(tmp_path) == []
    assert len(sent) < 1000


def test_just_as_large_as_allowed(server, get):
    server.answers["/file"] = whole()
    assert get(max_bytes=len(BODY)).read_bytes() == BODY
    assert "too large" in refused(get, max_bytes=len(BODY) - 1)


def test_not_found(server, get):
    message = refused(get)
    assert "the server answers 404 Not Found" in message
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [500, 503, 429])
def test_trouble_that_passes(server, get, status):
    server.answers["/file"] = in_turn(whole(status=status), whole())
    assert get().read_bytes() == BODY
    assert len(server.requests) == 2


def test_trouble_that_stays(server, get):
    server.answers["/file"] = whole(status=503)
    assert "the server answers 503" in refused(get, attempts=2)
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", [204, 206])
def test_success_of_another_kind(server, get, tmp_path, status):
    server.answers["/file"] = whole(status=status)
    assert f"the server answers {status}" in refused(get, sha256=None)
    assert names(tmp_path) == []


def test_no_http_at_all(server, get):
    server.answers["/file"] = lambda handler: handler.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n" * 10)
    assert "the connection failed" in refused(get)


def test_silent_server(server, get):
    over = threading.Event()
    server.answers["/file"] = lambda handler: over.wait(20)
    begun = time.monotonic()
    assert "timed out" in refused(get, timeout=0.2, attempts=1)
    assert time.monotonic() - begun < 5
    over.set()


def test_connection_refused_says_how_to_do_it_by_hand(tmp_path):
    url = f"http://127.0.0.1:{free_port()}/file.pth"
    message = refused(lambda: download.download(url, tmp_path / "file.pth", max_bytes=10))
    assert f"cannot download {url}: no connection (" in message
    assert f"to download it by hand, save that address as {tmp_path / 'file.pth'}" in message
    assert names(tmp_path) == []


def test_folder_that_cannot_be_written(server, tmp_path):
    server.answers["/file"] = whole()
    (tmp_path / "sub").write_bytes(b"a file, not a folder")
    path = tmp_path / "sub" / "file"
    message = refused(lambda: download.download(f"{server.url}/file", path, max_bytes=10**6))
    assert f"{path}: {NOT_WRITTEN}: " in message


def test_full_disk(server, get, tmp_path, monkeypatch):
    server.answers["/file"] = whole()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert f"{NOT_WRITTEN}: No space left on device" in refused(get)
    assert names(tmp_path) == []
    assert len(server.requests) == 1
