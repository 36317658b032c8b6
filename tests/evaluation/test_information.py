"""Information curves against the authors' algorithm, one image after the other."""

import io

import numpy as np
import pytest
from PIL import Image
from scipy.interpolate import griddata

from npgrad import Model, layers
from npgrad.errors import InputError
from npgrad.evaluation import aic_auc, sic_auc


def probability(model, image, target):
    logits = model(image[None])[0]
    e = np.exp(logits - logits.max())
    return e[target] / e.sum()


def bytes_of(model, image):
    buffer = io.BytesIO()
    Image.fromarray(model.deprocess(image[None])[0]).save(buffer, "webp", lossless=True, quality=100)
    return len(buffer.getvalue())


def slow_curve(model, image, values, target, fractions, performance, seed=0, monotonous=True):
    """(sizes, performance) of the authors' algorithm, on the network's input."""
    _, height, width = image.shape
    known = np.zeros(height * width, bool)
    known[np.random.default_rng(seed).choice(known.size, int(0.01 * known.size), replace=False)] = True
    known = known.reshape(height, width)
    for corner in ((0, 0), (0, width - 1), (height - 1, 0), (height - 1, width - 1)):
        known[corner] = True
    rows = []
    for fraction in (None, *fractions):
        inside = known.copy()
        if fraction is not None:
            inside |= values >= np.quantile(values, 1 - fraction)
        filled = image.copy()
        for channel in range(len(image)):
            filled[channel][~inside] = griddata(
                np.argwhere(inside), image[channel][inside], np.argwhere(~inside), "linear",
                fill_value=image[channel].mean(),
            )  # fmt: skip
        rows.append((bytes_of(model, filled), performance(model, filled, target)))
    (least, low), (most, high) = rows[0], (bytes_of(model, image), performance(model, image, target))
    sizes, curve, best = [0.0], [0.0], 0.0
    for size, value in rows[1:]:
        now = min(max((value - low) / (high - low), 0), 1)
        best = max(best, now)
        sizes.append(min(max((size - least) / (most - least), 0), 1))
        curve.append(best if monotonous else now)
    return [*sizes, 1.0], [*curve, 1.0]


def smooth_images(rng, side=24):
    """A network that sees one bright patch, and images with it on a noisy ground."""
    weight = np.zeros((3, 3, side, side))
    weight[1, :, 6:12, 9:16] = 0.05
    network = layers.Sequential(
        {"flatten": layers.Flatten(), "fc": layers.Linear(weight.reshape(3, -1), np.array([0.5, -2.0, 0]))}
    )
    x = rng.normal(scale=0.4, size=(2, 3, side, side))
    x[:, :, 6:12, 9:16] += 0.8
    return Model(network), x, weight[1]


@pytest.mark.parametrize("monotonous", [True, False])
def test_information_curves_are_the_slow_loop(monotonous, rng):
    model, x, weight = smooth_images(rng)
    given, fractions = weight * x + 0.001 * rng.normal(size=x.shape), (0.02, 0.05, 0.1, 0.3, 0.7)

    def accuracy(model, image, target):
        return float(model(image[None]).argmax() == target)

    for measure, performance in ((sic_auc, probability), (aic_auc, accuracy)):
        area, sizes, curve = measure(
            model, x, given, 1, fractions=fractions, monotonous=monotonous, rng=3, return_curve=True
        )
        for i in range(2):
            expected = slow_curve(model, x[i], given[i].sum(axis=0), 1, fractions, performance, 3, monotonous)
            np.testing.assert_allclose(sizes[i], expected[0], rtol=1e-12)
            np.testing.assert_allclose(curve[i], expected[1], rtol=1e-8, atol=1e-10)
            points = sorted(zip(*expected, strict=True), key=lambda point: point[0])
            along, high = zip(*points, strict=True)
            np.testing.assert_allclose(area[i], np.trapezoid(high, along), rtol=1e-8)


def test_a_true_attribution_needs_less_information(rng):
    model, x, weight = smooth_images(rng)
    true = np.broadcast_to(weight, x.shape)
    for measure in (sic_auc, aic_auc):
        assert (measure(model, x, true, 1, rng=2) > measure(model, x, -true, 1, rng=2) + 0.1).all()
    assert (sic_auc(model, x, true, "1 - 0") > sic_auc(model, x, -true, "1 - 0")).all()


def test_images_without_an_information_curve(rng):
    model, x, weight = smooth_images(rng)
    true = np.broadcast_to(weight, x.shape)
    words = "no information curve for image 0, 1: blurred, its score or its size in a file is not lower"
    with pytest.warns(UserWarning, match=words):
        assert np.isnan(aic_auc(model, x, true, 2)).all()
    with pytest.warns(UserWarning, match="no information curve for image 1:"):
        found = sic_auc(model, np.stack([x[0], 0 * x[1]]), true, 1)
    assert np.isfinite(found).tolist() == [True, False]
    with pytest.raises(InputError, match="aic_auc: expected a class as the target"):
        aic_auc(model, x, true, "1 - 0")
