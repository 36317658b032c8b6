"""The documents as programs: their Python, with what it prints, and their commands, run as written in one folder."""

import contextlib
import doctest
import io
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from npgrad.models import squeezenet1_1

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PAGES = [
    path for path in PAGES if "api" not in path.parts and path.name != "command.md"
]  # made by `make docs`
OTHERS = [ROOT / name for name in ("SECURITY.md", "CONTRIBUTING.md", "weights/README.md")]
LONG = (
    "npgrad grade ",
    "npgrad demo",
)  # minutes; tests/course and tests/cli run them; here their options are read


@dataclass(frozen=True)
class Block:
    """A block of code: its language ("python", "sh", ""), its text, and the line where it begins."""

    language: str
    text: str
    line: int
    printed: str | None = None  # what the page says that it prints

    @property
    def commands(self):
        """The commands of a block of the shell, with lines that end in a backslash joined; without comments."""
        text = self.text.replace("\\\n", " ")
        lines = [re.sub(r"\s+#.*", "", line).strip() for line in text.splitlines()]
        return [line for line in lines if line and not line.startswith("#")]


def blocks(text):
    """The blocks of a page: fenced ones, and indented ones as commands; after "prints", a block is what is printed."""
    found, lines, number = [], text.splitlines(), 0
    while number < len(lines):
        line, start = lines[number], number
        if fence := re.match(r"(```+)\s*(\S*)", line):
            number += 1
            while not lines[number].startswith(fence[1]):
                number += 1
            body = "\n".join(lines[start + 1 : number]) + "\n"
            before = [previous for previous in lines[:start] if previous.strip()]
            if not fence[2] and before and before[-1].endswith("prints") and found:
                last = found[-1]
                found[-1] = Block(last.language, last.text, last.line, body)
            else:
                found.append(Block(fence[2], body, start + 1))
        elif line.startswith("    ") and (start == 0 or not lines[start - 1].strip()):
            while number < len(lines) and (lines[number].startswith("    ") or not lines[number].strip()):
                number += 1
            body = "\n".join(row[4:] for row in lines[start:number]).strip() + "\n"
            found.append(Block("sh", body, start + 1))
            continue
        number += 1
    return found


def furnish(folder):
    """Put the files that the pages name into a folder, among them one that stands in for downloaded weights."""
    import npgrad
    from npgrad.images import save_image
    from npgrad.scenes import scene

    shutil.copytree(ROOT / "docs" / "gallery", folder / "docs" / "gallery")
    for number, name in enumerate(
        ["cat.jpg", "town.jpg", "painting.jpg", "photos/cat.jpg", "photos/dog.jpg"]
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        save_image(np.kron(scene(number)[0], np.ones((2, 2, 1), np.uint8))[20:], folder / name)
    names = (ROOT / "weights" / "imagenet_classes.txt").read_text(encoding="utf-8").splitlines()
    made = squeezenet1_1(rng=0)
    small = npgrad.Preprocessing(resize=48, crop=48)
    model = npgrad.Model(made.network, names, small, made.architecture, made.aliases, presets=made.presets)
    bias = np.full(1000, 3, np.float32)  # the last ReLU lets the score of every class pass
    bias[2] += 4.5  # and a fooling image for the great white shark is near
    model = model.with_parameters({"conv10.bias": bias})
    (folder / "home").mkdir()
    model.save(folder / "home" / "squeezenet1_1.h5")
    _stand_ins(folder)


def _stand_ins(folder):
    """A network in ONNX with a recording of it, and a checkpoint with a prefix, for those that readers bring."""
    import torch
    from torch import nn

    import npgrad

    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    torch.onnx.export(net.eval(), (torch.zeros(1, 3, 64, 64),), folder / "your-net.onnx", dynamo=False)
    shutil.copy(folder / "your-net.onnx", folder / "your-network.onnx")
    shutil.copy(folder / "cat.jpg", folder / "your-photo.jpg")
    model = npgrad.load(folder / "your-network.onnx").with_preprocessing(crop=64, resize=64)
    y = torch.from_numpy(model.preprocess(folder / "your-photo.jpg"))
    recorded = {"input": y.numpy()}
    for name, part in net.named_children():
        y = part(y)
        recorded[name] = y.detach().numpy()
    np.savez(folder / "recorded.npz", **recorded)
    (folder / "names.txt").write_text("cat\ndog\nhouse\n")
    arrays = squeezenet1_1(num_classes=3, rng=0).parameters()
    state = {f"module.{name}": torch.from_numpy(array.copy()) for name, array in arrays.items()}
    torch.save({"epoch": 3, "state_dict": state}, folder / "your-checkpoint.pth")


def but_rounding(text):
    """The text without errors of the size of float64's rounding, such as 1.7e-15: they depend on the machine."""
    return re.sub(r"\b\d(\.\d+)?e-1[4-7]\b", "rounding", text)


def runs(page):
    """Whether a page has something to run."""
    found = blocks(page.read_text(encoding="utf-8"))
    return any(b.language == "python" or any(c.startswith("npgrad ") for c in b.commands) for b in found)


def run(page):
    """Run what a page has, in order: Python in one namespace, `npgrad` in this process. Returns what is wrong."""
    names, wrong = {"__name__": "page"}, []
    for block in blocks(page.read_text(encoding="utf-8")):
        where = f"{page.name}:{block.line}"
        if block.text.startswith(">>> "):
            test = doctest.DocTestParser().get_doctest(block.text, names, where, str(page), block.line)
            out = io.StringIO()
            if doctest.DocTestRunner(verbose=False).run(test, out=out.write, clear_globs=False).failed:
                wrong.append(out.getvalue())
            names |= test.globs
        elif block.language == "python":
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                exec(compile("\n" * block.line + block.text, where, "exec"), names)
            if block.printed is not None and but_rounding(out.getvalue()) != but_rounding(block.printed):
                wrong.append(f"{where}: prints\n{out.getvalue()}instead of\n{block.printed}")
        elif block.language == "sh":
            wrong += [f"{where}: {problem}" for command in block.commands for problem in _shell(command)]
    return wrong


def _shell(command):
    from npgrad.cli import COMMANDS, main
    from npgrad.cli._parsing import parse

    if not command.startswith("npgrad "):
        return
    if command.startswith(LONG):
        parse(shlex.split(command)[1:], COMMANDS)
        return
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            code = main(shlex.split(command)[1:])
        except SystemExit as exit:  # after --version
            code = exit.code
    if code:
        yield f"{command}: exit code {code}\n{out.getvalue()}"
