"""Files known by name: the facts, the cache, conversion; several processes."""

import hashlib
import json
import runpy
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import web_server
from web_server import free_port, names, refused, run, together, whole

import npgrad
from npgrad import UnknownName, models
from npgrad.io import _http, download
from npgrad.io import known_weights as fetch
from npgrad.io.formats import hdf5
from npgrad.models import registry

no_proxies, server = web_server.no_proxies, web_server.server  # fixtures


@pytest.fixture(autouse=True)
def home(no_proxies, monkeypatch, tmp_path):
    """A cache folder of the test's own."""
    monkeypatch.setenv("NPGRAD_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def mirror(server, monkeypatch):
    """A server that stands in for all others."""
    monkeypatch.setenv("NPGRAD_MIRROR", server.url)
    return server


def test_known_facts():
    known = fetch.known()
    architectures = {entry.architecture for entry in known.values()} - {None}
    assert architectures == {name for name in registry.ARCHITECTURES if not name.endswith("_v1")}
    for name, entry in known.items():
        assert entry.name == name
        assert entry.kind in ("weights", "data")
        _http.check_address(entry.url)
        assert entry.max_bytes >= (entry.size or 0)
        assert entry.license
        assert entry.sha256 is None or len(bytes.fromhex(entry.sha256)) == 32
        if entry.kind == "weights":
            assert entry.sha256 or len(entry.sha256_prefix) in (8, 10)
            preprocessing = npgrad.Preprocessing(**entry.preprocessing)
            assert preprocessing.resize >= preprocessing.crop and not preprocessing.assumed
            assert 50 < entry.accuracy["top1"] < entry.accuracy["top5"] < 99
            assert entry.accuracy["measured_on"]
        if entry.filename.endswith(".pth"):  # torchvision's names end in the beginning of the SHA-256
            assert entry.filename.endswith(f"-{entry.sha256_prefix or entry.sha256[:8]}.pth")


@pytest.mark.parametrize(
    ("path", "table"), [("weights/README.md", "files"), ("docs/reference/networks.md", "networks")]
)
def test_tables_are_up_to_date(path, table):
    root = Path(__file__).parents[2]
    made = runpy.run_path(str(root / "scripts" / "weights_table.py"))[table]()
    assert made in (root / path).read_text(encoding="utf-8")


@pytest.mark.parametrize(("size", "most", "text"), [
    (None, 14_500_000, "< 15"), (None, 14_000_000, "< 14"), (4_958_839, 4_958_839, "5.0"), (1_000_001, 2 << 20, "1.1"),
])  # fmt: skip
def test_sizes_are_rounded_up(size, most, text):
    assert fetch.megabytes(replace(fetch.known()["resnet18"], size=size, max_bytes=most)) == text


def test_known_deep_compression_is_the_real_file(shared):
    path = shared / "weights" / "squeezenet1_0_deep_compression.net"
    entry = fetch.known()["squeezenet1_0_deep_compression"]
    assert (entry.size, entry.sha256) == (path.stat().st_size, download.file_sha256(path))


def test_cache_folder(monkeypatch, tmp_path):
    assert fetch.cache_folder() == tmp_path / "home"
    assert not fetch.cache_folder().exists()
    monkeypatch.setenv("NPGRAD_HOME", "relative")
    assert fetch.cache_folder() == Path.cwd() / "relative"
    monkeypatch.setenv("NPGRAD_HOME", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert fetch.cache_folder() == tmp_path / "xdg" / "npgrad"
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert fetch.cache_folder() == tmp_path / "me" / ".cache" / "npgrad"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert fetch.cache_folder() == tmp_path / "me" / ".cache" / "npgrad"
    monkeypatch.setenv("NPGRAD_HOME", "~/mine")
    assert fetch.cache_folder() == tmp_path / "me" / "mine"
    assert names(tmp_path) == []


def photos(path):
    """A file such as the course's imagenet_val_25.npz; returns its bytes."""
    labels = np.array({3: "a fish"}, dtype=object)
    np.savez(path, X=np.zeros((2, 4, 4, 3), np.uint8), y=np.zeros(2, np.int64), label_map=labels)
    return path.read_bytes()


def test_data_is_kept_as_it_is(mirror, tmp_path, monkeypatch):
    body = photos(tmp_path / "made.npz")
    mirror.answers["/class/imagenet_val_25.npz"] = whole(body)
    monkeypatch.setenv("NPGRAD_MIRROR", f"{mirror.url}/class/")
    assert fetch.find("imagenet_val_25") is None
    path = fetch.get("imagenet_val_25")
    assert path.read_bytes() == body
    assert path.parent == tmp_path / "home"
    assert fetch.find("imagenet_val_25") == path
    assert fetch.get("imagenet_val_25") == path
    assert len(mirror.requests) == 1
    assert names(tmp_path / "home") == ["imagenet_val_25.npz", "imagenet_val_25.npz"]


def test_force_fetches_anew(mirror, tmp_path, monkeypatch):
    mirror.answers["/imagenet_val_25.npz"] = whole(photos(tmp_path / "made.npz"))
    path = fetch.get("imagenet_val_25")
    path.write_bytes(b"spoilt")
    assert fetch.get("imagenet_val_25", force=True).read_bytes() == (tmp_path / "made.npz").read_bytes()
    assert len(mirror.requests) == 2
    mirror.answers.clear()
    refused(fetch.get, name="imagenet_val_25", force=True)
    assert fetch.get("imagenet_val_25").read_bytes() == (tmp_path / "made.npz").read_bytes()


def no_npz(path):
    path.write_bytes(b"<html>please log in</html>")


def other_npz(path):
    np.savez(path, X=np.zeros(3), y=np.zeros(3))


def cut_npz(path):
    path.write_bytes(photos(path)[:-50])


def flipped_npz(path):
    body = bytearray(photos(path))
    body[200] ^= 1  # within the pixels: only the zip's CRC-32 tells
    path.write_bytes(body)


@pytest.mark.parametrize("make", [no_npz, other_npz, cut_npz, flipped_npz])
def test_data_of_another_kind_is_refused(mirror, home, tmp_path, make):
    make(tmp_path / "made.npz")
    mirror.answers["/imagenet_val_25.npz"] = whole((tmp_path / "made.npz").read_bytes())
    message = refused(fetch.get, name="imagenet_val_25")
    assert f"{mirror.url}/imagenet_val_25.npz is not the expected file: " in message
    assert names(home) == []
    assert fetch.find("imagenet_val_25") is None


def test_placed_by_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("NPGRAD_MIRROR", f"http://127.0.0.1:{free_port()}")
    message = refused(fetch.get, name="imagenet_val_25")
    place = Path(message.partition("save that address as ")[2].partition(" and try again")[0])
    body = photos(place)
    assert fetch.get("imagenet_val_25").read_bytes() == body


@pytest.mark.parametrize(
    "name, size, expected",
    [
        ("squeezenet1_1", 7, "expected 4,958,839 bytes, found 7"),
        ("squeezenet1_0", 7, "expected a SHA-256 beginning with b66bff10, found "),
        ("imagenet_val_25", 9_000_000, "expected at most 8,000,000 bytes, found 9,000,000"),
        ("imagenet_val_25", 7, "expected a zip archive"),
    ],
)
def test_placed_by_hand_but_wrong(home, monkeypatch, name, size, expected):
    monkeypatch.setenv("NPGRAD_MIRROR", f"http://127.0.0.1:{free_port()}")
    place = home / "downloads" / fetch.known()[name].filename
    place.parent.mkdir(parents=True)
    place.write_bytes(bytes(size))
    message = refused(fetch.get, name=name)
    assert "no connection" in message
    assert f"{place} does not fit: {expected}" in message
    assert place.stat().st_size == size
    assert fetch.find(name) is None


def test_placed_by_hand_but_not_readable(home, monkeypatch):
    def no_access(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(download, "file_sha256", no_access)
    monkeypatch.setenv("NPGRAD_MIRROR", f"http://127.0.0.1:{free_port()}")
    (home / "downloads").mkdir(parents=True)
    photos(home / "downloads" / "imagenet_val_25.npz")
    assert "does not fit: cannot be read: Permission denied" in refused(fetch.get, name="imagenet_val_25")


@pytest.mark.parametrize("name", ["squeezenet1_2", "../squeezenet1_1", "", "known.json"])
def test_unknown_name(name):
    with pytest.raises(UnknownName, match="no weights"):
        fetch.get(name)
    assert fetch.find(name) is None


def test_mirror_that_is_a_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("NPGRAD_MIRROR", str(tmp_path))
    assert "expected an address http" in refused(fetch.get, name="squeezenet1_1")


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A network of two classes as a known file: (model, the file's bytes)."""
    model = models.squeezenet1_1(num_classes=2)
    np.savez(tmp_path / "small.npz", **model.parameters())
    body = (tmp_path / "small.npz").read_bytes()
    entry = fetch.Known(
        name="small",
        kind="weights",
        title="two classes",
        url="http://weights.invalid/some/small-file.npz",
        license="free",
        source="this test",
        max_bytes=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
        accuracy={"top1": 50.0, "top5": 100.0, "measured_on": "nothing"},
        architecture="squeezenet1_1",
    )
    monkeypatch.setattr(fetch, "known", lambda: {"small": entry})
    return model, body


def test_weights_are_converted(small, mirror, tmp_path, monkeypatch):
    model, body = small
    mirror.answers["/small-file.npz"] = whole(body)
    seen = []
    path = fetch.get("small", progress=lambda done, total: seen.append(done))
    assert path == tmp_path / "home" / "small.h5" == fetch.find("small")
    assert names(tmp_path / "home") == ["small-file.npz", "small.h5"]
    assert seen[-1] == len(body)
    loaded = hdf5.load(path)
    for name, array in model.parameters().items():
        np.testing.assert_array_equal(loaded.parameters()[name], array)
    assert loaded.source["url"] == "http://weights.invalid/some/small-file.npz"
    assert loaded.source["license"] == "free"
    assert loaded.source["sha256"] == hashlib.sha256(body).hexdigest()
    assert loaded.source["accuracy"]["top1"] == 50


@pytest.mark.parametrize("name", ["small-file.npz", "small.npz"])
def test_weights_placed_by_hand(small, tmp_path, name):
    folder = tmp_path / "home" / "downloads"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(small[1])
    assert hdf5.load(fetch.get("small")).architecture["name"] == "squeezenet1_1"


def test_listing(small):
    (entry,) = fetch.listing()
    assert entry["cached"] is None
    place = fetch.cache_folder() / "downloads" / "small.npz"
    place.parent.mkdir(parents=True)
    place.write_bytes(small[1])
    path = fetch.get("small")
    (entry,) = fetch.listing()
    assert entry["cached"] == path
    assert {"name", "kind", "title", "size", "license", "accuracy", "url"} <= entry.keys()
    assert json.loads(json.dumps(entry, default=str))["cached"] == str(path)


def test_real_file_through_a_mirror(shared, mirror, monkeypatch, tmp_path):
    original = shared / "weights" / "squeezenet1_0_deep_compression.net"
    mirror.answers["/compressed_SqueezeNet.net"] = whole(original.read_bytes())
    path = fetch.get("squeezenet1_0_deep_compression")
    model = npgrad.load(path)
    assert model.source["license"] == "BSD-2-Clause"
    photo = shared / "images" / "bald_eagle.jpg"
    assert model.predict(photo, top=1)[0][0][1] == "bald eagle"
    by_name = npgrad.load("squeezenet1_0_deep_compression")
    assert by_name.predict(photo, top=1) == model.predict(photo, top=1)


def test_real_photos(shared, tmp_path):
    folder = tmp_path / "home" / "downloads"
    folder.mkdir(parents=True)
    shutil.copy(shared / "data" / "imagenet_val_25.npz", folder)
    with np.load(fetch.get("imagenet_val_25"), allow_pickle=False) as file:
        assert file["X"].shape == (25, 224, 224, 3)


def test_two_processes_at_once(mirror, home, tmp_path):
    body = photos(tmp_path / "made.npz")
    mirror.answers["/imagenet_val_25.npz"] = together(whole(body), 2)
    code = "from npgrad.io import known_weights; print(known_weights.get('imagenet_val_25'))"
    with ThreadPoolExecutor() as pool:
        for result in [pool.submit(run, code) for _ in range(2)]:
            assert Path(result.result()).read_bytes() == body
    assert names(home) == ["imagenet_val_25.npz", "imagenet_val_25.npz"]


def test_importing_loads_no_web_client():
    code = """if True:
        import sys
        import npgrad.io.known_weights
        npgrad.io.known_weights.find("squeezenet1_1")
        print([name for name in ("urllib.request", "http.client", "ssl", "h5py") if name in sys.modules])
    """
    assert run(code) == "[]"
