"""Find the photos in a folder."""

import os
from pathlib import Path

from npgrad._files import shown
from npgrad._typing import Path as PathLike
from npgrad.attribution.folders.manifest import holds_results
from npgrad.errors import InputError
from npgrad.images.reading import READ_FORMATS


def find_photos(folder: PathLike) -> tuple[list[str], list[tuple[str, str]], int]:
    """Find the images in a folder and its subfolders by their suffix.

    Parameters
    ----------
    folder : str or path-like
        The folder.

    Returns
    -------
    photos : list of str
        Paths relative to the folder, in the order of their names.
    unreadable : list of (str, str)
        Subfolders that cannot be read, each with the reason.
    skipped : int
        How many other files there are.

    Raises
    ------
    InputError
        There is no such folder, it has no images, or it is itself a folder of results.
    """
    if not os.path.isdir(folder):
        found = "a file" if os.path.exists(folder) else "nothing of this name"
        raise InputError(f"{shown(folder)}: expected a folder of photos, found {found}")
    if holds_results(folder):
        raise InputError(f"{shown(folder)}: expected a folder of photos, found one of results")
    suffixes, photos, unreadable, skipped = _suffixes(), [], [], 0

    def skip(error):
        unreadable.append((_name(error.filename, folder), f"cannot be read: {error.strerror}"))

    for place, folders, files in os.walk(folder, onerror=skip):
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
    """The suffixes of images that can be read: .jpg, .jpeg, .png, ..."""
    from PIL import Image

    Image.init()
    return {suffix for suffix, kind in Image.registered_extensions().items() if kind in READ_FORMATS}
