"""An image represented by a Fourier spectrum (Olah, Mordvintsev, Schubert 2017; Mordvintsev et al. 2018).

    colors   = irfft2(spectrum / frequency^1.4)    one spectrum each for light, red-blue, green-magenta
    rgb       = sigmoid(AXES colors)               between black and white
    image     = (rgb - mean) / std

Equal steps of all coefficients then change low frequencies most, as in photographs, whose amplitudes fall with
1 / frequency. The gradient with respect to pixels is mostly high-frequency noise; with respect to the spectrum, it
forms larger shapes.
"""

from dataclasses import dataclass

import numpy as np

from npgrad.optim import Adam

# The color of one unit of each plane: light, red against blue, green against magenta. These orthogonal directions are
# nearly those in which the colors of photographs vary independently, most in light and least in green against magenta
# (Buchsbaum, Gottschalk 1983; Ruderman, Cronin, Chiao 1998). So do their lengths, 5 : 2 : 1. With equal lengths every
# shape comes out in all colors of the rainbow; with much shorter ones a goldfish is no longer orange.
AXES = np.stack(
    [
        1.0 * np.array([1, 1, 1]) / np.sqrt(3),
        0.4 * np.array([1, 0, -1]) / np.sqrt(2),
        0.2 * np.array([-1, 2, -1]) / np.sqrt(6),
    ],
    axis=1,
)


@dataclass(frozen=True)
class Waves:
    """The map from a spectrum to a normalized image of height x width px, and its gradient.

    mean, std: those of the network's preprocessing, for pixel values 0..1. channels: the network's. decay:
    amplitudes are divided by frequency^decay, slightly more than in photographs, since gradients contain more high
    frequencies. contrast: a factor of all amplitudes.
    A spectrum is a real array (2, C, H, W // 2 + 1) of real and imaginary parts, which any optimizer can handle.
    """

    height: int
    width: int
    mean: tuple
    std: tuple
    decay: float = 1.4
    contrast: float = 0.1
    channels: str = "RGB"

    @property
    def axes(self):
        """The color of one unit of each plane, in the network's channels; for gray, there is light only."""
        return {"RGB": AXES, "BGR": AXES[::-1], "gray": np.ones((1, 1))}[self.channels]

    def noise(self, rng, dtype, amplitude=0.01):
        """An initial spectrum, that of an almost uniform gray."""
        shape = (2, len(self.mean), self.height, self.width // 2 + 1)
        return (amplitude * rng.standard_normal(shape)).astype(dtype)

    def forward(self, spectrum):
        """The image (1, C, H, W) of a spectrum, and the cache for `backward`."""
        from scipy.fft import irfft2

        z = (spectrum[0] + 1j * spectrum[1]) * self._amplitudes(spectrum.dtype)
        colors = irfft2(z, s=(self.height, self.width), norm="ortho")
        rgb = (
            1 + np.tanh(_mix(self.axes, colors) / 2)
        ) / 2  # the sigmoid, without an overflowing exponential
        std, mean = _each_channel(self.std, rgb), _each_channel(self.mean, rgb)
        return ((rgb - mean) / std)[None], rgb

    def backward(self, dimage, rgb):
        """The gradient with respect to the spectrum, for the upstream gradient of the image."""
        from scipy.fft import rfft2

        drgb = dimage[0] / _each_channel(self.std, rgb)
        dcolors = _mix(self.axes.T, drgb * rgb * (1 - rgb))
        # irfft2 sums cosines and negative sines, weighted by the real and imaginary parts. Its adjoint is the scalar
        # product of dcolors with each of them, which is rfft2; coefficients with an implicit mirror image count twice.
        dz = rfft2(dcolors, norm="ortho") * self._amplitudes(rgb.dtype)
        dz[..., 1 : (self.width + 1) // 2] *= 2
        return np.stack([dz.real, dz.imag])

    def _amplitudes(self, dtype):
        """The amplitudes (H, W // 2 + 1), 1 / frequency^decay; the mean counts as the lowest frequency."""
        down = np.fft.fftfreq(self.height)[:, None]
        across = np.fft.rfftfreq(self.width)[None]
        lowest = 1 / max(self.height, self.width)
        return (self.contrast / np.maximum(np.hypot(down, across), lowest) ** self.decay).astype(dtype)


def _mix(matrix, planes):
    """A CxC matrix times every pixel of planes (C, H, W)."""
    return np.tensordot(matrix.astype(planes.dtype), planes, axes=1)


def _each_channel(values, like):
    return np.reshape(values, (-1, 1, 1)).astype(like.dtype)


class SpectrumAdam:
    """A spectrum and its Adam, as one optimizer state for `Run`."""

    def __init__(self, spectrum, learning_rate):
        self.spectrum, self._adam = spectrum, Adam(learning_rate)

    def ascend(self, dspectrum):
        """Take one step of gradient ascent."""
        self.spectrum = self._adam.step(self.spectrum, -dspectrum)

    @property
    def state(self):
        return {"spectrum": self.spectrum, **self._adam.state}

    @state.setter
    def state(self, state):
        self.spectrum = state["spectrum"]
        self._adam.state = {name: value for name, value in state.items() if name != "spectrum"}
