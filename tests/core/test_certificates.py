"""Certificates: right on every network at 1e-12, and a fault of 0.1 % is found at its layer."""

import numpy as np
import pytest
import small_backbones

import npgrad
from npgrad.layers import BatchNorm2d, Composite, Conv2d, MaxPool2d, ReLU, Residual, Sequential
from npgrad.models import create, registry, squeezenet1_1

QUICK = ("squeezenet1_1", "mobilenet_v2")
FAMILIES = ("convnext_tiny", "densenet121", "googlenet", "inception_v3", "resnet18")  # of which none is small
SMALL = 5_600_000  # parameters of a network that takes about a second
MARKS = {True: pytest.mark.exhaustive, False: pytest.mark.slow}


def small(name):
    return registry.ARCHITECTURES[name].parameters < SMALL


SIDE = {"inception_v3": 75}  # px; 64 for all others


def draw(*shape):
    return np.random.default_rng(1).normal(size=shape)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=() if name in QUICK else MARKS[name in FAMILIES or small(name)])
        for name in registry.ARCHITECTURES
    ],
)
def test_every_architecture(name):
    side = SIDE.get(name, 64)
    right(create(name, num_classes=5, rng=0), draw(1, 3, side, side))


@pytest.mark.exhaustive
def test_alexnet_with_few_units():
    """A VGG has AlexNet's layers; the whole networks are slow."""
    right(small_backbones.alexnet(), draw(1, 3, 96, 96))


def right(model, x):
    """Every layer of the network is certified, and no right one is off by more than rounding."""
    certificate = npgrad.certify(model, x)
    assert certificate, certificate
    assert certificate.layers[-1].name == "network"
    assert all(layer.error <= 1e-12 for layer in certificate.layers if layer.verdict == "right")
    assert {record.name for record in model.astype(np.float64).forward(x)} == {
        layer.name for layer in certificate.layers[:-1]
    }


def leaves(layer, prefix=""):
    """Every layer of SqueezeNet that has a backward of its own and can be replaced: {name: layer}."""
    if not isinstance(layer, Composite):
        return {prefix[:-1]: layer}
    found = [leaves(part, f"{prefix}{name}.") for name, part in layer.parts().items()]
    return {name: one for some in found for name, one in some.items()}


MODEL = squeezenet1_1(num_classes=5, rng=0)
LEAVES = leaves(MODEL.network)
# Fire has no other ReLUs than its own
PLANTED = [name for name in LEAVES if "." not in name or "relu" not in name]
PLANTED = [*PLANTED[:10], *PLANTED[-11:]]
PLANTED.remove("drop9") if "drop9" in PLANTED else PLANTED.pop()


def spoilt(layer, gradient):
    """The layer with dx, or the gradient of a parameter, off by 0.1 %."""
    kind = type(layer)

    class Spoilt(kind):
        def backward(self, dy, cache):
            return super().backward(dy, cache) * (1.001 if gradient == "x" else 1)

        def parameter_gradients(self, dy, cache):
            gradients = super().parameter_gradients(dy, cache)
            return {key: g * (1.001 if key == gradient else 1) for key, g in gradients.items()}

    return Spoilt(**vars(layer))


def with_layer(network, name, change):
    """The network with the layer `name` changed."""
    first, _, rest = name.partition(".")
    parts = dict(network.parts())
    parts[first] = with_layer(parts[first], rest, change) if rest else change(parts[first])
    return network.with_parts(parts)


@pytest.mark.sampled(3)
@pytest.mark.parametrize("name", PLANTED)
def test_a_fault_is_found_at_its_layer(name):
    assert len(PLANTED) == 20
    layer = LEAVES[name]
    for gradient in ("x", *layer.arrays()):
        network = with_layer(MODEL.network, name, lambda one, gradient=gradient: spoilt(one, gradient))
        certificate = npgrad.certify(npgrad.Model(network), draw(1, 3, 65, 65))
        assert [(found.name, found.wrong) for found in certificate.faulty] == [(name, (gradient,))]
        assert str(certificate).startswith(f"WRONG: {name} ({gradient})")


def test_a_fault_of_one_entry():
    class Off(Conv2d):
        def backward(self, dy, cache):
            dx = super().backward(dy, cache).copy()
            dx[0, 1, 7, 9] *= 1.001
            return dx

    network = with_layer(MODEL.network, "conv1", lambda layer: Off(**vars(layer)))
    certificate = npgrad.certify(npgrad.Model(network), draw(1, 3, 41, 41))
    assert [layer.name for layer in certificate.faulty] == ["conv1"]


def test_a_fault_of_a_composite_itself():
    class Lost(Residual):
        def backward(self, dy, tape):
            return super().backward(dy, tape) - 0.001 * dy

    def network(kind):
        main = Sequential(
            {"conv": Conv2d.init(3, 3, 3, padding=1), "norm": BatchNorm2d.init(3), "act": ReLU()}
        )
        return npgrad.Model(Sequential({"block": kind(dict(main.layers)), "last": Conv2d.init(3, 2, 1)}))

    assert npgrad.certify(network(Residual), draw(2, 3, 8, 8))
    certificate = npgrad.certify(network(Lost), draw(2, 3, 8, 8))
    assert [layer.name for layer in certificate.faulty] == ["block"] and "block (as a whole)" in str(
        certificate
    )


@pytest.mark.parametrize("x", [np.zeros, np.ones])
def test_flat_images_are_right_beside_their_kinks(x):
    certificate = npgrad.certify(MODEL, x((1, 3, 41, 41)))
    assert certificate, certificate
    network = with_layer(MODEL.network, "relu1", lambda layer: spoilt(layer, "x"))
    assert [one.name for one in npgrad.certify(npgrad.Model(network), x((1, 3, 41, 41))).faulty] == ["relu1"]


def test_what_does_not_move_is_said():
    network = Sequential({"relu": ReLU(), "conv": Conv2d(np.ones((2, 3, 1, 1)), None)})
    certificate = npgrad.certify(npgrad.Model(network), -1 - abs(draw(1, 3, 4, 4)))
    assert certificate.layers[0].verdict == "not reached" and str(certificate).endswith("; 3 not reached")
    assert certificate.layers[1].moved == 0 and not certificate


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", ["hyena", "sky"])
def test_a_real_photo_and_real_weights(real_model, shared, name):
    certificate = npgrad.certify(real_model, real_model.preprocess(shared / "images" / f"{name}.jpg"))
    assert certificate, certificate
    assert all(layer.verdict != "not reached" for layer in certificate.layers)


@pytest.mark.exhaustive
def test_rounding_that_a_deep_network_amplifies_is_no_fault():
    """Untrained, its derivative is beyond 1e12, and a complex sigmoid is rounded otherwise than a real one."""
    model = create("efficientnet_v2_s", num_classes=5, rng=0)
    certificate = npgrad.certify(model, draw(1, 3, 96, 96))
    *inside, whole = certificate.layers
    assert (
        certificate
        and whole.verdict == "right to rounding"
        and str(certificate).endswith("1 right to rounding")
    )
    assert all(layer.error <= 1e-12 for layer in inside if layer.verdict == "right")


@pytest.mark.parametrize("kind", [ReLU, MaxPool2d])
def test_a_fault_where_all_values_tie(kind):
    class Off(kind):
        def backward(self, dy, cache):
            return super().backward(dy, cache) * 1.001

    layer = Off(2) if kind is MaxPool2d else Off()
    network = Sequential({"conv": Conv2d.init(3, 4, 3, rng=0), "off": layer})
    for x in (np.zeros((1, 3, 8, 8)), np.ones((1, 3, 8, 8)), draw(1, 3, 8, 8)):
        assert [one.name for one in npgrad.certify(npgrad.Model(network), x).faulty] == ["off"]
