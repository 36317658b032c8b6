"""Captions below an image: lines of text, and a bar that says which color means which value.

Text is at least as large as 11 px on an image of 300 px, so that it is still readable when the image is shown small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from npgrad._typing import Array, ImageLike
from npgrad.images.colormaps import color
from npgrad.images.reading import open_image

if TYPE_CHECKING:
    from PIL import Image, ImageFont

NARROW, TEXT = 300, 12  # px: the narrowest captioned image, and its letters
PAPER, INK = "white", "#1d2126"
ALPHA = 0.9  # opacity of the strongest color over a photo
_WORDS = {"absolute": ("0", "absolute"), "positive": ("0", "positive"), "signed": ("negative", "positive")}


@dataclass(frozen=True)
class Legend:
    """What the colors of a map mean.

    Parameters
    ----------
    sign : {"absolute", "positive", "signed"}
        Which values are shown.
    limit : float or None
        The value from which on the color is the strongest. None: each map's own.
    colormap : str or None, default None
        See `npgrad.images.colormaps.color`.
    over_photo : bool, default True
        Whether the map is blended with a photo; the colors of the legend are then blended with gray.
    """

    sign: str
    limit: float | None
    colormap: str | None = None
    over_photo: bool = True

    @property
    def ends(self) -> tuple[str, str]:
        """The texts to the left and to the right of the bar, such as "0" and "0.012 absolute"."""
        low, high = _WORDS[self.sign]
        number = "largest" if self.limit is None else f"{self.limit:.2g}"
        return (f"{low} -{number}" if self.limit and low != "0" else low), f"{number} {high}"

    def colors(self, width: int) -> Array:
        """The colors of the bar.

        Parameters
        ----------
        width : int

        Returns
        -------
        ndarray (width, 3), uint8
        """
        values = np.linspace(-1 if self.sign == "signed" else 0, 1, width)
        pure = color(values[None], self.sign, self.colormap)[0]
        if not self.over_photo:
            return pure
        cover = ALPHA * np.abs(values)[:, None]
        return np.rint(under(np.float64(128), self.sign) * (1 - cover) + pure * cover).astype(np.uint8)


def under(gray: Array, sign: str) -> Array:
    """Return the gray of a photo below a map: darker, or lighter for "signed", whose colors are dark.

    Parameters
    ----------
    gray : ndarray
        From 0 to 255.
    sign : {"absolute", "positive", "signed"}

    Returns
    -------
    ndarray
    """
    return 0.6 * gray + (0.4 * 255 if sign == "signed" else 0)


def captioned(
    image: ImageLike, lines: Sequence[str], legend: Legend | None = None, width: int | None = None
) -> "Image.Image":
    """Write lines below an image, on white; nothing is written over it.

    Parameters
    ----------
    image : ImageLike
        As for `open_image`.
    lines : sequence of str
        The lines; long ones are broken.
    legend : Legend or None, default None
        A color bar below the lines.
    width : int or None, default None
        The width in px for which the size of the text is chosen. None: the image's own, at least 300.

    Returns
    -------
    PIL.Image.Image

    Examples
    --------
    >>> import numpy as np
    >>> found = captioned(np.zeros((200, 400, 3), np.uint8), ["saliency of tabby"], Legend("absolute", 0.5))
    >>> found.width, found.height > 200
    (400, True)
    """
    from PIL import Image, ImageDraw

    image = open_image(image)
    whole = max(NARROW, image.width)
    font = font_of(max(TEXT, round(TEXT * (width or whole) / NARROW)))
    line_height = sum(font.getmetrics())
    margin = line_height // 3
    text = [part for line in lines for part in broken(line, font, whole - 2 * margin)]
    rows = len(text) + (legend is not None)
    canvas = Image.new("RGB", (whole, image.height + rows * line_height + 2 * margin * bool(rows)), PAPER)
    canvas.paste(image, ((whole - image.width) // 2, 0))
    draw, top = ImageDraw.Draw(canvas), image.height + margin
    for line in text:
        draw.text((margin, top), line, fill=INK, font=font)
        top += line_height
    if legend is not None:
        draw_legend(canvas, legend, (margin, top), whole - 2 * margin, font)
    return canvas


def draw_legend(
    canvas: "Image.Image",
    legend: Legend,
    place: tuple[int, int],
    width: int,
    font: "ImageFont.FreeTypeFont",
) -> None:
    """Draw a bar with a text at each end on one line.

    Parameters
    ----------
    canvas : PIL.Image.Image
        Is drawn on.
    legend : Legend
    place : (int, int)
        Left and top.
    width : int
        Of the line in px.
    font : PIL.ImageFont.FreeTypeFont
    """
    from PIL import Image, ImageDraw

    (left, top), (low, high) = place, legend.ends
    draw, line_height = ImageDraw.Draw(canvas), sum(font.getmetrics())
    space = font.getlength("x")
    first, last = font.getlength(low) + space, font.getlength(high) + space
    bar = max(1, round(min(width - first - last, 16 * space)))
    draw.text((left, top), low, fill=INK, font=font)
    colors = np.repeat(legend.colors(bar)[None], max(1, round(0.6 * line_height)), axis=0)
    canvas.paste(Image.fromarray(colors), (round(left + first), top + round(0.2 * line_height)))
    draw.text((left + first + bar + space, top), high, fill=INK, font=font)


def font_of(size: int) -> "ImageFont.FreeTypeFont":
    """Return the font of captions.

    Parameters
    ----------
    size : int
        In px.

    Returns
    -------
    PIL.ImageFont.FreeTypeFont
    """
    from PIL import ImageFont

    return ImageFont.load_default(size)  # type: ignore[return-value]  # an older kind only without FreeType


def broken(label: str, font: "ImageFont.FreeTypeFont", width: float) -> list[str]:
    """Break a text into lines that fit, between words, or inside a word that is too long.

    Parameters
    ----------
    label : str
        The text; its own lines stay.
    font : PIL.ImageFont.FreeTypeFont
    width : float
        In px.

    Returns
    -------
    list of str
    """
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


def duration(seconds: float) -> str:
    """Return a time as a person writes it.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str

    Examples
    --------
    >>> [duration(seconds) for seconds in (0.003, 0.04, 0.27, 3.21, 12.3, 59.7, 125, 7260)]
    ['under 0.01 s', '0.04 s', '0.3 s', '3.2 s', '12 s', '1 min', '2 min 5 s', '2 h 1 min']
    """
    if seconds < 0.005:
        return "under 0.01 s"
    if seconds < 9.95:
        return f"{seconds:.{2 if seconds < 0.095 else 1}f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    large, unit, small = (
        (whole // 60, "min", whole % 60) if whole < 3600 else (whole // 3600, "h", whole % 3600 // 60)
    )
    rest = f" {small} {'s' if unit == 'min' else 'min'}" if small else ""
    return f"{large} {unit}{rest}"
