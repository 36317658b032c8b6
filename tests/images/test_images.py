"""Images in: preprocessing against torchvision's steps written out; and images out."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from npgrad.errors import ImageError, InputError
from npgrad.images import Preprocessing, open_image, save_image
from npgrad.images.saving import WRITE_FORMATS

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def torchvision_levels(image, resize, crop, whole=int):
    """Resize and CenterCrop as torchvision does them on a PIL image: uint8 (crop, crop, 3).

    `whole` makes the long side's length an integer: `int` is torchvision's way, `round` npgrad's.
    """
    width, height = image.size
    short, long = min(width, height), max(width, height)
    new_long = whole(resize * long / short)
    new_size = (resize, new_long) if width <= height else (new_long, resize)
    image = image.resize(new_size, Image.Resampling.BILINEAR)
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


def assert_same_levels(found, expected):
    """Within one gray level, and nearly all the same: a box's corners are float32 in Pillow."""
    assert np.abs(found - expected.astype(int)).max() <= 1
    assert np.mean(found != expected) < 0.01


@pytest.mark.parametrize("crop", [224, 227, 256])
@pytest.mark.parametrize(
    "size", [(300, 300), (500, 335), (335, 500), (256, 256), (256, 301), (1, 1), (997, 61), (31, 620)]
)
def test_resize_and_crop_are_torchvisions(size, crop):
    """On sizes whose long side does not come out at half a pixel or more above a whole one."""
    image = Image.fromarray(noise(*size))
    preprocessing = Preprocessing(crop=crop)
    found = levels(preprocessing.apply(image), preprocessing)[0]
    assert_same_levels(found, torchvision_levels(image, 256, crop))


@pytest.mark.parametrize("size", [(500, 408), (408, 500), (541, 359), (266, 400), (335, 501)])
def test_the_long_side_is_rounded_where_torchvision_cuts_it_off(size):
    image = Image.fromarray(noise(*size))
    preprocessing = Preprocessing()
    found = levels(preprocessing.apply(image), preprocessing)[0]
    assert_same_levels(found, torchvision_levels(image, 256, 224, whole=round))
    assert np.mean(found != torchvision_levels(image, 256, 224)) > 0.5


def test_photos(shared):
    preprocessing = Preprocessing()
    for path in sorted((shared / "images").glob("*.jpg")):
        with Image.open(path) as image:
            wanted = torchvision_levels(image.convert("RGB"), 256, 224, whole=round)
        x = preprocessing.apply(path)
        assert_same_levels(levels(x, preprocessing)[0], wanted)
        assert np.abs(x[0] - torchvision_normalized(wanted)).max() <= 1.01 / 255 / min(STD), path.name


def test_normalizing_is_torchs_to_the_bit():
    array = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for preprocessing in (Preprocessing(), Preprocessing((0.5, 0.1, 0.9), (0.3, 1.0, 0.123), 32, 16)):
        x = preprocessing.apply(array, resize=False)
        wanted = torchvision_normalized(array, preprocessing.mean, preprocessing.std)
        assert x.dtype == np.float32 and np.array_equal(x[0], wanted)


def test_the_whole_resized_image_is_never_made(monkeypatch):
    """A strip of 20:1 resized whole would have 20 times the pixels of its crop."""
    made = []
    real = Image.Image.resize
    monkeypatch.setattr(Image.Image, "resize", lambda *a, **k: made.append(real(*a, **k)) or made[-1])
    monkeypatch.setattr(Image.Image, "draft", lambda *a, **k: pytest.fail("draft changes the pixels"))
    assert Preprocessing(resize=512, crop=64).apply(noise(1200, 60)).shape == (1, 3, 64, 64)
    assert [image.size for image in made] == [(64, 60), (64, 64)]


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
    assert stored == {"mean": [0.1, 0.2, 0.3], "std": [1.0, 2.0, 3.0], "resize": 300, "crop": 227}
    assert Preprocessing.from_json(stored) == preprocessing
    assert hash(preprocessing) == hash(Preprocessing.from_json(stored))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"mean": [0.1, 0.2]}, "mean"), ({"mean": "abc"}, "mean"), ({"mean": [0, 0, None]}, "mean"),
        ({"mean": [0, 0, float("nan")]}, "mean"), ({"mean": 0.5}, "mean"), ({"mean": [0, 0, [1]]}, "mean"),
        ({"std": [1, 1, 0]}, "std"), ({"std": [1, 1, -1]}, "std"), ({"std": [1, 1, float("inf")]}, "std"),
        ({"std": [1, 1, True]}, "std"), ({"std": [1, 1, 1e-300]}, "std"), ({"std": {"r": 1}}, "std"),
        ({"crop": 0}, "crop"), ({"crop": 257}, "crop 257, resize 256"), ({"resize": 5000}, "resize"),
        ({"crop": 224.0}, "crop"), ({"crop": "224"}, "crop"), ({"resize": True}, "resize"),
        ({"color": 1}, "color"),
    ],
)  # fmt: skip
def test_stored_preprocessing_is_checked(change, named):
    with pytest.raises(InputError, match=f"preprocessing: .*{named}") as raised:
        Preprocessing.from_json({**Preprocessing().to_json(), **change})
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("stored", [None, [], {}, {"mean": [0, 0, 0]}, {1: 2}])
def test_stored_preprocessing_has_to_be_whole(stored):
    with pytest.raises(InputError, match="preprocessing: expected mean, std, resize, crop; found"):
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
        with pytest.raises(InputError, match=r"out\.png: cannot be written: "):
            save_image(noise(200, 200), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == old and len(list(tmp_path.iterdir())) == 1
