"""The photos in a folder."""

import os
from pathlib import Path

from npgrad._files import shown
from npgrad.attribution.folders.manifest import holds_results
from npgrad.errors import InputError
from npgrad.images.reading import READ_FORMATS


def find_photos(folder):
    """(photos, unreadable, skipped): names below the folder, (subfolder, reason) pairs, how many other files.

    InputError: there is no such folder, it has no images, or is itself a folder of results.
    """
    if not os.path.isdir(folder):
        raise InputError(f"{shown(folder)}: expected a folder of photos; there is none of this name")
    if holds_results(folder):
        raise InputError(f"{shown(folder)}: expected a folder of photos, found one of results")
    suffixes, photos, unreadable, skipped = _suffixes(), [], [], 0

    def passed_over(error):
        unreadable.append((_name(error.filename, folder), f"cannot be read: {error.strerror}"))

    for place, folders, files in os.walk(folder, onerror=passed_over):
        folders[:] = sorted(
            name for name in folders if name[0] != "." and not holds_results(os.path.join(place, name))
        )
        for name in sorted(name for name in files if name[0] != "."):
            if os.path.splitext(name)[1].lower() in suffixes:
                photos.append(_name(os.path.join(place, name), folder))
            else:
                skipped += 1
    if not photos:
        raise InputError(f"{shown(folder)}: no images in it ({', '.join(READ_FORMATS)})")
    return photos, unreadable, skipped


def _name(path, folder):
    return Path(os.path.relpath(path, folder)).as_posix()


def _suffixes():
    """Those of the images that can be read: .jpg, .jpeg, .png, ..."""
    from PIL import Image

    Image.init()
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in READ_FORMATS}
