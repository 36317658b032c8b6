"""What the commands that make images share: their options, and the output of a run."""

import os
import re
from pathlib import Path

import numpy as np

from npgrad._files import shown
from npgrad.cli import _results
from npgrad.cli._common import add_json, add_seed, add_weights, whole_number_type
from npgrad.cli._messages import bar, say
from npgrad.cli._results import check_outputs, written
from npgrad.cli._streams import is_stream, takes_stdout
from npgrad.errors import InputError
from npgrad.images.animation import Animation
from npgrad.images.saving import save_image
from npgrad.io import checkpoints


def add_options(parser, output, steps, size=True, several=True):
    """The common options. output, steps: their defaults as the help describes them. size: whether --size is free.

    several: whether the command takes several images.
    """
    folder = ", of several images a folder," if several else ","
    add_weights(parser, size)
    result = parser.add_argument(
        "-o",
        "--output",
        metavar="OUT.png",
        help=f"image file to write{folder} or - for stdout; default: {output} (or OUT-2.png, ... rather than replace "
        "a file)",
    )
    takes_stdout(result, ".png")
    parser.add_argument(
        "--steps", type=whole_number_type(1), metavar="N", help=f"largest number of steps (default {steps})"
    )
    add_seed(parser, "image")
    group = parser.add_argument_group("during the run (Ctrl-C ends it and saves the latest image)")
    group.add_argument(
        "--every",
        type=whole_number_type(1),
        metavar="N",
        help="save the image of every N-th step as well: OUT-0050.png, OUT-0100.png, ...",
    )
    animation = group.add_argument(
        "--animate",
        metavar="FILE",
        help="animated image of the run (.gif or .webp), of its rest if it continues from a checkpoint",
    )
    takes_stdout(animation, ".gif")
    group.add_argument(
        "--checkpoint",
        metavar="FILE",
        help="save the state of the run; if FILE exists, continue from it, to the result of an uninterrupted run",
    )
    add_json(parser)


def check_files(args, inputs):
    """Before any work: an error for an output that cannot be written, or that may replace an input or another output.

    inputs: paths; what is not a file (a network's name, "noise") is ignored.
    """
    outputs = {name: getattr(args, name, None) for name in ("output", "compare", "animate", "checkpoint")}
    check_outputs(inputs, **outputs)
    if args.checkpoint is not None:
        checkpoints.check(args.checkpoint)
    if args.every and is_stream(args.output):
        raise InputError("--every: expected a file for the image, beside which snapshots are saved; found -")
    others = [path for path in (*inputs, *outputs.values()) if path]
    for other in others if args.every else ():
        beside = os.path.realpath(os.path.dirname(other)) == os.path.realpath(os.path.dirname(args.output))
        if beside and _is_snapshot(Path(other), args.output):
            raise InputError(f"{shown(other)}: a snapshot may replace this file; give another --output")


def _snapshot(output, step):
    output = Path(output)
    return output.with_name(f"{output.stem}-{step:04d}{output.suffix}")


def _is_snapshot(path, output):
    output = Path(output)
    return re.fullmatch(rf"{re.escape(output.stem)}-\d{{4,}}{re.escape(output.suffix)}", path.name)


class RunOutput:
    """The callback of a run: draws the progress bar with the losses, saves snapshots, collects animation frames.

        with RunOutput(args, steps, pixels) as output:
            result = deep_dream(..., callback=output)
        exit_code = output.save(result)

    steps: the largest number of steps. pixels(image): the pixels, uint8 (H, W, 3), of the run's image.
    frame(image): those of an animation frame, if they differ.
    """

    def __init__(self, args, steps, pixels, frame=None):
        self.args, self.steps = args, steps
        self.pixels, self.frame = pixels, frame or pixels
        self.animation = Animation() if args.animate else None
        self.bar, self.code, self.there, self.animated = None, 0, False, False

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
            self._written(save_image, self.pixels(image), _snapshot(self.args.output, step))
        if self.animation is not None:
            self.animation.add(lambda: self.frame(image))

    def _written(self, write, *arguments):
        done = written(write, *arguments)
        self.code = self.code if done else 1
        return done

    def _begin(self, done):
        if done and self.args.checkpoint:
            say(f"continuing from step {done} of {self.steps}")
        self.bar = bar(desc=self.args.command, total=self.steps, initial=done, unit="step")

    def save(self, result):
        """Write the result. Returns the exit code: 0, 1 if a file could not be written, 130 if interrupted.

        `there` is then whether the image could be written.
        """
        self.there = self._written(save_image, self.pixels(result.image), self.args.output)
        if self.animation is not None:
            last = self.frame(result.image)
            self.animated = self._written(self.animation.save, self.args.animate, last)
        if result.interrupted:
            more = (
                f"; the same command continues from {shown(self.args.checkpoint)}"
                if self.args.checkpoint
                else ""
            )
            holds = f"; {shown(self.args.output)} holds the latest image" if self.there else ""
            say(f"interrupted at step {result.steps}{holds}{more}")
            return 130
        if self.bar is None and self.args.checkpoint and result.steps:
            say(f"{shown(self.args.checkpoint)}: this run is already complete, after step {result.steps}")
        return self.code

    def arrow(self):
        """The end of a line that says where the image is: " -> out.png"."""
        return f" -> {shown(self.args.output)}" if self.there else ""

    def report(self, result):
        """What --json prints for every run."""
        return {
            "output": str(self.args.output) if self.there else None,
            "animation": self.args.animate if self.animated else None,
            "checkpoint": self.args.checkpoint,
            "steps": result.steps,
            "interrupted": result.interrupted,
            "losses": {name: values[-1] for name, values in result.losses.items() if values},
        }


def before_and_after(model, x, image):
    """The image before, the change (0 is gray) and the image after, each uint8 (H, W, 3); and the change's factor."""
    before, after = model.deprocess(x)[0], model.deprocess(image)[0]
    change = after.astype(int) - before
    factor = max(1, int(127 / max(1, np.percentile(np.abs(change), 99.9))))
    return (before, np.clip(128 + factor * change, 0, 255).astype(np.uint8), after), factor


def given_options(args, *names, **renamed):
    """The options that were given, as keywords; the others keep the function's own defaults."""
    keywords = {**{name: name for name in names}, **renamed}
    values = {keyword: getattr(args, option) for keyword, option in keywords.items()}
    return {keyword: value for keyword, value in values.items() if value is not None}


def losses_text(result):
    """The losses of the last step as text: "content 3.1, tv 0.2"."""
    return ", ".join(f"{name} {values[-1]:.4g}" for name, values in result.losses.items() if values)


def output_of(args, *parts):
    """Where the image goes; by default a .png whose name is the parts joined by hyphens.

    They keep only their letters, digits, underscores, dots and hyphens.
    """
    words = (re.sub(r"[^\w.-]+", "_", str(part)).strip("_.-") for part in parts)
    return _results.output_of(args, "-".join(words) + ".png")
