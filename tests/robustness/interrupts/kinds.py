"""The kinds of work that are ended at random moments, and what must hold afterwards.

A kind has `arguments`, of child.py, `begin`, which prepares a folder, `check`, which must hold in it at any
moment when nobody is at work, and `compare`, which must hold in it when the work has come to its end. The work is
ended again and again in the same folder, and so must go on, until it is done; then it begins again.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
from folder_runs import files, lines, little_net, photo, photos
from PIL import Image
from web_server import answer

from interrupts import work
from npgrad._files import LEFTOVER
from npgrad.io.formats import hdf5


def leftovers(folder):
    """Names of temporary files of ours, in the folder and below."""
    found = [path.name for path in Path(folder).rglob("*")]
    return [name for name in found if LEFTOVER.fullmatch(name) or name.endswith(".part")]


class Kind:
    """`several`: how many temporary files may be left at most. `endless`: it never comes to an end by itself."""

    several, endless = 1, False

    def begin(self, folder):
        """Prepare the folder."""

    def check(self, folder):
        """Raise an AssertionError unless everything is whole."""

    def compare(self, folder, undisturbed):
        """Raise an AssertionError unless it came to the same as in the folder where nothing disturbed it."""


class InTurns(Kind):
    """One of the writers, that replaces a file for ever: it holds one whole content or the other."""

    endless = True

    def __init__(self, writer):
        self.name, self.writer, self.wanted = writer, writer, []

    def arguments(self, folder):
        return ["in turns", str(folder), self.writer]

    def begin(self, folder):
        path = work.target(folder, self.writer)
        for which in (1, 0):
            work.WRITERS[self.writer][1](path, which)
            self.wanted.append(work.content(path, self.writer))

    def check(self, folder):
        assert work.content(work.target(folder, self.writer), self.writer) in self.wanted


class Download(Kind):
    """A slow download over an old file. With a hash it goes on where it stopped; without, it leaves nothing."""

    def __init__(self, url, resumable):
        self.name = f"download, {'resumed' if resumable else 'without a hash'}"
        self.url, self.resumable = url, resumable

    def arguments(self, folder):
        return ["download", self.url, str(folder / "file"), *([] if self.resumable else ["without"])]

    def begin(self, folder):
        (folder / "file").write_bytes(work.OLD)

    def check(self, folder):
        assert (folder / "file").read_bytes() in (work.OLD, work.BODY)
        for name in leftovers(folder):
            assert work.BODY.startswith((folder / name).read_bytes())

    def compare(self, folder, undisturbed):
        assert (folder / "file").read_bytes() == work.BODY


def slowly(handler):
    """A server's answer, with ranges, that takes its time."""
    start = int((handler.headers["Range"] or "bytes=0-").removeprefix("bytes=").removesuffix("-"))
    size = len(work.BODY)
    where = {"Content-Range": f"bytes {start}-{size - 1}/{size}"}
    answer(handler, status=206 if start else 200, declare=size - start, headers=where if start else {})
    for i in range(start, size, 10_000):
        handler.wfile.write(work.BODY[i : i + 10_000])
        handler.server.pause.wait(0.01)


class Replace(Kind):
    """A command that replaces files, once: each holds what it held, or what the undisturbed command gives."""

    def __init__(self, name, arguments, outputs):
        self.name, self._arguments, self.outputs = name, arguments, outputs
        self.wanted = {}

    def arguments(self, folder):
        return [argument.replace("FOLDER", str(folder)) for argument in self._arguments]

    def begin(self, folder):
        photo(folder / "photo.png")
        little_net().save(folder / "little.h5")
        np.savez(folder / "small.npz", **work.network().parameters())
        for output in self.outputs:
            (folder / output).parent.mkdir(parents=True, exist_ok=True)
            (folder / output).write_bytes(work.OLD)

    def check(self, folder):
        for output in self.outputs:
            found = (folder / output).read_bytes()
            assert found in (work.OLD, self.wanted.get(output, found)), f"{output} is neither old nor new"

    def compare(self, folder, undisturbed):
        for output in self.outputs:
            self.wanted[output] = (undisturbed / output).read_bytes()
            assert (folder / output).read_bytes() == self.wanted[output] != work.OLD


class Folder(Kind):
    """`npgrad attribute FOLDER`: every image is as it must be, every line of the record has its image."""

    def __init__(self, workers, count=60):
        self.name, self.count, self.workers = f"attribute FOLDER, workers {workers}", count, workers
        self.several, self.wanted = workers, None

    def arguments(self, folder):
        options = ["--save-arrays", "--workers", str(self.workers), "-o", str(folder / "out")]
        return ["command", "attribute", str(folder / "in"), "--weights", str(folder / "little.h5"), *options]

    def begin(self, folder):
        photos(folder / "in", self.count)
        little_net().save(folder / "little.h5")

    def check(self, folder):
        out = folder / "out"
        if self.wanted is None or not out.exists():
            return
        made = {name: data for name, data in files(out).items() if not LEFTOVER.fullmatch(Path(name).name)}
        for name, data in made.items():
            assert data == self.wanted[name], f"{name} is not what it is without interruptions"
        record = out / "manifest.jsonl"
        for line in record.read_bytes().splitlines(keepends=True) if record.exists() else []:
            if line.endswith(b"\n"):  # one that is not was cut off, and will be removed
                assert json.loads(line)["output"] in made and json.loads(line)["array"] in made

    def compare(self, folder, undisturbed):
        self.wanted = files(undisturbed / "out")
        assert files(folder / "out") == self.wanted and len(self.wanted) == 2 * self.count
        assert len({line["image"] for line in lines(folder / "out")}) == self.count


class Visualize(Kind):
    """`npgrad visualize` with all that it writes; interrupted, it goes on from its checkpoint to the same bits."""

    name = "visualize with a checkpoint"

    def arguments(self, folder):
        out, every = str(folder / "out.png"), ["--steps", "300", "--every", "60"]
        kept = ["--checkpoint", str(folder / "run.ckpt"), "--animate", str(folder / "run.gif")]
        return [
            "command",
            "visualize",
            "owl",
            "--weights",
            str(folder / "little.h5"),
            "-o",
            out,
            *every,
            *kept,
        ]

    def begin(self, folder):
        little_net().save(folder / "little.h5")

    def check(self, folder):
        for path in [*folder.glob("[!.]*.png"), *folder.glob("[!.]*.gif")]:
            with Image.open(io.BytesIO(path.read_bytes())) as image:
                for frame in range(getattr(image, "n_frames", 1)):
                    image.seek(frame)
                    image.load()
        check_checkpoint(folder / "run.ckpt")

    def compare(self, folder, undisturbed):
        for name in ["out.png", *(f"out-{step:04}.png" for step in range(60, 301, 60))]:
            assert (folder / name).read_bytes() == (undisturbed / name).read_bytes(), name


def check_checkpoint(path):
    """It is whole, if it is there."""
    if path.exists():
        with zipfile.ZipFile(path) as file:
            assert file.testzip() is None


class Train(Kind):
    """training.train with a checkpoint: it comes to the same parameters and the same validations."""

    name = "training with a checkpoint"

    def arguments(self, folder):
        return ["train", str(folder)]

    def check(self, folder):
        check_checkpoint(folder / "run.ckpt")

    def compare(self, folder, undisturbed):
        found, wanted = (hdf5.load(where / "trained.h5") for where in (folder, undisturbed))
        assert found.source == wanted.source, "other validations"
        assert (folder / "trained.h5").read_bytes() == (undisturbed / "trained.h5").read_bytes()


def kinds(url):
    """All of them. url: of a file that `slowly` answers."""
    one = ["command", "attribute", "FOLDER/photo.png", "--weights", "FOLDER/little.h5"]
    get = ["weights get", "FOLDER/small.npz", "--force"]
    convert = ["convert", "FOLDER/small.npz", "-o", "FOLDER/new.h5"]
    return [
        *map(InTurns, ("Model.save", "PNG", "JPEG", "array", "GIF", "checkpoint")),
        Download(f"{url}/slow", True),
        Download(f"{url}/slow", False),
        Replace("weights get --force", get, ["home/small.h5", "home/downloads/small.npz"]),
        Replace("convert_weights.py", convert, ["new.h5"]),
        Replace(
            "attribute PHOTO",
            [*one, "-o", "FOLDER/out.png", "--save-array", "FOLDER/out.npy"],
            ["out.png", "out.npy"],
        ),
        Folder(1),
        Folder(2),
        Visualize(),
        Train(),
    ]
