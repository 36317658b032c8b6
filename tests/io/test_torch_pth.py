"""The .pth reader: what torch.save writes, in both containers, what it wrote in old times, and any damage."""

import io
from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pickle_writer import Code, build, call, encode, named, python2
from torch_writer import (
    LEGACY_HEAD,
    OLD_PARAMETER,
    ORDERED,
    SYSTEM,
    legacy_file,
    legacy_one,
    one,
    storage,
    zip_file,
    zip_members,
)
from zip_writer import DEFLATED, archive

from npgrad import WeightsError
from npgrad.io.formats import torch_pth

CONTAINERS = {"zip": True, "legacy": False}


def saved(value, container, **options):
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=CONTAINERS[container], **options)
    return file.getvalue()


def network():
    return torch.nn.Sequential(
        OrderedDict(conv1=torch.nn.Conv2d(3, 4, 3), norm=torch.nn.BatchNorm2d(4), relu=torch.nn.ReLU())
    )


def tensors():
    grid = torch.arange(24.0).reshape(2, 3, 4)
    return {
        "transposed": grid.permute(2, 0, 1),
        "rows": grid[:, 1:, ::2],
        "row": grid[1, 2],
        "scalar": torch.tensor(3.5),
        "part of a row": grid[1, 2, 3],
        "empty": torch.zeros(0, 5),
        "empty view": grid[:, 3:],
        "one by one": torch.arange(6.0)[2:3].reshape(1, 1),
        "channels last": torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.randn(3)),
        "half": torch.tensor([0.5, -65504, 6e-8], dtype=torch.float16),
        "bfloat16": torch.tensor([[1.5, -3e38], [1e-40, torch.inf]], dtype=torch.bfloat16)[:, 1:],
        "bfloat16 scalar": torch.tensor(-2, dtype=torch.bfloat16),
        "double": torch.tensor([1 / 3], dtype=torch.float64),
        "long": torch.tensor([2**62, -1]),
        "int": torch.tensor([-(2**31)], dtype=torch.int32),
        "short": torch.tensor([-5, 300], dtype=torch.int16),
        "char": torch.tensor([-128], dtype=torch.int8),
        "byte": torch.tensor([[255], [1]], dtype=torch.uint8),
        "bool": torch.tensor([True, False, True])[::2],
        "bool scalar": torch.tensor(True),
    }


def check_equal(found, expected):
    assert list(found) == list(expected)
    for name, array in found.items():
        wanted = expected[name].detach()
        wanted = (wanted.float() if wanted.dtype == torch.bfloat16 else wanted).numpy()
        assert type(array) is np.ndarray and array.dtype == wanted.dtype and array.dtype.isnative, name
        assert array.shape == wanted.shape and array.flags.c_contiguous and array.flags.writeable, name
        np.testing.assert_array_equal(array, wanted, name)
        assert not any(np.shares_memory(array, other) for key, other in found.items() if key != name)


# What is read


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_state_dict(container, protocol):
    expected = network().state_dict()
    assert expected._metadata  # which torch pickles with BUILD
    found = torch_pth.read(saved(expected, container, pickle_protocol=protocol), "w.pth")
    check_equal(found, expected)


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_type_and_every_view(container):
    expected = tensors()
    check_equal(torch_pth.read(saved(expected, container), "w.pth"), expected)


@pytest.mark.parametrize("container", CONTAINERS)
def test_parameters(container):
    expected = dict(network().named_parameters())
    check_equal(torch_pth.read(saved(expected, container), "w.pth"), expected)


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("key", ["state_dict", "model", "model_state_dict"])
def test_checkpoints(container, key):
    model = network()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(torch.randn(2, 3, 8, 8)).sum().backward()
    optimizer.step()
    checkpoint = {
        "epoch": 90,
        "lr": 0.1,
        "arch": "squeezenet",
        "size": torch.Size([1, 2]),
        "none": None,
        "best_accuracy": torch.tensor(58.1),
        key: model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "losses": [2.5, (1, True)],
    }
    check_equal(torch_pth.read(saved(checkpoint, container), "w.pth"), model.state_dict())


@pytest.mark.parametrize("container", CONTAINERS)
def test_shared_storages_become_arrays_of_their_own(container):
    whole = torch.arange(6.0)
    expected = {"whole": whole, "first": whole[:3], "tied": whole, "every second": whole[1::2]}
    check_equal(torch_pth.read(saved(expected, container), "w.pth"), expected)


@given(st.data())
@settings(max_examples=60)
def test_any_view(data):
    shape = data.draw(st.lists(st.integers(1, 4), max_size=4))
    whole = torch.arange(float(np.prod(shape, dtype=int))).reshape(shape)
    view = whole.permute(data.draw(st.permutations(range(len(shape)))))
    for axis, size in enumerate(view.shape):
        begin, step = data.draw(st.integers(0, size)), data.draw(st.integers(1, 3))
        view = view.movedim(axis, 0)[begin::step].movedim(0, axis)
    for container in CONTAINERS:
        check_equal(torch_pth.read(saved({"view": view}, container), "w.pth"), {"view": view})


def test_a_compressed_archive_in_another_folder():
    expected = network().state_dict()
    members = zip_members(saved(expected, "zip"))
    renamed = {name.replace("archive/", "net.v2/"): content for name, content in members.items()}
    check_equal(torch_pth.read(archive(renamed, DEFLATED), "w.pth"), expected)
    del renamed["net.v2/byteorder"]  # as before torch 2.1
    check_equal(torch_pth.read(archive(renamed), "w.pth"), expected)


def test_big_endian():
    values = {
        "float": torch.tensor([1.5, -2]),
        "half": torch.tensor([0.5]).half(),
        "bfloat16": torch.tensor([3.0]).bfloat16(),
        "long": torch.tensor([2**40, -3]),
        "bool": torch.tensor([True, False]),
    }
    members = zip_members(saved(values, "zip"))
    for number, size in enumerate((4, 2, 2, 8, 1)):
        content = members[f"archive/data/{number}"]
        members[f"archive/data/{number}"] = np.frombuffer(content, f"u{size}").byteswap().tobytes()
    members["archive/byteorder"] = b"big"
    check_equal(torch_pth.read(archive(members), "w.pth"), values)


def test_the_files_written_by_hand_are_good():
    expected = [[1, 2, 3], [4, 5, 6]]
    assert torch_pth.read(zip_file(one()), "w.pth")["w"].tolist() == expected
    assert torch_pth.read(legacy_file(legacy_one()), "w.pth")["w"].tolist() == expected
    loaded = torch.load(io.BytesIO(legacy_file(legacy_one())), weights_only=True)
    assert loaded["w"].tolist() == expected


def test_the_stride_of_a_single_row_is_any_number():
    found = torch_pth.read(zip_file(one(shape=(1, 3), strides=(2**80, 1), offset=3)), "w.pth")
    assert found["w"].tolist() == [[4, 5, 6]]


def test_views_of_storages_in_legacy_files():
    """Before torch 0.4 a storage could be a part of another: (its key, offset, size)."""
    part = legacy_one(view=("1", 2, 3), shape=(2,), strides=(1,), offset=1)
    assert torch_pth.read(legacy_file(part), "w.pth")["w"].tolist() == [4, 5]


def test_python_2_and_torch_0():
    """Strings of Python 2, an OrderedDict with its items as an argument, _rebuild_tensor, and Parameters."""
    plain = call(
        named("torch._utils", "_rebuild_tensor"),
        storage("0", 6, more=(None,)),
        0,
        call(named("torch", "Size"), (2, 3)),
        (3, 1),
    )
    parameter = Code(OLD_PARAMETER + encode((plain,)) + b"\x81")  # NEWOBJ
    with_state = build(parameter, (True, False, call(ORDERED)))
    empty = Code(OLD_PARAMETER + b")\x81")
    filled = build(empty, (plain, None, True, False, call(ORDERED)))
    items = [[python2("plain"), plain], [python2("parameter"), with_state], [python2("filled"), filled]]
    found = torch_pth.read(legacy_file(build(call(ORDERED, items), {"_metadata": {}})), "w.pth")
    assert list(found) == ["plain", "parameter", "filled"]
    assert all(array.tolist() == [[1, 2, 3], [4, 5, 6]] for array in found.values())


GOOD = {container: saved({**tensors(), "state_dict": {}, "epoch": 3}, container) for container in CONTAINERS}


@pytest.mark.sampled(1)
@pytest.mark.parametrize("container", CONTAINERS)
@given(data=st.data())
@settings(max_examples=400)
def test_any_flipped_byte_is_read_or_refused(container, data):
    good = GOOD[container]
    damaged = bytearray(good)
    damaged[data.draw(st.integers(0, len(good) - 1))] ^= data.draw(st.integers(1, 255))
    check_read_or_refused(bytes(damaged))
    check_read_or_refused(good[: data.draw(st.integers(0, len(good)))])


@given(noise=st.binary(), at=st.integers(0, 10_000))
def test_noise(noise, at):
    check_read_or_refused(noise)
    check_read_or_refused(b"PK\x03\x04" + noise)
    check_read_or_refused(LEGACY_HEAD + noise)
    check_read_or_refused(LEGACY_HEAD + SYSTEM + noise)
    legacy = GOOD["legacy"]
    check_read_or_refused(legacy[: at % len(legacy)] + noise + legacy[at % len(legacy) :])
    pickled = zip_members(GOOD["zip"])["archive/data.pkl"]
    at %= len(pickled)
    check_read_or_refused(zip_file(Code(pickled[2:at] + noise + pickled[at:-1])))


def check_read_or_refused(data):
    try:
        found = torch_pth.read(data, "w.pth")
    except WeightsError as error:
        assert str(error).startswith("w.pth: ") and "\n" not in str(error)
    else:
        assert all(type(array) is np.ndarray for array in found.values())


def test_bfloat16_in_any_order_becomes_rows():
    from npgrad.io.formats import torch_pth

    halves = np.arange(1, 7, dtype=np.float32).view(np.uint16)[1::2]  # the upper half of each
    value = one(stored=storage("0", 6, "BFloat16Storage"), shape=(3, 2), strides=(1, 3))
    found = torch_pth.read(zip_file(value, {"0": halves.tobytes()}), "f")["w"]
    assert found.dtype == np.float32 and found.flags.c_contiguous
    assert found.tolist() == [[1, 4], [2, 5], [3, 6]]
