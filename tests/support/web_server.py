"""A web server on this machine that answers as a test wants: good, broken or hostile.

Its fixtures work in a test module that takes them over by name.
"""

import functools
import hashlib
import http.server
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import npgrad
from npgrad import DownloadError
from npgrad.io import download

BODY = np.random.default_rng(0).bytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append((self.path, self.headers["Range"]))
        self.server.answers.get(self.path, functools.partial(answer, status=404))(self)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Answers each path by a function of the test's; notes (path, Range header) of every request."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.requests = {}, []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request, client_address):
        """A client that hangs up is part of the tests."""

    def ranges(self):
        return [range_ for _, range_ in self.requests]


def answer(handler, body=b"", status=200, length=True, declare=None, headers=()):
    """Send `body`; `declare` a size other than its own, or with length=False none."""
    handler.send_response(status)
    if length:
        handler.send_header("Content-Length", len(body) if declare is None else declare)
    for name, value in dict(headers).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def whole(body=BODY, **options):
    return functools.partial(answer, body=body, **options)


def with_ranges(body=BODY):
    """A server that can go on in the middle, as most can."""

    def reply(handler):
        start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if start >= len(body):
            return answer(handler, status=416)
        if not start:
            return answer(handler, body)
        where = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        return answer(handler, body[start:], status=206, headers=where)

    return reply


def redirect(to, status=302):
    return functools.partial(answer, status=status, headers={"Location": to})


def in_turn(*replies):
    """The first request gets the first reply, and so on; the last serves all that follow."""
    left = list(replies)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def together(reply, count):
    """Answers only when `count` requests are there, so that they overlap."""
    barrier = threading.Barrier(count)

    def wait(handler):
        barrier.wait(timeout=60)
        reply(handler)

    return wait


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@pytest.fixture
def no_proxies(monkeypatch):
    """Nothing of the surroundings' environment that downloads depend on, and no waiting between attempts."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("NPGRAD_HOME", "NPGRAD_MIRROR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(download, "PAUSE", 0)


@pytest.fixture
def server(no_proxies):
    """A Server at work."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def get(server, tmp_path):
    """Download /file to a folder that is not there yet, checked by its hash unless told otherwise."""

    def get(**options):
        options = {"sha256": SHA256, "max_bytes": 10**6, "timeout": 10} | options
        return download.download(f"{server.url}/file", tmp_path / "sub" / "file.pth", **options)

    return get


def refused(get, **options):
    """The message of the DownloadError that get(**options) must raise: one line."""
    with pytest.raises(DownloadError) as caught:
        get(**options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def run(code, *arguments, **environment):
    """What a Python process of its own prints for `code`, warnings being errors."""
    root = Path(npgrad.__file__).resolve().parents[1]
    env = os.environ | {"PYTHONPATH": str(root)} | environment
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
