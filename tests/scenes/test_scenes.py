"""Scenes: the same index gives the same image, the mask is the object, and color alone is not informative."""

import subprocess
import sys

import numpy as np
import pytest
from messages import A_WHOLE_NUMBER

from npgrad.errors import InputError
from npgrad.scenes import CLASSES, scene, two_objects
from npgrad.scenes._composing import SURFACES
from npgrad.scenes._shapes import PLAIN, SHAPES


@pytest.fixture(scope="module")
def many():
    """300 small scenes: images (300, 64, 64, 3), labels, masks."""
    return tuple(
        np.array(part) for part in zip(*(scene(i, seed=3, size=64) for i in range(300)), strict=True)
    )


def halved(image):
    """The mean over squares of two by two pixels."""
    h, w = image.shape[:2]
    return image.reshape(h // 2, 2, w // 2, 2, -1).mean((1, 3))


def test_classes():
    assert len(CLASSES) == len(set(CLASSES)) == 26
    assert len(SHAPES) == len(SURFACES) == 13


@pytest.mark.parametrize("size", [32, 57, 96])
def test_what_a_scene_is(size):
    image, label, mask = scene(5, 1, size)
    assert image.shape == (size, size, 3) and image.dtype == np.uint8 and image.flags.c_contiguous
    assert mask.shape == (size, size) and mask.dtype == bool
    assert type(label) is int and 0 <= label < len(CLASSES)


def test_default_is_seed_0_at_224():
    for one, other in zip(scene(2), scene(2, seed=0, size=224), strict=True):
        assert np.array_equal(one, other)
    assert scene(2)[0].shape == (224, 224, 3)


@pytest.mark.parametrize("draw", [scene, two_objects])
def test_same_number_same_bits_in_any_order(draw):
    forwards = [draw(i, 4, 48) for i in range(12)]
    np.random.default_rng(0).random(100)
    backwards = [draw(i, 4, 48) for i in reversed(range(12))][::-1]
    for (image, label, mask), (image2, label2, mask2) in zip(forwards, backwards, strict=True):
        assert np.array_equal(image, image2) and label == label2 and np.array_equal(mask, mask2)


def test_same_bits_in_another_process():
    code = (
        "from npgrad.scenes import scene; import sys; sys.stdout.buffer.write(scene(11, 6, 64)[0].tobytes())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == scene(11, 6, 64)[0].tobytes()


def test_other_numbers_other_images():
    seen = {scene(i, s, 32)[0].tobytes() for i in range(6) for s in range(6)}
    assert len(seen) == 36
    assert not np.array_equal(scene(1, 0, 32)[0], scene(0, 1, 32)[0])


@pytest.mark.exhaustive
def test_masks_cover_a_sensible_part(many):
    parts = many[2].mean((1, 2))
    assert parts.min() > 0.01 and parts.max() < 0.60
    assert np.mean((parts > 0.03) & (parts < 0.40)) > 0.97


@pytest.mark.exhaustive
def test_labels_are_balanced():
    labels = [scene(i, 8, 32)[1] for i in range(780)]
    counts = np.bincount(labels, minlength=26)
    chi_squared = ((counts - 30) ** 2 / 30).sum()
    assert chi_squared < 60  # 25 degrees of freedom: above it once in 10,000 seeds


@pytest.mark.exhaustive
def test_the_object_differs_from_what_surrounds_it(many):
    from scipy.ndimage import binary_dilation, binary_erosion

    far, plain = [], []
    for image, label, mask in zip(many[0] / 255, many[1], many[2], strict=True):
        around = binary_dilation(mask, iterations=7) & ~binary_dilation(mask, iterations=2)
        ground = np.median(image[around], axis=0)
        inner = image[binary_erosion(mask)] if binary_erosion(mask).sum() > 20 else image[mask]
        far.append(np.mean(np.abs(inner - ground).max(1) > 0.08))
        if label < len(SHAPES):
            plain.append(np.abs(np.median(inner, axis=0) - ground).max())
    assert np.mean(far) > 0.9 and np.quantile(far, 0.02) > 0.5
    assert min(plain) > 0.25


@pytest.mark.exhaustive
def test_the_mask_marks_where_the_object_is_drawn(monkeypatch):
    """The same scene with its object painted otherwise changes inside the mask, and nowhere else."""
    from dataclasses import replace

    from scipy.ndimage import binary_dilation

    from npgrad.scenes import _composing

    make = _composing._thing

    def inverted(*arguments):
        thing, colors = make(*arguments)
        return replace(thing, paint=lambda *a: 1 - thing.paint(*a)), colors

    before = [scene(i, 2, 64) for i in range(25)]
    monkeypatch.setattr(_composing, "_thing", inverted)
    for i, (image, _, mask) in enumerate(before):
        changed = np.abs(scene(i, 2, 64)[0].astype(int) - image).max(2) > 0
        assert changed[mask].mean() > 0.97
        assert changed[~mask].mean() < 0.12  # the soft edge: less than half a pixel is not in the mask
        assert changed[~binary_dilation(mask, iterations=2)].sum() < 10  # a horn's tip, thinner than a pixel


def test_a_scene_at_two_sizes_is_one_scene():
    for i in range(15):
        large, label, mask = scene(i, 7, 192)
        small, label2, mask2 = scene(i, 7, 96)
        assert label == label2
        difference = np.abs(halved(large) - small)
        assert difference.mean() < 3 and np.mean(difference > 40) < 0.01
        assert np.mean(np.abs(halved(mask)[..., 0] - mask2) > 0.6) < 0.002


@pytest.mark.exhaustive
def test_color_alone_does_not_tell():
    """The nearest class mean of 8 x 8 thumbnails stays near chance (4 %)."""

    def thumbnails(seed, count):
        images, labels, _ = zip(*(scene(i, seed, 32) for i in range(count)), strict=True)
        return np.reshape(images, (count, 8, 4, 8, 4, 3)).mean((2, 4)).reshape(count, -1), np.array(labels)

    (x, labels), (held_out, truth) = thumbnails(20, 600), thumbnails(21, 300)
    means = np.array([x[labels == k].mean(0) for k in range(len(CLASSES))])
    nearest = ((held_out[:, None] - means) ** 2).sum(-1).argmin(1)
    assert np.mean(nearest == truth) < 0.25


def test_two_objects():
    for i in range(40):
        image, (a, b), (mask_a, mask_b) = two_objects(i, 1, 64)
        assert image.shape == (64, 64, 3) and image.dtype == np.uint8
        assert a != b and min(a, b) >= 0 and max(a, b) < len(CLASSES)
        assert not (mask_a & mask_b).any()
        assert min(mask_a.mean(), mask_b.mean()) > 0.02


@pytest.mark.parametrize("outline", SHAPES + tuple(dict.fromkeys(PLAIN)), ids=lambda f: f.__name__)
def test_outlines_fit_the_circle_and_measure_distance(outline):
    x, y = np.meshgrid(*[np.linspace(-1.3, 1.3, 105, dtype=np.float32)] * 2)
    for seed in range(10):
        d = outline(np.random.default_rng(seed))(x, y)
        assert d.dtype == np.float32
        assert d[np.hypot(x, y) > 1.005].min() > 0 and d.min() < 0
        down, right = np.gradient(d, x[0, 1] - x[0, 0])
        assert 0.75 < np.median(np.hypot(down, right)[np.abs(d) < 0.04]) < 1.1


@pytest.mark.parametrize("surface", SURFACES, ids=lambda f: f.__name__)
def test_surfaces_mix_and_show_both_colors(surface):
    x, y = np.meshgrid(*[np.linspace(3, 9, 120, dtype=np.float32)] * 2)
    over, top, shade = surface(np.random.default_rng(0))(x, y, 0.05)
    for part in (over, top):
        assert part is None or (part.dtype == np.float32 and part.min() >= 0 and part.max() <= 1)
    assert shade is None or (shade.dtype == np.float32 and shade.min() > 0.05 and shade.max() < 1.5)
    assert over.std() > 0.08 or shade.std() > 0.08


@pytest.mark.parametrize("draw", [scene, two_objects])
@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((-1,), f"index: {A_WHOLE_NUMBER} >= 0, found -1"),
        ((1.5,), "index: "),
        ((True,), "index: "),
        ((0, -2), f"seed: {A_WHOLE_NUMBER} >= 0, found -2"),
        ((0, "a"), "seed: "),
        ((0, 0, 31), f"size: {A_WHOLE_NUMBER} >= 32, found 31"),
        ((0, 0, 64.0), "size: "),
    ],
)
def test_bad_arguments(draw, arguments, named):
    with pytest.raises(InputError) as caught:
        draw(*arguments)
    assert str(caught.value).startswith(named) and "\n" not in str(caught.value)
