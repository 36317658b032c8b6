"""Style transfer: step by step the homework's loop in torch; its options; what it costs and what it refuses."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch
from checks import assert_close
from messages import A_NUMBER, A_WHOLE_NUMBER, FINITE_NUMBERS, OTHER_SETTINGS
from PIL import Image
from torch_nets import activations, small_net, torch_names, torch_twin

import npgrad
from npgrad import Model
from npgrad.layers import Conv2d, Sequential
from npgrad.synthesis import _style_images as images
from npgrad.synthesis import presets
from npgrad.synthesis._descent import AdamSchedule, advance
from npgrad.synthesis._run import Run
from npgrad.synthesis._style_goal import LossWeights, goal_at, losses_and_gradient
from npgrad.synthesis.presets import PRESETS
from npgrad.synthesis.style_transfer import style_transfer

LAYERS = ("relu1", "fire3", "fire4", "fire5")
OPTIONS = {
    "content_layer": "fire2",
    "content_weight": 5e-2,
    "style_layers": LAYERS,
    "style_weights": (300, 20, 12, 3),
    "tv_weight": 2e-2,
}


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread():
    """On such small images torch's threads wait for each other more than they work."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def model():
    return small_net()


def image(seed, height, width):
    """A smooth random image, normalized, with a little noise against ties."""
    rng = np.random.default_rng(seed)
    x = images.resized(rng.normal(size=(1, 3, 5, 6)), (height, width))
    return x + 0.05 * rng.normal(size=x.shape)


@pytest.fixture(scope="module")
def content():
    return image(0, 33, 40)


@pytest.fixture(scope="module")
def style():
    return image(1, 36, 31)


def stop_after(count):
    """A callback that presses Ctrl-C after so many steps."""

    def callback(step, image, values):
        if step == count:
            raise KeyboardInterrupt

    return callback


def torch_gram(features):
    rows = features.reshape(features.shape[1], -1)
    return rows @ rows.T / features.numel()


def homework(model, content, style, start, steps, until=None, **options):
    """The course's loop, with torch's autograd and Adam: (image, losses of every step)."""
    net, names = torch_twin(model), torch_names(model)
    feats = activations(net, torch.tensor(content))
    content_target = feats[names[options["content_layer"]]].detach()
    feats = activations(net, torch.tensor(style))
    style_targets = [torch_gram(feats[names[layer]]).detach() for layer in options["style_layers"]]
    img = torch.tensor(np.array(start), requires_grad=True)
    optimizer = torch.optim.Adam([img], lr=3.0)
    history = []
    for t in range(until or steps):
        if t < 0.95 * steps:
            img.data.clamp_(-1.5, 1.5)
        optimizer.zero_grad()
        feats = activations(net, img)
        c_loss = (
            options["content_weight"] * ((feats[names[options["content_layer"]]] - content_target) ** 2).sum()
        )
        s_loss = sum(
            weight * ((torch_gram(feats[names[layer]]) - target) ** 2).sum()
            for layer, target, weight in zip(
                options["style_layers"], style_targets, options["style_weights"], strict=True
            )
        )
        down, across = img[:, :, 1:] - img[:, :, :-1], img[:, :, :, 1:] - img[:, :, :, :-1]
        t_loss = options["tv_weight"] * ((down**2).sum() + (across**2).sum())
        (c_loss + s_loss + t_loss).backward()
        if t == int(0.9 * steps):
            optimizer = torch.optim.Adam([img], lr=0.1)
        optimizer.step()
        history.append([loss.item() for loss in (c_loss, s_loss, t_loss)])
    return img.detach().numpy(), np.array(history)


@pytest.mark.exhaustive
@pytest.mark.parametrize("start", ["content", "noise"])
def test_first_20_of_200_steps_are_the_homeworks_in_torch(model, content, style, start):
    seen = style_transfer(model, content, style, start=start, rng=5, callback=stop_after(20), **OPTIONS)
    begin = content if start == "content" else np.random.default_rng(5).random(content.shape)
    expected, history = homework(model, content, style, begin, 200, until=20, **OPTIONS)
    assert (seen.steps, seen.interrupted) == (20, True)
    np.testing.assert_allclose(seen.image, expected, rtol=0, atol=1e-8)
    found = np.transpose([seen.losses[name] for name in ("content", "style", "tv")])
    np.testing.assert_allclose(found, history, rtol=1e-8)


def test_the_schedule_of_200_steps(model):
    """Without a network, which would blow rounding up: the fresh Adam at 180, the limit lifted at 190."""
    rng = np.random.default_rng(0)
    goal, start = 2 * rng.normal(size=(2, 1, 3, 4, 5))
    run, adam = Run(start, 200, optimizer=AdamSchedule()), AdamSchedule()
    for t in run:
        advance(run, adam, lambda x: ({"loss": np.sum((x - goal) ** 2)}, 2 * (x - goal)), run.image, t, 200)
    x = torch.tensor(start, requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=3.0)
    for t in range(200):
        if t < 190:
            x.data.clamp_(-1.5, 1.5)
        optimizer.zero_grad()
        ((x - torch.tensor(goal)) ** 2).sum().backward()
        if t == 180:
            optimizer = torch.optim.Adam([x], lr=0.1)
        optimizer.step()
    assert run.image.max() > 1.7
    np.testing.assert_allclose(run.image, x.detach().numpy(), rtol=0, atol=1e-10)


def test_other_numbers_of_steps_decay_at_90_percent(model, content, style):
    seen = style_transfer(model, content, style, steps=40, **OPTIONS)
    expected, _ = homework(model, content, style, content, 40, **OPTIONS)
    np.testing.assert_allclose(seen.image, expected, rtol=0, atol=1e-8)


@pytest.mark.exhaustive
def test_real_weights_take_the_homeworks_steps(real_model, shared):
    model = real_model.astype(np.float64)
    paths = shared / "images" / "tubingen.jpg", shared / "images" / "styles" / "starry_night.jpg"
    preset = PRESETS["starry_night"]
    seen = style_transfer(
        model,
        *paths,
        preset="starry_night",
        image_size=48,
        style_size=64,
        start="noise",
        callback=stop_after(20),
    )
    content, style = (
        npgrad.course.preprocess(path, size).astype(np.float64)
        for path, size in zip(paths, (48, 64), strict=True)
    )
    noise = np.random.default_rng(0).random(content.shape)
    expected, history = homework(model, content, style, noise, 200, until=20, **preset)
    np.testing.assert_allclose(seen.image, expected, rtol=0, atol=1e-8)
    np.testing.assert_allclose(seen.losses["style"], history[:, 1], rtol=1e-8)


def small(model, content, style, **options):
    """A short run on a small image, with the weights of this module."""
    return style_transfer(model, content, style, **{"steps": 6, **OPTIONS, **options})


def work_of(model, content, style, blend=None, masks=None):
    chosen = {"image_size": 192, "style_size": 192}
    return images.Images.of(model, content, style, None, None, None, chosen, blend, masks, False)


def test_gradient_with_blended_and_masked_styles(model, content, style):
    """All losses in one backward, against autograd."""
    other, x = image(2, 30, 34), image(3, *content.shape[2:])
    masks = list(np.random.default_rng(4).random((2, 33, 40)))
    weights = LossWeights.of(model, OPTIONS | {"content_layer": "fire3"}, grow=False)  # a style layer, too
    work = work_of(model, content, [style, other], blend=(3, 1), masks=masks)
    found, dx = losses_and_gradient(model, goal_at(model, work, 0, weights), x)

    net, names, img = torch_twin(model), torch_names(model), torch.tensor(x, requires_grad=True)
    feats, target = activations(net, img), activations(net, torch.tensor(content))[names["fire3"]]
    parts = [5e-2 * ((feats[names["fire3"]] - target) ** 2).sum()]
    for blend, mask, painting in zip((1.5, 0.5), masks, (style, other), strict=True):
        seen = activations(net, torch.tensor(painting))
        for layer, weight in zip(LAYERS, OPTIONS["style_weights"], strict=True):
            F = feats[names[layer]]
            m = torch.tensor(images.resized_mask(mask, tuple(F.shape[2:]), np.float64))
            rows = (F * m).reshape(F.shape[1], -1)
            gram = rows @ rows.T / (F.shape[1] * (m**2).sum())
            difference = gram - torch_gram(seen[names[layer]])
            parts.append(blend * (mask**2).mean() * weight * (difference**2).sum())
    down, across = img[:, :, 1:] - img[:, :, :-1], img[:, :, :, 1:] - img[:, :, :, :-1]
    parts.append(2e-2 * ((down**2).sum() + (across**2).sum()))
    sum(parts).backward()
    assert_close(dx, img.grad.numpy(), rtol=1e-11)
    expected = parts[0].item(), sum(part.item() for part in parts[1:-1]), parts[-1].item()
    np.testing.assert_allclose([found[name] for name in ("content", "style", "tv")], expected, rtol=1e-11)


def test_a_mask_keeps_the_style_away_from_the_rest(model, content, style):
    mask = np.zeros((33, 40))
    mask[:, :12] = 1
    near = {"tv_weight": 0, "style_weights": (300, 20, 0, 0)}  # fire4 and fire5 see far
    weights = LossWeights.of(model, OPTIONS | near, grow=False)
    goal = goal_at(model, work_of(model, content, style, masks=mask), 0, weights)
    _, dx = losses_and_gradient(model, goal, content)
    assert np.abs(dx[..., :10]).min(axis=1).max() > 0
    assert not dx[..., 36:].any()


def test_the_forward_pass_stops_at_the_topmost_layer_that_counts(model):
    assert LossWeights.of(model, OPTIONS, grow=False).top == "fire5"
    assert LossWeights.of(model, OPTIONS | {"style_weights": (1, 0, 0, 0)}, grow=False).top == "fire2"
    inversion = LossWeights.of(model, PRESETS["inversion"], grow=True)
    assert (inversion.top, inversion.style) == ("fire2", {})


@pytest.mark.exhaustive
def test_blend_is_relative(model, content, style):
    alone = small(model, content, style)
    for blend in ((1, 0), (7, 0)):
        both = small(model, content, [style, image(2, 30, 34)], style_blend=blend)
        np.testing.assert_allclose(both.image, alone.image, rtol=0, atol=1e-9)
    mixed = small(model, content, [style, image(2, 30, 34)])
    assert np.abs(mixed.image - alone.image).max() > 0.1


def test_original_colors(model, content, style):
    seen = []
    kept = small(
        model, content, style, original_colors=True, callback=lambda t, image, values: seen.append(image)
    )
    plain = small(model, content, style)
    std, mean = (np.reshape(v, (1, 3, 1, 1)) for v in (model.preprocessing.std, model.preprocessing.mean))
    for image in (kept.image, *seen):
        change = (image - content) * std  # of the pixels: as much red as green and blue
        np.testing.assert_allclose(change[:, 1:], change[:, :-1], rtol=0, atol=1e-12)
        assert np.abs(change).max() > 0.05
    np.testing.assert_array_equal(seen[-1], kept.image)
    assert np.ptp((plain.image - content) * std, axis=1).max() > 0.05
    for image in (plain.image, kept.image):
        y = images.luminance(model, image)
        np.testing.assert_allclose(y, images.luminance(model, plain.image), rtol=0, atol=1e-12)
    red, green, blue = (plain.image * std + mean)[0]
    np.testing.assert_allclose(y[0, 0], 0.299 * red + 0.587 * green + 0.114 * blue, rtol=0, atol=1e-12)


def test_coarse_to_fine_is_one_run_after_the_other(model, content, style):
    shapes = []
    fine = small(
        model,
        content,
        style,
        sizes=(24, 33),
        callback=lambda t, image, values: shapes.append(image.shape[2:]),
    )
    assert shapes == [(24, 29)] * 6 + [(33, 40)] * 6
    assert (fine.steps, len(fine.losses["tv"])) == (12, 12)
    coarse = small(model, content, style, image_size=24, style_size=31 * 24 // 33)
    expected = small(model, content, style, start=coarse.image)
    np.testing.assert_array_equal(fine.image, expected.image)


def test_lbfgs_goes_lower_and_stays_within_a_image(model, content, style):
    found = small(model, content, style, optimizer="lbfgs", steps=20)
    total = np.sum([found.losses[name] for name in ("content", "style", "tv")], axis=0)
    adam = small(model, content, style, steps=20)
    assert total[-1] < 0.6 * total[0]
    assert total[-1] < sum(values[-1] for values in adam.losses.values())
    pixels = found.image[0].transpose(1, 2, 0) * model.preprocessing.std + model.preprocessing.mean
    assert -1e-9 < pixels.min() <= pixels.max() < 1 + 1e-9


def test_settings_come_from_the_preset(model, content, style):
    given = small(model, content, style, **PRESETS["the_scream"] | {"image_size": 24, "style_size": 31})
    named = style_transfer(model, content, style, preset="the_scream", steps=6, image_size=24)
    np.testing.assert_array_equal(given.image, named.image)
    other = style_transfer(
        model, content, style, preset="the_scream", steps=6, image_size=24, content_weight=9
    )
    assert not np.array_equal(other.image, named.image)


def test_the_default_preset_is_the_models_first_whose_layers_it_has(model):
    def default(presets_of_it):
        return presets.default_for(dataclasses.replace(model, presets=presets_of_it))

    assert default(("the_scream", "starry_night")) == "the_scream"
    assert default(("gatys", "unheard of", "inversion")) == "inversion"  # the network has no conv4_2
    assert default(()) == "starry_night"  # by the names of the layers
    layers = {
        name: Conv2d.init(3, 3, 1, rng=0) for name in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv4_2")
    }
    vgg = Model(Sequential({**layers, "conv5_1": Conv2d.init(3, 3, 1, rng=0)}))
    assert presets.default_for(vgg) == "gatys"
    assert presets.default_for(Model(Sequential(layers))) == "structure"


def test_a_presets_style_grows_with_large_images():
    assert [presets.growth(size) for size in (24, 192, 384)] == [1, 1, 4]


def test_layers_may_be_named_as_in_torchvision(model, content, style):
    aliases = [torch_names(model)[layer] for layer in LAYERS]
    found = small(model, content, style, style_layers=aliases, content_layer="features.3")
    np.testing.assert_array_equal(found.image, small(model, content, style).image)


def test_images_of_every_kind(model, tmp_path):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (50, 71, 3), dtype=np.uint8)
    Image.fromarray(array).save(tmp_path / "a.png")
    single = model.astype(np.float32)
    images = [
        style_transfer(single, source, array[:40], image_size=33, style_size=35, steps=2).image
        for source in (array, Image.fromarray(array), tmp_path / "a.png", str(tmp_path / "a.png"))
    ]
    assert images[0].shape == (1, 3, 33, int(33 * 71 / 50))
    assert images[0].dtype == np.float32
    for image in images[1:]:
        np.testing.assert_array_equal(image, images[0])
    begin = style_transfer(single, array, array, image_size=33, style_size=35, steps=0)
    np.testing.assert_array_equal(begin.image, npgrad.course.preprocess(array, 33))
    assert style_transfer(model, array, array, image_size=33, steps=0).image.dtype == np.float64
    floats = begin.image  # as it is, unless a size is given
    assert style_transfer(single, floats, array, steps=0).image.shape == floats.shape
    assert style_transfer(single, floats, array, steps=0, image_size=25).image.shape[2] == 25
    other = style_transfer(single, floats, array, steps=0, start=array[::-1]).image
    assert other.shape == floats.shape
    assert not np.array_equal(other, floats)


def test_same_seed_same_bits_and_inputs_stay(model, content, style):
    before = content.copy(), style.copy()
    first, again = (small(model, content, style, start="noise", rng=3) for _ in range(2))
    np.testing.assert_array_equal(first.image, again.image)
    assert first.losses == again.losses
    assert not np.array_equal(first.image, small(model, content, style, start="noise", rng=4).image)
    np.testing.assert_array_equal(content, before[0])
    np.testing.assert_array_equal(style, before[1])


@pytest.mark.sampled(1)
@pytest.mark.parametrize(
    ("options", "at"),
    [
        ({"steps": 20}, 7),
        ({"steps": 20, "start": "noise"}, 19),
        ({"steps": 6, "sizes": (24, 33)}, 6),
        ({"steps": 6, "sizes": (24, 33), "original_colors": True}, 8),
        ({"steps": 60, "optimizer": "lbfgs", "sizes": (18, 20)}, 53),
        ({"steps": 60, "optimizer": "lbfgs", "sizes": (18, 20)}, 62),
    ],
)
def test_interrupted_and_resumed_to_the_same_bits(model, content, style, tmp_path, options, at):
    path, x = tmp_path / "run.ckpt", content.astype(np.float32)
    single, seen = model.astype(np.float32), {}

    def stop(step, image, values):
        seen[step] = image
        if step == at:
            raise KeyboardInterrupt

    whole = small(single, x, style, **options)
    part = small(single, x, style, **options, callback=stop, checkpoint=path)
    assert (part.interrupted, part.steps) == (True, at)
    np.testing.assert_array_equal(part.image, seen[at])
    rest = small(single, x, style, **options, checkpoint=path)
    np.testing.assert_array_equal(rest.image, whole.image)
    assert rest.losses == whole.losses
    assert (rest.steps, rest.interrupted) == (whole.steps, False)
    ended = small(single, x, style, **options, checkpoint=path)
    np.testing.assert_array_equal(ended.image, whole.image)


def test_a_checkpoint_fits_its_own_settings_alone(model, content, style, tmp_path):
    path = tmp_path / "run.ckpt"
    small(model, content, style, checkpoint=path)
    changes = [
        {"tv_weight": 1}, {"content_weight": 1}, {"style_weights": (1, 2, 3, 4)}, {"content_layer": "fire3"},
        {"original_colors": True}, {"masks": np.ones((9, 9))}, {"style_size": 30}, {"steps": 7}, {"rng": 2},
        {"optimizer": "lbfgs"}, {"sizes": (24, 33)},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(npgrad.InputError, match=OTHER_SETTINGS):
            small(model, content, style, checkpoint=path, **change)
    for pair in ((content + 1e-3, style), (content, style + 1e-3)):
        with pytest.raises(npgrad.InputError, match=OTHER_SETTINGS):
            small(model, *pair, checkpoint=path, start=content)


@pytest.mark.exhaustive
def test_memory_does_not_grow_with_steps(model, content, style):
    def peak(steps):
        tracemalloc.start()
        small(model, content, style, steps=steps)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    peak(2)
    assert peak(50) < peak(5) + content.nbytes


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "stary_night"}, "no preset 'stary_night'; nearest: starry_night"),
        ({"optimizer": "sgd"}, "no optimizer 'sgd'; known: adam, lbfgs"),
        ({"content_layer": "fier2"}, "no layer 'fier2'; nearest: fire2"),
        ({"content_layer": "input"}, "layer: expected one of the network's, found 'input'"),
        ({"style_layers": ["fire2"]}, "style_weights: expected 1, one per layer of style_layers, found 4"),
        ({"style_layers": ["pool10"], "style_weights": [1]}, "expected features"),
        ({"style_weights": [1, 2, -3, 4]}, f"style_weights: {A_NUMBER} >= 0, found -3"),
        ({"content_weight": np.nan}, f"content_weight: {A_NUMBER} >= 0, found nan"),
        ({"tv_weight": -1.0}, f"tv_weight: {A_NUMBER} >= 0, found -1.0"),
        ({"steps": 1.5}, f"steps: {A_WHOLE_NUMBER} >= 0, found 1.5"),
        ({"image_size": 0}, f"image_size: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"style_size": "big"}, f"style_size: {A_WHOLE_NUMBER} >= 1, found 'big'"),
        ({"sizes": (24, 2.5)}, f"sizes: {A_WHOLE_NUMBER} >= 1, found 2.5"),
        ({"sizes": ()}, "sizes: expected at least one, found none"),
        ({"sizes": (24,), "image_size": 24}, "sizes: expected either sizes or image_size, found both"),
        ({"start": "nosuch.png"}, "nosuch.png: no such file"),
        ({"start": np.zeros((2, 3, 9, 9))}, "start: expected one image"),
        ({"style_blend": [1, 2]}, "style_blend: expected 1, one per style, found 2"),
        ({"style_blend": [0]}, "style_blend: expected at least one strength > 0"),
        ({"masks": [np.ones((4, 4))] * 2}, "masks: expected 1, one per style, found 2"),
        ({"masks": [np.full((4, 4), 2.0)]}, "numbers 0 to 1"),
        ({"masks": [np.full((4, 4), np.nan)]}, "numbers 0 to 1"),
        ({"masks": [np.zeros((4, 4))]}, "at least one value > 0, found 0 everywhere"),
        ({"rng": "dice"}, "rng: expected a Generator"),
    ],
)
def test_bad_options_in_one_line(model, content, style, options, message):
    with pytest.raises(npgrad.NpgradError, match=message) as caught:
        small(model, content, style, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "style", "message"),
    [
        ("missing.jpg", np.zeros((1, 3, 30, 30)), "missing.jpg: no such file"),
        (np.zeros((1, 4, 30, 30)), np.zeros((1, 3, 30, 30)), "content: expected floats"),
        (np.zeros((2, 3, 30, 30)), np.zeros((1, 3, 30, 30)), "content: expected one image"),
        (np.zeros((1, 3, 30, 30)), np.full((1, 3, 30, 30), np.inf), FINITE_NUMBERS),
        (np.zeros((1, 3, 30, 30)), np.zeros((30, 30, 3)), "style: expected one image"),
        (np.zeros((1, 3, 30, 30)), [], "style: expected an image or a list of them, found none"),
        (np.zeros((1, 3, 30, 30)), np.zeros((1, 3, 30, 30), int), "expected floats, found int64"),
    ],
)
def test_bad_images_in_one_line(model, content, style, message):
    with pytest.raises(npgrad.NpgradError, match=message) as caught:
        small(model, content, style)
    assert "\n" not in str(caught.value)
