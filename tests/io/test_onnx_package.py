"""The networks and the cases of operators that the onnx package comes with: equal to what they say, or refused."""

import warnings
from collections import Counter
from pathlib import Path

import checks
import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx.backend.test.case.node import collect_testcases

from npgrad import NpgradError, WeightsError
from npgrad.io.formats import onnx as reader

LIGHT = sorted((Path(onnx.__file__).parent / "backend/test/data/light").glob("*.onnx"))
pytestmark = pytest.mark.exhaustive


@pytest.mark.parametrize("path", LIGHT, ids=lambda path: path.stem)
def test_networks_of_the_model_zoo(path):
    """Their weights are constants, their input counts up from 0 to 1, and the outputs are stored."""
    stored = numpy_helper.to_array(onnx.load_tensor(str(path.with_name(f"{path.stem}_output_0.pb"))))
    model = reader.load(path)
    declared = onnx.load(path, load_external_data=False).graph
    weights = {tensor.name for tensor in declared.initializer}
    [given] = [one for one in declared.input if one.name not in weights]
    shape = [size.dim_value for size in given.type.tensor_type.shape.dim]
    x = (np.arange(np.prod(shape)).reshape(shape) / np.prod(shape)).astype(np.float32)
    checks.assert_close(model(x).reshape(stored.shape), stored, 1e-4)


def test_every_case_of_an_operator_is_equal_or_refused(tmp_path):
    """All inputs but the first are made constants; the first one's batch is as declared, or open."""
    ends = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the cases themselves
        cases = collect_testcases(None)
    for case in cases:
        for open_batch in (False, True):
            for inputs, outputs in case.data_sets or ():
                end = one_case(case.model, inputs, outputs, open_batch, tmp_path / "net.onnx")
                assert end in ("refused", "equal"), f"{case.name}, open batch: {open_batch}: {end}"
                ends[end] += 1
    assert ends["equal"] > 150, ends
    assert ends.total() > 2000, ends


def one_case(model, inputs, outputs, open_batch, path):
    if not inputs or not all(isinstance(array, np.ndarray) for array in (*inputs, *outputs)):
        return "refused"  # sequences, optional inputs and maps of strings are of no network for images
    graph = onnx.ModelProto()
    graph.CopyFrom(model)
    names = [one.name for one in graph.graph.input]
    for name, array in zip(names[1:], inputs[1:], strict=False):
        graph.graph.initializer.append(numpy_helper.from_array(array, name))
    del graph.graph.input[1:]
    if open_batch and inputs[0].ndim:
        for one in (*graph.graph.input, *graph.graph.output):
            if one.type.tensor_type.shape.dim:
                one.type.tensor_type.shape.dim[0].dim_param = "batch"
    path.write_bytes(graph.SerializeToString())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = reader.load(path)(inputs[0])
    except WeightsError:
        return "refused"
    except NpgradError as error:
        return f"refused only when it runs: {error}"
    if found.shape != outputs[0].shape:
        return f"shape {found.shape}, expected {outputs[0].shape}"
    scale = np.abs(outputs[0]).max(initial=1e-30)
    difference = np.abs(found - outputs[0]).max(initial=0)
    # the outputs of some cases are typed in, with four digits
    return "equal" if difference <= 2e-4 * scale else f"off by {difference / scale:.2g}"
