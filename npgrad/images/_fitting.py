"""Resizing and cropping an image to the size that a network takes, pixel for pixel as torchvision does."""

from npgrad.images.reading import MAX_PIXELS

STRIP = 8_000_000  # pixels that are computed at once of a result that is larger than any image may be


def covered(window, resize):
    """The (height, width) that an image has to cover before the window (H, W) is cropped from its middle."""
    return tuple(round(resize * side / min(window)) for side in window)


def layout(size, window, resize):
    """The ((width, height) to which an image is resized, and the (left, top) of the window in it.

    size: the image's (width, height). window: (H, W). resize: the shorter side's length if the window is square, as for
    torchvision's Resize, which rounds the longer side down; otherwise, the image covers a rectangle in proportion to
    the window. None: it fits into the window. Where the window is larger than the image, left and top are negative, as
    for the padding of torchvision's CenterCrop.
    """
    (width, height), (rows, columns) = size, window
    down, across = window if resize is None else covered(window, resize)
    if (width * down <= height * across) is (resize is not None):
        new = across, max(1, int(across * height / width))
    else:
        new = max(1, int(down * width / height)), down
    return new, (_first(new[0], columns), _first(new[1], rows))


def _first(length, window):
    """Where a centered window begins; Python rounds halves to even, and so does torchvision."""
    return round((length - window) / 2) if length >= window else -((window - length) // 2)


def fit(image, window, resize, method):
    """The PIL image resized and cropped to the window (H, W), with black where the window is larger."""
    from PIL import Image

    how = getattr(Image.Resampling, method.upper())
    size, (left, top) = layout(image.size, window, resize)
    box = left, top, left + window[1], top + window[0]
    if size != image.size:
        if size[0] * size[1] > MAX_PIXELS:
            return _fit_in_strips(image, size, box, how)
        image = image.resize(size, how)
    return image.crop(box)


def _fit_in_strips(image, size, box, how):
    """The same without ever holding the whole resized image: a strip of rows at a time, then a strip of columns.

    Rows are resized independently of each other, and so are columns. Pillow does the rows first, at least where it
    enlarges the image, as it does here: no image has more than MAX_PIXELS. (A single resize with a box is not exact:
    Pillow rounds its corners to float32.)
    """
    from PIL import Image

    (width, height), (left, top, right, bottom) = size, box
    wide = Image.new(image.mode, (right - left, image.height))
    step = max(1, STRIP // width)
    for y in range(0, image.height, step):
        strip = image.crop((0, y, image.width, min(y + step, image.height)))
        wide.paste(strip.resize((width, strip.height), how).crop((left, 0, right, strip.height)), (0, y))
    fitted = Image.new(image.mode, (right - left, bottom - top))
    step = max(1, STRIP // height)
    for x in range(0, wide.width, step):
        strip = wide.crop((x, 0, min(x + step, wide.width), wide.height))
        fitted.paste(strip.resize((strip.width, height), how).crop((0, top, strip.width, bottom)), (x, 0))
    return fitted
