"""What the commands that make images share: their options, and what happens while and after they work."""

import re
import sys
from pathlib import Path

import numpy as np

from npgrad._files import atomic_write, shown
from npgrad.cli._common import add_json, add_weights, whole_number
from npgrad.errors import ImageError, InputError
from npgrad.images.animation import Animation, check_suffix
from npgrad.images.saving import WRITE_FORMATS, save_image


def add_options(parser, output, steps):
    """The options of all of them. output, steps: what the help says of their defaults."""
    add_weights(parser)
    parser.add_argument("-o", "--output", metavar="OUT.png", help=f"default: {output}")
    parser.add_argument(
        "--steps", type=whole_number(1), metavar="N", help=f"how many, at most; default: {steps}"
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="of all that is random; the same seed gives the same image (default 0)",
    )
    group = parser.add_argument_group("while it works (Ctrl-C ends it and keeps the latest image)")
    group.add_argument(
        "--every",
        type=whole_number(1),
        metavar="N",
        help="save every N-th step's image as well: OUT-0050.png, OUT-0100.png, ...",
    )
    group.add_argument(
        "--animate",
        metavar="FILE",
        help="an animated image of the run (of its rest, if it goes on from a checkpoint): .gif or .webp",
    )
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="write there how far it has got; if FILE exists, go on from it, to the same image bit for bit",
    )
    add_json(parser)


def check_files(args, inputs):
    """Before any work: an InputError for a file that cannot be written, or that would be one of the inputs.

    inputs: paths; what is no file is passed over (a network's name, "noise").
    """
    outputs = [path for path in (args.output, getattr(args, "compare", None)) if path]
    for path in outputs:
        if Path(path).suffix.lower() not in WRITE_FORMATS:
            raise ImageError(f"{shown(path)}: expected an image's suffix ({', '.join(WRITE_FORMATS)})")
    if args.animate:
        check_suffix(args.animate)
    outputs += [path for path in (args.animate, args.checkpoint) if path]
    inputs = [Path(path) for path in inputs if path and Path(path).exists()]
    for i, path in enumerate(map(Path, outputs)):
        if any(path.exists() and path.samefile(source) for source in inputs):
            raise InputError(f"{shown(path)}: this is one of the inputs; give another name for the result")
        if any(path.resolve() == Path(other).resolve() for other in outputs[:i]):
            raise InputError(f"{shown(path)}: two results would have this name; give another one")
        _check_writable(path)
    for source in inputs if args.every else []:
        if source.parent.resolve() == Path(args.output).parent.resolve() and _is_snapshot(
            source, args.output
        ):
            raise InputError(f"{shown(source)}: a snapshot may replace this input; give another --output")


class _NothingToWrite(Exception):
    pass


def _check_writable(path):
    """Do all that writing the file does, up to the last moment: what stands there stays."""
    try:
        with atomic_write(path):
            raise _NothingToWrite
    except _NothingToWrite:
        pass


def _snapshot(output, step):
    output = Path(output)
    return output.with_name(f"{output.stem}-{step:04d}{output.suffix}")


def _is_snapshot(path, output):
    output = Path(output)
    return re.fullmatch(rf"{re.escape(output.stem)}-\d{{4,}}{re.escape(output.suffix)}", path.name)


class Making:
    """A run's callback: the progress bar with the losses, the snapshots, the frames of the animation.

        with Making(args, steps, pixels) as making:
            result = make(..., callback=making)
        code = making.save(result)

    steps: how many there will be, at most. pixels(image) gives the pixels, uint8 (H, W, 3), of the run's image;
    frame(image) those of the animation, if they are others.
    """

    def __init__(self, args, steps, pixels, frame=None):
        self.args, self.steps = args, steps
        self.pixels, self.frame = pixels, frame or pixels
        self.animation = Animation() if args.animate else None
        self.bar = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.bar is not None:
            self.bar.close()

    def __call__(self, step, image, losses):
        if self.bar is None:
            self._begin(step - 1)
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in losses.items()}, refresh=False)
        self.bar.update(step - self.bar.n)
        if self.args.every and step % self.args.every == 0:
            save_image(self.pixels(image), _snapshot(self.args.output, step))
        if self.animation is not None:
            self.animation.add(lambda: self.frame(image))

    def _begin(self, done):
        from tqdm import tqdm

        if done and self.args.checkpoint:
            _say(f"going on from step {done} of {self.steps}")
        self.bar = tqdm(desc=self.args.command, total=self.steps, initial=done, unit="step", leave=False)

    def save(self, result):
        """Write what became of it; the exit code: 0, or 130 if it was interrupted."""
        save_image(self.pixels(result.image), self.args.output)
        if self.animation is not None:
            self.animation.save(self.args.animate, self.frame(result.image))
        if result.interrupted:
            more = (
                f"; the same command goes on from {shown(self.args.checkpoint)}"
                if self.args.checkpoint
                else ""
            )
            _say(
                f"interrupted at step {result.steps}; {shown(self.args.output)} holds the latest image{more}"
            )
            return 130
        if self.bar is None and self.args.checkpoint and result.steps:
            _say(f"{shown(self.args.checkpoint)}: this run had come to its end, after step {result.steps}")
        return 0

    def report(self, result):
        """What there is to say of every run, for --json."""
        return {
            "output": str(self.args.output),
            "animation": self.args.animate,
            "checkpoint": self.args.checkpoint,
            "steps": result.steps,
            "interrupted": result.interrupted,
            "losses": {name: values[-1] for name, values in result.losses.items() if values},
        }


def before_and_after(model, x, image):
    """Before, the change around gray, after: each uint8 (H, W, 3); and how much the change is magnified."""
    before, after = model.deprocess(x)[0], model.deprocess(image)[0]
    change = after.astype(int) - before
    factor = max(1, int(127 / max(1, np.percentile(np.abs(change), 99.9))))
    return (before, np.clip(128 + factor * change, 0, 255).astype(np.uint8), after), factor


def given(args, *names, **renamed):
    """The options that were given, as keywords; what was not keeps the function's own default."""
    keywords = {**{name: name for name in names}, **renamed}
    values = {keyword: getattr(args, option) for keyword, option in keywords.items()}
    return {keyword: value for keyword, value in values.items() if value is not None}


def last_losses(result):
    """The last step's losses as text: "content 3.1, tv 0.2"."""
    return ", ".join(f"{name} {values[-1]:.4g}" for name, values in result.losses.items() if values)


def file_name(*parts):
    """A .png's name in this folder: its parts joined by hyphens, without what a shell or file system dislikes."""
    return "-".join(re.sub(r"[^\w.-]+", "_", str(part)).strip("_.-") for part in parts) + ".png"


def _say(line):
    print(f"npgrad: {line}", file=sys.stderr)
