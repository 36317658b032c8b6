"""The table of attribution methods: names in any spelling, and the layer in the middle of a network."""

import numpy as np
import pytest

import npgrad
from npgrad import Model
from npgrad.attribution import feature_ablation, methods
from npgrad.errors import UnknownName
from npgrad.layers import Conv2d, Fire, Flatten, GlobalAvgPool2d, Linear, ReLU, Sequential
from npgrad.models import resnet18, squeezenet1_0, squeezenet1_1

SPELLINGS = {
    "grad_cam": ["Grad-CAM", "grad cam", "GradCAM", "GRAD_CAM", " grad-cam "],
    "grad_cam_plus_plus": ["Grad-CAM++", "GradCAM++", "grad cam plus plus"],
    "integrated_gradients": [
        "Integrated Gradients",
        "IntegratedGradients",
        "integrated-gradients",
        "IG",
        "ig",
    ],
    "input_x_gradient": ["Input x Gradient", "InputXGradient", "IxG", "Gradient x Input"],
    "x_grad_cam": ["XGrad-CAM", "xgradcam"],
    "hires_cam": ["HiResCAM"],
    "smoothgrad": ["SmoothGrad", "Smooth Grad"],
    "deep_lift_shap": ["DeepLIFT SHAP", "DeepLiftShap"],
    "lrp": ["LRP", "Layer-wise Relevance Propagation"],
    "guided_backprop": ["GBP", "Guided Backpropagation", "guided-backprop"],
}


def taken(text):
    """The method that is taken for `text`, which is said."""
    with pytest.warns(UserWarning) as said:
        name = methods.method_name(text)
    assert [str(one.message) for one in said] == [f"method {text!r} taken as {name}"]
    return name


@pytest.mark.parametrize("name", methods.METHODS)
def test_every_method_is_found_by_its_own_name(name):
    assert methods.method_name(name) == name
    assert taken(name.upper().replace("_", "-")) == name
    assert "_" not in name or taken(name.replace("_", "")) == name
    assert methods.function_of(name) is getattr(npgrad.attribution, name)


@pytest.mark.parametrize("name", SPELLINGS)
def test_case_hyphens_and_spaces_do_not_matter(name):
    assert {taken(text) for text in SPELLINGS[name]} == {name}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("salience", "no method 'salience'; nearest: saliency"),
        ("Grad-CAN", "no method 'Grad-CAN'; nearest: grad_cam"),
        ("Integrated Gradient", "nearest: integrated_gradients"),
        ("", "no method ''; known: saliency, "),
        ("grad_cam+", "nearest: grad_cam"),
    ],
)
def test_an_unknown_name_lists_the_nearest(text, message):
    with pytest.raises(UnknownName) as raised:
        methods.method_name(text)
    assert message in str(raised.value)
    with pytest.raises(npgrad.NpgradError, match="method: expected a name, found NoneType None"):
        methods.method_name(None)


def conv(channels, filters):
    return Conv2d.init(channels, filters, 3, padding=1, rng=0)


NESTED = {
    "features": Sequential(
        {
            "stem": conv(3, 4),
            "a": Fire.init(4, 2, 2, 2),
            "b": Fire.init(4, 2, 2, 2),
            "c": Fire.init(4, 2, 2, 2),
        }
    ),
    "classifier": Sequential({"last": conv(4, 5), "mean": GlobalAvgPool2d()}),
}
PLAIN = {
    "conv1": conv(3, 4),
    "relu1": ReLU(),
    "conv2": conv(4, 5),
    "relu2": ReLU(),
    "mean": GlobalAvgPool2d(),
}
FLAT = {"flatten": Flatten(), "fc": Linear(np.ones((5, 3 * 8 * 8), np.float32), np.zeros(5, np.float32))}


@pytest.mark.parametrize(
    ("model", "side", "layer"),
    [
        (squeezenet1_0(num_classes=5), 64, "fire5"),
        (squeezenet1_1(num_classes=5), 64, "fire5"),
        (resnet18(num_classes=5), 64, "conv3_2"),  # the fourth of eight blocks
        (Model(Sequential(NESTED)), 8, "features.b"),
        (Model(Sequential(PLAIN)), 8, "relu1"),
        (Model(Sequential(FLAT)), 8, None),
    ],
    ids=["squeezenet1_0", "squeezenet1_1", "resnet18", "nested", "plain", "flat"],
)
def test_internal_influence_takes_a_layer_in_the_middle(model, side, layer):
    x = np.zeros((1, 3, side, side), np.float32)
    assert methods.defaults("internal_influence", model, x) == ({"layer": layer} if layer else {})


def test_the_defaults_of_an_image_are_its_own_in_a_batch(rng):
    model, x = squeezenet1_1(num_classes=5), rng.normal(size=(3, 3, 20, 24)).astype(np.float32)
    together = methods.defaults("feature_ablation", model, x)["mask"]
    for i in range(3):
        alone = methods.defaults("feature_ablation", model, x[i : i + 1])["mask"]
        np.testing.assert_array_equal(together[i : i + 1], alone)
        baseline = methods.defaults("deep_lift_shap", model, x[i : i + 1])["baseline"]
        np.testing.assert_array_equal(methods.defaults("deep_lift_shap", model, x)["baseline"], baseline)
    assert feature_ablation(model, x, 1, together).shape == x.shape


def test_the_middle_of_the_bundled_network():
    model = npgrad.load()
    x = model.preprocess(npgrad.scenes.scene(0)[0])
    assert methods.defaults("internal_influence", model, x) == {"layer": "fire5"}
