"""The checkpoints that people save with torch: read right, or refused with what to do; nothing in them is run."""

import argparse
import warnings

import numpy as np
import pytest
import torch
from checkpoint_objects import BESIDE, Meter, Mode, Trap, optimizer
from PIL import Image
from refusals import line
from safetensors.torch import save_file
from torch_nets import torch_state, torch_twin

import npgrad
from npgrad.io import architectures
from npgrad.io.converting import convert
from npgrad.io.formats import torch_pth
from npgrad.models import mobilenet_v2, registry, squeezenet1_1


@pytest.fixture(scope="module")
def model():
    return squeezenet1_1(num_classes=5, rng=3)


@pytest.fixture(scope="module")
def state(model):
    return {name: torch.from_numpy(tensor.numpy().copy()) for name, tensor in torch_state(model).items()}


def same(found, model):
    for name, array in model.network.arrays(buffers=True).items():
        np.testing.assert_array_equal(found.network.arrays(buffers=True)[name], array, name)


@pytest.mark.parametrize("what", BESIDE)
def test_what_stands_beside_the_weights_is_passed_over(what, tmp_path):
    weights = {"conv.weight": torch.randn(2, 3), "conv.bias": torch.randn(2)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # quantized tensors are deprecated
        checkpoint = {"epoch": 3, "beside": BESIDE[what](), "net": weights, "more": [BESIDE[what]()]}
        for legacy in (False, True):
            path = tmp_path / "c.pth"
            torch.save(checkpoint, path, _use_new_zipfile_serialization=not legacy)
            if legacy and ("complex tensor" in what or "quantized" in what):  # of unknown size in the file
                assert "Storage" in line(torch_pth.read, path.read_bytes(), "f")
                continue
            found = torch_pth.read(path.read_bytes(), "f")
            assert list(found) == list(weights)
            assert all((found[key] == value.numpy()).all() for key, value in weights.items())


def test_a_checkpoint_with_all_of_it(model, state, tmp_path):
    beside = {what: make() for what, make in BESIDE.items() if "quantized" not in what}
    checkpoint = {"epoch": 3, "state_dict": state, "optimizer": optimizer(state), **beside}
    torch.save(checkpoint, tmp_path / "c.pth")
    same(convert(tmp_path / "c.pth"), model)


def prefixed(*prefixes):
    return lambda state: {"".join(prefixes) + name: tensor for name, tensor in state.items()}


FORMS = {
    "module.": prefixed("module."),
    "_orig_mod.": prefixed("_orig_mod."),
    "model., Lightning": lambda state: {"state_dict": prefixed("model.")(state), "epoch": 1},
    "net.": prefixed("net."),
    "backbone.": prefixed("backbone."),
    "module. twice": prefixed("module.", "module."),
    "module._orig_mod.": prefixed("module.", "_orig_mod."),
    "model.backbone.net.": prefixed("model.", "backbone.", "net."),
    "under net": lambda state: {"net": state, "acc": 1.0},
    "under model_ema": lambda state: {"model_ema": state},
    "under a name of one's own": lambda state: {"mine": state, "epoch": 1},
    "two levels down": lambda state: {"state": {"model": state, "optimizer": optimizer(state)}},
    "one dict under two names": lambda state: {"model": state, "state_dict": state},
    "parameters": lambda state: {name: torch.nn.Parameter(tensor) for name, tensor in state.items()},
    "beside single numbers": lambda state: {**state, "epoch": 3, "name": "net"},
    "an average's counter": lambda state: {"n_averaged": torch.tensor(7), **prefixed("module.")(state)},
    "a head in a Sequential": lambda state: {
        name.replace("classifier.1.", "classifier.1.1."): tensor for name, tensor in state.items()
    },
    "that, with a prefix": lambda state: {
        f"module.{name}".replace("classifier.1.", "classifier.1.3."): tensor for name, tensor in state.items()
    },
}


@pytest.mark.parametrize("what", FORMS)
def test_forms_of_checkpoints(what, model, state, tmp_path):
    torch.save(FORMS[what](state), tmp_path / "c.pth")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = convert(tmp_path / "c.pth")
    same(found, model)
    assert len(caught) == (what in ("a head in a Sequential", "that, with a prefix"))
    if caught:
        assert "is taken for the only layer of the head but Dropout" in str(caught[0].message)
        assert caught[0].filename == __file__


def test_an_averaged_model(model, tmp_path):
    average = torch.optim.swa_utils.AveragedModel(torch_twin(model, torch.float32))
    assert "n_averaged" in average.state_dict()
    torch.save(average.state_dict(), tmp_path / "c.pth")
    same(convert(tmp_path / "c.pth"), model)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype, model, state, tmp_path):
    torch.save({"model": {name: tensor.to(dtype) for name, tensor in state.items()}}, tmp_path / "c.pth")
    found = convert(tmp_path / "c.pth").parameters()["conv1.weight"]
    np.testing.assert_array_equal(found, state["features.0.weight"].to(dtype).float().numpy())


def test_several_state_dicts_are_listed_and_one_is_chosen(model, state, tmp_path):
    path = tmp_path / "c.pth"
    other = {name: tensor + 1 for name, tensor in state.items()}
    torch.save({"model": other, "ema": {"shadow": state, "decay": 0.9}, "epoch": 2}, path)
    found = line(convert, path)
    assert found == (
        f"{path}: expected one state dict, found model (52 tensors), ema.shadow (52 tensors): "
        "choose one with key (--key)"
    )
    same(convert(path, key="ema.shadow"), model)
    same(convert(path, key="ema"), model)
    assert (convert(path, key="model").parameters()["conv1.bias"] != 0).all()
    found = line(lambda: convert(path, key="epoch"))
    assert found == f"{path}: key 'epoch': expected that of a state dict, found model, ema.shadow"
    torch.save({**state, "teacher": other}, path)
    assert "found . (52 tensors), teacher (52 tensors)" in line(convert, path)
    same(convert(path, key="."), model)


def test_a_key_is_of_a_pth_file(state, tmp_path):
    np.savez(tmp_path / "w.npz", **{name: tensor.numpy() for name, tensor in state.items()})
    save_file(state, tmp_path / "w.safetensors")
    assert line(lambda: convert(tmp_path / "w.npz", key="a")).endswith(
        "(first member 'features.0.weight.npy')"
    )
    found = line(lambda: convert(tmp_path / "w.safetensors", key="a"))
    assert found.endswith("w.safetensors: key: expected a .pth file, found a .safetensors file")


def test_the_counters_of_batch_norm_in_every_format(tmp_path):
    model = mobilenet_v2(num_classes=3, rng=1)
    names = {ours: theirs for theirs, ours in model.aliases.items()}
    state = {}
    for name, array in model.network.arrays(buffers=True).items():
        layer, _, last = name.rpartition(".")
        state[f"{names[layer]}.{last}"] = torch.from_numpy(np.array(array, order="C"))
        if last == "running_mean":
            state[f"{names[layer]}.num_batches_tracked"] = torch.tensor(100)
    save_file({"n_averaged": torch.tensor(3), **state}, tmp_path / "w.safetensors")
    same(convert(tmp_path / "w.safetensors"), model)
    head = {"weight": state.pop("classifier.1.weight"), "bias": state.pop("classifier.1.bias")}
    state |= {f"classifier.{name}": tensor for name, tensor in head.items()}
    torch.save(state, tmp_path / "w.pth")
    with pytest.warns(UserWarning, match="classifier is taken for the only layer of the head"):
        same(convert(tmp_path / "w.pth"), model)


def without_head(state):
    return {name: tensor for name, tensor in state.items() if "classifier" not in name}


def test_a_network_without_its_head_gives_features(model, state, tmp_path, capsys):
    path, images = tmp_path / "c.pth", np.random.default_rng(0).normal(size=(2, 3, 64, 64)).astype(np.float32)
    torch.save(without_head(state), path)
    with pytest.warns(
        UserWarning, match="c.pth: taken for squeezenet1_1 without its last layer, .* are features"
    ):
        convert(path).save(tmp_path / "c.h5")
    found = npgrad.load(tmp_path / "c.h5")
    assert found.output_kind == "features" and found.num_classes == 512 and not found.has_classes
    expected = model.forward(images)["fire9"]
    np.testing.assert_allclose(found(images).reshape(2, 512), expected.mean(axis=(2, 3)), rtol=1e-6)
    np.testing.assert_array_equal(
        npgrad.attribution.eigen_cam(found, images), npgrad.attribution.eigen_cam(model, images)
    )
    tape = model.forward(images, upto="fire9")
    dy = np.zeros_like(tape.output)
    dy[:, 3] = 1 / dy[0, 0].size
    np.testing.assert_allclose(
        npgrad.attribution.saliency(found, images, 3),
        np.abs(tape.backward(dy)["input"]),
        rtol=1e-4,
        atol=1e-7,
    )
    with pytest.raises(
        npgrad.InputError, match="one of the network's 512 outputs, which are features, found None"
    ):
        npgrad.attribution.saliency(found, images)


@pytest.mark.filterwarnings("ignore:.*without its last layer")
def test_the_command_explains_a_network_without_its_head(state, tmp_path, capsys):
    from npgrad.cli import main

    torch.save(without_head(state), tmp_path / "c.pth")
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (70, 90, 3), np.uint8)).save(
        tmp_path / "photo.png"
    )
    weights = ["--weights", str(tmp_path / "c.h5"), "--mean", "0.5", "--std", "0.5"]
    assert main(["convert", str(tmp_path / "c.pth"), "-o", str(tmp_path / "c.h5")]) == 0
    assert main(["classify", str(tmp_path / "photo.png"), *weights]) == 2
    assert 'classify: expected a network with classes, found outputs="features"' in capsys.readouterr().err
    for options in (["--method", "eigen_cam"], ["--method", "fem,eigen_cam"], ["--target", "7"]):
        out = tmp_path / "o.png"
        assert main(["attribute", str(tmp_path / "photo.png"), *weights, *options, "-o", str(out)]) == 0
        assert out.stat().st_size
        said = capsys.readouterr().out
        assert (" of output 7 (7), value" in said) == ("--target" in options), said
        out.unlink()
    code = main(
        ["attribute", str(tmp_path / "photo.png"), *weights, "--method", "eigen_cam,saliency", "-o", str(out)]
    )
    assert code == 2 and "which are features, found None" in capsys.readouterr().err and not out.exists()


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", [name for name in registry.ARCHITECTURES if name != "regnet_y_128gf"])
def test_every_network_is_recognized_without_its_last_layer_and_without_its_head(name):
    skeleton = registry.skeleton({"name": name, "options": {}}, room=1 << 40)
    theirs = {own: theirs for theirs, own in skeleton.aliases.items()}
    arrays = {}
    for key, array in skeleton.network.arrays(buffers=True).items():
        layer, _, kind = key.rpartition(".")
        arrays[f"{theirs.get(layer, layer)}.{kind}"] = array
    last = max(
        key for layer in registry.ARCHITECTURES[name].page.LAST for key in arrays if key == f"{layer}.weight"
    )
    layer, head = last.removesuffix("weight"), last.partition(".")[0] + "."
    for missing in layer, head:
        found = architectures.without_head(
            {k: a for k, a in arrays.items() if not k.startswith(missing)}, "f"
        )
        assert found.architecture["name"] == name and found.outputs == "features"
    assert architectures.without_head(arrays, "f") is None
    assert found.num_classes == next(
        a.shape[1] if a.ndim > 1 else len(a) for k, a in arrays.items() if k.startswith(head)
    )


def with_more(state, **tensors):
    return {**state, **{name.replace("_", "."): tensor for name, tensor in tensors.items()}}


TINY = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3))
ADVICE = r"torch.save\(model.state_dict\(\), FILE\) writes what can be read; or export the model to ONNX$"
REFUSED = {
    "a whole model": (lambda state: TINY, rf"a pickled object of 'torch\.nn.*Sequential', .* {ADVICE}"),
    "a whole model under a key": (
        lambda state: {"epoch": 1, "model": TINY},
        rf"Sequential' in \['epoch', 'model'\].* {ADVICE}",
    ),
    "an object that is no model": (lambda state: Meter(), rf"a pickled object of '.*Meter', .*{ADVICE}"),
    "a trap": (lambda state: Trap(), r"a pickled object of '.*[Ff]ail'"),
    "an unknown object among the weights": (
        lambda state: {**state, "args": argparse.Namespace(lr=1)},
        r"args: expected a tensor among the weights, found 'argparse.Namespace'.*save the state_dict by itself",
    ),
    "a trap among the weights": (
        lambda state: {**state, "features.0.bias": Trap()},
        r"features.0.bias: expected a tensor among the weights, found '.*[Ff]ail'",
    ),
    "a complex tensor among the weights": (
        lambda state: {**state, "features.0.bias": torch.zeros(64, dtype=torch.complex64)},
        r"features.0.bias: expected a tensor among the weights, found 'torch.ComplexFloatStorage'",
    ),
    "an unknown key among the weights": (
        lambda state: {**state, Mode.MAX: 1},
        r"expected a tensor among the weights, found '.*Mode'",
    ),
    "neither head nor last block": (
        lambda state: {
            name: tensor for name, tensor in without_head(state).items() if "features.12" not in name
        },
        r"the last layer, .*, is missing: expected one of .*; found none: .* to ONNX",
    ),
    "a head of two layers": (
        lambda state: with_more(
            without_head(state), classifier_0_weight=torch.ones(4, 512), classifier_3_weight=torch.ones(2, 4)
        ),
        r"is missing: .*; found classifier.0.weight, classifier.3.weight: .* to ONNX",
    ),
    "whole numbers for weights": (
        lambda state: {**state, "features.0.weight": torch.ones(64, 3, 3, 3, dtype=torch.int8)},
        r"features.0.weight: expected floating point numbers, found int8",
    ),
    "a layer too many": (
        lambda state: with_more(state, features_99_weight=torch.ones(3)),
        r"c.pth: taken for squeezenet1_1: features.99.weight is not of this network",
    ),
    "only an optimizer": (
        lambda state: {"optimizer": optimizer(state)},
        r"expected a state dict, tensors by name; found \['optimizer'\]",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_advice(what, state, tmp_path):
    make, message = REFUSED[what]
    torch.save(make(state), tmp_path / "c.pth")
    with pytest.raises(npgrad.WeightsError, match=message) as caught:
        convert(tmp_path / "c.pth")
    assert str(caught.value).startswith(f"{tmp_path / 'c.pth'}: ") and str(caught.value).isprintable()


def test_the_command_chooses_by_key(state, tmp_path, capsys):
    from npgrad.cli import main

    path, out = tmp_path / "c.pth", tmp_path / "c.h5"
    torch.save({"a": state, "b": state | {"features.0.bias": torch.ones(64)}}, path)
    assert main(["convert", str(path), "-o", str(out)]) == 2
    assert "choose one with key (--key)" in capsys.readouterr().err
    assert main(["convert", str(path), "-o", str(out), "--key", "b"]) == 0
    assert (npgrad.load(out).parameters()["conv1.bias"] == 1).all()


def test_a_thousand_values_have_no_names_of_classes(tmp_path):
    state = torch_state(squeezenet1_1(rng=3))
    torch.save(
        {name: torch.from_numpy(tensor.numpy().copy()) for name, tensor in state.items()}, tmp_path / "c.pth"
    )
    assert convert(tmp_path / "c.pth").classes[281] == "tabby"
    assert convert(tmp_path / "c.pth", outputs="value").classes is None
