"""Image files made by code: samples of every format, with any header or orientation."""

import io
import struct
import zlib
from importlib.util import find_spec

import numpy as np
from PIL import Image, features

RGB = np.random.default_rng(0).integers(0, 256, (24, 30, 3), dtype=np.uint8)
IMAGE = Image.fromarray(RGB)


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def oriented(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


SAMPLES = {
    "jpeg": encoded(IMAGE, "JPEG", exif=oriented(6)),
    "progressive": encoded(IMAGE, "JPEG", progressive=True),
    "cmyk": encoded(IMAGE.convert("CMYK"), "JPEG"),
    "png": encoded(IMAGE, "PNG", exif=oriented(6)),
    "palette": encoded(IMAGE.convert("P"), "PNG", transparency=3),
    "gif": encoded(IMAGE, "GIF"),
    "bmp": encoded(IMAGE, "BMP"),
    "ppm": encoded(IMAGE, "PPM"),
    "webp": encoded(IMAGE, "WEBP", exif=oriented(6)),
    "tiff": encoded(IMAGE, "TIFF"),
    "tiff_lzw": encoded(IMAGE, "TIFF", compression="tiff_lzw", exif=oriented(6)),
}
# not features.check, which does not know the name in a version without AVIF, and warns
HAS_AVIF = find_spec("PIL.AvifImagePlugin") is not None and features.check("avif")
if HAS_AVIF:
    SAMPLES["avif"] = encoded(IMAGE, "AVIF", exif=oriented(6))
if features.check("jpg_2000"):
    SAMPLES["jpeg2000"] = encoded(IMAGE, "JPEG2000")


def png_header(width, height):
    """A PNG that declares a size and holds almost nothing."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def pixels(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))
