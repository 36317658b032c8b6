"""The kinds of work that are interrupted, with what must be true of their files whenever they were ended."""

import hashlib
import json
import shutil
import threading
import time
from contextlib import contextmanager

import folder_runs
import numpy as np
from PIL import Image
from web_server import Server, with_ranges

import npgrad
from interrupts import CHILD, COMMAND, ROOT, Work
from npgrad.errors import NpgradError

BODY = np.random.default_rng(1).bytes(1_500_000)
OLD = b"an older file"


def works(server):
    """{what: Work}; `server` is for the download."""
    address = [f"{server.url}/weights.bin", hashlib.sha256(BODY).hexdigest()]
    server.answers["/weights.bin"] = slowly(BODY)
    fool = ["fool", "photo.png", "--target", "dog", "--weights", "net.h5", "--method", "pgd", "--steps", "40"]
    return {
        "saving a network": Work(two_networks, [*CHILD, "save"], torn_network, endless=True),
        "writing checkpoints": Work(
            lambda folder: None, [*CHILD, "checkpoint"], torn_checkpoint, endless=True
        ),
        "writing pictures and arrays": Work(
            lambda folder: None, [*CHILD, "picture"], torn_picture, endless=True
        ),
        "writing animations": Work(lambda folder: None, [*CHILD, "animation"], torn_animation, endless=True),
        "a download": Work(older_file, [*CHILD, "download", *address], torn_download, downloaded),
        "npgrad attribute FOLDER": Work(
            photos,
            [*COMMAND, "attribute", "photos", "--weights", "net.h5", "-o", "out"],
            torn_folder,
            lambda folder: folder_runs.files(folder / "out"),
        ),
        "npgrad fool --checkpoint": Work(
            photo,
            [*COMMAND, *fool, "-o", "fooled.png", "--checkpoint", "run.ckpt"],
            torn_fool,
            lambda folder: {"fooled.png": (folder / "fooled.png").read_bytes()},
        ),
        "convert_weights.py": Work(
            npz,
            [str(ROOT / "scripts" / "convert_weights.py"), "net.npz", "-o", "net.h5"],
            torn_conversion,
            lambda folder: {"net.h5": (folder / "net.h5").read_bytes()},
        ),
    }


def network(seed):
    """A network of some hundred kilobytes."""
    rng = np.random.default_rng(seed)
    fc = npgrad.layers.Linear(rng.normal(size=(200, 300)).astype(np.float32))
    return npgrad.Model(npgrad.layers.Sequential({"flatten": npgrad.layers.Flatten(), "fc": fc}))


def two_networks(folder):
    network(1).save(folder / "first.h5")
    network(2).save(folder / "second.h5")
    shutil.copy(folder / "first.h5", folder / "net.h5")


def torn_network(folder):
    try:
        npgrad.load(folder / "net.h5")
    except NpgradError as error:
        return str(error)
    bytes_ = (folder / "net.h5").read_bytes()
    whole = [(folder / name).read_bytes() for name in ("first.h5", "second.h5")]
    return "" if bytes_ in whole else "neither the one nor the other network"


def torn_checkpoint(folder):
    from npgrad import checkpoints

    try:
        found = checkpoints.read(folder / "run.ckpt", "settings")
    except NpgradError as error:
        return str(error)
    if found is None:
        return ""
    arrays, rest = found
    same = (arrays["x"] == rest["step"]).all() and (arrays["m"] == -rest["step"]).all()
    return "" if same else "a mixture of two steps"


def torn_picture(folder):
    for name in ("out.png", "out.npy"):
        if not (folder / name).exists():
            continue
        try:
            values = np.unique(np.load(folder / name) if name == "out.npy" else Image.open(folder / name))
        except Exception as error:  # whatever a torn file makes of its reader
            return f"{name}: {error}"
        if len(values) != 1:
            return f"{name}: a mixture"
    return ""


def torn_animation(folder):
    if not (folder / "out.gif").exists():
        return ""
    try:
        with Image.open(folder / "out.gif") as picture:
            picture.seek(picture.n_frames - 1)
            picture.load()
            return "" if picture.n_frames == 6 else f"{picture.n_frames} frames"
    except Exception as error:
        return f"out.gif: {error}"


def older_file(folder):
    (folder / "weights.bin").write_bytes(OLD)


def torn_download(folder):
    return (
        "" if (folder / "weights.bin").read_bytes() in (OLD, BODY) else "neither the old file nor the new one"
    )


def downloaded(folder):
    return {"weights.bin": (folder / "weights.bin").read_bytes()}


def slowly(body, rest=0.03):
    """A server that can go on in the middle, and takes about half a second for all."""
    reply = with_ranges(body)

    def answer(handler):
        write, handler.wfile.write = handler.wfile.write, None

        def slow(data):
            for i in range(0, len(data), 100_000):
                write(data[i : i + 100_000])
                time.sleep(rest)

        handler.wfile.write = slow
        reply(handler)

    return answer


def photos(folder):
    folder_runs.photos(folder / "photos", 40)
    folder_runs.little_net().save(folder / "net.h5")


def torn_folder(folder):
    manifest = folder / "out" / "manifest.jsonl"
    text = manifest.read_bytes() if manifest.exists() else b""
    lines = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith(b"\n")]
    for path in (folder / "out").glob("*.jpg.png"):
        try:
            with Image.open(path) as picture:
                picture.load()
        except Exception as error:
            return f"{path.name}: {error}"
    missing = [line["output"] for line in lines if not (folder / "out" / line["output"]).exists()]
    return f"in the manifest, and not there: {missing[:3]}" if missing else ""


def photo(folder):
    folder_runs.photo(folder / "photo.png", 3)
    folder_runs.little_net().save(folder / "net.h5")


def torn_fool(folder):
    if (folder / "run.ckpt").exists():
        try:
            np.load(folder / "run.ckpt")["run"]
        except Exception as error:
            return f"run.ckpt: {error}"
    return ""


def npz(folder):
    model = npgrad.models.squeezenet1_1(num_classes=3, rng=0)
    np.savez(folder / "net.npz", **model.parameters())
    (folder / "net.h5").write_bytes(OLD)


def torn_conversion(folder):
    if (folder / "net.h5").read_bytes() == OLD:
        return ""
    try:
        npgrad.load(folder / "net.h5")
    except NpgradError as error:
        return str(error)
    return ""


@contextmanager
def serving():
    """A server in a thread of its own."""
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()
