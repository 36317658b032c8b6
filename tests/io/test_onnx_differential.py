"""Random ONNX graphs: what npgrad accepts is what ONNX Runtime computes, for every size of batch; or it is refused."""

from collections import Counter

import numpy as np
import onnxruntime
import pytest
from onnx_graphs import OPERATORS, Drawing

from npgrad import NpgradError, WeightsError
from npgrad.errors import InputError, TooSmall
from npgrad.io.formats import onnx
from npgrad.io.formats._onnx_operators import OPERATORS as READ

STEP = 1e-30
# Besides every operator, each of these must occur in graphs that are accepted.
ATTRIBUTES = {
    "AveragePool": ["auto_pad", "ceil_mode", "count_include_pad", "dilations", "pads", "strides"],
    "Elu": ["alpha"],
    "Gelu": ["approximate"],
    "GroupNormalization": ["epsilon", "num_groups"],
    "HardSigmoid": ["alpha", "beta"],
    "InstanceNormalization": ["epsilon"],
    "LRN": ["alpha", "beta", "bias", "size"],
    "LayerNormalization": ["axis", "epsilon", "stash_type"],
    "LeakyRelu": ["alpha"],
    "LogSoftmax": ["axis"],
    "Pad": ["mode", "pads", "value"],
    "Resize": ["antialias", "axes", "coordinate_transformation_mode", "mode", "nearest_mode"],
    "Slice": ["axes", "ends", "starts"],
    "Upsample": ["mode", "scales"],
    "BatchNormalization": ["epsilon", "momentum", "spatial", "training_mode"],
    "Clip": ["max", "min"],
    "Concat": ["axis"],
    "Conv": ["auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"],
    "Dropout": ["ratio", "seed"],
    "Flatten": ["axis"],
    "Gather": ["axis"],
    "Gemm": ["alpha", "beta", "transA", "transB"],
    "MaxPool": ["auto_pad", "ceil_mode", "dilations", "pads", "storage_order", "strides"],
    "ReduceMean": ["axes", "keepdims", "noop_with_empty_axes"],
    "ReduceMax": ["axes", "keepdims"],
    "Reshape": ["allowzero"],
    "Softmax": ["axis"],
    "Split": ["axis", "num_outputs", "split"],
    "Squeeze": ["axes"],
    "Transpose": ["perm"],
    "Unsqueeze": ["axes"],
}
EVERYTHING = {*READ, *(f"{name}.{one}" for name, some in ATTRIBUTES.items() for one in some)}


def session(data):
    """ONNX Runtime without its optimizations; None if it refuses the graph."""
    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception:  # one of many classes without a common base
        return None


def runtime(made, x, declared):
    """What ONNX Runtime computes for each image of x, in batches of the declared size; None if it fails."""
    size = len(x) if declared == "n" else declared
    whole = np.concatenate([x] * -(-size // len(x)))
    try:
        parts = [made.run(None, {"x": whole[i : i + size]})[0] for i in range(0, len(whole), size)]
    except Exception:  # as above; `census` counts these, so that they cannot hide a difference
        return None
    return np.concatenate(parts)[: len(x)]


def compare(drawing):
    """ "refused", "equal", or "alone" where the runtime fails; an AssertionError if the graph is read otherwise."""
    data = drawing.model()
    try:
        model = onnx.from_bytes(data, "f")
    except WeightsError as refusal:
        assert "\n" not in str(refusal) and str(refusal).startswith("f: ")
        return "refused"
    made, exact, rng = session(data), model.astype(np.float64), np.random.default_rng(0)
    answer = "equal"
    for size in (1, 3):
        x = rng.normal(size=(size, *drawing.x[1:])).astype(np.float32)
        expected = None if made is None else runtime(made, x, drawing.batch)
        if model.source.get("layout") == "NHWC":
            x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
        try:
            y = model(x)
        except InputError as error:
            assert "s0" in drawing.declared, (
                error
            )  # only a size that the file leaves open can be too small or not fit
            empty = expected is not None and expected.size == 0  # or all of it is cut off
            assert expected is None or isinstance(error, TooSmall) or empty, error
            return "refused"
        if expected is None:
            answer = "alone"
        else:
            assert y.shape == expected.shape
            rounding = np.abs(y - exact(x.astype(np.float64))).max(initial=0)
            # ONNX Runtime's sigmoid is 0 where its value is less than 1e-12
            allowed = 2e-5 * np.abs(expected).max(initial=0) + 20 * rounding + 1e-12
            assert np.abs(y - expected).max(initial=0) <= allowed
    check_gradient(exact, rng.normal(size=(2, *x.shape[1:])), rng)
    return answer


def check_gradient(model, x, rng):
    """The input gradient along a random direction, against the complex step."""
    tape, direction = model.forward(x), rng.normal(size=x.shape)
    dy = rng.normal(size=tape.output.shape)
    stepped = model(x + 1j * STEP * direction)
    expected = np.sum(dy * stepped.imag) / STEP
    found = np.sum(tape.backward(dy)["input"] * direction)
    assert abs(found - expected) <= 1e-9 * max(1, abs(expected), np.abs(dy * stepped.imag).sum() / STEP)


def drawings(begin, count):
    for seed in range(begin, begin + count):
        yield seed, Drawing(seed, focus=OPERATORS[seed % len(OPERATORS)])


def census(begin, count):
    """(the share of graphs that are accepted, that of these that the runtime computes, too, what is in these)."""
    answers, found = Counter(), set()
    for seed, drawing in drawings(begin, count):
        try:
            answer = compare(drawing)
        except (AssertionError, NpgradError) as error:
            raise AssertionError(f"graph {seed}, opset {drawing.opset}: {error}") from error
        answers[answer] += 1
        if answer == "equal":
            found |= drawing.used()
    accepted = count - answers["refused"]
    return accepted / count, answers["equal"] / accepted, found


def test_what_is_accepted_is_what_the_runtime_computes():
    share, equal, _ = census(0, 60)
    assert share > 0.5 and equal > 0.9


@pytest.mark.exhaustive
def test_two_thousand_graphs():
    share, equal, found = census(1000, 2000)
    assert share > 0.5 and equal > 0.97
    assert not EVERYTHING - found
