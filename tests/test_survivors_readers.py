"""What mutation testing found unseen in the readers: bounds, and what a file says of itself."""

import json

import h5py
import numpy as np
import pytest
from deep_compression_files import net
from refusals import line

from npgrad import WeightsError
from npgrad.io.formats import _pickles as pickles
from npgrad.io.formats import _protobuf as protobuf
from npgrad.io.formats import _zips as zips
from npgrad.io.formats import (
    caffe,
    deep_compression,
    hdf5,
    npz,
    reading,
    safetensors,
    signatures,
    structure,
)
from npgrad.models import squeezenet1_0


def test_deep_compressions_convolutions_are_squeezenets():
    made = deep_compression._convolutions()
    expected = [
        array.shape for name, array in squeezenet1_0(1000).parameters().items() if name.endswith("weight")
    ]
    assert [shape for _, shape in made] == expected
    squeezes = [f"fire{i}/{part}" for i in range(2, 10) for part in ("squeeze1x1", "expand1x1", "expand3x3")]
    assert [name for name, _ in made] == ["conv1", *squeezes, "conv10"]


def test_a_deep_compression_file_among_the_others(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(net())
    contents = reading.read(path)
    assert (contents.format, contents.details, len(contents.tensors)) == ("Deep Compression .net", {}, 52)
    weight, bias = contents.tensors["conv1.weight"], contents.tensors["conv1.bias"]
    assert np.flatnonzero(weight).tolist() == [3] and weight.flat[3] == 2.5 and (bias == 0.5).all()
    path.write_bytes(net(spoil=1))
    assert line(reading.read, path) == f"{path}: conv1: code 0: expected the value 0, found 1"
    path.write_bytes(net()[:-1])
    assert line(reading.read, path).startswith(
        f"{path}: expected {len(net())} bytes according to its first 26 counts, found {len(net()) - 1}"
    )
    assert line(deep_compression.read, b"", "f").startswith("f: expected 26 counts at its beginning")


def test_caffes_convolutions_in_one_word_where_one_is_enough():
    import caffe_writer as w

    blob = w.blob(np.ones((2, 3, 2, 2), np.float32))

    def options(**given):
        return caffe.read(w.network([w.layer("c", [blob], w.convolution_param(**given))]), "f")[1]["c"]

    plain = {"pad": 0, "stride": 1, "group": 1, "dilation": 1}
    assert options(kernel_size=[3, 3]) == options(kernel_h=3, kernel_w=3) == {**plain, "kernel_size": 3}
    assert options(pad_h=0, pad_w=0, stride_h=2, stride_w=2) == {**plain, "stride": 2}
    assert options(kernel_h=3) == {**plain, "kernel_h": 3}
    found = line(caffe.read, w.network([w.layer("c", [w.string(5, b"\0" * 4) + w.integer(1, 1)])]), "f")
    assert found == "f: layer 'c': weight: expected dimensions of at least 1, found shape (1, 0, 0, 0)"


def test_the_metadata_of_a_file_word_for_word(tmp_path):
    from hdf5_files import own_network

    path = tmp_path / "f.h5"
    own_network().save(path)
    with h5py.File(path) as file:
        text = bytes(file["metadata"][:])
    metadata = json.loads(text)
    assert list(metadata) == [
        "format", "version", "architecture", "classes", "preprocessing", "source", "network",
    ]  # fmt: skip
    assert (metadata["format"], metadata["version"], metadata["architecture"]) == ("npgrad weights", 1, None)
    assert "Ärger".encode() in text
    assert (
        path.read_bytes()[:130]
        .decode()
        .splitlines()[1]
        .startswith("sha256 of what follows these 512 bytes: ")
    )


def test_a_size_that_overflows_64_bits_is_not_0():
    from hdf5_files import forge

    def change(file):
        del file["arrays/last.weight"]
        file.create_dataset("arrays/last.weight", (1 << 32, 1 << 32), "<f4")

    found = line(hdf5.from_bytes, forge(change), "f")
    assert found == f"f: last.weight: expected {4 << 64} bytes, found 0"


def test_eight_differences_are_named_and_the_others_counted():
    for count, end in ((8, "g is missing; h is missing"), (9, "h is missing; and 1 more")):
        found = line(structure.check_names_and_shapes, dict.fromkeys("abcdefghi"[:count], (1,)), {}, "f")
        assert found.startswith("f: a is missing; b is missing") and found.endswith(end)
    shapes = {"a": (2, 3), "b": (4,)}
    found = line(structure.check_names_and_shapes, shapes, {"a": [3, 2], "b": (5,)}, "f").removeprefix("f: ")
    assert sorted(found.split("; ")) == [
        "a: expected shape (2, 3), found (3, 2) (transposed?)",
        "b: expected shape (4,), found (5,)",
    ]


def test_bounds_of_the_zip_reader():
    from npy_writer import npy
    from zip_writer import DEFLATED, Entry, archive, write

    good = npy(np.ones(2))
    name = "n" * (zips.MAX_NAME - 4) + ".npy"
    assert list(npz.read(archive({name: good}), "f")) == [name[:-4]]
    assert line(npz.read, archive({"n" + name: good}), "f").startswith(
        "f: expected names of at most 200 characters"
    )
    comment = write([Entry(b"a.npy", good)], comment=b"c" * 0xFFFF)
    assert list(npz.read(comment, "f")) == ["a"]
    many = archive({f"{i}.npy": good for i in range(300)}, DEFLATED)
    assert len(npz.read(many, "f")) == 300
    with pytest.raises(
        WeightsError, match="^f: expected a zip archive, found no end record: cut short, or not a zip$"
    ):
        zips.Zip(b"", "f")


def test_bounds_of_protocol_buffers():
    import caffe_writer as w

    def fields(data, **options):
        return list(protobuf.WireReader("f", **options).fields(memoryview(data), "it"))

    assert fields(w.integer(2**29 - 1, 2**64 - 1)) == [(2**29 - 1, 0, 2**64 - 1)]
    assert line(fields, w.tag(1, 2) + b"\x03ab") == "f: it: expected 3 more bytes, found 2 (truncated?)"
    assert bytes(fields(w.tag(1, 2) + b"\x03ab", partial=True)[0][2]) == b"ab"
    assert fields(w.tag(1, 0) + b"\xff" * 9 + b"\x7f")[0][2] == 2**64 - 1  # what is above 64 bits falls away
    rows = np.arange(40, dtype=np.float32)
    for count in (1, 15, 16, 17, 33, 40):  # rows are compared in pieces of 16, 32, ...
        data = w.numbers(5, rows[:count], packed=False) + w.numbers(6, rows[:1], packed=False)
        assert [(number, value.tolist()) for number, _, value in fields(data)] == [
            (5, rows[:count].tolist()), (6, [0.0]),
        ]  # fmt: skip


def test_the_most_fields_of_a_protocol_buffer():
    import caffe_writer as w

    def fields(count):
        return list(protobuf.WireReader("f").fields(memoryview(w.integer(1, 0) * count), "it"))

    assert fields(protobuf.MAX_FIELDS)[-1] == (1, 0, 0)
    found = line(fields, protobuf.MAX_FIELDS + 1)
    assert found == f"f: it: expected at most {protobuf.MAX_FIELDS} fields in the file, found more"


def test_bounds_of_safetensors():
    from safetensors_files import build, entry

    limit = safetensors.MAX_HEADER
    header = json.dumps({"w": entry()})
    assert list(safetensors.read(build(header.ljust(limit), bytes(8)), "f")) == ["w"]
    found = line(safetensors.read, build(header.ljust(limit + 1), bytes(8)), "f")
    assert found == f"f: the header: expected at most {limit} bytes, found {limit + 1}"
    assert line(safetensors.read, bytes(7), "f").endswith(
        "expected 8 bytes of header length and more, found 7 bytes"
    )
    assert line(safetensors.read, build({"w": entry([1] * 33, 0, 4)}, bytes(4)), "f").endswith(
        "places as data_offsets"
    )
    assert safetensors.read(build({"w": entry([1] * 32, 0, 4)}, bytes(4)), "f")["w"].ndim == 32
    empty = safetensors.read(build({"w": entry([0], 0, 0)}, b""), "f")["w"]
    assert empty.shape == (0,) and empty.dtype == np.float32


ARRAYS = ("weight", "bias", "running_mean", "running_var")


def test_bounds_of_a_structure():
    described = {"type": "Conv2d", "padding": structure.MOST, "arrays": {"weight": [1, 1, 3, 3]}}
    assert structure.build(described, 9).padding == (64, 64)
    assert (
        line(structure.build, described, 8) == "structure: shape [1, 1, 3, 3] has more elements than the file"
    )
    assert line(structure.build, {**described, "padding": [0, 65]}, 9) == (
        "structure: Conv2d padding: expected at most 64, found [0, 65]"
    )
    assert structure.build({**described, "stride": 64}, 9).stride == (64, 64)
    assert line(structure.build, {**described, "stride": 65}, 9) == (
        "structure: Conv2d stride: expected at most 64, found 65"
    )
    normal = {"type": "BatchNorm2d", "arrays": {key: [2] for key in ARRAYS}}
    assert structure.build({**normal, "eps": 0, "momentum": 1}, 8).momentum == 1
    for name, odd in (("eps", -1e-9), ("eps", None), ("eps", float("inf")), ("momentum", float("nan"))):
        assert line(structure.build, {**normal, name: odd}, 8) == (
            f"structure: BatchNorm2d cannot be made: BatchNorm2d {name}: expected a finite number >= 0, found {odd}"
        )
    deep = {"type": "ReLU"}
    for _ in range(structure.DEEPEST - 1):
        deep = {"type": "Sequential", "layers": {"a": deep}}
    assert structure.describe(structure.build(deep, 0)) == deep
    deeper = {"type": "Sequential", "layers": {"a": deep}}
    assert line(structure.build, deeper, 0) == "structure: expected at most 20 levels, found more"
    fire = {"type": "ReLU"}
    for _ in range(structure.DEEPEST):
        fire = {"type": "Fire", "squeeze": fire}
    assert line(structure.build, fire, 0) == "structure: expected at most 20 levels, found more"
    assert "Fire cannot be made" in line(
        structure.build, fire["squeeze"], 0
    )  # 20 levels, but not of a Fire's parts
    mixed = {"type": "Sequential", "layers": {"a": fire["squeeze"]}}
    assert line(structure.build, mixed, 0) == "structure: expected at most 20 levels, found more"
    graph = {
        "type": "Graph",
        "nodes": {"a": [{"type": "ReLU"}, "input"], "b": [{"type": "Add"}, ["a", "input"]]},
    }
    assert structure.describe(structure.build(graph, 0)) == graph
    inside = {"type": "Graph", "nodes": {"a": [{**described, "padding": 0}, "input"]}}
    layer, _ = structure.build(inside, 9).nodes["a"]
    assert (layer.weight.shape, layer.weight.dtype) == ((1, 1, 3, 3), np.float32)
    assert line(structure.build, inside, 8) == "structure: shape [1, 1, 3, 3] has more elements than the file"
    assert structure.build({"type": "AdaptiveAvgPool2d", "output_size": 64}, 0).output_size == (64, 64)
    assert line(structure.build, {"type": "AdaptiveAvgPool2d", "output_size": [1, 65]}, 0) == (
        "structure: AdaptiveAvgPool2d output_size: expected at most 64, found [1, 65]"
    )
    for part in ([{"type": "ReLU"}], [{"type": "ReLU"}, 3], [{"type": "ReLU"}, ["a", 3]]):
        found = line(structure.build, {"type": "Graph", "nodes": {"a": part}}, 0)
        assert found == f"structure: expected [layer, source], found {str(part)[:40]!r}"


def unpickled(program, allowed=()):
    return pickles.load_whole(b"\x80\x02" + program + b".", "f", dict(allowed))


def test_the_most_instructions_of_a_pickle():
    nones = pickles.MAX_WORK - 4  # beside PROTO, MARK, TUPLE and STOP
    assert unpickled(b"(" + b"N" * nones + b"t") == (None,) * nones
    found = line(unpickled, b"(" + b"N" * (nones + 1) + b"t")
    assert (
        found == f"f: byte {nones + 5} (STOP): expected at most 200000 instructions and arguments, found more"
    )


def test_the_most_levels_and_items_of_a_pickle():
    depth = pickles.MAX_DEPTH
    deep = unpickled(b"]" * depth + b"a" * (depth - 1))
    for _ in range(depth - 1):
        (deep,) = deep
    assert deep == []
    assert "at most 100 levels and 200000 items" in line(unpickled, b"]" * (depth + 1) + b"a" * depth)
    shared = b"((" + b"N" * 999 + b"tq\x00" + b"h\x00" * 199 + b"t"  # 200 times 999 items, and 200: MAX_WORK
    assert len(unpickled(shared)) == 200
    assert "items, found more" in line(unpickled, shared[:-1] + b"h\x00t")


def test_bounds_of_the_pickle_reader():
    from npgrad.io.formats._pickle_machine import INSTRUCTIONS, MAX_LONG, MAX_NAME, instruction

    assert unpickled(b"\x8a%c" % MAX_LONG + b"\xff" * MAX_LONG) == -1
    assert line(unpickled, b"\x8a%c" % (MAX_LONG + 1) + bytes(17)).endswith(
        "an integer of at most 16 bytes, found 17"
    )
    module = "m" * (MAX_NAME - 1)
    assert unpickled(f"c{module}\nname\n".encode(), {(module, "name"): 7}) == 7
    assert "a name of less than 200 bytes and a line break" in line(unpickled, f"cm{module}\nname\n".encode())
    result, used = pickles.load(b"xx\x80\x02K\x05.more", "f", {}, start=2)
    assert (result, used) == (5, 5)
    assert instruction(b"\0", "NOTHING")(len) is len and INSTRUCTIONS.pop(0) == ("NOTHING", len)


def test_what_may_be_a_key():
    table = {}
    for key in (2**63 - 1, -(2**63), "", b""):
        pickles.put(table, key, 0)
    for key in (2**63, -(2**63) - 1, True, 1.0, (), None):
        with pytest.raises(
            pickles.Refused, match="^expected a str, bytes or int of 64 bits as a key, found "
        ):
            pickles.put(table, key, 0)
    with pytest.raises(pickles.Refused, match="^expected every key once, found '9223372036854775807' twice$"):
        pickles.put(table, 2**63 - 1, 0)


def test_versions_and_frames_of_pickles():
    for version in range(2, 6):
        assert pickles.load_whole(b"\x80%cN." % version, "f", {}) is None
    for version in (0, 1, 6, 255):
        found = line(pickles.load_whole, b"\x80%cN." % version, "f", {})
        assert found == f"f: byte 0 (PROTO): expected a pickle of protocol 2 to 5, found {version}"
    framed = b"\x80\x04\x95\x02" + bytes(7) + b"K\x05\x95\x01" + bytes(7) + b"."
    assert pickles.load_whole(framed, "f", {}) == 5
    inside = b"\x80\x04\x95\x0b" + bytes(7) + b"N\x95\x01" + bytes(7) + b"."
    assert "in no other, found 1" in line(pickles.load_whole, inside, "f", {})


def test_where_sniffing_ends():
    assert signatures.describe(b"\x80\x05") == "a bare Python pickle"
    assert signatures.describe(b"\x80\x06").startswith("binary data") and signatures.describe(
        b"\x80\x01"
    ).startswith("binary")
    same = signatures.describe(b"layers {\n}") == signatures.describe(b"layer {\n}")
    assert same and signatures.describe(b"layer {\n}") != signatures.describe(b"lawyer {\n}")
    assert (
        signatures.describe(b"ab").startswith("text beginning 'ab'")
        and signatures.describe(b"a") == "a single byte (0x61)"
    )
    assert signatures.describe(b" " * 1000 + b"a") == "blank text"  # as far as it looks
    long = b"PK\x03\x04" + bytes(22) + b"\x46\x00\x00\x00" + b"m" * 70
    assert signatures.describe(long) == f"a zip archive (first member {'m' * 60!r})"


def test_names_and_half_floats_in_an_h5(tmp_path):
    from hdf5_files import forge, own_network

    assert hdf5._key("a/b%2F/") == "a%2Fb%252F%2F"  # as files have it that are read for years to come
    own = own_network()

    def halves(file):
        for key in list(file["arrays"]):
            values = file["arrays"][key][()].astype("<f2")
            del file["arrays"][key]
            file["arrays"][key] = values

    path = tmp_path / "half.h5"
    path.write_bytes(forge(halves))
    found = hdf5.load(path).network.arrays(buffers=True)
    for key, array in own.network.arrays(buffers=True).items():
        assert found[key].dtype == np.float32
        assert np.array_equal(found[key], array.astype(np.float16).astype(np.float32))


def test_a_saved_file_has_no_times_in_it():
    import time

    from hdf5_files import own_network

    before = hdf5.to_bytes(own_network())
    time.sleep(1.1)  # HDF5 would note whole seconds
    assert hdf5.to_bytes(own_network()) == before
