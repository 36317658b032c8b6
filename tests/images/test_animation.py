"""Animated images: which frames are kept, and what is in the file."""

import numpy as np
import pytest
from messages import A_WHOLE_NUMBER, NOT_WRITTEN
from PIL import Image, ImageSequence

from npgrad.errors import ImageError, InputError
from npgrad.images.animation import Animation, write


def gray(value, height=8, width=12):
    return np.full((height, width, 3), value, np.uint8)


def frames_of(path):
    """Each frame's pixels and how long it is shown."""
    with Image.open(path) as file:
        assert file.info["loop"] == 0
        return [
            (np.array(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(file)
        ]


@pytest.mark.parametrize("most", [2, 5, 8])
@pytest.mark.parametrize("count", [0, 1, 5, 8, 9, 23, 100])
def test_frames_are_evenly_spaced_and_few(most, count):
    animation, made = Animation(most), []
    for i in range(count):
        animation.add(lambda i=i: made.append(i) or gray(i))
        assert len(animation.frames) <= most
    kept = [int(frame[0, 0, 0]) for frame in animation.frames]
    assert kept == list(range(0, count, animation.stride))
    assert count <= most or len(kept) > most // 2 - 1
    assert len(made) <= max(count, 1) and (
        count < 50 or len(made) < 0.8 * count
    )  # the others were not even made


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_the_file_has_the_frames_and_holds_the_last(tmp_path, suffix):
    animation, path = Animation(), tmp_path / f"run{suffix}"
    colors = [(250, 20, 20), (20, 250, 20), (20, 20, 250), (240, 240, 10)]
    images = [np.full((24, 36, 3), color, np.uint8) for color in colors]
    for image in images[:3]:
        animation.add(lambda image=image: image)
    animation.save(path, images[3])
    found = frames_of(path)
    assert [duration for _, duration in found] == [400, 400, 400, 2000]
    for (frame, _), image in zip(found, images, strict=True):
        assert frame.shape == image.shape
        assert np.abs(frame.astype(int) - image).max() <= 12


def test_the_last_frame_is_not_shown_twice(tmp_path):
    animation = Animation()
    for value in (0, 100, 200):
        animation.add(lambda value=value: gray(value))
    animation.save(tmp_path / "run.gif", gray(200))
    assert [duration for _, duration in frames_of(tmp_path / "run.gif")] == [400, 400, 2000]
    Animation().save(tmp_path / "still.gif", gray(7))
    with Image.open(tmp_path / "still.gif") as still:
        assert np.array(still.convert("RGB")).mean() == 7


def test_many_frames_go_faster(tmp_path, rng):
    write(tmp_path / "run.gif", [rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for _ in range(61)])
    assert [duration for _, duration in frames_of(tmp_path / "run.gif")] == [100] * 60 + [2000]


def test_one_palette_serves_all_frames_well(tmp_path):
    """Smooth colors that change: 256 for all frames, and yet near everywhere."""
    y, x = np.mgrid[0:64, 0:96] / 96
    images = [
        np.stack([255 * x, 100 + 100 * y, 255 * (1 - x) * (0.5 + t)], axis=-1).astype(np.uint8)
        for t in np.linspace(0, 0.5, 12)
    ]
    write(tmp_path / "run.gif", images)
    found = frames_of(tmp_path / "run.gif")
    assert len(found) == 12
    for (frame, _), image in zip(found, images, strict=True):
        error = frame.astype(float) - image
        assert np.sqrt((error**2).mean()) < 12
        assert np.abs(error.mean(axis=(0, 1))).max() < 4  # dithered, not shifted


def test_frames_of_other_sizes_get_the_last_ones(tmp_path):
    animation = Animation()
    for side, value in ((10, 10), (20, 120), (40, 240)):
        animation.add(lambda side=side, value=value: gray(value, side, 2 * side))
    animation.save(tmp_path / "run.webp", gray(60, 1000, 2000))
    assert {frame.shape for frame, _ in frames_of(tmp_path / "run.webp")} == {(240, 480, 3)}


def test_mistakes(tmp_path):
    with pytest.raises(ImageError, match=r"run.mp4: expected an animation's suffix \(.gif, .webp\)"):
        Animation().save(tmp_path / "run.mp4", gray(0))
    with pytest.raises(InputError, match=NOT_WRITTEN):
        Animation().save(tmp_path / "no" / "run.gif", gray(0))
    for most in (1, 2.5, True):
        with pytest.raises(InputError, match=f"most: {A_WHOLE_NUMBER} >= 2"):
            Animation(most)
    assert list(tmp_path.iterdir()) == []
