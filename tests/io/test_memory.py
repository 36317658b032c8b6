"""Converting or loading a network takes the memory of its weights once, whatever the container of the file."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from messages import NOT_WRITTEN

import npgrad
from npgrad.errors import InputError, WeightsError
from npgrad.io.formats import hdf5, reading, torch_pth
from npgrad.layers import Conv2d, Linear
from npgrad.layers.base import frozen, zeros
from npgrad.models import registry

MEASURE = """
import sys, warnings
def peak():  # of this program alone; ru_maxrss has that of the process it was started by, too
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
import npgrad, h5py, npgrad.io.converting, npgrad.io.formats.torch_pth, npgrad.io.formats.hdf5
npgrad.load()
before = peak()
warnings.simplefilter("ignore")
if sys.argv[2:]:
    npgrad.io.converting.convert(sys.argv[1]).save(sys.argv[2])
else:
    npgrad.load(sys.argv[1])
print(peak() - before)
"""


def alexnet():
    """AlexNet's state dict, 228 MB of zeros; most of it is one matrix, as VGG's."""
    model = registry.skeleton({"name": "alexnet", "options": {"num_classes": 2}}, room=2**30)
    own = {name: theirs for theirs, name in model.aliases.items()}
    tensors = {}
    for key, array in model.parameters().items():
        layer, _, kind = key.rpartition(".")
        tensors[f"{own.get(layer, layer)}.{kind}"] = torch.zeros(array.shape)
    return tensors


@pytest.mark.exhaustive
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the peak of the memory is read there")
@pytest.mark.parametrize("new", [True, False])
def test_the_peak_is_that_of_the_weights(tmp_path, new):
    pth, h5 = tmp_path / "w.pth", tmp_path / "w.h5"
    torch.save(alexnet(), pth, _use_new_zipfile_serialization=new)

    def peak(*paths):
        done = subprocess.run([sys.executable, "-c", MEASURE, *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return int(done.stdout) / pth.stat().st_size

    assert 0.9 < peak(pth, h5) < 1.5
    assert 0.9 < peak(h5) < 1.2


@pytest.mark.parametrize("new", [True, False])
def test_a_storage_of_one_tensor_is_not_copied(tmp_path, monkeypatch, new):
    grid = torch.arange(12.0).reshape(3, 4)
    torch.save(
        {"a.w": grid, "b.w": grid[1:], "c.w": grid.clone()},
        tmp_path / "w.pth",
        _use_new_zipfile_serialization=new,
    )
    read, real = [], reading.FileBytes.__getitem__
    monkeypatch.setattr(
        reading.FileBytes, "__getitem__", lambda self, part: read.append(real(self, part)) or read[-1]
    )
    tensors = reading.read(tmp_path / "w.pth").tensors
    shares = {
        key: any(np.shares_memory(array, np.asarray(part)) for part in read) for key, array in tensors.items()
    }
    assert shares == {"a.w": False, "b.w": False, "c.w": True}
    assert not np.shares_memory(tensors["a.w"], tensors["b.w"])
    assert all(array.flags.writeable and array.flags.c_contiguous for array in tensors.values())


@pytest.mark.parametrize("change", [b"", b"more"])
def test_a_file_that_changes_while_it_is_read(tmp_path, monkeypatch, change):
    path = tmp_path / "w.pth"
    torch.save({"a.w": torch.ones(3)}, path)
    content, real = path.read_bytes(), torch_pth.read

    def meanwhile(*arguments):
        found = real(*arguments)
        path.write_bytes(content + change if change else content[:-100])
        return found

    monkeypatch.setattr(torch_pth, "read", meanwhile)
    with pytest.raises(
        WeightsError, match=r"w\.pth: cannot be read: expected a file that stays as it is, found it"
    ):
        reading.read(path)


def test_only_what_nobody_can_write_to_is_taken_as_it_is(rng):
    given = rng.standard_normal((3, 4))
    view = given[:]
    view.flags.writeable = False
    layer = Linear(view)
    assert not np.shares_memory(layer.weight, given)
    assert np.shares_memory(Linear(frozen(given)).weight, given) and not given.flags.writeable
    assert not np.shares_memory(Linear(frozen(np.asfortranarray(layer.weight))).weight, layer.weight)
    assert np.shares_memory(Linear(layer.weight).weight, layer.weight)
    kernel = Conv2d(rng.standard_normal((4, 3, 2, 5)), stride=1)
    assert np.shares_memory(Conv2d(kernel.weight, stride=2).weight, kernel.weight)
    array = zeros((4, 3, 2, 5))
    assert array.shape == (4, 3, 2, 5) and np.shares_memory(Conv2d(array).weight, array)
    buffer = bytearray(48)
    shown = np.frombuffer(buffer).reshape(2, 3)
    assert not np.shares_memory(Linear(frozen(shown)).weight, shown)


def test_a_cast_to_the_same_type_copies_nothing():
    model = npgrad.load()
    same, other = model.astype(np.float32).parameters(), model.astype(np.float64).parameters()
    for name, array in model.parameters().items():
        assert np.shares_memory(same[name], array) or array.ndim == 1
        assert other[name].dtype == np.float64 and not other[name].flags.writeable


@pytest.mark.parametrize("fails", ["write", "truncate"])
def test_a_failure_that_h5py_would_not_report(tmp_path, monkeypatch, fails):
    path = tmp_path / "net.h5"
    usual = hdf5._Careful

    def careful(file):
        class Failing:
            def __getattr__(self, name):
                if name == fails:
                    return lambda *arguments: (_ for _ in ()).throw(OSError(28, "No space left on device"))
                return getattr(file, name)

        return usual(Failing())

    monkeypatch.setattr(hdf5, "_Careful", careful)
    with pytest.raises(InputError, match=rf"net\.h5: {NOT_WRITTEN}: No space left on device; free some"):
        npgrad.load().save(path)
    assert list(tmp_path.iterdir()) == []
