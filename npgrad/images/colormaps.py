"""Colormaps by name: for magnitudes from dark to bright, and for signs with gray or white at zero.

The defaults are safe for color-blind people, which is tested with the simulation of Machado et al. (2009). In
"inferno", lightness alone orders the values, as it does in every map of `SAFE` for magnitudes. The ends of "blue_red"
differ in blue against no blue, which people with protanopia and deuteranopia see as well, and both are equally dark.
The other names are those of matplotlib, whose colors are given at 33 points.
"""

import numpy as np

from npgrad._typing import Array
from npgrad._validate import one_of
from npgrad.errors import InputError, unknown

SIGNS = ("absolute", "positive", "signed")
DEFAULT, DEFAULT_SIGNED = "inferno", "blue_red"

# Colors in hexadecimal digits from the lowest value to the highest, evenly spaced; linear interpolation between them.
SEQUENTIAL = {
    "inferno": (
        "0000040403120b0724150b37210c4a2f0a5b3d09654a0c6b57106e64156e71196e7d1e6d8a226a972766a32c61b0315bbc3754"
        "c73e4cd24644db503be45a31eb6628f1731df68013f98e09fb9d07fcac11fbbc21f9cb35f5db4cf2ea69f3f68afcffa4"
    ),
    "viridis": (
        "440154470d6048186a482374472d7b4537814240863e49893b528b375b8d33638d2f6b8e2c728e297a8e26828e23898e21918c"
        "1f988b1fa08822a78528ae8032b67a3fbc734ec36b5ec96270cf5784d44b98d83eaddc30c2df23d8e219ece51bfde725"
    ),
    "magma": (
        "0000040303120a0822130d341d114729115a36106b440f7651127c5d177f6a1c81762181832681902a819c2e7faa337db73779"
        "c43c75d0416fdc4869e75263ef5d5ef56b5cf9795dfc8961fd9869fea772feb67cfec488fed395fde2a3fcf0b2fcfdbf"
    ),
    "plasma": (
        "0d08872206903105973f049c4c02a15901a56600a77201a87e03a88a09a59511a1a01a9caa2395b32c8ebc3587c43e7fcc4778"
        "d35171da5a6ae06363e66c5ceb7655f0804ef58b47f89540fba139fdac33feb82cfdc527fcd225f8df25f4ed27f0f921"
    ),
    "cividis": (
        "00224e00285b002e6a0533711a386f273e6e32436d3b496c434e6c4b546c535a6d5a5f6e61656f686a716f70737676767d7c78"
        "8482798c8878938e789b9476a39a74aba072b4a76fbcae6cc4b468cdbb63d5c25edec958e7d150f0d846f9e03afee838"
    ),
    "gray": (
        "000000080808101010181818202020282828303030383838404040484848505050585858606060686868707070787878808080"
        "888888909090989898a0a0a0a8a8a8b0b0b0b8b8b8c0c0c0c8c8c8d0d0d0d8d8d8e0e0e0e8e8e8f0f0f0f8f8f8ffffff"
    ),
    "hot": (
        "0b00002000003500004a00005f00007400008900009e0000b30000c80000dd0000f20000ff0800ff1d00ff3200ff4700ff5c00"
        "ff7100ff8600ff9b00ffb000ffc500ffda00ffef00ffff07ffff26ffff46ffff65ffff85ffffa4ffffc4ffffe3ffffff"
    ),
    "jet": (
        "0000800000a40000c80000ed0000ff0020ff0040ff0060ff0080ff00a0ff00c0ff00e0fb16ffe130ffc749ffad63ff947dff7a"
        "97ff60b1ff46caff2ce4ff13feed00ffd000ffb200ff9400ff7700ff5900ff3b00ff1e00e80000c400009f0000800000"
    ),
    "turbo": (
        "30123b392a734040a24456c7466be34680f64294ff37a8fa28bceb1ccdd818ddc21fe9af32f2984ef97d6dfe628bff4ba4fc3c"
        "b9f635cdec34dfdf37eecf3af8be39fdac34fe962bfb7e21f46617eb500edf3f08d02f05be2102a91601920b017a0403"
    ),
}
DIVERGING = {
    "blue_red": "2148ac5c8ad6a3c0e8e4e4e4ecaa94d6604da51426",
    "coolwarm": (
        "3b4cc0445acc4e68d85875e16282ea6c8ff1779af782a6fb8db0fe98b9ffa3c2feaec9fcb9d0f9c3d5f4ccd9edd5dbe5dddcdc"
        "e5d8d1ecd3c5f1ccb8f5c4acf7ba9ff7b093f6a586f4987af08b6eeb7d62e46e56dd5f4bd44e41ca3b37be242eb40426"
    ),
    "RdBu": (
        "67001f7f0823960f27ae172abb2a34c6413ed25849dc6e57e58368ef9979f5ac8bf8bda1fbceb7fdddcbfbe6daf9efe9f6f7f7"
        "eaf1f5deebf2d2e6f0c0dcebacd2e598c8e081bad868abd04f9bc73e8cbf337eb82870b11e61a515508d0d3f76053061"
    ),
    "PuOr": (
        "7f3b088f4407a04d07b05606be630acd700edb7d12e68d23ef9e3cf8ae55fdbd6efdca88fed7a2fde2bbfbe9cff9f0e4f6f6f7"
        "ededf3e3e4efd9dbebcecde4c2bedcb6b0d4a79fca988dbe887cb27967a66b4f9b5d379050238244176f380b5c2d004b"
    ),
    "bwr": (
        "0000ff1010ff2020ff3030ff4040ff5050ff6060ff7070ff8080ff9090ffa0a0ffb0b0ffc0c0ffd0d0ffe0e0fff0f0fffffefe"
        "ffeeeeffdedeffceceffbebeffaeaeff9e9eff8e8eff7e7eff6e6eff5e5eff4e4eff3e3eff2e2eff1e1eff0e0eff0000"
    ),
    "seismic": (
        "00004c0000630000790000900000a60000bc0000d30000e90101ff2121ff4141ff6161ff8181ffa1a1ffc1c1ffe1e1fffffdfd"
        "ffddddffbdbdff9d9dff7d7dff5d5dff3d3dff1d1dfe0000ee0000de0000ce0000be0000ae00009e00008e0000800000"
    ),
}
UNSAFE = ("jet", "turbo")
NAMES = (*SEQUENTIAL, *DIVERGING)
SAFE = tuple(name for name in NAMES if name not in UNSAFE)


def is_diverging(name: str) -> bool:
    """Return whether a colormap has a middle, for zero.

    Parameters
    ----------
    name : str
        One of `NAMES`; with the suffix "_r", reversed.

    Returns
    -------
    bool

    Raises
    ------
    UnknownName
        If there is no such colormap.
    """
    plain = name.removesuffix("_r") if isinstance(name, str) else name
    if plain not in NAMES:
        raise unknown("colormap", str(name), NAMES)
    return plain in DIVERGING


def colormap(name: str = DEFAULT, count: int = 256) -> Array:
    """Return a colormap as an array of colors, which is also what matplotlib's ``ListedColormap`` takes.

    Parameters
    ----------
    name : str, default "inferno"
        One of `NAMES`: for magnitudes "inferno", "viridis", "magma", "plasma", "cividis", "gray", "hot", "jet" or
        "turbo", for signs "blue_red", "coolwarm", "RdBu", "PuOr", "bwr" or "seismic". With the suffix "_r", reversed.
        All but "jet" and "turbo" are safe for color-blind people.
    count : int, default 256
        How many colors.

    Returns
    -------
    ndarray (count, 3), float64
        Red, green and blue from 0 to 1, from the lowest value to the highest.

    Raises
    ------
    UnknownName
        If there is no such colormap.

    Examples
    --------
    >>> colormap("inferno", 2).round(2).tolist()
    [[0.0, 0.0, 0.02], [0.99, 1.0, 0.64]]
    """
    anchors = _anchors(name) / 255
    places = np.linspace(0, len(anchors) - 1, count)
    return np.stack([np.interp(places, np.arange(len(anchors)), channel) for channel in anchors.T], axis=1)


def _anchors(name):
    """The colors from which a map is interpolated: (count, 3), from 0 to 255."""
    table = DIVERGING if is_diverging(name) else SEQUENTIAL
    colors = np.frombuffer(bytes.fromhex(table[name.removesuffix("_r")]), np.uint8).reshape(-1, 3)
    return (colors[::-1] if name.endswith("_r") else colors).astype(np.float64)


def color(values: Array, sign: str = "absolute", colormap: str | None = None) -> Array:
    """Map normalized values to colors.

    Parameters
    ----------
    values : ndarray (H, W)
        Values from 0 to 1, or from -1 to 1 for "signed", as `normalize` returns them.
    sign : {"absolute", "positive", "signed"}, default "absolute"
        "absolute" and "positive" go from dark to bright, "signed" from blue through gray to red.
    colormap : str or None, default None
        See `npgrad.images.colormaps.colormap`, with a middle for "signed". None: "inferno", or "blue_red" for "signed".

    Returns
    -------
    ndarray (H, W, 3), uint8

    Raises
    ------
    InputError
        If `sign` is unknown, or the colormap does not suit it.
    UnknownName
        If there is no such colormap.

    Examples
    --------
    >>> color(np.array([[0.0, 1.0]])).tolist()
    [[[0, 0, 4], [252, 255, 164]]]
    """
    anchors = _anchors(fitting(colormap, sign))
    positions = np.linspace(-1 if sign == "signed" else 0, 1, len(anchors))
    channels = [np.interp(values, positions, channel) for channel in anchors.T]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)


def fitting(colormap: str | None, sign: str) -> str:
    """Return the colormap of a sign: the default, or the given one if it suits.

    Parameters
    ----------
    colormap : str or None
        See `npgrad.images.colormaps.colormap`.
    sign : {"absolute", "positive", "signed"}

    Returns
    -------
    str

    Raises
    ------
    InputError
        If `sign` is unknown, or the colormap has a middle for zero where there are no signs, or none for "signed".
    UnknownName
        If there is no such colormap.
    """
    one_of(sign, "sign", SIGNS)
    if colormap is None:
        return DEFAULT_SIGNED if sign == "signed" else DEFAULT
    if is_diverging(colormap) != (sign == "signed"):
        kind = DIVERGING if sign == "signed" else SEQUENTIAL
        raise InputError(
            f"colormap: expected one of {', '.join(kind)} for the sign {sign!r}; found {colormap!r}"
        )
    return colormap
