"""Small ONNX graphs: what each operator becomes, equal to ONNX Runtime; and files that lie, refused in one line."""

import checks
import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_files import LIES, LITTLE, RELU, graph, read, runtime, value

import npgrad
from npgrad import WeightsError


@pytest.mark.parametrize("name", LITTLE)
def test_little_graphs_are_those_of_the_runtime(name, tmp_path):
    data = graph(*LITTLE[name])
    model, x = read(data, tmp_path), np.random.default_rng(0).normal(size=(2, 2, 4, 4)).astype(np.float32)
    checks.assert_close(model(x), runtime(data, x), 1e-6)


def test_old_clips_have_their_bounds_as_attributes(tmp_path):
    model = read(graph([("Clip", ["x"], "y", {"min": 0.0, "max": 6.0})], opset=6), tmp_path)
    assert isinstance(model.layer("y"), npgrad.layers.ReLU6)


@pytest.mark.parametrize("name", LIES)
def test_files_that_lie_are_refused_in_one_line(name, tmp_path):
    data, message = LIES[name]
    with pytest.raises(WeightsError, match=message) as caught:
        read(data, tmp_path)
    assert "net.onnx: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.exhaustive
def test_no_cut_of_a_file_makes_another_network(tmp_path):
    data, x = graph(*LITTLE["MatMul and Add"]), np.ones((1, 2, 4, 4), np.float32)
    whole, refused = read(data, tmp_path)(x), 0
    for length in range(len(data)):
        try:
            assert np.array_equal(read(data[:length], tmp_path)(x), whole)
        except WeightsError:
            refused += 1
    assert refused > 0.95 * len(data)  # what is said after the graph can be missing


def test_without_the_onnx_package_it_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(WeightsError, match=r"needs the onnx package: pip install onnx$"):
        read(graph(RELU), tmp_path)


def referring(name):
    node = helper.make_node("Softmax", ["x"], ["y"], name=name)
    node.attribute.add(name="axis", type=onnx.AttributeProto.INT, ref_attr_name="axis")
    return node


LONG = "a" * 70
FILES = {
    "a function's attribute": (
        graph([referring("y")]), "node 'y' (Softmax): axis: expected a whole number, found another kind of attribute"),
    "a long name": (
        graph([referring(LONG)]),
        f"node '{LONG[:60]}' (Softmax): axis: expected a whole number, found another kind of attribute"),
    "a long operator": (
        graph([helper.make_node(LONG, ["x"], ["y"], domain=LONG, name=LONG)]),
        f"node '{LONG[:60]}': expected an operator that layers of npgrad compute, found {LONG[:40]}{LONG[:40]}"),
    "no name": (graph([*[helper.make_node("Relu", ["x"], [])] * 2], outputs=[value("y")]),
                "node 'node 0' (Relu): output '' is computed twice, or has no name"),
    "a long value, twice": (
        graph([("Relu", ["x"], LONG), ("Relu", ["x"], LONG)]),
        f"node '{LONG[:60]}' (Relu): output '{LONG[:60]}' is computed twice, or has no name"),
    "a long value of nothing": (
        graph([("Relu", [LONG], "y")]),
        f"node 'y' (Relu): takes '{LONG[:60]}', which no node before it computes"),
    "five outputs": (graph(RELU, outputs=[value(name) for name in "yzuvw"]),
                     "expected one output, found 5: ['y', 'z', 'u', 'v']"),
    "a long input": (graph(RELU, inputs=[helper.make_tensor_value_info(LONG, 7, ["n", 3])]),
                     f"input '{LONG[:60]}': expected floats, found another type"),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_the_line_of_a_file(case, tmp_path):
    data, line = FILES[case]
    with pytest.raises(WeightsError) as refusal:
        read(data, tmp_path)
    assert str(refusal.value) == f"{tmp_path / 'net.onnx'}: {line}"
