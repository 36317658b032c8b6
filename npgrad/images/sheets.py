"""Contact sheets: several images in one, each with its label."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from npgrad._typing import ImageLike
from npgrad._validate import is_whole
from npgrad.errors import ImageError, InputError
from npgrad.images.captions import INK, PAPER, Legend, broken, draw_legend, font_of
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
    from PIL import Image, ImageDraw

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
    font = font_of(max(13, round(height / 16)))
    line_height = sum(font.getmetrics()) + 2
    margin = max(8, round(width / 20))
    cell_width = max(width, 8 * line_height)  # the labels of small images need space, too
    captions = [broken(label, font, cell_width) for label in labels]
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


def sheet_of_rows(
    first: ImageLike,
    lines: Sequence[str],
    legends: Sequence[Legend],
    rows: Sequence[tuple[str, Sequence[tuple[ImageLike, str]]]],
    most: int = 8,
) -> "Image.Image":
    """Arrange images of equal size in rows with headings, below one image with text and legends beside it.

    Parameters
    ----------
    first : ImageLike
        The image at the top.
    lines : sequence of str
        The text beside it.
    legends : sequence of Legend
        What the colors mean, for the whole sheet.
    rows : sequence of (heading, sequence of (image, label))
        A row with more than `most` images is broken into several of about equal length.
    most : int, default 8
        Images per row.

    Returns
    -------
    PIL.Image.Image
    """
    from PIL import Image, ImageDraw

    first = open_image(first)
    (width, height), font = first.size, font_of(max(13, round(first.height / 16)))
    heading_font = font_of(max(15, round(first.height / 12)))
    line_height, heading_height = sum(font.getmetrics()), sum(heading_font.getmetrics())
    margin = max(8, round(width / 20))
    cell = max(width, 8 * line_height)
    placed = [(heading, list(_pieces([(tile, broken(label, font, cell)) for tile, label in row], most)))
              for heading, row in rows]  # fmt: skip
    columns = max([3, *(len(piece) for _, pieces in placed for piece in pieces)])
    beside = (columns - 1) * (cell + margin)
    text = [part for line in lines for part in broken(line, font, beside)]
    top = max(height, (len(text) + 2 * len(legends)) * line_height) + 2 * margin
    heights = [[height + margin + line_height * max(len(label) for _, label in piece) for piece in pieces]
               for _, pieces in placed]  # fmt: skip
    total = top + sum(heading_height + margin // 2 + sum(each) for each in heights)
    sheet = Image.new("RGB", (columns * (cell + margin) + margin, total), PAPER)
    draw = ImageDraw.Draw(sheet)
    sheet.paste(first, (margin + (cell - width) // 2, margin))
    left, y = cell + 2 * margin, margin
    for line in text:
        draw.text((left, y), line, fill=INK, font=font)
        y += line_height
    for legend in legends:
        y += line_height // 2
        draw_legend(sheet, legend, (left, y), beside - margin, font)
        y += line_height
    for (heading, pieces), below in zip(placed, heights, strict=True):
        draw.text((margin, top), heading, fill=INK, font=heading_font)
        top += heading_height + margin // 2
        for piece, tall in zip(pieces, below, strict=True):
            for i, (tile, label) in enumerate(piece):
                x = margin + i * (cell + margin)
                sheet.paste(open_image(tile), (x + (cell - width) // 2, top))
                for k, line in enumerate(label):
                    place = (x + cell / 2, top + height + margin // 4 + k * line_height)
                    draw.text(place, line, fill=INK, font=font, anchor="ma")
            top += tall
    return sheet


def _pieces(row, most):
    """The row in pieces of about equal length, none of more than `most`."""
    count = math.ceil(len(row) / most)
    for i in range(count):
        yield row[i * len(row) // count : (i + 1) * len(row) // count]
