"""Palettes of distinguishable colors, drawn in OKLCH, a color space in which equal distances look equal.

Bjorn Ottosson 2020, "A perceptual color space for image processing".
"""

import numpy as np

LIGHT = np.array([0.2126, 0.7152, 0.0722])
_LMS = np.array(
    [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
)
_RGB = np.array(
    [
        [4.0767416621, -3.3077115913, 0.2309699292],
        [-1.2684380046, 2.6097574011, -0.3413193965],
        [-0.0041960863, -0.7034186147, 1.7076147010],
    ]
)
SCHEMES = ((180, 150, 30), (120, 240, 180), (150, 210, 30), (30, -40, 180), (90, 180, 270), (60, 200, 0))


def oklab(lightness, chroma, hue):
    """OKLab (..., 3) of lightness 0..1, chroma 0..0.3 and hue in degrees."""
    angle = np.radians(hue)
    return np.stack([lightness, chroma * np.cos(angle), chroma * np.sin(angle)], -1)


def to_rgb(lab):
    """sRGB (..., 3) in 0..1; values outside are colors that a screen cannot show."""
    linear = (lab @ _LMS.T) ** 3 @ _RGB.T
    bright = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear > 0.0031308, bright, 12.92 * linear)


def distance(a, b):
    """The perceptual distance of two OKLab colors; hue counts a little more than lightness."""
    return np.sqrt((np.subtract(a, b) ** 2 * (1, 1.7, 1.7)).sum(-1))


class Palette:
    """The colors of a scene: `ground`, three similar ones, and those that `pick` finds to contrast with them."""

    def __init__(self, rng):
        self.rng = rng
        self.hue = rng.uniform(0, 360)
        self.scheme = self.hue + np.array(SCHEMES[rng.integers(len(SCHEMES))])
        low, high = ((0.27, 0.38), (0.46, 0.60), (0.76, 0.92), (0.80, 0.93))[rng.integers(4)]
        apart = np.array([-1, 1, 0]) * rng.uniform(0.03, 0.08) * rng.choice((-1, 1))
        lightness = np.clip(rng.uniform(low, high) + apart + rng.uniform(-0.03, 0.03, 3), 0.2, 0.97)
        most = 0.35 * (1 - lightness) + 0.02  # near white only low chroma is possible
        chroma = np.minimum(rng.uniform(0.02, 0.12) * rng.uniform(0.6, 1.2, 3), most)
        self.ground = oklab(lightness, chroma, self.hue + rng.uniform(-40, 40, 3))

    def pick(self, avoid=(), apart=0.3, lightness=(0.2, 0.96), chroma=(0.03, 0.18), hue=None, step=0.0):
        """An OKLab color at a distance of `apart` from the ground and each of `avoid`; the farthest of 64 if none is.

        hue: a hue to use instead of the scene's. step: the minimal difference in lightness from `avoid`.
        """
        rng, count = self.rng, 64
        tones = rng.uniform(*lightness, count)
        hues = rng.choice(self.scheme, count) + rng.normal(0, 14, count)
        if hue is not None:
            hues = hue + rng.normal(0, 10, count)
        colors = oklab(tones, rng.uniform(*chroma, count), hues)
        rgb = to_rgb(colors)
        shown = (rgb.min(-1) > -0.01) & (rgb.max(-1) < 1.01)
        others = np.array([*self.ground, *avoid])
        nearest = distance(colors[:, None], others).min(1)
        if step:
            shown &= np.abs(tones[:, None] - np.array(avoid)[:, 0]).min(1) > step
        good = np.flatnonzero(shown & (nearest > apart))
        return colors[good[0] if len(good) else np.argmax(np.where(shown, nearest, nearest / 4))]
