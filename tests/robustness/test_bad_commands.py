"""The command with words that cannot be: exit code 2, one line on stderr, and no file."""

import numpy as np
import pytest

import npgrad
from npgrad.cli import main
from npgrad.models import squeezenet1_1

COMMANDS = """
nothing
classify
classify PHOTO --top 0
classify PHOTO --weights squeezenet1_2
classify PHOTO --weights missing.h5
attribute PHOTO --method salience
attribute PHOTO --target -1
attribute PHOTO --target 5
attribute PHOTO --target cow
attribute PHOTO --target 1.0
attribute PHOTO --outliers -1
attribute PHOTO --method grad_cam --layer fire22
attribute PHOTO --method occlusion --window 0
attribute PHOTO --method occlusion --window 999
attribute PHOTO --method occlusion --stride 0
attribute PHOTO --method smoothgrad --noise -1
attribute PHOTO --method smoothgrad --n-samples 0
attribute PHOTO --method integrated_gradients --n-steps 0
compare missing.npz
compare
attribute PHOTO --method integrated_gradients --tolerance 0
certify PHOTO --ledger lrp --target cow
attribute PHOTO -o map.svg
attribute PHOTO -o map.pdf
attribute PHOTO --colormap virdis
attribute PHOTO --colormap RdBu
attribute PHOTO --color-scale shared
attribute PHOTO --color-scale -1
attribute PHOTO --color-scale big
report PHOTO --methods salience
report PHOTO --target cow
report PHOTO -o page.png
explore PHOTO --target cow
explore PHOTO -o page.png
fool PHOTO --target cow
fool PHOTO --target -1
visualize cow
visualize 1 --size 0
invert PHOTO --layer fire22
dream PHOTO --layer fire22
style PHOTO PHOTO --preset nothing --weights net.h5
demo --layer x
layers --arch squeezenet1_2
layers --size 0
weights get squeezenet1_2
weights show
weights show missing.h5
""".strip().splitlines()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder to be in, with a photo and a network of five classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NPGRAD_HOME", str(tmp_path / "home"))
    squeezenet1_1(num_classes=5, rng=1).save("net.h5")
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    npgrad.images.save_image(pixels, "photo.png")
    return tmp_path


@pytest.mark.sampled(8)
@pytest.mark.parametrize("command", COMMANDS)
def test_refused(command, folder, capsys):
    before = sorted(folder.iterdir())
    words = command.replace("PHOTO", "photo.png").split()
    if not {"nothing", "weights", "--arch", "--weights"} & set(words):
        words += ["--weights", "net.h5"]
    try:
        code = main(words)
    except SystemExit as exit:  # argparse's own
        code = exit.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err.count("\n") == 1 and err.startswith("npgrad: ") and err[:-1].isprintable()
    assert sorted(folder.iterdir()) == before
