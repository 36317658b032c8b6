"""The images of a command: one or several, each a run of its own."""

import argparse
import os
from contextlib import contextmanager, suppress
from pathlib import Path

from npgrad._files import check_folder, reason, shown
from npgrad.cli._common import IMAGE_HELP, collected_json, print_json, say_what_is_seen
from npgrad.cli._messages import fail
from npgrad.cli._results import suffixes_of
from npgrad.cli._streams import takes_stdin
from npgrad.errors import ImageError, InputError

SINGLE = ("save_array", "compare", "animate", "checkpoint", "mask")  # options that name a file of one image


def add_images(parser, cropped=True, more="", **options):
    """IMAGE ...; cropped: whether the network sees a part of them only. What the command gets is one, `args.image`."""
    part = "; the network sees its middle square only" if cropped else ""
    text = f"{IMAGE_HELP}{part}; - is the one on stdin; several are taken in turn{more}"
    options = {"nargs": "+", "metavar": "IMAGE", "help": text, **options}
    action = takes_stdin(parser.add_argument("image", **options))
    parser.set_defaults(cropped=cropped, folder=None)
    return action


def run(command, args):
    """Run a command, once for each of its images; one that cannot be read does not lose the others.

    Returns the exit code: 2 if an image cannot be read, otherwise the highest of the runs, 130 if interrupted.
    """
    args.once = {}  # what the runs have in common: the network
    images = getattr(args, "image", None)
    if not images or not isinstance(images, list):
        return command.run(args)
    args.several = len(images) > 1
    made = _folder(args, len(images))
    lists = len(images) > 1 or getattr(command, "LISTS", False)
    codes = []
    try:
        with _json_of_all(args, lists):
            for path in images:
                codes.append(_run_one(command, args, path, len(images)))
                if codes[-1] == 130:
                    break
        if "network" in args.once and args.cropped:
            say_what_is_seen(args.once["network"], images)
    finally:
        for folder in made:  # those in which nothing was written
            with suppress(OSError):
                folder.rmdir()
    return next((code for code in (130, 2) if code in codes), max(codes))


@contextmanager
def _json_of_all(args, lists):
    """Print one JSON document: a list, or that of the only image; also what was done before an error or Ctrl-C."""
    documents, ended = [], False
    try:
        with collected_json(documents):
            yield
        ended = True
    finally:
        if documents or (lists and ended and getattr(args, "json", False)):
            print_json(documents if lists else documents[0])


def _run_one(command, args, path, count):
    try:
        if count > 1 and os.path.isdir(path):
            raise ImageError(f"{shown(path)}: expected an image, since there are several; found a folder")
        return command.run(argparse.Namespace(**{**vars(args), "image": path})) or 0
    except ImageError as error:
        if count == 1:
            raise
        fail(error)
        return 2


def _folder(args, count):
    """Let -o be a folder: of several images always. Returns the folders that were made, the innermost first."""
    if count > 1:
        for name in SINGLE:
            if getattr(args, name, None):
                raise InputError(f"--{name.replace('_', '-')}: expected one image with it, found {count}")
    output = getattr(args, "output", None)
    if not output or os.path.isdir(args.image[0]) and count == 1:
        return []
    is_file = Path(output).suffix.lower() in suffixes_of("output", "page")
    named = output.endswith(("/", os.sep)) or os.path.isdir(output) and not is_file
    if count == 1 and not named:
        return []
    if is_file and not named:
        raise InputError(
            f"{shown(output)}: expected a folder, since there are {count} images; found a file's name"
        )
    check_folder(output)
    args.folder, args.output = Path(output), None
    missing = [path for path in (args.folder, *args.folder.parents) if not path.exists()]
    try:
        args.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{shown(output)}: expected a folder to write to; {reason(error)}") from None
    return missing
