"""Whether an image may be a drawn scene, and which part of it a network sees."""

import numpy as np
import pytest
from PIL import Image

import npgrad
from npgrad.images.seen import looks_drawn, middle
from npgrad.scenes import scene


def test_drawn_scenes_look_drawn(rng):
    for index in rng.integers(0, 10**6, 12):
        assert looks_drawn(Image.fromarray(scene(int(index), seed=int(index % 7))[0]))


def test_other_images_do_not(rng):
    ramp = np.tile(np.arange(224, dtype=np.uint8)[:, None, None], (1, 224, 3))
    noise = rng.integers(0, 256, (224, 224, 3), np.uint8)
    grain = np.clip(scene(3)[0] + rng.normal(0, 6, (224, 224, 3)), 0, 255).astype(np.uint8)
    for image in (ramp, noise, grain, np.full((224, 224, 3), 90, np.uint8), scene(3)[0][:, :-1]):
        assert not looks_drawn(image)


def test_photos_do_not(shared):
    photos = sorted((shared / "images").rglob("*.jpg"))
    assert photos and not any(map(looks_drawn, map(npgrad.images.open_image, photos)))
    crops = np.load(shared / "data" / "imagenet_val_25.npz")["X"]
    assert sum(map(looks_drawn, crops)) <= 1


@pytest.mark.exhaustive
def test_the_bundled_network_warns_of_photos(rng, tmp_path):
    photo = Image.fromarray(rng.integers(0, 256, (300, 300, 3), np.uint8))
    photo.save(tmp_path / "photo.png")
    for images in (photo, tmp_path / "photo.png", [scene(3)[0], np.asarray(photo)]):
        for call in ("preprocess", "predict"):
            model = npgrad.load()
            with pytest.warns(UserWarning, match="the bundled network knows only drawn scenes") as caught:
                getattr(model, call)(images)
                getattr(model, call)(images)
            assert len(caught) == 1 and caught[0].filename == __file__
    with pytest.warns(UserWarning, match="drawn scenes"):
        npgrad.load("scenes").predict(photo)
    model = npgrad.load()
    model.predict([scene(3)[0], scene(4)[0]])
    model.preprocess(photo, resize=False)
    trained = model.with_parameters({"conv10.bias": np.zeros(26, np.float32)})
    trained.predict(photo)  # other weights may know other images


def test_the_middle():
    seen = npgrad.Preprocessing(resize=256, crop=224)
    assert middle(seen, (300, 200)) == "the middle 175x175 of 300x200 px"
    assert middle(seen, (256, 512)) == "the middle 224x224 of 256x512 px"
    assert middle(seen, (300, 300)) == ""
    one_side = npgrad.Preprocessing(resize=224, crop=224)
    assert middle(one_side, (300, 200)) == "the middle 200x200 of 300x200 px"
    assert middle(npgrad.Preprocessing(crop=224, pad=True), (300, 200)) == ""
