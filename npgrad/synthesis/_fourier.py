"""An image kept as waves instead of pixels (Olah, Mordvintsev, Schubert 2017; Mordvintsev et al. 2018).

    colors   = irfft2(spectrum / frequency^1.4)    one plane of waves each for light, red-blue, green-magenta
    rgb       = sigmoid(AXES colors)               between black and white
    image     = (rgb - mean) / std

The same step of each number of the spectrum then changes slow waves most, as in photographs, whose amplitudes fall with
1 / frequency. A pixel's own gradient is mostly fine-grained noise; through the waves it becomes forms.
"""

from dataclasses import dataclass

import numpy as np

from npgrad.optim import Adam

# Which color a unit of each plane is: light, red against blue, green against magenta. These directions at right angles
# are nearly those in which the colors of photographs vary independently, most in light and least in green against
# magenta (Buchsbaum, Gottschalk 1983; Ruderman, Cronin, Chiao 1998). So are their lengths, 5 : 2 : 1. With equal ones
# each form comes out in every color of the rainbow; with much shorter ones a goldfish is no longer orange.
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
    """The way from a spectrum to a normalized image of height x width px, and back.

    mean, std: those of the network's preprocessing. decay: amplitudes are divided by frequency^decay, a
    little more than in photographs, as gradients have more fine grain. contrast: a factor for all of them.
    A spectrum is real, (2, 3, H, W // 2 + 1): real and imaginary parts, so that an optimizer takes them as they are.
    """

    height: int
    width: int
    mean: tuple
    std: tuple
    decay: float = 1.4
    contrast: float = 0.1

    def noise(self, rng, dtype, amplitude=0.01):
        """A spectrum to begin with: almost even gray."""
        shape = (2, 3, self.height, self.width // 2 + 1)
        return (amplitude * rng.standard_normal(shape)).astype(dtype)

    def forward(self, spectrum):
        """The image (1, 3, H, W) of a spectrum, and the cache for `backward`."""
        from scipy.fft import irfft2

        z = (spectrum[0] + 1j * spectrum[1]) * self._size(spectrum.dtype)
        colors = irfft2(z, s=(self.height, self.width), norm="ortho")
        rgb = (1 + np.tanh(_turn(AXES, colors) / 2)) / 2  # the sigmoid, without an exponential to overflow
        std, mean = _each_channel(self.std, rgb), _each_channel(self.mean, rgb)
        return ((rgb - mean) / std)[None], rgb

    def backward(self, dimage, rgb):
        """The gradient by the spectrum, (2, 3, H, W // 2 + 1), for a gradient by the image."""
        from scipy.fft import rfft2

        drgb = dimage[0] / _each_channel(self.std, rgb)
        dcolors = _turn(AXES.T, drgb * rgb * (1 - rgb))
        # irfft2 is, for real and imaginary parts, a sum of cosines and minus sines. Its adjoint asks how much of
        # each is in dcolors, which is rfft2; a wave counts twice where its mirror image is not stored.
        dz = rfft2(dcolors, norm="ortho") * self._size(rgb.dtype)
        dz[..., 1 : (self.width + 1) // 2] *= 2
        return np.stack([dz.real, dz.imag])

    def _size(self, dtype):
        """The amplitude of each wave, (H, W // 2 + 1): 1 / frequency^decay, the mean treated as the slowest wave."""
        down = np.fft.fftfreq(self.height)[:, None]
        across = np.fft.rfftfreq(self.width)[None]
        slowest = 1 / max(self.height, self.width)
        return (self.contrast / np.maximum(np.hypot(down, across), slowest) ** self.decay).astype(dtype)


def _turn(matrix, planes):
    """A 3x3 matrix at every pixel of planes (3, H, W)."""
    return np.tensordot(matrix.astype(planes.dtype), planes, axes=1)


def _each_channel(values, like):
    return np.reshape(values, (3, 1, 1)).astype(like.dtype)


class WaveAdam:
    """A spectrum, and the Adam that climbs: all that a run has to remember of the waves."""

    def __init__(self, spectrum, learning_rate):
        self.spectrum, self._adam = spectrum, Adam(learning_rate)

    def climb(self, dspectrum):
        """One step up."""
        self.spectrum = self._adam.step(self.spectrum, -dspectrum)

    @property
    def state(self):
        return {"spectrum": self.spectrum, **self._adam.state}

    @state.setter
    def state(self, state):
        self.spectrum = state["spectrum"]
        self._adam.state = {name: value for name, value in state.items() if name != "spectrum"}
