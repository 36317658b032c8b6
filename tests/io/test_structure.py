"""A network's structure in a file: limits of each part, and differences named."""

import numpy as np
from refusals import line

from npgrad.io.formats import (
    structure,
)


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
