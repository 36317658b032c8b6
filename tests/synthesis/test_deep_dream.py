"""DeepDream: its loop is torch's own, octave by octave; checkpoints, interruptions, mistakes; on a real photo."""

import numpy as np
import pytest
import torch
from checks import assert_close
from messages import A_NUMBER, A_WHOLE_NUMBER, AN_INDEX, OTHER_SETTINGS
from PIL import Image
from torch_nets import activations, small_net, torch_names, torch_twin

from npgrad import InputError
from npgrad.errors import TooSmall, UnknownName
from npgrad.synthesis.deep_dream import deep_dream
from npgrad.synthesis.pixels import image_limits


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Torch's second thread makes such small networks slower, and very slow where the cores are busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def net():
    return small_net()


@pytest.fixture(scope="module")
def x():
    return np.random.default_rng(4).uniform(-1.5, 1.5, (1, 3, 40, 48))


def dream(net, x, layer="fire3", **options):
    return deep_dream(net, x, layer, **{"octaves": 2, "steps": 3, **options})


def pillow(x, size):
    """x (1, 3, H, W) at another size, by Pillow's bilinear resize of each channel."""
    planes = [Image.fromarray(plane.astype(np.float32)) for plane in x[0]]
    return np.stack([plane.resize(size[::-1], Image.Resampling.BILINEAR) for plane in planes])[None].astype(
        x.dtype
    )


def torch_loop(net, x, layer, channel, sizes, steps, learning_rate, max_jitter, seed):
    """By autograd: (image after every step, half the squared activations at every step)."""
    twin, name, rng = torch_twin(net), torch_names(net)[layer], np.random.default_rng(seed)
    images, activity, detail, before = [], [], None, None
    for size in sizes:
        base = x if size == x.shape[2:] else pillow(x, size)
        image = base if detail is None else base + (detail if size == before else pillow(detail, size))
        before = size
        for _ in range(steps):
            ox, oy = (int(o) for o in rng.integers(-max_jitter, max_jitter, size=2, endpoint=True))
            leaf = torch.tensor(image.copy(), requires_grad=True)
            y = activations(twin, torch.roll(leaf, (oy, ox), (2, 3)))[name]
            value = ((y if channel is None else y[:, channel]) ** 2).sum() / 2
            value.backward()
            activity.append(value.item())
            image = image + learning_rate * leaf.grad.numpy() / leaf.grad.abs().mean().item()
            image = np.clip(image, *image_limits(net, x))
            images.append(image)
        detail = image - base
    return images, activity


@pytest.mark.sampled(2)
@pytest.mark.parametrize("layer, channel", [("fire3", None), ("fire4", 6)])
@pytest.mark.parametrize("scale, sizes", [(1.4, [(29, 34), (40, 48)]), (1.0, [(40, 48), (40, 48)])])
def test_every_step_is_torchs(net, x, layer, channel, scale, sizes):
    expected, activity = torch_loop(net, x, layer, channel, sizes, 3, 0.05, 7, seed=2)
    seen, losses = [], []

    def note(t, image, step_losses):
        seen.append(image), losses.append(step_losses["activation"])

    options = {"channel": channel, "octave_scale": scale, "learning_rate": 0.05, "max_jitter": 7, "rng": 2}
    before = x.copy()
    result = dream(net, x, layer, callback=note, **options)
    assert len(seen) == result.steps == 6 and result.losses["activation"] == losses
    for found, image in zip(seen, expected, strict=True):
        assert_close(found, image, 1e-8)
    np.testing.assert_allclose(losses, activity, rtol=1e-10)
    assert result.image is seen[-1]
    np.testing.assert_array_equal(x, before)


def test_values_stay_within_what_a_image_can_hold(net, x):
    low, high = image_limits(net, x)
    image = dream(net, x, learning_rate=1.0).image
    assert np.all(image >= low) and np.all(image <= high) and np.any(image == low) and np.any(image == high)


def test_the_last_octave_is_the_whole_image_and_one_is_enough(net, x):
    shapes = []
    dream(
        net,
        x,
        octaves=3,
        steps=1,
        octave_scale=1.2,
        callback=lambda t, image, _: shapes.append(image.shape[2:]),
    )
    assert shapes == [(28, 33), (33, 40), (40, 48)]
    one = dream(net, x, octaves=1)
    assert one.steps == 3 and one.image.shape == x.shape


@pytest.mark.sampled(1)
@pytest.mark.parametrize("step", [1, 3, 4, 5])
def test_interrupted_and_resumed_it_has_the_same_bits(net, x, tmp_path, step):
    net, x, path = net.astype(np.float32), x.astype(np.float32), tmp_path / "dream.ckpt"

    def interrupt(t, image, losses):
        if t == step:
            raise KeyboardInterrupt

    whole = dream(net, x, rng=1)
    first = dream(net, x, rng=1, callback=interrupt, checkpoint=path)
    assert first.interrupted and first.steps == step
    assert first.image.shape == x.shape and not np.array_equal(first.image, x)  # be it in a smaller octave
    rest = dream(net, x, rng=1, checkpoint=path)
    assert not rest.interrupted and rest.steps == 6 and rest.losses == whole.losses
    assert rest.image.dtype == np.float32
    np.testing.assert_array_equal(rest.image, whole.image)
    for changed in (
        {"layer": "fire4"}, {"channel": 3}, {"octave_scale": 1.3}, {"learning_rate": 0.5}, {"max_jitter": 1},
        {"rng": 2}, {"x": x + np.float32(0.5)}, {"steps": 2}, {"octaves": 1},
    ):  # fmt: skip
        with pytest.raises(InputError, match=OTHER_SETTINGS):
            dream(**{"net": net, "x": x, "rng": 1, "checkpoint": path, **changed})


def test_a_layer_that_sees_nothing_leaves_the_image_as_it_is(net):
    blind = net.with_parameters({
        name: np.full_like(array, -1) for name, array in net.parameters().items() if name.startswith("fire3.expand")
    })  # fmt: skip
    x = np.random.default_rng(1).uniform(-1, 1, (1, 3, 33, 33))
    result = dream(blind, x, octaves=1)
    np.testing.assert_array_equal(result.image, x)
    assert result.losses["activation"] == [0, 0, 0]


@pytest.mark.parametrize(
    "options, error, message",
    [
        ({"layer": "fier3"}, UnknownName, "nearest: fire3"),
        ({"layer": "input"}, InputError, "layer: expected a layer of the network, found 'input'"),
        ({"channel": 128}, InputError, f"channel: {AN_INDEX} 127 at fire3, found 128"),
        ({"channel": -1}, InputError, f"channel: {A_WHOLE_NUMBER} >= 0, found -1"),
        ({"octaves": 0}, InputError, f"octaves: {A_WHOLE_NUMBER} >= 1, found 0"),
        (
            {"octaves": 6, "layer": "fire9"},
            TooSmall,
            "octaves: the smallest is 7x9 px: .*takes images of at least 17x17 px",
        ),
        ({"octave_scale": 0.5}, InputError, f"octave_scale: {A_NUMBER} >= 1, found 0.5"),
        ({"octave_scale": np.inf}, InputError, f"octave_scale: {A_NUMBER} >= 0, found inf"),
        ({"steps": 0}, InputError, f"steps: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"learning_rate": "big"}, InputError, f"learning_rate: {A_NUMBER} >= 0, found 'big'"),
        ({"max_jitter": 0.5}, InputError, f"max_jitter: {A_WHOLE_NUMBER} >= 0, found 0.5"),
        ({"rng": "dice"}, InputError, "rng: expected a Generator"),
        ({"x": np.zeros((2, 3, 40, 40))}, InputError, r"expected one image \(1, C, H, W\)"),
        ({"x": np.full((1, 3, 40, 40), np.nan)}, InputError, "finite"),
    ],
)
def test_mistakes_are_said_in_one_line(net, x, options, error, message):
    with pytest.raises(error, match=message) as caught:
        dream(**{"net": net, "x": x, **options})
    assert "\n" not in str(caught.value)


def test_a_photo_keeps_its_forms_and_gets_new_ones(real_model, shared):
    with Image.open(shared / "images" / "castle.jpg") as photo:
        x = real_model.preprocess(photo.convert("RGB").resize((144, 120)), resize=False)
    result = deep_dream(real_model, x, "fire6", octaves=3, steps=5, learning_rate=0.05)
    alike = np.corrcoef(result.image.ravel(), x.ravel())[0, 1]
    assert 0.6 < alike < 0.99
    assert result.losses["activation"][-1] > 1.5 * result.losses["activation"][10]
