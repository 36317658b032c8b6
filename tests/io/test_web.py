"""Addresses, redirects and proxies: what a download may connect to."""

import urllib.error

import pytest
import web_server
from web_server import BODY, SHA256, answer, free_port, names, redirect, refused, whole

from npgrad import DownloadError
from npgrad.io import _http, download

no_proxies, server, get = web_server.no_proxies, web_server.server, web_server.get  # fixtures


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect(server, get, status):
    server.answers["/file"] = redirect("/elsewhere", status)
    server.answers["/elsewhere"] = whole()
    assert get().read_bytes() == BODY


@pytest.mark.parametrize("to", ["file:///etc/hostname", "ftp://127.0.0.1/file", "data:,x", "http://["])
def test_redirect_to_what_is_not_a_web_address(server, get, tmp_path, to):
    server.answers["/file"] = redirect(to)
    assert "it redirects to " in refused(get, sha256=None)
    assert names(tmp_path) == []


def test_redirect_in_a_circle(server, get):
    server.answers["/file"] = redirect("/file")
    assert "it redirects more than 5 times" in refused(get)
    assert len(server.requests) == 6


def test_redirect_with_an_endless_text(server, get):
    sent = []

    def endless(handler):
        answer(handler, status=302, length=False, headers={"Location": "/elsewhere"})
        while len(sent) < 1000:
            handler.wfile.write(BODY)
            sent.append(len(BODY))

    server.answers["/file"] = endless
    server.answers["/elsewhere"] = whole()
    assert get().read_bytes() == BODY
    assert len(sent) < 1000


def test_redirect_with_a_space(server, get):
    server.answers["/file"] = redirect("/some where")
    server.answers["/some%20where"] = whole()
    assert get().read_bytes() == BODY


def test_redirect_does_not_give_up_encryption():
    assert _http._redirected("https://one.example/a", "/b") == "https://one.example/b"
    assert _http._redirected("http://one.example/a", "https://two.example/") == "https://two.example/"
    with pytest.raises(_http.Unreachable, match="redirects to http://two.example/"):
        _http._redirected("https://one.example/a", "http://two.example/")


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://a/b", "data:,x", "/etc/hostname", "http://", "", "x:y"]
)
def test_address_of_another_kind(tmp_path, url):
    with pytest.raises(DownloadError, match="expected an address http"):
        download.download(url, tmp_path / "file", max_bytes=10)
    assert names(tmp_path) == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    "url", ["http://[", "http://a:b/", "http://127.0.0.1:1/a b", "http://a..b/", "http://127.0.0.1:1/ü"]
)
def test_address_that_is_malformed(tmp_path, url):
    with pytest.raises(DownloadError, match="cannot download"):
        download.download(url, tmp_path / "file", max_bytes=10)


def test_only_http_can_be_opened():
    opener = _http._opener()
    for url in ("file:///etc/hostname", "ftp://127.0.0.1:1/x", "data:,x"):
        with pytest.raises(urllib.error.URLError, match="unknown url type"):
            opener.open(url)


def test_proxy_of_the_environment(server, tmp_path, monkeypatch):
    url = "http://weights.invalid/file"
    server.answers[url] = whole()
    monkeypatch.setenv("http_proxy", server.url)
    assert download.download(url, tmp_path / "file", sha256=SHA256, max_bytes=10**6).read_bytes() == BODY
    assert server.requests == [(url, None)]


def test_no_proxy_of_the_environment(server, get, monkeypatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server.answers["/file"] = whole()
    assert get().read_bytes() == BODY


def test_message_does_nothing_to_a_terminal(server, get):
    def reply(handler):
        handler.wfile.write(b"HTTP/1.0 404 \x1b[31mred\x07\x9b" + b"x" * 5000 + b"\r\n\r\n")

    server.answers["/file"] = reply
    message = refused(get)
    assert message.isprintable()
    assert len(message) < 700
