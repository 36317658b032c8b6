"""What the tests of the command share: a small network, a photo, and the command itself."""

import numpy as np
import pytest
from PIL import Image

import npgrad
from npgrad.cli import main
from npgrad.models import squeezenet1_1


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("cli") / "net.h5"
    model = squeezenet1_1(num_classes=5, rng=1)
    names = ("cat", "dog", "two words", "crane", "crane")
    npgrad.Model(model.network, names, model.preprocessing, model.architecture, model.aliases).save(path)
    return str(path)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photos") / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((240, 240)).save(path)
    return str(path)


@pytest.fixture
def run(capsys, tmp_path, monkeypatch):
    """run("classify", ...) -> (exit code, stdout, stderr), in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as exit:  # argparse's own
            code = exit.code
        out = capsys.readouterr()
        return code, out.out, out.err

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small network that looks at 32 px, and two photos."""
    folder = tmp_path_factory.mktemp("inputs")
    model = squeezenet1_1(num_classes=5, rng=1)
    names = ("cat", "dog", "two words", "crane", "crane")
    small = npgrad.Preprocessing(resize=40, crop=32)
    npgrad.Model(model.network, names, small, model.architecture, model.aliases).save(folder / "net.h5")
    for seed, name in enumerate(("photo.png", "painting.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((90, 60)).save(folder / name)
    return folder


@pytest.fixture
def make(run, folder):
    """make("fool PHOTO --target 2") -> (exit code, stdout, the lines of stderr that are not the progress bar)."""

    def make(line):
        words = (
            line.replace("PHOTO", f"{folder}/photo.png").replace("PAINTING", f"{folder}/painting.png").split()
        )
        code, out, err = run(*words, "--weights", folder / "net.h5")
        lines = [part.strip() for part in err.replace("\r", "\n").splitlines()]
        bars = ("step/s", "s/step", "is seen by the network")  # the photo is not square
        return code, out, [part for part in lines if part and not any(bar in part for bar in bars)]

    return make
