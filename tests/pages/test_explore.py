"""The page of a forward and a backward pass: its graph, its numbers, its bytes; and that no name in it is markup."""

import base64
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pytest
from explored import HOSTILE, hostile_model, image, residual
from messages import NOT_WRITTEN

import npgrad
from npgrad.cli import main
from npgrad.errors import InputError, UnknownName
from npgrad.layers import Add, Conv2d, Flatten, GlobalAvgPool2d, Graph, MaxPool2d, ReLU, Sequential, SiLU
from npgrad.models import squeezenet1_1
from npgrad.pages.maps import in_8_bits, shrink, small, strongest
from npgrad.pages.nodes import nodes_of, uses
from npgrad.pages.packing import packed
from npgrad.pages.windows import fields_of


def parts_of(page):
    """(data, {name: array}) of a page."""
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.DOTALL)[1])
    block = zlib.decompress(base64.b64decode(re.search(r'id="block">(.*?)</script>', page, re.DOTALL)[1]))
    arrays = {
        name: np.frombuffer(block, np.dtype(kind).newbyteorder("<"), size, offset)
        for name, (kind, offset, size) in data["index"].items()
    }
    return data, arrays


def test_the_graph_of_a_fire_and_of_a_block():
    tape = squeezenet1_1(num_classes=3, rng=0).forward(image())
    nodes = nodes_of(tape)
    by_name = {node.name: node for node in nodes}
    assert [nodes[i].name for i in by_name["fire2"].sources] == [
        "fire2.expand1x1_relu",
        "fire2.expand3x3_relu",
    ]
    assert [nodes[i].name for i in by_name["fire3.squeeze"].sources] == ["fire2"]
    assert by_name["fire2.expand1x1"].lane != by_name["fire2.expand3x3"].lane
    nodes = nodes_of(residual().forward(image()))
    by_name = {node.name: node for node in nodes}
    assert [nodes[i].name for i in by_name["block.add"].sources] == ["block.c", "pool"]
    assert by_name["block.relu"].aliases == ["block"]
    assert [nodes[i].name for i in by_name["mean"].sources] == ["block.relu"]


def test_lanes_of_values_in_use_differ():
    """Between a node and its last use, no other node is in its lane."""
    rng, nodes = np.random.default_rng(0), {"n0": (ReLU(), "input")}
    for i in range(1, 30):
        sources = tuple(f"n{k}" for k in rng.choice(i, size=2))
        nodes[f"n{i}"] = (Add(), sources)
    found = nodes_of(npgrad.Model(Graph(nodes), outputs="value").forward(image(4)))
    for i, used in enumerate(uses(found)):
        last = max((user for user, _ in used), default=i)
        assert found[i].lane not in {found[k].lane for k in range(i + 1, last)}


@pytest.mark.parametrize("kind", ["fire", "block", "graph"])
def test_the_numbers_of_the_page_are_the_tapes(kind):
    graph = Graph(
        {
            "conv": (Conv2d.init(3, 6, 3, padding=1, rng=0), "input"),
            "relu": (ReLU(), "conv"),
            "twice": (Add(), ("relu", "relu")),
            "sum": (Add(), ("twice", "relu")),
            "mean": (GlobalAvgPool2d(), "sum"),
            "flat": (Flatten(), "mean"),
        }
    )
    model = {"fire": squeezenet1_1(num_classes=3, rng=0), "block": residual(), "graph": npgrad.Model(graph)}[
        kind
    ]
    x = image()
    data, arrays = parts_of(npgrad.explore(model, x, 1))
    tape = model.forward(x)
    question = data["questions"][data["chosen"]]
    assert question["index"] == 1 and question["score"] == pytest.approx(float(tape.output[0, 1]))
    dy = np.eye(tape.output.shape[1], dtype=np.float32)[[1]]
    names = [node["name"] for node in data["nodes"]]
    count, facts = len(names), data["backward"]
    backward = arrays["backward"].reshape(len(data["questions"]), 4, count, len(facts))[data["chosen"]]
    gradients = {
        0: tape.backward(dy, at=names),
        1: tape.backward(dy, {ReLU: npgrad.rules.guided}, names),
        2: tape.backward(dy, {ReLU: npgrad.rules.deconv}, names),
    }
    rules = npgrad.attribution.composite_by_position(model)
    gradients[3] = {
        name: npgrad.attribution.layer_lrp(model, x, 1, layer=name, rules=rules) if name != "input"
        else npgrad.attribution.lrp(model, x, 1, rules=rules)
        for name in names[:: 5 if kind == "fire" else 1]
    }  # fmt: skip
    for i, name in enumerate(names):
        forward = arrays["forward"].reshape(count, -1)[i]
        y = tape[name]
        assert forward[:4] == pytest.approx([np.linalg.norm(y), y.mean(), y.max(), (y != 0).mean()], rel=1e-4)
        for r, found in gradients.items():
            if name in found:
                expected = np.linalg.norm(found[name]), (found[name] != 0).mean()
                assert backward[r, i, :2] == pytest.approx(expected, rel=1e-4, abs=1e-12), (name, r)
        assert backward[0, i, 2] == pytest.approx((y * gradients[0][name]).sum(), rel=1e-3, abs=1e-5)


def test_what_a_relu_stops_and_a_fork_cancels():
    """y = relu(x) - x/4 at two pixels, 1 and -1: by hand."""
    weight = np.full((1, 1, 1, 1), -0.25)
    gray = npgrad.Preprocessing(channels="gray", mean=(0,), std=(1,))
    graph = Graph(
        {
            "same": (Conv2d(np.ones((1, 1, 1, 1)), None), "input"),
            "relu": (ReLU(), "same"),
            "part": (Conv2d(weight, None), "same"),
            "sum": (Add(), ("relu", "part")),
            "mean": (GlobalAvgPool2d(), "sum"),
            "flat": (Flatten(), "mean"),
        }
    )
    model = npgrad.Model(graph, outputs="value", preprocessing=gray)
    data, arrays = parts_of(npgrad.explore(model, np.array([[[[1.0, -1.0]]]])))
    names = [node["name"] for node in data["nodes"]]
    facts = arrays["backward"].reshape(4, len(names), -1)[0]
    stopped, canceled = data["backward"].index("stopped"), data["backward"].index("canceled")
    assert facts[names.index("relu"), stopped] == pytest.approx(0.5)  # one of two pixels
    # gradients at "same": 1/2 and 0 by the ReLU, -1/8 and -1/8 by the other branch; the sum is 3/8 and -1/8
    assert facts[names.index("same"), canceled] == pytest.approx(1 - 0.5 / 0.75)
    assert data["nodes"][names.index("relu")]["flow"] == ["stopped", 1, 2]


def maps_of(data, arrays, kind, leads, count, sizes):
    """{node's name: (leads, count, h, w)} of one kind of maps, and how far each may be off."""
    scale = arrays[f"{kind}.scale"].reshape(leads, len(sizes), count)
    found, at = {}, 0
    for i, (height, width) in enumerate(sizes):
        size = leads * count * height * width
        maps = arrays[f"{kind}.maps"][at : at + size].reshape(leads, count, height, width)
        found[data["nodes"][i]["name"]] = maps * scale[:, i, :, None, None], scale[:, i, :, None, None] / 2
        at += size
    return found


def test_the_maps_are_grad_cam_what_a_relu_stops_and_what_a_pool_routes():
    model, x = residual(), image(16, seed=3)
    data, arrays = parts_of(npgrad.explore(model, x, 2))
    targets, t, count = len(data["questions"]), data["chosen"], data["count"]
    sizes, flows = [node["map"] for node in data["nodes"]], [node["flow"][1:] for node in data["nodes"]]
    cams = maps_of(data, arrays, "cam", targets, 1, sizes)
    for name in ("conv", "relu", "pool", "block.b", "block.add"):
        (shown, off), expected = cams[name], npgrad.attribution.grad_cam(model, x, 2, layer=name)
        assert (np.abs(shown[t, 0] - expected[0]) <= 1.01 * off[t, 0]).all(), name
    tape = model.forward(x)
    names = [record.name for record in tape]
    dy = tape.backward(np.eye(4, dtype=np.float32)[[2]], at=names)
    relu, pool, arrived = (tape.records[name] for name in ("relu", "pool", "conv"))
    expected = {
        "relu": np.abs(dy["relu"] * (relu.x <= 0)).sum(axis=1),
        "pool": np.abs(pool.layer.backward(dy["pool"], pool.cache)).sum(axis=1),
        "input": arrived.layer.backward(dy["conv"], arrived.cache).sum(axis=1),
    }
    shown = maps_of(data, arrays, "flow", targets * 4, 1, flows)
    for name, map in expected.items():
        maps, off = shown[name]
        assert (np.abs(maps[4 * t, 0] - map[0]) <= 1.01 * off[4 * t, 0] + 1e-9).all(), name
    evidence = maps_of(data, arrays, "gradient", targets * 5, count, sizes)["pool"]
    channels = arrays["gradient.channels"].reshape(targets, 5, len(sizes), count)[
        t, 1, names.index("pool") + 1
    ]
    product = (tape["pool"] * dy["pool"])[0]
    for k, channel in enumerate(channels):
        if channel >= 0:
            off = 1.01 * evidence[1][5 * t + 1, k] + 1e-9
            assert (np.abs(evidence[0][5 * t + 1, k] - product[channel]) <= off).all()


@pytest.mark.parametrize("name", ["conv", "pool", "block.a", "block.add"])
def test_a_receptive_field_is_where_the_gradient_arrives(name):
    model = residual()
    positive = {key: np.abs(array) for key, array in model.parameters().items()}
    tape = model.with_parameters(positive).forward(np.abs(image(16)))
    nodes = nodes_of(tape)
    size, stride, padding = fields_of(nodes)[[node.name for node in nodes].index(name)]
    dy = np.zeros_like(tape[name])
    dy[0, :, 3, 4] = 1
    rule = {MaxPool2d: lambda record, dy: np.kron(dy, np.ones((2, 2), dy.dtype))}  # to the whole window
    rows, columns = np.abs(tape.backward({name: dy}, rule)["input"][0]).sum(axis=0).nonzero()
    for found, side, at in ((rows, 0, 3), (columns, 1, 4)):
        first = at * stride[side] - padding[side]
        assert (found.min(), found.max()) == (first, first + size[side] - 1)


def test_the_path_ends_with_integrated_gradients():
    model, x = residual(), image(16).astype(np.float64)
    _, arrays = parts_of(npgrad.explore(model.astype(np.float64), x, 2))
    expected = npgrad.attribution.integrated_gradients(
        model.astype(np.float64), x, 2, n_steps=33, method="riemann_trapezoid"
    )
    assert arrays["path.sum"][-1] == pytest.approx(expected.sum(), rel=1e-5)
    maps = arrays["path.maps"].reshape(32, 16, 16)
    assert (
        np.abs(maps[-1] * arrays["path.scale"][-1] - expected[0].sum(axis=0)).max()
        <= arrays["path.scale"][-1]
    )
    for step in (0, 5, 32):
        change = (model(step / 32 * x) - model(0 * x))[0, 2]
        assert arrays["path.score"][step] == pytest.approx(change, rel=1e-4, abs=1e-6)


@pytest.mark.filterwarnings("ignore:nothing says how images become")
def test_an_onnx_graph(tmp_path):
    pytest.importorskip("onnx")
    from benchmarks.onnx_squeezenet import write_onnx

    own = squeezenet1_1(num_classes=3, rng=0)
    write_onnx(own, tmp_path / "net.onnx")
    found = [
        parts_of(npgrad.explore(model, image(), 1)) for model in (npgrad.load(tmp_path / "net.onnx"), own)
    ]
    norms = []
    for data, arrays in found:
        names = [node["name"] for node in data["nodes"]]
        norms.append(arrays["backward"].reshape(len(data["questions"]), 4, len(names), -1)[:, :, 0, 0])
    np.testing.assert_allclose(*norms, rtol=1e-3)


def test_maps():
    y = np.arange(24.0).reshape(1, 4, 6)
    assert small((4, 6), 3) == (2, 3) and small((4, 6), 28) == (4, 6)
    assert (shrink(y, (2, 3)) == y.reshape(1, 2, 2, 3, 2).mean(axis=(2, 4))).all()
    assert shrink(np.ones((5, 7)), (3, 2)).shape == (3, 2)
    eight, scale = in_8_bits(y - 12)
    assert np.abs(eight * scale[:, None, None] - (y - 12)).max() <= scale.max() / 2 + 1e-6
    assert in_8_bits(np.zeros((2, 3)))[0].tolist() == [[0] * 3] * 2
    strengths = np.array([0.0, 5, -7, 3, -1, 4])
    assert strongest(np.abs(strengths), 2).tolist() == [2, 1]
    assert strongest(strengths, 4, signed=True).tolist() == [1, 5, 2, 4]
    assert strongest(strengths[:2], 4).tolist() == [1, 0, -1, -1]
    index, block = packed({"a": np.int8([1]), "b": np.float32([2])})
    assert index["b"] == ["float32", 4, 1] and len(zlib.decompress(base64.b64decode(block))) == 8


def test_questions_rules_and_refusals(tmp_path):
    model, x = residual(), image(16)
    data, _ = parts_of(npgrad.explore(model, x, "1 - 2", tmp_path / "page.html"))
    logits = model(x)[0]
    assert data["questions"][-1]["name"] == "1 - 2" and data["questions"][-1]["index"] is None
    assert data["questions"][-1]["score"] == pytest.approx(float(logits[1] - logits[2]), rel=1e-5)
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    smooth = npgrad.Model(
        Sequential({"a": Conv2d.init(3, 2, 1), "b": SiLU(), "c": GlobalAvgPool2d(), "d": Flatten()})
    )
    data, _ = parts_of(npgrad.explore(smooth, x))
    assert [bool(rule["why"]) for rule in data["rules"]] == [False, True, True, False]
    with pytest.raises(InputError, match=r"explore: expected one image \(1, C, H, W\), found shape \(2, 3"):
        npgrad.explore(model, np.concatenate([x, x]))
    with pytest.raises((UnknownName, npgrad.TargetError)):
        npgrad.explore(model, x, 9)
    with pytest.raises(InputError, match=NOT_WRITTEN):
        npgrad.explore(model, x, output=tmp_path / "none" / "page.html")
    npgrad.explore(model, x, 1, tmp_path / "odd.html", title="a\udcff.png")  # a file name that is not UTF-8
    assert (tmp_path / "odd.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    done = []
    npgrad.explore(model, x, progress=lambda *both: done.append(both))
    assert done[-1] == (16, 16) and len(done) == 16


@pytest.mark.exhaustive
def test_the_page_of_the_bundled_network_is_small_and_asks_for_nothing():
    model = npgrad.load()
    page = npgrad.explore(model, model.preprocess(npgrad.scenes.scene(3)[0]))
    assert len(page.encode()) < 5_000_000
    folder = Path(npgrad.__file__).parent
    assert "file:" not in page and str(folder.parent) not in page  # nothing of where it was made
    for code in parts_of(page)[0]["code"].values():
        line = (folder.parent / code["file"]).read_text(encoding="utf-8").splitlines()[code["line"] - 1]
        assert line.strip().startswith("def backward(") and not Path(code["file"]).is_absolute()
    outside = re.sub(r'id="(data|block)">.*?</script>', "", page, flags=re.DOTALL)
    assert set(re.findall(r"\w+://[^\s\"']+", outside)) == {
        "http://www.w3.org/2000/svg"
    }  # a name, not an address
    assert "default-src 'none'" in page and "unsafe" not in page


def test_hostile_names_are_no_markup():
    page = npgrad.explore(hostile_model(), image(16), title=HOSTILE)
    assert "<script>document" not in page and "<img" not in page
    assert page.count("</script>") == 3


def test_the_command(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    residual().save("net.h5")
    npgrad.images.save_image(np.zeros((40, 40, 3), np.uint8), "a<b>.png")
    words = ["explore", "a<b>.png", "--weights", "net.h5", "--size", "32", "--target", "1"]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith("a<b>.png: explored -> a<b>-explore.html (")
    assert main([*words, "-o", "p.html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["bytes"] == (tmp_path / "p.html").stat().st_size
    assert main([*words, "-o", "p.png"]) == 2
    assert "p.png: expected a page's suffix (.html, .htm)" in capsys.readouterr().err
