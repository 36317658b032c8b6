"""The homework's functions of its first part: names, meanings, defaults."""

import warnings

import numpy as np
import pytest
import torch
from captum.attr import GuidedBackprop, LayerConductance
from PIL import Image
from torch_nets import torch_twin

import npgrad
from npgrad import course
from npgrad.models import squeezenet1_1


@pytest.fixture(scope="module")
def model():
    return squeezenet1_1(num_classes=6, rng=3).astype(np.float64)


@pytest.fixture(scope="module")
def X():
    return np.random.default_rng(0).normal(size=(3, 3, 65, 65))


@pytest.fixture(scope="module")
def y():
    return np.array([1, 4, 2])


@pytest.mark.parametrize("size", [(300, 200), (200, 301), (64, 64)])
def test_preprocess(size, rng):
    image = Image.fromarray(rng.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    x = course.preprocess(image, size=100)
    shorter = min(size)
    wanted = tuple(int(100 * side / shorter) for side in size)
    assert x.shape == (1, 3, wanted[1], wanted[0])
    assert x.dtype == np.float32
    pixels = np.asarray(image.resize(wanted, Image.Resampling.BILINEAR)) / 255
    expected = (pixels - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(x[0].transpose(1, 2, 0), expected, atol=1e-6)
    assert min(course.preprocess(image).shape[2:]) == 224


def test_deprocess_undoes_it(rng):
    pixels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    back = np.asarray(course.deprocess(course.preprocess(Image.fromarray(pixels), 40), should_rescale=False))
    assert np.abs(back.astype(int) - pixels).max() <= 1  # bytes by truncation
    stretched = np.asarray(course.deprocess(3 * rng.normal(size=(1, 3, 20, 20))))
    assert (stretched.min(), stretched.max()) == (0, 255)
    flat = np.asarray(course.deprocess(np.zeros((1, 3, 4, 4))))
    assert flat.shape == (4, 4, 3)
    with pytest.raises(npgrad.InputError, match=r"expected one image \(1, 3, H, W\)"):
        course.deprocess(np.zeros((2, 3, 4, 4)))


def test_load_imagenet_val(shared, tmp_path, monkeypatch):
    path = shared / "data" / "imagenet_val_25.npz"
    X, y, names = course.load_imagenet_val(path=path)
    assert (X.shape, X.dtype, y.shape) == ((25, 224, 224, 3), np.uint8, (25,))
    assert names[281].startswith("tabby")
    assert len(course.load_imagenet_val(num=5, path=path)[0]) == 5
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPGRAD_HOME", str(tmp_path))
    with pytest.raises(npgrad.InputError, match="http://cs231n.stanford.edu/imagenet_val_25.npz"):
        course.load_imagenet_val()


def test_saliency_maps(model, X, y):
    x = torch.tensor(X, requires_grad=True)
    torch_twin(model)(x)[torch.arange(3), torch.tensor(y)].sum().backward()
    expected = x.grad.abs().max(dim=1).values.numpy()
    np.testing.assert_allclose(
        course.compute_saliency_maps(X, y, model), expected, rtol=0, atol=1e-12 * expected.max()
    )


def test_guided_backprop_of_every_image(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum warns about its hooks
        given = torch.tensor(X, requires_grad=True)
        expected = GuidedBackprop(torch_twin(model)).attribute(given, torch.tensor(y)).detach().numpy()
    found = course.guided_backprop(X, y, model)
    assert found.shape == (3, 65, 65, 3)
    np.testing.assert_allclose(
        found, expected.transpose(0, 2, 3, 1), rtol=0, atol=1e-12 * np.abs(expected).max()
    )


def course_grad_cam(model, X, y):
    """As the course's solution computes it, in torch."""
    net, kept = torch_twin(model), {}
    net.features[12].register_forward_hook(lambda module, args, out: kept.update(a=out, g=out.retain_grad()))
    net(torch.tensor(X, requires_grad=True))[torch.arange(3), torch.tensor(y)].sum().backward()
    a, g = kept["a"].detach().numpy(), kept["a"].grad.numpy()
    cam = np.maximum((g.mean(axis=(2, 3), keepdims=True) * a).sum(axis=1), 0).astype(np.float32)
    cam = np.array([np.array(Image.fromarray(c).resize((65, 65), Image.Resampling.BICUBIC)) for c in cam])
    cam -= cam.min()
    return cam / cam.max()


def test_grad_cam_and_its_guided_product(model, X, y):
    cam = course.grad_cam(X, y, model)
    assert cam.shape == (3, 65, 65)
    assert (cam.min(), cam.max()) == (0, 1)  # over the whole batch
    np.testing.assert_allclose(cam, course_grad_cam(model, X, y), atol=1e-6)
    product = course.guided_grad_cam(X, y, model)
    np.testing.assert_allclose(product, course.guided_backprop(X, y, model) * cam[..., None])


def test_grad_cam_of_a_dead_class_is_no_nan(model, X):
    dead = model.with_parameters({"conv10.bias": np.full(6, -1e6)})
    with pytest.warns(UserWarning, match="exactly 0"):
        assert not course.grad_cam(X, 1, dead).any()


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        ("Saliency", (3, 3, 65, 65)),
        ("IntegratedGradients", (3, 3, 65, 65)),
        ("GuidedBackprop", (3, 3, 65, 65)),
        ("GuidedGradCam", (3, 3, 65, 65)),
        ("LayerActivation", (3, 65, 65)),
        ("LayerConductance", (3, 65, 65)),
        ("LayerGradCam", (3, 65, 65)),
    ],
)
def test_compute_attributions(model, X, y, method, shape):
    assert course.compute_attributions(method, X, y, model).shape == shape


@pytest.mark.exhaustive
def test_compute_attributions_defaults(model, X, y):
    found = course.compute_attributions("IntegratedGradients", X, y, model)
    np.testing.assert_array_equal(found, npgrad.attribution.integrated_gradients(model, X, y, n_steps=10))
    net = torch_twin(model)
    conductance = LayerConductance(lambda x: net(x), net.features[3])
    expected = conductance.attribute(torch.tensor(X), target=torch.tensor(y), n_steps=50).detach().mean(dim=1)
    expected = torch.nn.functional.interpolate(expected[:, None], (65, 65))[:, 0].numpy()  # nearest, Captum's
    found = course.compute_attributions("LayerConductance", X, y, model)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.abs(expected).max())
    other = course.compute_attributions("LayerGradCam", X, y, model, layer="features.12", resize="bilinear")
    assert not np.allclose(other, course.compute_attributions("LayerGradCam", X, y, model))
    with pytest.raises(npgrad.UnknownName, match="no attribution 'Salience'; nearest: Saliency"):
        course.compute_attributions("Salience", X, y, model)
