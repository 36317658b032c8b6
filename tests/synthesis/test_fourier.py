"""An image kept as waves: forward and backward are torch's, and what centered differences say."""

import numpy as np
import pytest
import torch
from checks import assert_close

from npgrad.synthesis._fourier import AXES, SpectrumAdam, Waves
from npgrad.synthesis.transforms import affine, affine_backward

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (1, 4), (5, 1), (2, 2)])
def test_the_gradient_by_the_waves(rng, size):
    """Waves to image to a view of it, and a loss of it: all by hand, held against centered differences."""
    waves = Waves(*size, MEAN, STD, decay=1.2, contrast=0.7)
    spectrum, dview = waves.noise(rng, np.float64, amplitude=1.0), rng.normal(size=(1, 3, *size))
    move = {"scale": 1.2, "angle": 12.0, "shift": (0.4, -0.7)}

    def loss(spectrum):
        return np.sum(dview * np.sin(affine(waves.forward(spectrum)[0], **move)[0]))

    def gradient(spectrum):
        image, cache = waves.forward(spectrum)
        view, view_cache = affine(image, **move)
        return waves.backward(affine_backward(dview * np.cos(view), view_cache), cache)

    assert spectrum.shape == (2, 3, size[0], size[1] // 2 + 1)
    assert_close(gradient(spectrum), centered(loss, spectrum), 1e-7)


def centered(f, x, h=1e-5):
    """The gradient of f at x by centered differences."""
    g = np.zeros_like(x)
    for i in range(x.size):
        step = np.zeros_like(x)
        step.flat[i] = h
        g.flat[i] = (f(x + step) - f(x - step)) / (2 * h)
    return g


def test_the_waves_are_torchs(rng):
    """Forward and backward in torch's own FFT and autograd, at an even and an odd size."""
    for height, width in ((8, 10), (9, 7)):
        waves = Waves(height, width, MEAN, STD)
        spectrum, dimage = waves.noise(rng, np.float64, 1.0), rng.normal(size=(1, 3, height, width))
        s = torch.tensor(spectrum, requires_grad=True)
        down, across = torch.fft.fftfreq(height)[:, None], torch.fft.rfftfreq(width)[None]
        frequency = torch.clamp(torch.hypot(down.double(), across.double()), min=1 / max(height, width))
        z = torch.complex(s[0], s[1]) / frequency**waves.decay * waves.contrast
        colors = torch.fft.irfft2(z, s=(height, width), norm="ortho")
        rgb = torch.sigmoid(torch.einsum("ij,jhw->ihw", torch.tensor(AXES), colors))
        image = (rgb - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
        image.backward(torch.tensor(dimage[0]))
        found, cache = waves.forward(spectrum)
        assert_close(found[0], image.detach().numpy(), 1e-6)  # torch's frequencies are float32
        assert_close(waves.backward(dimage, cache), s.grad.numpy(), 1e-6)


def test_the_axes_are_orthogonal_and_fall():
    products = AXES.T @ AXES
    np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-15)
    assert np.all(np.diff(np.diag(products)) < 0)
    assert np.ptp(AXES[:, 0]) == 0 and np.allclose(
        AXES[:, 1:].sum(axis=0), 0
    )  # light is gray, the others are not


def test_a_wave_adams_state_goes_on_to_the_same_bits(rng):
    gradients = rng.normal(size=(4, 2, 3, 4, 3))
    one = SpectrumAdam(np.zeros((2, 3, 4, 3)), 0.1)
    for g in gradients[:2]:
        one.ascend(g)
    two = SpectrumAdam(np.ones((2, 3, 4, 3)), 0.1)
    two.state = one.state
    for g in gradients[2:]:
        one.ascend(g), two.ascend(g)
    np.testing.assert_array_equal(one.spectrum, two.spectrum)
