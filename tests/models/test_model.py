"""The Model: input checks, targets, predictions, copies."""

import warnings

import numpy as np
import pytest
from messages import AN_INDEX, FINITE_NUMBERS

import npgrad
from npgrad._targets import resolve_targets
from npgrad.attribution import saliency
from npgrad.layers import Linear, ReLU, Sequential
from npgrad.models import squeezenet1_1


@pytest.fixture(scope="module")
def model():
    return squeezenet1_1(num_classes=10, rng=1)


@pytest.fixture
def x(rng):
    return rng.normal(size=(2, 3, 40, 40)).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: (x * 50).astype(np.uint8), "expected floats, found uint8"),
        (lambda x: x.astype(int), "expected floats, found int64"),
        (lambda x: x.astype(object), "expected floats, found object"),
        (lambda x: x.transpose(0, 2, 3, 1), r"3 channels, found .*\(2, 40, 40, 3\); is it \(N, H, W, C\)"),
        (lambda x: x[0], r"conv1: Conv2d expects \(N, C, H, W\), found an array of shape \(3, 40, 40\)"),
        (lambda x: x[:0], "at least one image"),
        (lambda x: np.float32(3.0), "at least one image"),
        (lambda x: np.where(x > 2, np.nan, x), f"{FINITE_NUMBERS}, found [0-9]+ NaN or Inf"),
        (lambda x: np.where(x > 2, np.inf, x), "NaN or Inf"),
        (lambda x: x[:, :, :16], r"fire\d: .*smaller than|pool\d: .*smaller than"),
    ],
)
def test_unusable_input_gets_one_line(model, x, make, message):
    before = x.copy()
    for call in (model, model.forward):
        with pytest.raises(npgrad.InputError, match=message) as caught:
            call(make(x))
        assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.astype(">f4"),
        lambda x: np.asfortranarray(x),
        lambda x: np.repeat(x, 2, axis=3)[..., ::2],
        lambda x: np.flip(np.flip(x, 2).copy(), 2),
        lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
        lambda x: x.tolist(),
    ],
)
def test_any_array_of_the_same_numbers_gives_the_same_result(model, x, make):
    given = make(x)
    clean = np.array(given, dtype=np.float64 if isinstance(given, list) else np.float32, order="C")
    np.testing.assert_array_equal(model(given), model(clean))
    np.testing.assert_array_equal(saliency(model, given, 1), saliency(model, clean, 1))


def test_a_read_only_input_stays(model, x):
    x.flags.writeable = False
    before = x.copy()
    saliency(model, x, 0)
    np.testing.assert_array_equal(x, before)


def test_pixels_in_0_to_255_are_noticed_once(model, x):
    with pytest.warns(UserWarning, match="as pixels do") as caught:
        model(np.abs(x) * 80)
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="as pixels do"):
        model(np.concatenate([x, np.abs(x[:1]) * 80]))  # whatever images are beside it
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model(x)
        model(np.concatenate([np.abs(x), x * 80]))


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (-1, IndexError, f"{AN_INDEX} 9; found -1"),
        (10, IndexError, f"{AN_INDEX} 9; found 10"),
        ([0, 10], IndexError, f"{AN_INDEX} 9; found 10"),
        (1.0, TypeError, "found float 1.0"),
        (True, TypeError, "found bool True"),
        ([1, 2, 3], ValueError, "expected one class, or 2, one per image"),
        ([[1], [2]], ValueError, "expected one class, or 2"),
        ([], ValueError, "expected one class, or 2"),
        ("nothing of the kind", KeyError, "no class"),
    ],
)
def test_an_impossible_target_names_the_range(model, x, target, error, message):
    with pytest.raises(error, match=message):
        saliency(model, x, target)


def test_targets(model, x):
    logits = model(x)
    top = logits.argmax(axis=1)
    assert resolve_targets(model, logits).tolist() == top.tolist()
    assert resolve_targets(model, logits, 3).tolist() == [3, 3]
    assert resolve_targets(model, logits, np.array([4, 5])).tolist() == [4, 5]
    assert resolve_targets(model, logits, (np.int64(4), "class 7")).tolist() == [4, 7]
    each = saliency(model, x, [4, 7])
    np.testing.assert_allclose(each[1:], saliency(model, x[1:], 7), rtol=1e-4, atol=1e-6)


def test_a_dead_class_gives_zeros_and_one_warning(x):
    model = squeezenet1_1(num_classes=4)
    model = model.with_parameters({"conv10.bias": np.full(4, -1e6, np.float32)})
    with pytest.warns(UserWarning, match="class 2 is exactly 0 .* final ReLU") as caught:
        s = saliency(model, x, 2)
    assert len(caught) == 1
    assert not s.any()


def test_predict_gives_sorted_probabilities(model, x):
    predictions = model.predict(x, top=10)
    logits = model(x).astype(np.float64)
    for found, row in zip(predictions, logits, strict=True):
        assert [index for index, _, _ in found] == np.argsort(-row).tolist()
        assert sum(p for _, _, p in found) == pytest.approx(1)
        e = np.exp(row - row.max())
        np.testing.assert_allclose([p for _, _, p in found], np.sort(e / e.sum())[::-1])
        assert found[0][1] == f"class {found[0][0]}"


def test_preprocess_and_back(model, rng):
    images = list(rng.integers(0, 256, (2, 30, 30, 3), dtype=np.uint8))
    x = model.preprocess(images, resize=False)
    assert x.shape == (2, 3, 30, 30)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(model.deprocess(x), images)
    assert model.preprocess(images).shape == (2, 3, 224, 224)


def test_unknown_names_list_the_nearest(model, x):
    for call in (model.resolve, lambda name: model.forward(x, upto=name), model.layer):
        with pytest.raises(npgrad.UnknownName, match="no layer 'fire22'; nearest: fire2"):
            call("fire22")
    with pytest.raises(npgrad.UnknownName, match="no parameter 'conv1.wieght'; nearest: conv1.weight"):
        model.with_parameters({"conv1.wieght": 0})
    with pytest.raises(npgrad.InputError, match=r"conv10.bias: expected shape \(10,\), found \(3,\)"):
        model.with_parameters({"conv10.bias": np.zeros(3)})
    with pytest.raises(npgrad.UnknownName, match="no network or file 'squeezenet'; nearest: squeezenet1"):
        npgrad.load("squeezenet")


def test_copies_leave_the_model_as_it_was(model):
    before = model.parameters()["conv1.weight"].copy()
    double = model.astype(np.float64)
    other = model.with_parameters({"conv1.weight": np.ones_like(before)})
    assert double.parameters()["conv1.weight"].dtype == np.float64
    assert other.parameters()["conv1.weight"].mean() == 1
    np.testing.assert_array_equal(model.parameters()["conv1.weight"], before)
    with pytest.raises(ValueError, match="read-only"):
        model.parameters()["conv1.weight"][0] = 0


def test_a_users_own_network(rng):
    model = npgrad.Model(
        Sequential({"a": Linear.init(4, 5), "relu": ReLU(), "b": Linear.init(5, 2)}), ["no", "yes"]
    )
    x = rng.normal(size=(3, 4))
    tape = model.forward(x)
    assert model(x).shape == (3, 2)
    assert tape.backward(np.ones((3, 2)), at="a")["a"].shape == (3, 5)
    with pytest.warns(UserWarning, match="taken as yes"):
        assert model.class_index("Yes") == 1
    alone = npgrad.Model(Linear.init(4, 2))
    assert alone.layer_names() == ["layer"]
    assert alone.num_classes == 2
    with pytest.raises(npgrad.InputError, match="expected a layer, found int"):
        npgrad.Model(3)
