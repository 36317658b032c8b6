"""Input times gradient, guided backprop, deconvolution and SmoothGrad, against Captum and their definitions."""

import warnings

import captum.attr as C
import checks
import numpy as np
import pytest
import torch
from captum_nets import TARGETS, inject, noise_drawn, pairs, squeezenets
from messages import A_NUMBER, A_WHOLE_NUMBER

from npgrad import InputError, Model, TargetError, UnknownName
from npgrad.attribution.ablation import feature_ablation
from npgrad.attribution.gradient_shap import gradient_shap
from npgrad.attribution.gradients import deconvolution, guided_backprop, input_x_gradient
from npgrad.attribution.integrated_gradients import integrated_gradients
from npgrad.attribution.occlusion import occlusion
from npgrad.attribution.saliency import saliency
from npgrad.attribution.smoothgrad import smoothgrad
from npgrad.layers import Conv2d, GlobalAvgPool2d, ReLU, Sequential, SiLU

PAIRS = {pair.name: pair for pair in [*pairs(), *squeezenets()]}
ONE_PASS = {
    saliency: C.Saliency,
    input_x_gradient: C.InputXGradient,
    guided_backprop: C.GuidedBackprop,
    deconvolution: C.Deconvolution,
}
# every method of these files, made small; feature_ablation by four bands of rows
METHODS = {
    "saliency": saliency,
    "input_x_gradient": input_x_gradient,
    "guided_backprop": guided_backprop,
    "deconvolution": deconvolution,
    "integrated_gradients": lambda *a, **k: integrated_gradients(*a, n_steps=3, **k),
    "gradient_shap": lambda *a, **k: gradient_shap(*a, n_samples=3, noise=0.1, **k),
    "smoothgrad": lambda *a, **k: smoothgrad(*a, n_samples=3, **k),
    "occlusion": lambda *a, **k: occlusion(*a, window=4, stride=3, **k),
    "feature_ablation": lambda model, x, *a, **k: feature_ablation(model, x, *a, mask=bands(x), **k),
}
MANY_COPIES = [name for name in METHODS if METHODS[name] not in ONE_PASS]


def bands(x):
    return np.repeat(np.arange(x.shape[2]) // 3, x.shape[3]).reshape(x.shape[2:])


def dead_model():
    """Class 0's score is 0 for every image: its bias keeps the last ReLU shut. Class 1 is alive."""
    conv = Conv2d(np.ones((2, 3, 3, 3)), np.array([-1e6, 1e3]))
    return Model(Sequential({"conv": conv, "relu": ReLU(), "pool": GlobalAvgPool2d()}), classes=["a", "b"])


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.parametrize("method", ONE_PASS, ids=lambda method: method.__name__)
def test_one_backward_pass_equals_captum(method, name):
    pair = PAIRS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum warns that it sets hooks
        expected = ONE_PASS[method](pair.net).attribute(pair.tensor().requires_grad_(), target=TARGETS)
    checks.assert_close(method(pair.model, pair.x, TARGETS), expected.detach().numpy(), 1e-10)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", ["fires", "average pools", "squeezenet1_0", "squeezenet1_1"])
@pytest.mark.parametrize("kind", ["mean", "squares", "variance"])
def test_smoothgrad_equals_captum_on_the_same_samples(kind, name, monkeypatch):
    pair = PAIRS[name]
    noisy = pair.x + 0.2 * noise_drawn(3, pair.x, 3)
    inject(monkeypatch, noisy)
    types = {"mean": "smoothgrad", "squares": "smoothgrad_sq", "variance": "vargrad"}
    expected = C.NoiseTunnel(C.Saliency(pair.net)).attribute(
        pair.tensor(), nt_type=types[kind], nt_samples=3, target=TARGETS, abs=False
    )
    found = smoothgrad(pair.model, pair.x, TARGETS, kind=kind, n_samples=3, noise_absolute=0.2, rng=3)
    checks.assert_close(found, expected.numpy(), 1e-8)


def test_smoothgrad_wraps_a_method_with_its_options(monkeypatch):
    pair = PAIRS["fires"]
    inject(monkeypatch, pair.x + 0.1 * noise_drawn(0, pair.x, 3))
    baseline = np.random.default_rng(1).normal(size=pair.x.shape)  # one per image
    expected = C.NoiseTunnel(C.IntegratedGradients(pair.net)).attribute(
        pair.tensor(), nt_samples=3, target=TARGETS, n_steps=5, baselines=torch.tensor(baseline)
    )
    found = smoothgrad(
        pair.model,
        pair.x,
        TARGETS,
        method=integrated_gradients,
        n_samples=3,
        noise_absolute=0.1,
        n_steps=5,
        baseline=baseline,
    )
    checks.assert_close(found, expected.detach().numpy(), 1e-7)


def test_smoothgrads_noise_is_a_part_of_each_images_own_range():
    pair = PAIRS["convolutions"]
    x = pair.x * np.array([1, 5, 0.1]).reshape(3, 1, 1, 1) + 2
    seen = []

    def spy(model, x, target):
        seen.append(x)
        return x

    smoothgrad(pair.model, x, method=spy, n_samples=2, noise=0.3, rng=5)
    for i in range(3):
        expected = x[i] + 0.3 * (x[i].max() - x[i].min()) * noise_drawn(5, x, 2)[:, i]
        checks.assert_close(np.stack(seen)[:, i], expected, 1e-15)


def test_smoothgrad_without_noise_is_its_method():
    pair = PAIRS["fires"]
    found = smoothgrad(pair.model, pair.x, TARGETS, n_samples=3, noise=0)
    tape = pair.model.forward(pair.x)
    checks.assert_close(found, tape.backward(np.eye(5)[TARGETS])["input"], 1e-15)
    by_function = smoothgrad(pair.model, pair.x, TARGETS, method=saliency, n_samples=3, noise=0)
    checks.assert_close(by_function, saliency(pair.model, pair.x, TARGETS), 1e-15)
    spread = smoothgrad(pair.model, pair.x, TARGETS, kind="variance", n_samples=3, noise=0)
    assert not spread.any()


def test_smoothgrad_takes_a_method_by_name():
    pair = PAIRS["convolutions"]
    assert np.array_equal(
        smoothgrad(pair.model, pair.x, method="saliency", n_samples=2),
        smoothgrad(pair.model, pair.x, method=saliency, n_samples=2),
    )


def test_smoothgrad_asks_about_the_clean_images_class():
    """With noise this large the top class of the noisy images is another one."""
    pair = PAIRS["linears"]
    top = pair.model(pair.x).argmax(axis=1)
    noisy = pair.x + 5 * noise_drawn(0, pair.x, 3)
    assert any((pair.model(one).argmax(axis=1) != top).any() for one in noisy)
    options = {"n_samples": 3, "noise_absolute": 5}
    for method in None, saliency:
        found = smoothgrad(pair.model, pair.x, method=method, **options)
        assert np.array_equal(found, smoothgrad(pair.model, pair.x, top, method=method, **options))


@pytest.mark.parametrize("name", METHODS)
def test_each_image_of_a_batch_is_treated_as_if_alone(name):
    pair = PAIRS["fires"]
    together = METHODS[name](pair.model, pair.x, TARGETS)
    for i in range(3):
        alone = METHODS[name](pair.model, pair.x[i : i + 1], TARGETS[i])
        checks.assert_close(together[i], alone[0], 1e-13)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", METHODS)
def test_the_model_is_left_as_it_was(name):
    pair = PAIRS["fires"]
    before = {key: array.copy() for key, array in pair.model.parameters().items()}
    logits, gradient = pair.model(pair.x), saliency(pair.model, pair.x)
    x = pair.x.copy()
    first = METHODS[name](pair.model, x, TARGETS)
    assert np.array_equal(x, pair.x)
    assert np.array_equal(METHODS[name](pair.model, x, TARGETS), first)  # and the seed is a seed
    assert checks.same_bits(pair.model.parameters(), before)
    assert np.array_equal(pair.model(pair.x), logits)
    assert np.array_equal(saliency(pair.model, pair.x), gradient)


@pytest.mark.sampled(5)
@pytest.mark.parametrize("name", METHODS)
def test_the_top_class_is_asked_about_if_no_target_is_given(name):
    pair = PAIRS["fires"]
    top = pair.model(pair.x).argmax(axis=1)
    assert np.array_equal(METHODS[name](pair.model, pair.x), METHODS[name](pair.model, pair.x, top))
    assert not np.array_equal(METHODS[name](pair.model, pair.x), METHODS[name](pair.model, pair.x, TARGETS))


@pytest.mark.sampled(11)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_follows_the_input(name, dtype):
    pair = PAIRS["fires"]
    double = METHODS[name](pair.model, pair.x, TARGETS)
    found = METHODS[name](pair.model.astype(dtype), pair.x.astype(dtype), TARGETS)
    assert found.dtype == dtype
    cosine = (found * double).sum() / np.linalg.norm(found) / np.linalg.norm(double)
    assert 1 - cosine < 1e-5


@pytest.mark.sampled(4)
@pytest.mark.parametrize("batch_size", [1, 2, 5, 1000])
@pytest.mark.parametrize("name", MANY_COPIES)
@pytest.mark.parametrize("net", ["fires", "overlapping pools"])
def test_the_size_of_batches_changes_rounding_alone(net, name, batch_size):
    pair = PAIRS[net]
    expected = METHODS[name](pair.model, pair.x, TARGETS)
    found = METHODS[name](pair.model, pair.x, TARGETS, batch_size=batch_size)
    checks.assert_rounding(found, expected, checks.additions_in(pair.model))


@pytest.mark.parametrize("name", MANY_COPIES)
def test_the_size_of_batches_changes_rounding_alone_in_a_dense_network(name):
    pair = PAIRS["average pools"]
    expected = METHODS[name](pair.model, pair.x, TARGETS)
    checks.assert_close(METHODS[name](pair.model, pair.x, TARGETS, batch_size=2), expected, 1e-12)


def test_smoothgrad_hands_on_batch_size_and_fresh_random_numbers():
    pair, seen = PAIRS["convolutions"], []

    def spy(model, x, target, batch_size=None, rng=0):
        np.random.default_rng(rng).random(len(seen))  # however much the method draws
        seen.append((batch_size, rng))
        return x

    first, again = (
        smoothgrad(pair.model, pair.x, method=spy, n_samples=2, batch_size=7, rng=rng)
        for rng in (3, np.random.default_rng(3))
    )
    assert [size for size, _ in seen] == [7, 7, 7, 7]
    drawn = [one for _, one in seen]
    assert drawn[:2] == drawn[2:] and drawn[0] != drawn[1]
    assert np.array_equal(first, again)


@pytest.mark.exhaustive
@pytest.mark.parametrize("wrapped", [integrated_gradients, gradient_shap])
def test_the_size_of_batches_changes_rounding_alone_in_a_wrapped_method(wrapped):
    pair = PAIRS["fires"]
    by_size = [
        smoothgrad(pair.model, pair.x, TARGETS, method=wrapped, n_samples=2, batch_size=size, rng=1)
        for size in (None, 1, 4)
    ]
    for found in by_size[1:]:
        checks.assert_rounding(found, by_size[0], checks.additions_in(pair.model))
    other = smoothgrad(pair.model, pair.x, TARGETS, method=wrapped, n_samples=2, rng=2)
    assert not np.array_equal(by_size[0], other)


@pytest.mark.parametrize("name", MANY_COPIES)
def test_progress_is_told_up_to_the_end(name):
    pair, told = PAIRS["convolutions"], []
    METHODS[name](pair.model, pair.x, TARGETS, batch_size=2, progress=lambda *told_now: told.append(told_now))
    done = [step for step, _ in told]
    assert done == sorted(set(done)) and len(done) > 1
    assert {total for _, total in told} == {done[-1]}


@pytest.mark.parametrize("name", METHODS)
def test_a_dead_class_gives_zeros_and_one_warning(name):
    x = np.random.default_rng(0).normal(size=(2, 3, 7, 7))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        found = METHODS[name](dead_model(), x, [0, 1])
    assert [str(one.message).partition(",")[0] for one in said if "score of a" in str(one.message)] == [
        "the score of a is exactly 0 (the network's final ReLU is inactive)"
    ]
    assert len(said) == 1
    assert not found[0].any()
    assert np.isfinite(found).all() and found[1].any()


def test_smoothgrad_of_a_named_method_says_a_dead_class_once():
    x = np.random.default_rng(0).normal(size=(1, 3, 7, 7))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        smoothgrad(dead_model(), x, "a", method=saliency, n_samples=3)
    assert len(said) == 1


def test_guided_backprop_and_deconvolution_differ_only_where_a_relu_was_shut():
    """One 1x1 filter, one ReLU: deconvolution passes back at every pixel, guided only at the open ones."""
    weight = np.array([[2.0, 3.0, 4.0]]).reshape(1, 3, 1, 1)
    net = Sequential({"conv": Conv2d(weight, np.zeros(1)), "relu": ReLU(), "pool": GlobalAvgPool2d()})
    x = np.zeros((1, 3, 2, 2))
    x[0, 0] = [[1, -1], [0, 5]]
    open_ = np.array([[1, 0], [0, 1]])
    expected = weight[0] * np.ones((1, 2, 2)) / 4
    checks.assert_close(deconvolution(Model(net, outputs="value"), x)[0], expected, 1e-15)
    checks.assert_close(guided_backprop(Model(net, outputs="value"), x)[0], expected * open_, 1e-15)


@pytest.mark.parametrize("name", METHODS)
def test_wrong_targets_and_inputs_are_said(name):
    pair = PAIRS["fires"]
    for target in 5, -1, [0, 1, 5]:
        with pytest.raises(TargetError, match="0 to 4"):
            METHODS[name](pair.model, pair.x, target)
    with pytest.raises(InputError, match="target"):
        METHODS[name](pair.model, pair.x, [0, 1])
    with pytest.raises(TypeError):
        METHODS[name](pair.model, pair.x, 1.5)
    with pytest.raises(InputError, match="NaN"):
        METHODS[name](pair.model, np.full_like(pair.x, np.nan), 1)


@pytest.mark.parametrize("name", MANY_COPIES)
@pytest.mark.parametrize("batch_size", [0, -1, 2.0, True, "all"])
def test_a_wrong_batch_size_is_said(name, batch_size):
    pair = PAIRS["fires"]
    with pytest.raises(InputError, match=f"batch_size: {A_WHOLE_NUMBER} >= 1"):
        METHODS[name](pair.model, pair.x, batch_size=batch_size)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_samples": 0}, f"n_samples: {A_WHOLE_NUMBER} >= 1, found 0"),
        ({"n_samples": 2.5}, f"n_samples: {A_WHOLE_NUMBER} >= 1, found 2.5"),
        ({"noise": -0.1}, f"noise: {A_NUMBER} >= 0, found -0.1"),
        ({"noise": float("nan")}, f"noise: {A_NUMBER} >= 0, found nan"),
        ({"noise": "much"}, f"noise: {A_NUMBER} >= 0, found 'much'"),
        ({"noise_absolute": -1}, f"noise_absolute: {A_NUMBER} >= 0, found -1"),
        ({"rng": -1}, "rng: expected a Generator or a whole number >= 0, found -1"),
        ({"rng": "dice"}, "rng: expected a Generator or a whole number >= 0, found 'dice'"),
    ],
)
def test_smoothgrads_wrong_arguments_are_named(options, message):
    pair = PAIRS["convolutions"]
    with pytest.raises(InputError, match=f"^{message}$"):
        smoothgrad(pair.model, pair.x, **options)


def test_smoothgrads_wrong_names_are_said():
    pair = PAIRS["convolutions"]
    with pytest.raises(UnknownName, match="no kind of smoothgrad 'variances'; nearest: variance"):
        smoothgrad(pair.model, pair.x, kind="variances")
    with pytest.raises(UnknownName, match="no attribution method 'salience'; nearest: saliency"):
        smoothgrad(pair.model, pair.x, method="salience")
    with pytest.raises(TypeError, match="its own options or those of integrated_gradients, found 'n_step'"):
        smoothgrad(pair.model, pair.x, method=integrated_gradients, n_samples=1, n_step=5)
    with pytest.raises(TypeError, match="its own options or those of gradient, found 'n_steps'"):
        smoothgrad(pair.model, pair.x, n_steps=5)  # the plain gradient takes no options
    with pytest.raises(InputError, match="must give one array, found a tuple"):
        smoothgrad(pair.model, pair.x, method=integrated_gradients, n_samples=1, return_delta=True)


@pytest.mark.parametrize("method", [guided_backprop, deconvolution])
def test_activations_that_the_rule_does_not_change_are_said(method, rng):
    parts = {"conv": Conv2d.init(3, 4, 3, rng=2), "silu": SiLU(), "relu": ReLU(), "mean": GlobalAvgPool2d()}
    x = rng.normal(size=(1, 3, 5, 5)).astype(np.float32)
    with pytest.warns(UserWarning, match="is one for ReLUs; SiLU in this network keep their own gradient"):
        method(Model(Sequential(parts)), x)
    del parts["silu"]
    method(Model(Sequential(parts)), x)  # warnings are errors here
