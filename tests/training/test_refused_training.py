"""What training refuses: batches, settings of a resumed run, results that a checkpoint cannot hold; and its edges."""

import dataclasses

import numpy as np
import pytest

from npgrad import InputError, Model, TargetError, optim, training
from npgrad.errors import UnknownName
from npgrad.layers import Conv2d, Dropout, GlobalAvgPool2d, LeakyReLU, Linear, ReLU, Sequential

N, CLASSES = 8, 3


def network(dtype=np.float32, activation=None, dropout=0.0):
    parts = {
        "conv": Conv2d.init(3, 4, 3, rng=0), "relu": activation or ReLU(), "mean": GlobalAvgPool2d(),
        "drop": Dropout(dropout), "fc": Linear.init(4, CLASSES, rng=1),
    }  # fmt: skip
    model = Model(Sequential(parts))
    return model.with_parameters({name: a.astype(dtype) for name, a in model.parameters().items()})


def batch(t=0, dtype=np.float32):
    rng = np.random.default_rng([5, t])
    return rng.standard_normal((N, 3, 6, 6)).astype(dtype), np.arange(N) % CLASSES


def masks():
    return np.random.default_rng(6).random((N, 6, 6)) < 0.4


X, Y = batch()
USES = {
    "train": lambda x, y: training.train(network(), lambda t: (x, y), 1),
    "batch_gradients": lambda x, y: training.batch_gradients(network(), x, y),
    "Attack": lambda x, y: training.Attack()(network(), x, y),
    "Attack of none": lambda x, y: training.Attack(share=0.0)(network(), x, y),
    "RightReasons": lambda x, y: training.RightReasons()(network(), x, y, masks()),
    "accuracy": lambda x, y: training.accuracy(network(), [(x, y)]),
}
BATCHES = {
    "a column": (X, Y[:, None], InputError, "expected a class index for each of 8 images, found int64 of shape (8, 1)"),
    "one": (X, Y[:1], InputError, "expected a class index for each of 8 images, found int64 of shape (1,)"),
    "too many": (X, np.r_[Y, Y], InputError, "for each of 8 images, found int64 of shape (16,)"),
    "a scalar": (X, 1, InputError, "for each of 8 images, found int64 of shape ()"),
    "names": (X, list("abcdefgh"), InputError, "for each of 8 images, found <U1 of shape (8,)"),
    "floats": (X, Y / 2, InputError, "for each of 8 images, found float64 of shape (8,)"),
    "one-hot": (X, np.eye(CLASSES, dtype=int)[Y], InputError, "found int64 of shape (8, 3)"),
    "negative": (X, Y - 1, TargetError, "target: expected 0 to 2, found -1 to 1"),
    "too large": (X, Y + 1, TargetError, "target: expected 0 to 2, found 1 to 3"),
    "bytes": ((X * 50).astype(np.uint8), Y, InputError, "input: expected floats, found uint8"),
    "NaN": (X * np.nan, Y, InputError, "input: expected finite numbers, found 864 NaN or Inf"),
    "none": (X[:0], Y[:0], InputError, "input: expected at least one image"),
}  # fmt: skip


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", BATCHES)
def test_a_batch_that_is_none(use, name):
    x, y, error, message = BATCHES[name]
    if use == "Attack of none" and error is TargetError:
        pytest.skip("classes are counted where the network runs")
    with pytest.raises(error) as caught:
        USES[use](x, y)
    assert message.removeprefix("target: ") in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("use", USES)
def test_lists_are_as_good_as_arrays(use):
    def plain(found):
        values = dataclasses.asdict(found) if use in ("train", "accuracy") else found
        return repr(values.get("losses", values) if isinstance(values, dict) else values)

    assert plain(USES[use](X, Y.tolist())) == plain(USES[use](X, Y))


@pytest.mark.parametrize(
    "options, message",
    [
        ({"validate_every": 0}, "validate_every: expected a whole number >= 1, found 0"),
        ({"checkpoint_every": -1}, "checkpoint_every: expected a whole number >= 1, found -1"),
        ({"optimizer": "adam"}, "optimizer: expected one of npgrad.optim, such as Adam(1e-3), found 'adam'"),
        ({"optimizer": 0}, "optimizer: expected one of npgrad.optim, such as Adam(1e-3), found 0"),
        ({"attack": 0.1}, "attack: expected a function, found 0.1"),
        ({"penalty": 5}, "penalty: expected a function, found 5"),
        ({"validate": 1}, "validate: expected a function, found 1"),
        ({"callback": ()}, "callback: expected a function, found ()"),
        ({"penalty": lambda *a: (0, {"nope": 0})}, "penalty: expected gradients of parameters, found one of nope"),
        ({"attack": lambda m, x, *a: x[:4]}, "for each of 4 images, found int64 of shape (8,)"),
    ],
)  # fmt: skip
def test_bad_options(options, message):
    with pytest.raises(InputError) as caught:
        training.train(network(), batch, 2, **options)
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("name, value", [("parts", 0), ("parts", 1.5), ("rng", -1), ("rng", "seed")])
def test_bad_options_of_one_batch(name, value):
    with pytest.raises(InputError, match=f"^{name}: expected "):
        training.batch_gradients(network(), X, Y, **{name: value})


@pytest.mark.parametrize("found", [None, (X,), 3, X])
def test_what_is_no_batch(found):
    given = found if not isinstance(found, np.ndarray) else {"x": X}
    with pytest.raises(InputError, match=r"batch\(0\): expected \(images, class indices\), found \w+$"):
        training.train(network(), lambda t: given, 1)


CHANGES = {
    "rate": ({}, {"optimizer": optim.Adam(1.0)}),
    "momentum": ({"optimizer": optim.SGD(1e-3, momentum=0.9)}, {"optimizer": optim.SGD(1e-3)}),
    "cosine": ({"optimizer": optim.Adam(optim.cosine(1e-3, 4))}, {"optimizer": optim.Adam(optim.cosine(1e-2, 4))}),
    "steps": (
        {"optimizer": optim.SGD(optim.steps((0, 1e-3), (2, 1e-4)))},
        {"optimizer": optim.SGD(optim.steps((0, 1e-3), (3, 1e-4)))},
    ),
    "ramp": (
        {"attack": training.Attack(radius=training.ramp(0.2, 4))},
        {"attack": training.Attack(radius=training.ramp(0.01, 4))},
    ),
    "activation": ({"model": network()}, {"model": network(activation=LeakyReLU(0.5))}),
    "slope": ({"model": network(activation=LeakyReLU(0.1))}, {"model": network(activation=LeakyReLU(0.5))}),
    "dropout": ({"model": network()}, {"model": network(dropout=0.5)}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_resumes_with_its_own_settings_only(name, tmp_path):
    def run(model=None, optimizer=None, callback=None, checkpoint=tmp_path / "run.npz", **options):
        return training.train(
            model or network(), batch, 4, optimizer or optim.Adam(1e-3),
            callback=callback, checkpoint=checkpoint, **options,
        )  # fmt: skip

    def stop(step, seen):
        if step == 2:
            raise KeyboardInterrupt

    def fresh(
        options,
    ):  # a run goes on with its optimizer; the next one starts with another that was made alike
        given = options.get("optimizer")
        return {**options, "optimizer": type(given)(**given.settings)} if given else options

    own, other = CHANGES[name]
    assert run(**fresh(own), callback=stop).steps == 2
    with pytest.raises(InputError, match="made with other settings"):
        run(**fresh(own) | fresh(other))
    whole = run(**fresh(own), checkpoint=None)
    assert run(**fresh(own)).losses == whole.losses


def test_a_used_optimizer_may_resume_its_run(tmp_path):
    def stop(step, seen):
        if step == 2:
            raise KeyboardInterrupt

    adam, path = optim.Adam(1e-3), tmp_path / "run.npz"
    training.train(network(), batch, 4, adam, callback=stop, checkpoint=path)
    assert adam.t == 2
    assert training.train(network(), batch, 4, adam, checkpoint=path).steps == 4


@pytest.mark.parametrize("value", [object(), X, {"accuracy": X[0]}, training.accuracy(network(), [(X, Y)])])
def test_what_a_checkpoint_cannot_hold_is_told_at_the_first_validation(value, tmp_path):
    seen = []
    with pytest.raises(
        InputError, match="^validate: expected numbers, strings, lists or dicts, which a checkpoint"
    ):
        training.train(
            network(), batch, 6, validate=lambda model: value, validate_every=2,
            callback=lambda step, _: seen.append(step), checkpoint=tmp_path / "run.npz",
        )  # fmt: skip
    assert seen == [1]
    training.train(network(), batch, 2, validate=lambda model: value)  # without a checkpoint, anything


def test_validations_are_the_same_after_resuming(tmp_path):
    def run(**options):
        return training.train(
            network(), batch, 4, validate=lambda model: (np.float32(0.5), {1: np.int64(2)}), validate_every=2,
            checkpoint=tmp_path / "run.npz", **options,
        ).validations  # fmt: skip

    whole = run()
    assert whole == run() == [(2, [0.5, {"1": 2}]), (4, [0.5, {"1": 2}])]


def test_weights_that_are_no_longer_finite_end_the_training_even_at_its_last_step():
    with pytest.raises(InputError, match="no longer finite after step 0; a lower learning rate may help"):
        training.train(
            network(), batch, 1, penalty=lambda *a: (0.0, {"fc.bias": np.full(CLASSES, np.nan, np.float32)})
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("images", [np.float32, np.float64])
def test_the_network_keeps_its_dtype(dtype, images):
    result = training.train(network(dtype), lambda t: batch(t, images), 2)
    assert {a.dtype for a in result.model.parameters().values()} == {np.dtype(dtype)}


@pytest.mark.parametrize(
    "share, n, count", [(0.07, 100, 7), (0.55, 100, 55), (0.28, 25, 7), (0.3, 25, 8), (1.0, 7, 7)]
)
def test_a_share_is_not_rounded_up_by_an_error_of_rounding(share, n, count):
    x = np.random.default_rng(0).standard_normal((n, 3, 4, 4)).astype(np.float32)
    worst = training.Attack(share=share)(network(), x, np.zeros(n, int))
    assert (worst != x).any(axis=(1, 2, 3)).sum() == count
    assert (worst[count:] == x[count:]).all()


def test_a_schedule_begins_at_step_0():
    assert [training.ramp(8.0, 4)(t) for t in (-1, 0, 1, 9)] == [0.0, 0.0, 2.0, 8.0]


@pytest.mark.parametrize("mask", [masks() * np.uint8(255), masks() * 7, masks().astype(np.int64)])
def test_a_mask_is_what_is_not_0(mask):
    ours, expected = (training.RightReasons()(network(), X, Y, m)[0] for m in (mask, masks()))
    assert ours == expected


@pytest.mark.parametrize("mask", [masks() * 0.5, masks()[0], masks().astype(complex), "mask"])
def test_what_is_no_mask(mask):
    with pytest.raises(InputError, match=r"mask: expected bools of shape \(8, 6, 6\), found "):
        training.RightReasons()(network(), X, Y, mask)


def test_a_network_of_values_has_no_classes():
    model = dataclasses.replace(network(), outputs="value")
    for use in (training.Attack(), lambda *a: training.RightReasons()(*a, masks())):
        with pytest.raises(InputError, match="expected a network with classes"):
            use(model, X, Y)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rms": 0}, "rms: expected a number > 0, found 0"),
        ({"rms": -1.0}, "rms: expected a number > 0, found -1.0"),
        ({"last": "nope"}, "no layer 'nope'"),
        ({"layer": "nope"}, "no layer 'nope'"),
    ],
)
def test_rescaling(options, message):
    with pytest.raises((InputError, UnknownName)) as caught:
        training.rescaled(network(), X, **{"layer": "relu", "last": "fc", **options})
    assert message in str(caught.value)


IMAGES = np.random.default_rng(1).integers(0, 256, (2, 9, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    "images", [IMAGES / 255, IMAGES[0], IMAGES[..., :1], IMAGES.transpose(0, 3, 1, 2), IMAGES > 9]
)
def test_what_is_no_image_to_augment(images):
    with pytest.raises(InputError, match=r"^images: expected uint8 \(N, H, W, 3\), found "):
        training.augment(images, 0)


@pytest.mark.parametrize(
    "name, value", [("shift", -1), ("shift", 1.5), ("light", -0.1), ("light", 2), ("light", np.nan)]
)
def test_what_is_no_augmentation(name, value):
    with pytest.raises(InputError, match=f"^{name}: expected "):
        training.augment(IMAGES, 0, **{name: value})


@pytest.mark.parametrize("options", [{"light": 1e-6}, {"light": 0.0, "blur": 1e-3}])
def test_pixel_values_are_rounded_to_the_nearest(options):
    same = training.augment(IMAGES, 0, **{"flip": False, "shift": 0, **options})
    assert (same == IMAGES).all()


@pytest.mark.parametrize("name, value", [("processes", 0), ("ahead", -1), ("count", "3"), ("start", -1)])
def test_what_cannot_be_prepared_ahead(name, value):
    with pytest.raises(InputError, match=f"^{name}: expected a whole number"):
        training.Ahead(batch, **{name: value})


def test_values_are_prepared_within_a_block():
    with pytest.raises(InputError, match="^Ahead: expected a with block"):
        training.Ahead(batch)(0)
