"""The blind test of class visualizations: what its namer is trained on, and how its answers are counted."""

import numpy as np
import own_scripts
import pytest

from npgrad.scenes import scene


@pytest.fixture(scope="module")
def script():
    return own_scripts.loaded("blind_test")


def test_a_batch_is_gray_standardized_and_the_same_each_time(script):
    x, target = script.batch(3)
    assert x.shape == (script.BATCH, 1, script.SIZE, script.SIZE) and x.dtype == np.float32
    assert target.min() >= 0 and target.max() < len(script.NAMES) == 13
    assert np.abs(x).max() <= 3 and np.abs(x.mean(axis=(1, 2, 3))).max() < 0.15
    again, labels = script.batch(3)
    assert (x == again).all() and (target == labels).all()
    assert (x != script.batch(4)[0]).any()


def test_the_scenes_of_a_batch_have_their_labels(script):
    """Even images are scenes where the scene has a shape; their structure is that of the scene in gray."""
    t, seed = 0, script.SEED
    x, target = script.batch(t)
    checked = 0
    for index in range(0, script.BATCH, 2):
        image, label, _ = scene(index, seed, script.SIZE)
        if label < len(script.NAMES):
            alike = np.corrcoef(image.mean(axis=2).ravel(), x[index, 0].ravel())[0, 1]
            assert target[index] == label and abs(alike) > 0.5, index
            checked += 1
    assert checked > 8


def test_the_answers_of_a_namer_that_always_says_heart(script):
    class Network:
        def deprocess(self, image):
            return np.zeros((1, 40, 40, 3), np.uint8)

    def judge(x):
        assert x.shape[2:] == (script.SIZE, script.SIZE)
        return np.eye(13)[np.full(len(x), script.NAMES.index("heart"))]

    script.create_class_visualization, kept = lambda *a, **k: Network, script.create_class_visualization
    Network.image = None
    try:
        table = script.report(judge, {"net": Network()}, 2, 40)
    finally:
        script.create_class_visualization = kept
    assert "| heart | 2 of 2 |" in table and "| ring | 0 of 2 (heart, heart) |" in table
    assert table.endswith("| **right** | **2 of 26** |")


def test_the_namer_takes_gray_images(script):
    namer = script.namer()
    assert namer(np.zeros((2, 1, script.SIZE, script.SIZE), np.float32)).shape == (2, 13)
    assert (namer.parameters()["fc.weight"] == script.namer().parameters()["fc.weight"]).all()
