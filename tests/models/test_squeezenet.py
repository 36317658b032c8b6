"""Both SqueezeNets with random weights against torch, and what their makers promise."""

import checks
import numpy as np
import pytest
import torch
from torch_nets import TorchSqueezeNet, random_biases, torch_names, torch_state, torch_twin

from npgrad import InputError, UnknownName
from npgrad.models import squeezenet1_0, squeezenet1_1

MAKERS = [squeezenet1_0, squeezenet1_1]


def compare(model, size, batch):
    """Logits, input gradient and all parameter gradients, in float64 and to 1e-10."""
    rng = np.random.default_rng(size)
    x = rng.normal(size=(batch, 3, size, size))
    model = model.astype(np.float64)
    net, xt = torch_twin(model), torch.tensor(x, requires_grad=True)
    yt = net(xt)
    dy = rng.normal(size=yt.shape)
    yt.backward(torch.tensor(dy))

    tape = model.forward(x)
    checks.assert_close(tape.output, yt.detach().numpy(), 1e-10, "logits")
    checks.assert_close(model(x), yt.detach().numpy(), 1e-10, "logits without a tape")
    checks.assert_close(tape.backward(dy)["input"], xt.grad.numpy(), 1e-10, "input gradient")
    gradients = tape.parameter_gradients(dy)
    expected = {name: parameter.grad.numpy() for name, parameter in net.named_parameters()}
    names = torch_names(model)
    found = {}
    for name, gradient in gradients.items():
        layer, _, parameter = name.rpartition(".")
        found[f"{names[layer]}.{parameter}"] = gradient
    checks.assert_all_close(found, expected, 1e-10)


@pytest.mark.exhaustive
@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize(("size", "batch"), [(67, 2), (97, 1)])
def test_numbers_are_those_of_torch(make, size, batch):
    compare(random_biases(make(rng=1)), size, batch)


@pytest.mark.exhaustive
@pytest.mark.parametrize("make", MAKERS)
def test_numbers_are_those_of_torch_at_full_size(make):
    compare(random_biases(make(rng=2)), 224, batch=1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("make", MAKERS)
def test_numbers_are_those_of_torch_with_the_details_of_caffe(make):
    compare(random_biases(make(rng=3, num_classes=7, conv10_padding=1)), 75, batch=2)


@pytest.mark.parametrize("make", MAKERS)
def test_a_image_need_not_be_square(make):
    model = random_biases(make(rng=4, num_classes=5)).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(1, 3, 48, 61))
    checks.assert_close(model(x), torch_twin(model)(torch.tensor(x)).detach().numpy(), 1e-10)


@pytest.mark.exhaustive
@pytest.mark.parametrize("make", MAKERS)
def test_float32_is_that_of_torch(make):
    model = random_biases(make(rng=1))
    x = np.random.default_rng(0).normal(size=(2, 3, 97, 97)).astype(np.float32)
    net, xt = torch_twin(model, torch.float32), torch.tensor(x, requires_grad=True)
    yt = net(xt)
    dy = np.random.default_rng(1).normal(size=yt.shape).astype(np.float32)
    yt.backward(torch.tensor(dy))
    tape = model.forward(x)
    dx = tape.backward(dy)["input"]
    assert (tape.output.dtype, dx.dtype) == (np.float32, np.float32)
    checks.assert_close(tape.output, yt.detach().numpy(), 5e-6)
    a, b = dx.ravel().astype(float), xt.grad.numpy().ravel().astype(float)
    assert 1 - a @ b / np.sqrt((a @ a) * (b @ b)) < 1e-5
    assert {g.dtype for g in tape.parameter_gradients(dy).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize(("make", "count"), [(squeezenet1_0, 1_248_424), (squeezenet1_1, 1_235_496)])
def test_parameters_are_as_many_as_published_and_match_the_state_dict_of_torch(make, count):
    model = make()
    assert sum(array.size for array in model.parameters().values()) == count
    assert f"{count:,}" in repr(model)
    expected = {name: value.shape for name, value in TorchSqueezeNet(make.__name__).state_dict().items()}
    assert {name: value.shape for name, value in torch_state(model).items()} == expected


POOLED = {squeezenet1_0: ("conv1", "fire4", "fire8"), squeezenet1_1: ("conv1", "fire3", "fire5")}
INNER = ["squeeze", "squeeze_relu", "expand1x1", "expand1x1_relu", "expand3x3", "expand3x3_relu"]


@pytest.mark.parametrize("make", MAKERS)
def test_layers_are_named_as_in_the_paper(make):
    expected = ["conv1", "relu1", "pool1"]
    for fire in (f"fire{i}" for i in range(2, 10)):
        expected += [f"{fire}.{inner}" for inner in INNER] + [fire]
        if fire in POOLED[make]:
            expected.append(f"pool{fire[-1]}")
    expected += ["drop9", "conv10", "relu10", "pool10"]
    model = make(num_classes=2)
    assert model.layer_names() == expected
    assert [record.name for record in model.forward(np.zeros((1, 3, 32, 32)))] == expected


ALIASES = {
    squeezenet1_0: {
        "features.0": "conv1",
        "features.2": "pool1",
        "features.3.squeeze": "fire2.squeeze",
        "features.6": "pool4",
        "features.7": "fire5",
        "features.11": "pool8",
        "features.12": "fire9",
        "features.12.expand3x3_activation": "fire9.expand3x3_relu",
        "classifier.0": "drop9",
        "classifier.1": "conv10",
        "classifier.3": "pool10",
    },
    squeezenet1_1: {
        "features.1": "relu1",
        "features.3": "fire2",
        "features.5": "pool3",
        "features.8": "pool5",
        "features.9.expand1x1": "fire6.expand1x1",
        "features.12": "fire9",
        "features.12.squeeze_activation": "fire9.squeeze_relu",
        "classifier.1": "conv10",
        "classifier.2": "relu10",
    },
}


@pytest.mark.parametrize("make", MAKERS)
def test_the_names_of_torchvision_are_aliases(make):
    model = make(num_classes=2)
    tape = model.forward(np.random.default_rng(0).normal(size=(1, 3, 32, 32)))
    for alias, own in ALIASES[make].items():
        assert model.resolve(alias) == own
        assert model.layer(alias) is model.layer(own)
        assert tape[alias] is tape[own]
        assert alias in tape
    modules = {name for name, _ in TorchSqueezeNet(make.__name__).named_modules()} - {
        "",
        "features",
        "classifier",
    }
    assert set(model.aliases) == modules
    assert sorted(model.aliases.values()) == sorted(model.layer_names())


@pytest.mark.parametrize("make", MAKERS)
def test_unknown_layers_are_answered_with_the_nearest(make):
    model = make(num_classes=2)
    for ask in model.resolve, model.layer:
        with pytest.raises(UnknownName, match="'fire10'.*nearest.*fire1|'fire10'.*nearest.*fire9"):
            ask("fire10")
    with pytest.raises(UnknownName, match="'features.99'.*nearest.*features.9"):
        model.resolve("features.99")


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("num_classes", [1, 10, np.int64(3)])
def test_any_number_of_classes(make, num_classes):
    logits = make(num_classes=num_classes)(np.zeros((2, 3, 32, 32), np.float32))
    assert logits.shape == (2, num_classes)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("num_classes", [0, -1, 2.5, "ten", None, True])
def test_no_number_of_classes_is_refused(make, num_classes):
    with pytest.raises(InputError, match="num_classes.*>= 1"):
        make(num_classes=num_classes)


@pytest.mark.parametrize("make", MAKERS)
def test_weights_are_drawn_as_he_says_and_a_seed_repeats_them(make):
    parameters = make(rng=3).parameters()
    assert checks.same_bits(make(rng=np.random.default_rng(3)).parameters(), parameters)
    assert not checks.same_bits(make(rng=4).parameters(), parameters)
    for name, array in parameters.items():
        assert array.dtype == np.float32
        if name.endswith("bias"):
            assert not array.any()
        else:
            variance = array.var() * np.prod(array.shape[1:]) / 2
            assert abs(variance - 1) < 5 * np.sqrt(2 / array.size), name
    same_shape = parameters["fire4.expand3x3.weight"], parameters["fire5.expand3x3.weight"]
    assert not np.array_equal(*same_shape), "every layer has its own draw"


@pytest.mark.parametrize(("make", "smallest"), [(squeezenet1_0, 21), (squeezenet1_1, 17)])
def test_the_smallest_image_works_and_one_pixel_less_is_refused(make, smallest):
    model = random_biases(make(num_classes=4)).astype(np.float64)
    x = np.random.default_rng(0).normal(size=(1, 3, smallest, smallest))
    expected = torch_twin(model)(torch.tensor(x)).detach().numpy()
    checks.assert_close(model(x), expected, 1e-10)
    says = (
        f"^pool[0-9]: MaxPool2d: the input is .* px, smaller than the 3x3 window.* {smallest}x{smallest} px$"
    )
    for small in x[:, :, 1:], x[:, :, :, 1:], x[:, :, 1:, 1:]:
        for run in model, model.forward:
            with pytest.raises(InputError, match=says):
                run(small)
