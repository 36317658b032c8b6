"""Write the homework's Jupyter notebooks, and the lesson BackpropByHand, to a folder."""

import os
from pathlib import Path as FilePath

from npgrad._files import atomic_write, reason, shown
from npgrad._typing import Path
from npgrad.errors import InputError

NAMES = ("BackpropByHand", "LayersByHand", "NetworkVisualization", "StyleTransfer")


def write_notebooks(folder: Path, student: bool = False, force: bool = False) -> list[FilePath]:
    """Write the notebooks to a folder: the lesson ``BackpropByHand``, and the homework.

    The homework is ``LayersByHand``, ``NetworkVisualization`` and ``StyleTransfer``. They run offline, with the bundled
    network. Nothing is written unless all of them can be read, and none of them is in the folder already; a notebook is
    written completely or not at all.

    Parameters
    ----------
    folder : path
        Where to write. It is created if necessary.
    student : bool, default False
        Write the student edition, without answers and outputs, and with the image that each right answer gives.
    force : bool, default False
        Overwrite notebooks of these names.

    Returns
    -------
    list of pathlib.Path
        The files written.

    Raises
    ------
    InputError
        If a notebook of that name exists, or the folder cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [path.name for path in write_notebooks(folder, student=True)]
    ['BackpropByHand.ipynb', 'LayersByHand.ipynb', 'NetworkVisualization.ipynb', 'StyleTransfer.ipynb']
    """
    source, folder = notebooks_folder(), FilePath(folder)
    contents = {}
    for name in NAMES:
        edition = source / "student" if student else source
        contents[folder / f"{name}.ipynb"] = (edition / f"{name}.ipynb").read_bytes()
    if not force and (existing := [path for path in contents if os.path.lexists(path)]):
        raise InputError(
            f"{shown(existing[0])}: it exists already; give another folder, or use force (--force) to overwrite it"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if folder.is_file() else reason(error)
        raise InputError(f"{shown(folder)}: expected a folder to write to; {why}") from None
    for path, content in contents.items():
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    return list(contents)


def notebooks_folder() -> FilePath:
    """Return the folder of the notebooks: inside an installed npgrad, or a checkout's own.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there is none, because the installation is incomplete.
    """
    package = FilePath(__file__).resolve().parents[1]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if all((folder / f"{name}.ipynb").is_file() for name in NAMES):
            return folder
    raise InputError(
        f"{shown(package)}: expected a folder 'notebooks' with the notebooks in it or beside it, found none; "
        "install npgrad again"
    )
