"""What holds for images and maps of any size: resizing, preprocessing and back, files and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from strategies import array, seeds

from npgrad import Preprocessing
from npgrad.attribution import resize_map
from npgrad.images import open_image, save_image

methods = st.sampled_from(["nearest", "bilinear", "bicubic"])
size = st.tuples(st.integers(1, 24), st.integers(1, 24))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("images")


def image(seed, height, width):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@given(method=methods, old=size, new=size, seed=seeds)
def test_resizing_is_linear_and_keeps_what_is_constant(method, old, new, seed):
    a, b = array(seed, 2, *old), array(seed + 1, 2, *old)
    together = resize_map(2 * a - b, new, method)
    apart = 2 * resize_map(a, new, method) - resize_map(b, new, method)
    assert together.shape == (2, *new) and together.dtype == a.dtype
    np.testing.assert_allclose(together, apart, atol=1e-4)
    np.testing.assert_allclose(resize_map(np.full((1, *old), 0.7), new, method), 0.7, rtol=1e-5)


@given(method=methods, old=size, seed=seeds)
def test_at_its_own_size_a_map_stays_what_it_is(method, old, seed):
    a = array(seed, 3, *old)
    np.testing.assert_allclose(resize_map(a, old, method), a, rtol=1e-6, atol=1e-7)


@given(old=size, times=st.tuples(st.integers(1, 4), st.integers(1, 4)), seed=seeds)
def test_the_nearest_pixels_of_a_whole_multiple_are_blocks(old, times, seed):
    a = array(seed, 1, *old)
    found = resize_map(a, (old[0] * times[0], old[1] * times[1]))
    np.testing.assert_array_equal(found, a.repeat(times[0], axis=1).repeat(times[1], axis=2))


@given(method=methods, old=size, new=size, seed=seeds)
def test_a_mirrored_map_gives_a_mirrored_result(method, old, new, seed):
    if method == "nearest" and (new[0] % old[0] or new[1] % old[1]):
        return  # pixel floor(i * h / H) leans to one side
    a = array(seed, 1, *old)
    found = resize_map(a[:, ::-1, ::-1], new, method)[:, ::-1, ::-1]
    np.testing.assert_allclose(found, resize_map(a, new, method), atol=1e-5)


@given(seed=seeds, side=st.integers(1, 30), n=st.integers(1, 3))
def test_deprocess_is_the_inverse_of_preprocess(seed, side, n):
    preprocessing = Preprocessing()
    images = [image(seed + i, side, side + 2) for i in range(n)]
    x = preprocessing.apply(images, resize=False)
    assert x.shape == (n, 3, side, side + 2) and x.dtype == np.float32
    np.testing.assert_array_equal(preprocessing.invert(x), np.stack(images))
    mean, std = (np.array(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    expected = (images[0].transpose(2, 0, 1) / 255 - mean) / std
    np.testing.assert_allclose(x[0], expected, atol=1e-5)


@given(seed=seeds, height=st.integers(8, 60), width=st.integers(8, 60), crop=st.integers(1, 8))
def test_a_image_of_one_color_stays_of_that_color(seed, height, width, crop):
    color = np.random.default_rng(seed).integers(0, 256, 3, dtype=np.uint8)
    preprocessing = Preprocessing(resize=crop + 2, crop=crop)
    x = preprocessing.apply(np.broadcast_to(color, (height, width, 3)))
    assert x.shape == (1, 3, crop, crop)
    np.testing.assert_array_equal(preprocessing.invert(x)[0], np.broadcast_to(color, (crop, crop, 3)))


@settings(max_examples=25)
@given(seed=seeds, height=st.integers(2, 30), width=st.integers(2, 30))
def test_a_png_is_what_was_saved(seed, height, width, folder):
    path, pixels = folder / "a.png", image(seed, height, width)
    save_image(pixels, path)
    np.testing.assert_array_equal(np.asarray(open_image(path)), pixels)


TURNS = {  # what a viewer does with an image of each EXIF orientation
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a.transpose(1, 0, 2), 2),
    8: np.rot90,
}


@settings(max_examples=24)
@given(seed=seeds, orientation=st.integers(1, 8), height=st.integers(2, 9), width=st.integers(2, 9))
def test_any_orientation_comes_out_upright(seed, orientation, height, width, folder):
    path, pixels = folder / "exif.png", image(seed, height, width)
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(open_image(path)), TURNS[orientation](pixels))
