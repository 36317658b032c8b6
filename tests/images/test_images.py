"""Images in: preprocessing against torchvision's steps written out; and images out."""

import json

import numpy as np
import pytest
import torch
from messages import NOT_WRITTEN
from PIL import Image, ImageOps

from npgrad.errors import ImageError, InputError
from npgrad.images import Preprocessing, _fitting, open_image, save_image
from npgrad.images import preprocessing as module
from npgrad.images.saving import WRITE_FORMATS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def torchvision_levels(image, resize, crop, how=Image.Resampling.BILINEAR):
    """Resize and CenterCrop as torchvision does them on a PIL image: uint8 (crop, crop, 3)."""
    width, height = image.size
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = resize, int(resize * long / short)
    new_size = (new_short, new_long) if width <= height else (new_long, new_short)
    image = image if image.size == new_size else image.resize(new_size, how)
    if crop > image.width or crop > image.height:
        padding = (
            (crop - image.width) // 2 if crop > image.width else 0,
            (crop - image.height) // 2 if crop > image.height else 0,
            (crop - image.width + 1) // 2 if crop > image.width else 0,
            (crop - image.height + 1) // 2 if crop > image.height else 0,
        )
        image = ImageOps.expand(image, padding, fill=0)
    top = int(round((image.height - crop) / 2.0))
    left = int(round((image.width - crop) / 2.0))
    return np.asarray(image.crop((left, top, left + crop, top + crop)))


def torchvision_normalized(levels, mean=MEAN, std=STD):
    """ToTensor and Normalize, in torch's own arithmetic: float32 (3, H, W)."""
    x = torch.from_numpy(levels.copy()).permute(2, 0, 1).to(torch.float32).div(255)
    mean, std = torch.tensor(mean).view(3, 1, 1), torch.tensor(std).view(3, 1, 1)
    return x.sub(mean).div(std).numpy()


def noise(width, height, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def levels(x, preprocessing):
    return preprocessing.invert(x).astype(int)


def assert_torchvisions(image, resize, crop, interpolation="bilinear"):
    """Not one value differs, of the levels or of the input."""
    preprocessing = Preprocessing(resize=resize, crop=crop, interpolation=interpolation)
    wanted = torchvision_levels(image, resize, crop, Image.Resampling[interpolation.upper()])
    x = preprocessing.apply(image)
    assert np.array_equal(preprocessing.view(image), wanted), (image.size, resize, crop)
    assert np.array_equal(x[0], torchvision_normalized(wanted)), (image.size, resize, crop)


def drawn_size(rng, low=1, high=700):
    """Width and height of an image, from tiny ones to the longest that are read."""
    short = int(np.exp(rng.uniform(np.log(low), np.log(high))))
    long = int(short * rng.choice([1, rng.uniform(1, 2), rng.uniform(1, 20)]))
    return (short, long) if rng.random() < 0.5 else (long, short)


@pytest.mark.parametrize("crop", [224, 227, 256, 299])
@pytest.mark.parametrize(
    "size",
    [(300, 300), (500, 335), (335, 500), (256, 256), (1, 1), (997, 61), (31, 620), (500, 408), (541, 359), (1, 20)],
)  # fmt: skip
def test_resize_and_crop_are_torchvisions(size, crop):
    assert_torchvisions(Image.fromarray(noise(*size)), 256, crop)


def draw_and_compare(count, seed, most):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        resize, interpolation = int(rng.integers(1, most)), rng.choice(["bilinear", "bicubic", "nearest"])
        crop = int(rng.integers(1, most) if rng.random() < 0.3 else rng.integers(1, resize + 1))
        image = Image.fromarray(noise(*drawn_size(rng, high=2 * most), seed=rng))
        assert_torchvisions(image, resize, crop, str(interpolation))


def test_drawn_sizes_are_torchvisions():
    draw_and_compare(60, seed=0, most=90)


@pytest.mark.exhaustive
def test_500_drawn_sizes_are_torchvisions():
    draw_and_compare(500, seed=1, most=350)


def test_photos(shared):
    for path in sorted((shared / "images").glob("*.jpg")):
        with Image.open(path) as image:
            assert_torchvisions(image.convert("RGB"), 256, 224)
            wanted = torchvision_levels(image.convert("RGB"), 256, 224)
        assert np.array_equal(Preprocessing().apply(path)[0], torchvision_normalized(wanted)), path.name


def test_a_strip_is_resized_in_strips_with_the_same_pixels(monkeypatch):
    """Which of the two is used depends on the size of the resized image, so both are used on the same images."""
    rng = np.random.default_rng(2)
    for _ in range(40):
        image = Image.fromarray(noise(*drawn_size(rng, high=40), seed=rng))
        resize = min(image.size) + int(rng.integers(0, 50))
        window = tuple(int(side) for side in rng.integers(1, resize + 20, 2))
        for method in ("bilinear", "bicubic", "nearest"):
            whole = np.asarray(_fitting.fit(image, window, resize, method))
            with monkeypatch.context() as patched:
                patched.setattr(_fitting, "MAX_PIXELS", 0)
                patched.setattr(_fitting, "STRIP", int(rng.integers(1, 3000)))
                assert np.array_equal(_fitting.fit(image, window, resize, method), whole), (
                    image.size,
                    window,
                )


@pytest.mark.parametrize("size", [(1, 10000), (10000, 1)])
def test_a_long_strip_does_not_take_gigabytes(monkeypatch, size):
    """Resized whole it has 655 million pixels; npgrad refuses to read such an image, but not one of 4096 x 81920."""
    made = []
    real = Image.Image.resize
    monkeypatch.setattr(
        Image.Image, "resize", lambda *a, **k: made.append(real(*a, **k).size) or real(*a, **k)
    )
    fitted = _fitting.fit(Image.fromarray(noise(*size)[:, :, 0]), (8, 8), 256, "nearest")
    assert fitted.size == (8, 8)
    assert max(width * height for width, height in made) <= _fitting.STRIP


def test_a_rectangle_is_covered_and_its_middle_taken():
    for width, height in [(50, 40), (40, 50), (7, 90), (90, 7), (36, 20), (1, 1)]:
        image = Image.fromarray(noise(width, height))
        preprocessing = Preprocessing(crop=(32, 56), resize=40)  # covers 40 x 70
        (new_width, new_height), (left, top) = preprocessing.layout(image.size)
        assert (new_height == 40 and new_width >= 70) or (new_width == 70 and new_height >= 40)
        wanted = image.resize((new_width, new_height), Image.Resampling.BILINEAR).crop(
            (left, top, left + 56, top + 32)
        )
        assert left == round((new_width - 56) / 2) and top == round((new_height - 32) / 2)
        assert np.array_equal(preprocessing.view(image), wanted)


def test_padding_keeps_the_whole_image():
    white = Preprocessing(crop=(32, 56), pad=True)
    for width, height, box in [
        (560, 320, (0, 0, 56, 32)), (100, 100, (12, 0, 44, 32)), (1000, 100, (0, 13, 56, 18)),
        (10, 200, (27, 0, 28, 32)), (1, 20, (27, 0, 28, 32)),
    ]:  # fmt: skip
        wanted = np.zeros((32, 56, 3), np.uint8)
        left, top, right, bottom = box
        wanted[top:bottom, left:right] = 255
        assert np.array_equal(white.view(np.full((height, width, 3), 255, np.uint8)), wanted)


def input_of(preprocessing, image):
    """The documented formula, written out in float64: (C, H, W)."""
    pixels = np.asarray(open_image(image), np.float64)
    if preprocessing.channels == "BGR":
        pixels = pixels[..., ::-1]
    if preprocessing.channels == "gray":
        pixels = np.asarray(Image.fromarray(image).convert("L"), np.float64)[..., None]
    x = (pixels * preprocessing.scale - np.array(preprocessing.mean)) / np.array(preprocessing.std)
    return x.transpose(2, 0, 1)


@pytest.mark.parametrize("channels", ["RGB", "BGR", "gray"])
@pytest.mark.parametrize(
    "values",
    [{}, {"mean": 0.5, "std": 0.5}, {"scale": 1, "std": 1}, {"scale": 1, "mean": (104, 117, 123)},
     {"scale": 1 / 127.5, "mean": 1}, {"std": (0.2, 0.3, 0.4)}],
)  # fmt: skip
def test_every_kind_of_input_and_back(channels, values):
    if channels == "gray":
        values = {name: value[0] if isinstance(value, tuple) else value for name, value in values.items()}
    preprocessing = Preprocessing(channels=channels, **values)
    image = noise(9, 7)
    x = preprocessing.apply(image, resize=False)
    assert x.shape == (1, 1 if channels == "gray" else 3, 7, 9) and x.dtype == np.float32
    assert np.allclose(x[0], input_of(preprocessing, image), atol=2e-5, rtol=1e-6)
    back = np.asarray(Image.fromarray(image).convert("L").convert("RGB")) if channels == "gray" else image
    assert np.array_equal(preprocessing.invert(x)[0], back)
    assert np.array_equal(
        preprocessing.view(noise(256, 256))[0],
        preprocessing.invert(preprocessing.apply(noise(256, 256)))[0][0],
    )
    low, high = np.array([[[0]], [[255]]], np.uint8).repeat(3, axis=2)
    limits = [preprocessing.apply(one[None], resize=False).ravel() for one in (low, high)]
    mean, std = np.array(preprocessing.pixel_mean), np.array(preprocessing.pixel_std)
    assert np.allclose(limits, [-mean / std, (1 - mean) / std], rtol=1e-5)


def test_mean_std_and_scale_belong_together():
    imagenet = Preprocessing()
    assert (imagenet.mean, imagenet.std, imagenet.scale) == (MEAN, STD, 1 / 255)
    assert Preprocessing(channels="BGR").mean == MEAN[::-1]
    for values, wanted in [
        ({"mean": 0.5}, ((0.5,) * 3, (1.0,) * 3, 1 / 255)), ({"scale": 1}, ((0.0,) * 3, (1.0,) * 3, 1.0)),
        ({"std": 0.5}, ((0.0,) * 3, (0.5,) * 3, 1 / 255)), ({"channels": "gray"}, ((0.0,), (1.0,), 1 / 255)),
        ({"channels": "BGR"}, (MEAN[::-1], STD[::-1], 1 / 255)), ({}, (MEAN, STD, 1 / 255)),
    ]:  # fmt: skip
        for found in (imagenet.changed(**values), Preprocessing(**values)):
            assert (found.mean, found.std, found.scale) == wanted, values
    odd = Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
    assert odd.changed(channels="BGR").mean == (0.3, 0.2, 0.1) and odd.changed(crop=100).mean == odd.mean
    assert odd.changed(channels="gray").changed(channels="RGB") == imagenet


def test_the_crop_keeps_its_share():
    assert Preprocessing(crop=299).resize == 342 and Preprocessing(crop=128).resize == 146
    assert Preprocessing(crop=127).resize == 127 and Preprocessing(crop=28).resize == 28  # whole images
    assert Preprocessing(resize=224).changed(crop=96).resize == 96
    assert Preprocessing(resize=232).changed(crop=(112, 300)).resize == 116
    assert Preprocessing().changed(crop=100, resize=100).resize == 100
    assert Preprocessing(crop=(30, 30)) == Preprocessing(crop=30) and Preprocessing(crop=30).size == (30, 30)


@pytest.mark.parametrize(
    "values",
    [{"mean": (104, 117, 123)}, {"mean": MEAN, "std": STD, "scale": 1}, {"mean": -0.5}, {"std": 1e-4}],
)
def test_values_of_another_unit_give_a_warning(values, monkeypatch):
    monkeypatch.setattr(module, "_said", set())
    with pytest.warns(UserWarning, match="input would go from .* are they of another scale") as caught:
        for _ in range(2):
            Preprocessing(**values).apply(noise(4, 4))
    assert len(caught) == 1


def test_an_assumption_is_said_once(monkeypatch):
    monkeypatch.setattr(module, "_said", set())
    assumed = Preprocessing(assumed=True)
    with pytest.warns(UserWarning, match="assumed: RGB, the middle 224x224 of 256 px.* --bgr") as caught:
        for _ in range(3):
            assumed.apply(noise(9, 9))
            assumed.invert(np.zeros((1, 3, 2, 2)))
    assert len(caught) == 1
    monkeypatch.setattr(module, "_said", set())
    assumed.changed(channels="BGR").apply(noise(9, 9))
    assumed.changed().apply(noise(9, 9))
    assert assumed == Preprocessing() and repr(assumed) == repr(Preprocessing())


def test_normalizing_is_torchs_to_the_bit():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for preprocessing in (Preprocessing(), Preprocessing((0.5, 0.1, 0.9), (0.3, 1.0, 0.123), 32, 16)):
        x = preprocessing.apply(array, resize=False)
        wanted = torchvision_normalized(array, preprocessing.mean, preprocessing.std)
        assert x.dtype == np.float32 and np.array_equal(x[0], wanted)


def test_shapes_and_memory_order():
    preprocessing = Preprocessing(resize=40, crop=32)
    batch = np.stack([noise(50, 60, seed) for seed in range(3)])
    x = preprocessing.apply(batch)
    assert x.shape == (3, 3, 32, 32) and x.dtype == np.float32
    assert x.transpose(0, 2, 3, 1).flags.c_contiguous
    for other in (list(batch), tuple(batch), [Image.fromarray(array) for array in batch]):
        assert np.array_equal(preprocessing.apply(other), x)
    assert np.array_equal(preprocessing.apply(batch[1]), x[1:2])


def test_without_resizing(tmp_path):
    preprocessing = Preprocessing()
    x = preprocessing.apply(noise(50, 33), resize=False)
    assert x.shape == (1, 3, 33, 50)
    assert np.array_equal(preprocessing.invert(x)[0], noise(50, 33))
    with pytest.raises(ImageError, match="the first is 50 x 33, number 3 is 33 x 50"):
        preprocessing.apply([noise(50, 33), noise(50, 33), noise(33, 50)], resize=False)


def test_nothing_is_not_a_batch():
    for nothing in ([], (), np.zeros((0, 8, 8, 3), np.uint8)):
        with pytest.raises(ImageError, match="expected at least one; found none"):
            Preprocessing().apply(nothing)


def test_the_callers_images_are_not_changed():
    array = noise(30, 30)
    array.flags.writeable = False
    Preprocessing().apply(array)
    for orientation in (1, 6):
        image = Image.fromarray(array)
        image.getexif()[0x0112] = orientation
        open_image(image).putpixel((0, 0), (1, 2, 3))
        Preprocessing().apply([image])
        assert image.tobytes() == array.tobytes()


def test_invert_clips_and_rounds_to_nearest():
    plain = Preprocessing((0, 0, 0), (1, 1, 1))
    levels = np.array([-255, 0, 0.4999, 0.5001, 254.4999, 254.5001, 255, 999])
    found = plain.invert((levels / 255).reshape(1, 1, 1, 8).repeat(3, axis=1))
    assert found.dtype == np.uint8 and found.shape == (1, 1, 8, 3)
    assert found[0, 0, :, 1].tolist() == [0, 0, 0, 1, 254, 255, 255, 255]
    assert plain.invert(np.zeros((2, 3, 4, 5), int)).shape == (2, 4, 5, 3)


@pytest.mark.parametrize(
    "x",
    [
        np.ones((3, 8, 8)), np.ones((1, 8, 8, 3)), np.ones((1, 3, 2, 2), complex),
        np.full((1, 3, 2, 2), np.nan), np.full((1, 3, 2, 2), np.inf),
    ],
)  # fmt: skip
def test_invert_refuses(x):
    with pytest.raises(InputError, match="x: expected"):
        Preprocessing().invert(x)


def test_preprocessing_survives_json():
    preprocessing = Preprocessing(np.array([0.1, 0.2, 0.3]), [1, 2, 3], np.int64(300), 227)
    stored = json.loads(json.dumps(preprocessing.to_json()))
    assert stored == {
        "mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0], "resize": 300, "crop": 227, "channels": "RGB",
        "scale": 1 / 255, "interpolation": "bilinear", "pad": False, "assumed": False,
    }  # fmt: skip
    assert Preprocessing.from_json(stored) == preprocessing
    assert hash(preprocessing) == hash(Preprocessing.from_json(stored))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mean": [0.1, 0.2]}, "mean"), ({"mean": "abc"}, "mean"), ({"mean": [0, 0, None]}, "mean"),
        ({"mean": [0, 0, float("nan")]}, "mean"), ({"mean": [0, 0, [1]]}, "mean"),
        ({"std": [1, 1, 0]}, "std"), ({"std": [1, 1, -1]}, "std"), ({"std": [1, 1, float("inf")]}, "std"),
        ({"std": [1, 1, True]}, "std"), ({"std": [1, 1, 1e-300]}, "std"), ({"std": {"r": 1}}, "std"),
        ({"crop": 0}, "crop"), ({"crop": 4097}, "crop"), ({"resize": 9000}, "resize"), ({"resize": 0}, "resize"),
        ({"crop": [224]}, "crop"), ({"crop": [1, 2, 3]}, "crop"), ({"crop": [1, 4096], "resize": 3}, "resize"),
        ({"scale": 0}, "scale"), ({"scale": None}, "scale"), ({"scale": "1"}, "scale"), ({"mean": None}, "mean"),
        ({"channels": "RBG"}, "channels"), ({"channels": ["RGB"]}, "channels"), ({"channels": "gray"}, "mean"),
        ({"interpolation": "cubic"}, "interpolation"), ({"pad": 1}, "pad"), ({"assumed": None}, "assumed"),
        ({"crop": 224.0}, "crop"), ({"crop": "224"}, "crop"), ({"resize": True}, "resize"),
        ({"color": 1}, "color"),
    ],
)  # fmt: skip
def test_stored_preprocessing_is_checked(change, named):
    with pytest.raises(InputError, match=f"preprocessing: .*{named}") as raised:
        Preprocessing.from_json({**Preprocessing().to_json(), **change})
    assert "\n" not in str(raised.value)


def test_the_first_version_of_files_is_read():
    stored = {"mean": [0.1, 0.2, 0.3], "std": [1, 2, 3], "resize": 300, "crop": 227}
    assert Preprocessing.from_json(stored) == Preprocessing((0.1, 0.2, 0.3), (1, 2, 3), 300, 227)


@pytest.mark.parametrize("stored", [None, [], {}, {"mean": [0, 0, 0]}, {1: 2}])
def test_stored_preprocessing_has_to_be_whole(stored):
    with pytest.raises(
        InputError, match="preprocessing: expected mean, std, resize, crop, channels, .*; found"
    ):
        Preprocessing.from_json(stored)


@pytest.mark.parametrize("suffix", [*WRITE_FORMATS, ".PNG"])
def test_saving_in_every_format(tmp_path, suffix):
    smooth = np.linspace(0, 255, 64 * 48 * 3).reshape(48, 64, 3).astype(np.uint8)
    path = tmp_path / f"out{suffix}"
    path.write_bytes(b"old")
    save_image(smooth, path)
    with Image.open(path) as image:
        assert image.format == WRITE_FORMATS[suffix.lower()]
    off = np.abs(np.asarray(open_image(path)).astype(int) - smooth)
    assert off.max() <= {"JPEG": 12, "WEBP": 12, "GIF": 40}.get(WRITE_FORMATS[suffix.lower()], 0)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_saving_refuses(tmp_path):
    for name, found in [("out.xyz", ".xyz"), ("out", "none"), ("out.eps", ".eps")]:
        with pytest.raises(ImageError, match=rf"expected an image's suffix \(\.png, .*found '{found}'"):
            save_image(noise(4, 4), tmp_path / name)
    for image in (np.zeros((4, 4, 3)), "photo.png", np.zeros((1, 4, 4, 3), np.uint8), Image.new("F", (4, 4))):
        with pytest.raises(ImageError, match="image"):
            save_image(image, tmp_path / "out.png")
    with pytest.raises(InputError, match="there is no folder"):
        save_image(noise(4, 4), tmp_path / "no" / "out.png")
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_half_way_keeps_the_old_image(tmp_path):
    resource = pytest.importorskip("resource", reason="limits on file size are Unix's")
    path = tmp_path / "out.png"
    save_image(noise(4, 4), path)
    old = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limits[1]))
    try:
        with pytest.raises(InputError, match=rf"out\.png: {NOT_WRITTEN}: "):
            save_image(noise(200, 200), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1
