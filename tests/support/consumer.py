"""A program that uses npgrad as people do. test_types.py has it checked by mypy --strict, and runs it."""

import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt

import npgrad
from npgrad import InputError, Model, Preprocessing, Tape, attribution, evaluation, losses, synthesis
from npgrad.images import heat_map, open_image, save_image
from npgrad.layers import Conv2d, Flatten, GlobalAvgPool2d, Linear, MaxPool2d, ReLU, Sequential
from npgrad.models import squeezenet1_1
from npgrad.optim import Adam
from npgrad.rules import guided

Floats = npt.NDArray[np.floating]


def load(path: Path | None) -> Model:
    return npgrad.load() if path is None else npgrad.load(path)


def own_network() -> Model:
    network = Sequential(
        {
            "conv1": Conv2d.init(3, 8, 3, stride=2, padding=1, rng=0),
            "relu1": ReLU(),
            "pool1": MaxPool2d(2, stride=2),
            "conv2": Conv2d.init(8, 5, 1, rng=np.random.default_rng(1)),
            "mean": GlobalAvgPool2d(),
            "flat": Flatten(),
            "fc": Linear.init(5, 5, rng=2),
        }
    )
    return Model(network, classes=list("abcde"), preprocessing=Preprocessing(resize=32, crop=32))


def names(model: Model, photo: Path) -> list[str]:
    x = model.preprocess(photo)
    return [f"{name}: {probability:.2f}" for _, name, probability in model.predict(x, top=3)[0]]


def gradients(model: Model, x: Floats) -> dict[str, tuple[int, ...]]:
    tape: Tape = model.forward(x)
    layer: str = model.layer_names()[0]
    activation = tape[layer]
    value, dlogits = losses.cross_entropy(tape.output, [1] * len(x))
    found = tape.backward(dlogits, at=(layer, "input"))
    guided_dx = tape.backward({model.layer_names()[-1]: dlogits}, rules={ReLU: guided})["input"]
    trained = tape.parameter_gradients(dlogits)
    assert activation.shape == found[layer].shape and float(value) > 0 and guided_dx.shape == x.shape
    return {name: array.shape for name, array in trained.items()}


def maps(model: Model, x: Floats) -> float:
    shown = attribution.saliency(model, x)
    cam = attribution.grad_cam(model, x, target=1, layer="conv2", resize="bilinear")
    path = attribution.integrated_gradients(
        model, x, [1] * len(x), baseline=0.5, n_steps=3, progress=lambda done, total: None
    )
    noisy = attribution.smoothgrad(model, x, n_samples=2, rng=3)
    hidden = attribution.occlusion(model, x, window=(9, 9), stride=9, batch_size=4)
    kept = evaluation.deletion_auc(model, x, shown, n_steps=3)
    return float(shown.max() + cam.max() + path.max() + noisy.max() + hidden.max() + kept.mean())


def images(model: Model, x: Floats, folder: Path) -> int:
    fooled = synthesis.make_fooling_image(model, x, 2, learning_rate=1.0, max_iter=3)
    seen = synthesis.create_class_visualization(model, 2, size=32, num_iterations=2, rng=0)
    painted = synthesis.style_transfer(
        model,
        x,
        x,
        content_layer="conv2",
        content_weight=1.0,
        style_layers=["conv1"],
        style_weights=[1.0],
        steps=1,
    )
    for name, result in {"fooled": fooled, "seen": seen, "painted": painted}.items():
        for image in model.deprocess(result.image):
            save_image(image, folder / f"{name}.png")
    heat_map(attribution.grad_cam(model, x)[0], sign="positive").save(folder / "map.png")
    return sum(open_image(path).size[0] for path in sorted(folder.glob("*.png")))


def checked(model: Model, x: Floats) -> str:
    layer = Conv2d.init(3, 4, 3, groups=1)
    y, cache = layer.forward(x)
    dx = layer.backward(np.ones_like(y), cache)
    assert dx.shape == x.shape and sorted(layer.parameter_gradients(np.ones_like(y), cache)) == [
        "bias",
        "weight",
    ]
    optimizer = Adam(0.01)
    optimizer.step(model.parameters(), model.parameters())
    return str(npgrad.gradcheck(model, x, entries=1))


def main(folder: Path) -> None:
    model = own_network().astype(np.float64)
    x = np.random.default_rng(0).normal(size=(2, 3, 32, 32))
    save_image(np.zeros((40, 50, 3), np.uint8), folder / "photo.png")
    print(names(model, folder / "photo.png"), gradients(model, x), maps(model, x))
    print(
        images(model, x[:1], folder), checked(model, x[:1]), squeezenet1_1(num_classes=3, rng=0).num_classes
    )
    try:
        load(None).forward(x[:, :2])
    except InputError as error:
        print(error)
    model.save(folder / "own.h5")
    print(load(folder / "own.h5").classes)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
