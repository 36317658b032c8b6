"""Contact sheets: several images in one, each with its label."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from npgrad._typing import ImageLike
from npgrad._validate import is_whole
from npgrad.errors import ImageError, InputError
from npgrad.images.reading import open_image

if TYPE_CHECKING:
    from PIL import Image


def contact_sheet(
    tiles: Sequence[ImageLike], labels: Sequence[object], columns: int | None = None
) -> "Image.Image":
    """Arrange images of equal size in a grid on white, each with its label below.

    Parameters
    ----------
    tiles : sequence of PIL.Image.Image or ndarray (H, W, 3), uint8
        The images.
    labels : sequence of str
        One label per image. Long labels are broken into lines.
    columns : int or None, default None
        Images per row. None: about as many rows as columns.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    InputError
        If there is not one label per image, or `columns` is not a whole number >= 1.
    ImageError
        If an image cannot be read, or sizes differ.

    Examples
    --------
    >>> import numpy as np
    >>> tile = np.zeros((90, 120, 3), np.uint8)
    >>> contact_sheet([tile, tile, tile], ["a", "b", "c"], columns=3).mode
    'RGB'
    """
    from PIL import Image, ImageDraw, ImageFont

    tiles, labels = [open_image(tile) for tile in tiles], [str(label) for label in labels]
    if not tiles or len(tiles) != len(labels):
        raise InputError(f"contact sheet: expected a label for each image; found {len(tiles)} images and "
                         f"{len(labels)} labels")  # fmt: skip
    for i, tile in enumerate(tiles):
        if tile.size != tiles[0].size:
            raise ImageError(f"contact sheet: expected images of equal size; the first is {tiles[0].size}, "
                             f"number {i + 1} is {tile.size}")  # fmt: skip
    columns = math.ceil(math.sqrt(len(tiles))) if columns is None else columns
    if not is_whole(columns) or columns < 1:
        raise InputError(f"columns: expected an integer of at least 1; found {columns!r}")
    columns = min(columns, len(tiles))

    width, height = tiles[0].size
    font = ImageFont.load_default(max(13, round(height / 16)))
    line_height = sum(font.getmetrics()) + 2
    margin = max(8, round(width / 20))
    cell_width = max(width, 8 * line_height)  # the labels of small images need space, too
    captions = [_broken(label, font, cell_width) for label in labels]
    cell_height = height + margin // 2 + line_height * max(len(lines) for lines in captions)

    rows = math.ceil(len(tiles) / columns)
    size = (columns * (cell_width + margin) + margin, rows * (cell_height + margin) + margin)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for i, (tile, lines) in enumerate(zip(tiles, captions, strict=True)):
        left = margin + i % columns * (cell_width + margin)
        top = margin + i // columns * (cell_height + margin)
        sheet.paste(tile, (left + (cell_width - width) // 2, top))
        for k, line in enumerate(lines):
            place = (left + cell_width / 2, top + height + margin // 2 + k * line_height)
            draw.text(place, line, fill="black", font=font, anchor="ma")
    return sheet


def _broken(label, font, width):
    """The label as lines that fit the width, broken between words, or inside a word that is too long."""
    lines = []
    for paragraph in label.splitlines() or [""]:
        line = ""
        for word in paragraph.split():
            if line and font.getlength(f"{line} {word}") > width:
                lines.append(line)
                line = ""
            line = f"{line} {word}".strip()
            while font.getlength(line) > width and len(line) > 1:
                fits = len(line) - 1
                while fits > 1 and font.getlength(line[:fits]) > width:
                    fits -= 1
                lines.append(line[:fits])
                line = line[fits:]
        lines.append(line)
    return lines
