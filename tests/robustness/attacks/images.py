"""Images: bombs, damage, files that are none; and those of every odd kind, which are read as documented."""

import io
import struct
import zlib

import numpy as np
from image_files import IMAGE, RGB, SAMPLES, encoded, oriented, png_header
from PIL import Image

from attacks import Attack, strangers
from attacks.torch_pth import cut

SMALL = Image.fromarray(RGB[:3, :4])
DAMAGED = "cannot be read as an image|not an image|pixels|found mode"


def chunk(name, data, crc=None):
    crc = zlib.crc32(name + data) if crc is None else crc
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", crc)


def png(*chunks, size=(4, 3), depth=8, color=2):
    header = struct.pack(">IIBBBBB", *size, depth, color, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def rows(size=(4, 3), channels=3):
    return zlib.compress(b"".join(b"\0" + bytes(size[0] * channels) for _ in range(size[1])))


def tiff_entry(data, tag, value):
    """A TIFF whose directory says 60000 for a tag, not `value`."""
    entry = struct.pack("<HHI", tag, 4, 1)
    assert entry + struct.pack("<I", value) in data
    return data.replace(entry + struct.pack("<I", value), entry + struct.pack("<I", 60000))


def patched(data, at, side):
    """The bytes with another height and width at a place."""
    return data[:at] + struct.pack(">II", side, side) + data[at + 8 :]


def bombs():
    """{what: bytes}: a header that declares far more than the file could hold."""
    zeros = zlib.compress(bytes(50_000_000), 9)
    gif = b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\x80\0\0" + bytes(6) + b","
    ppm = b"P6 60000 60000 255\n"
    bmp = encoded(SMALL, "BMP")
    jpeg = bytearray(encoded(SMALL, "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65000, 65000)
    later = {}
    if "avif" in SAMPLES:
        at = SAMPLES["avif"].index(b"ispe") + 8
        later["an AVIF of 60000 x 60000"] = patched(SAMPLES["avif"], at, 60000)
    if "jpeg2000" in SAMPLES:
        box, stream = (
            SAMPLES["jpeg2000"].index(mark) + skip for mark, skip in ((b"ihdr", 4), (b"\xff\x51", 6))
        )
        later["a JPEG 2000 of 60000 x 60000"] = patched(SAMPLES["jpeg2000"], box, 60000)
        later["a JPEG 2000 with 60000 x 60000 in its stream"] = patched(SAMPLES["jpeg2000"], stream, 60000)
        both = patched(patched(SAMPLES["jpeg2000"], box, 7000), stream, 7000)
        later["a JPEG 2000 of 7000 x 7000 in 720 tiles"] = both
        later["a JPEG 2000 of 7000 x 7000 in one tile"] = patched(both, stream + 16, 7000)
    webp = b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8X" + struct.pack("<I", 10) + b"\0\0\0\0" + b"\xff" * 6
    return {
        "a PNG of 60000 x 60000": png_header(60000, 60000),
        "a PNG of 2**31 - 1": png_header(2**31 - 1, 2**31 - 1),
        "a PNG of 8000 x 8001": png_header(8000, 8001),
        "a GIF of 65535 x 65535": gif + struct.pack("<HHHHB", 0, 0, 65535, 65535, 0) + b"\2\1\0\0;",
        "a PPM of 60000 x 60000": ppm,
        "a PPM of 10**30": b"P6 " + b"9" * 30 + b" 1 255\n",
        "a PPM of a megabyte's number": b"P6 " + b"9" * 10**6 + b" 1 255\n",
        "a BMP of 60000 x 60000": bmp[:18] + struct.pack("<ii", 60000, 60000) + bmp[26:],
        "a BMP of minus sizes": bmp[:18] + struct.pack("<ii", -4, -3) + bmp[26:],
        "a JPEG of 65000 x 65000": bytes(jpeg),
        "a WebP of 2**24": webp,
        "a TIFF of 60000 x 60000": tiff_entry(tiff_entry(encoded(SMALL, "TIFF"), 256, 4), 257, 3),
        "50 MB of zeros in zTXt": png(chunk(b"zTXt", b"a\0\0" + zeros), chunk(b"IDAT", rows())),
        "50 MB of zeros in iCCP": png(chunk(b"iCCP", b"a\0\0" + zeros), chunk(b"IDAT", rows())),
        "50 MB of zeros in iTXt": png(chunk(b"iTXt", b"a\0\1\0\0\0" + zeros), chunk(b"IDAT", rows())),
    } | later  # fmt: skip


def broken():
    """{what: bytes}"""
    good = png(chunk(b"IDAT", rows()))
    found = {
        "a wrong CRC": png(chunk(b"IDAT", rows(), crc=1)),
        "no IDAT": png(),
        "IDAT that is no zlib": png(chunk(b"IDAT", b"\xff" * 40)),
        "an empty IDAT": png(chunk(b"IDAT", b"")),
        "a chunk past the end": good[:-12] + struct.pack(">I", 2**31 - 1) + b"IDAT",
        "a chunk of minus one": good[:-12] + b"\xff\xff\xff\xffIDAT",
        "a size of zero": png(chunk(b"IDAT", rows()), size=(0, 3)),
        "a depth of 7": png(chunk(b"IDAT", rows()), depth=7),
        "colors of kind 9": png(chunk(b"IDAT", rows()), color=9),
        "two signatures": good[:8] * 2 + good[8:],
        "32-bit gray": encoded(Image.new("I", (4, 3)), "TIFF"),
        "gray of floats": encoded(Image.new("F", (4, 3)), "TIFF"),
        "LAB": encoded(Image.new("LAB", (4, 3)), "TIFF"),
        "a TIFF whose directory is itself": b"II*\0\x08\0\0\0" + struct.pack("<H", 0) + struct.pack("<I", 8),
        "a TIFF of 65535 entries": b"II*\0\x08\0\0\0\xff\xff" + bytes(99),
        "a TIFF with offsets past the end": b"II*\0\xff\xff\xff\x7f",
        "a GIF of nothing": b"GIF89a" + bytes(7),
        "a JPEG of nothing": b"\xff\xd8\xff\xd9",
        "a WebP of nothing": b"RIFF\x04\0\0\0WEBP",
        "a BMP with a palette past its end": encoded(IMAGE.convert("P"), "BMP")[:60],
    }
    for kind, data in SAMPLES.items():
        found |= {f"{kind} {what}": begun for what, begun in cut(data, 8).items()}
    return found


def others():
    """{what: (file name, bytes)}: what is no image that is read."""
    svg = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><image href="secret.txt"/></svg>'
    eps = io.BytesIO()
    IMAGE.save(eps, "EPS")
    eps = eps.getvalue()
    bait = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(secret.txt) (r) file\n"
    xbm = b"#define a_width 4\n#define a_height 3\nstatic char a_bits[] = { 0, 0, 0 };\n"
    made = {
        "empty": ("p.jpg", b""),
        "SVG": ("p.svg", svg),
        "SVG as PNG": ("p.png", svg),
        "EPS": ("p.eps", eps),
        "EPS as JPEG": ("p.jpg", eps),
        "EPS that reads files": ("p.eps", bait),
        "XBM": ("p.xbm", xbm),
        "ICO": ("p.ico", encoded(IMAGE, "ICO")),
        "TGA": ("p.tga", encoded(IMAGE, "TGA")),
        "JPEG 2000": ("p.jp2", b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(99)),
        "PSD": ("p.psd", b"8BPS\0\1" + bytes(99)),
        "a font": ("p.ttf", b"\0\1\0\0" + bytes(99)),
        "FITS": ("p.fits", b"SIMPLE  =                    T" + b" " * 2850),
        "WMF": ("p.wmf", b"\xd7\xcd\xc6\x9a" + bytes(99)),
        "ICNS": ("p.icns", b"icns" + bytes(99)),
        "McIdas": ("p", b"\0\0\0\0\0\0\0\4" + bytes(300)),
        "weights": ("p.png", b"npgrad weights, version 1\n"),
    }
    return {**made, **{f"{what}, as JPEG": ("p.jpg", data) for what, data in strangers.files().items()}}


def strip(width, height):
    return encoded(Image.new("RGB", (width, height)), "PNG")


def upright():
    """[(what, bytes, pixels)] of an image laid in each of EXIF's eight ways; upright it is always the same."""
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    pixels = RGB[:3, :4].tolist()
    for way in range(1, 9):
        laid = SMALL.transpose(stored[way]) if way in stored else SMALL
        for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
            yield f"{kind} laid in way {way}", encoded(laid, kind, exif=oriented(way), **options), pixels
    for way in (0, 9, 65535):
        yield f"laid in way {way}, which is none", encoded(SMALL, "PNG", exif=oriented(way)), pixels


def modes():
    """[(what, bytes, pixels, tolerance)] of every mode of image, RGB as documented."""
    gray, own = RGB[:3, :4, 0], RGB[:3, :4]
    thrice = np.repeat(gray[..., None], 3, axis=2)
    alpha = np.where(np.indices(gray.shape).sum(axis=0) % 2, 255, 0).astype(np.uint8)
    on_white = np.where(alpha[..., None] == 255, own, 255)
    gray_on_white = np.where(alpha[..., None] == 255, thrice, 255)
    deep = gray.astype(np.uint16) << 8 | 0x7F
    bits = (gray > 127).astype(np.uint8) * 255
    rgba = Image.fromarray(np.dstack([own, alpha]))
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 200, 9, 9, 9])
    palette.putpixel((1, 0), 1)
    cmyk = np.dstack([255 - own, np.zeros_like(gray)])
    yield "gray", encoded(Image.fromarray(gray), "PNG"), thrice
    yield "gray with alpha", encoded(Image.fromarray(np.dstack([gray, alpha])), "PNG"), gray_on_white
    yield "color with alpha", encoded(rgba, "PNG"), on_white
    yield "WebP with alpha", encoded(rgba, "WEBP", lossless=True, exact=True), on_white
    yield "16-bit gray", encoded(Image.fromarray(deep), "PNG"), thrice
    yield "16-bit gray in TIFF", encoded(Image.fromarray(deep), "TIFF"), thrice
    yield (
        "black and white",
        encoded(Image.fromarray(bits).convert("1"), "PNG"),
        np.repeat(bits[..., None], 3, axis=2),
    )
    yield "a palette", encoded(palette, "PNG"), np.array([[[0, 0, 200], [9, 9, 9]]])
    yield (
        "a palette, one clear",
        encoded(palette, "PNG", transparency=1),
        np.array([[[0, 0, 200], [255] * 3]]),
    )
    half = encoded(palette, "PNG", transparency=b"\xff\x80")
    yield "a palette, one half clear", half, np.array([[[0, 0, 200], [132] * 3]])
    yield (
        "a clear color",
        encoded(Image.new("RGB", (2, 1), (1, 2, 3)), "PNG", transparency=(1, 2, 3)),
        np.full((1, 2, 3), 255),
    )
    yield "CMYK in TIFF", encoded(Image.fromarray(cmyk, "CMYK"), "TIFF"), own
    yield "one pixel", strip(1, 1), np.zeros((1, 1, 3))
    yield "20 times as wide", strip(20, 1), np.zeros((1, 20, 3))


def films():
    """[(what, bytes, pixels)] of animations: the first frame."""
    frames = [Image.new("RGB", (4, 3), color) for color in ("red", "lime", "blue")]
    for kind, options in (("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})):
        made = encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)
        yield f"an animated {kind}", made, np.broadcast_to([255, 0, 0], (3, 4, 3))


def garbage():
    """[(what, bytes, pixels)] of good images with rubbish beside the pixels, which is passed over."""
    pixels, noise = RGB[:3, :4], np.random.default_rng(0).bytes(500)
    yield "ICC that is noise", encoded(SMALL, "PNG", icc_profile=noise), pixels
    yield "ICC in WebP that is noise", encoded(SMALL, "WEBP", lossless=True, icc_profile=noise), pixels
    yield "EXIF that is noise", encoded(SMALL, "PNG", exif=b"Exif\0\0" + noise), pixels
    yield (
        "EXIF of vast entries",
        encoded(
            SMALL, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff" * 50
        ),
        pixels,
    )
    yield "bytes after the end", encoded(SMALL, "PNG") + noise, pixels
    yield "a script after the end", encoded(SMALL, "PNG") + b"<script>", pixels


def attacks():
    for what, data in {**bombs(), **broken()}.items():
        if what not in HARMLESS:
            yield Attack(what, "p.png", data, "preprocess", DAMAGED)
    for what, (file, data) in others().items():
        yield Attack(f"a stranger: {what}", file, data, "preprocess", "not an image|cannot be read")
    for width, height in ((1, 10000), (10000, 1), (21, 1), (1, 21), (100, 2001), (3000, 149)):
        for reader in ("preprocess", "preprocess, resized"):
            name = f"{width} x {height}, {reader}"
            yield Attack(name, "p.png", strip(width, height), reader, "at most 20 times the shorter")
    yield Attack("20 x 400, resized", "p.png", strip(20, 400), "preprocess, resized", None)
    yield Attack("1 x 1, resized", "p.png", strip(1, 1), "preprocess, resized", None)
    for what, (make, message) in strangers.places().items():
        yield Attack(what, "p.png", make, "preprocess", message)
    for what, data, pixels in [*upright(), *modes(), *films(), *garbage()]:
        yield Attack(what, "p.png", data, "preprocess", None, np.asarray(pixels).tolist())
    for what in HARMLESS:
        yield Attack(what, "p.png", {**bombs(), **broken()}[what], "preprocess", None)
    cmyk = encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG", quality=100)
    yield Attack("CMYK in JPEG", "p.jpg", cmyk, "preprocess", None, [[[0, 255, 255]] * 8] * 8, 3)


# Damage that Pillow passes over on purpose, beside the pixels or at their end: the image is whole.
HARMLESS = ("a wrong CRC",)  # zlib has a checksum of its own inside


def good_files():
    return [("preprocess", f"p.{kind}", data) for kind, data in SAMPLES.items()]
