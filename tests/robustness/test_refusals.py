"""The whole line with which every hostile file of the other tests is refused, as refusals.json has it.

After a message has been changed on purpose, or files have been added, write it again:

    PYTHONPATH=.:tests/support python tests/robustness/test_refusals.py
"""

import json
from pathlib import Path

import pytest
from refusals import line

from npgrad.io.formats import caffe, hdf5, npz, safetensors, signatures, torch_pth

GOLDEN = Path(__file__).parent / "refusals.json"
# Where the words are another library's, they may be others tomorrow.
FOREIGN = ("damaged HDF5", "expected JSON", "damaged .safetensors", "expected deflated bytes", "ONNX model")
LONG = ("very many layers", "very many fields in a layer", "very many dimensions", "tags that alternate")


def of_caffe(_):
    from caffe_files import REFUSED

    return {what: line(caffe.read, data, "f") for what, (data, _) in REFUSED.items() if what not in LONG}


def of_npz(_):
    from npz_files import HOSTILE, REFUSED
    from zip_writer import archive

    files = {what: archive({"bad.npy": content}) for what, (content, _) in REFUSED.items()}
    files.update({f"zip: {what}": data for what, (data, _) in HOSTILE.items()})
    return {what: line(npz.read, data, "f") for what, data in files.items()}


def of_torch(_):
    from pickle_writer import encode
    from torch_files import BAD_FILES, BAD_OBJECTS, HOSTILE
    from torch_writer import legacy_file, zip_file

    files = {what: data for table in (BAD_FILES, HOSTILE) for what, (data, _) in table.items()}
    for what, (value, _) in BAD_OBJECTS.items():
        files[f"{what}, zip"] = zip_file(value)
        files[f"{what}, legacy"] = legacy_file(value, None if b"Storage" in encode(value) else {})
    return {what: line(torch_pth.read, data, "f") for what, data in files.items()}


def of_pickles(_):
    from pickle_table import REFUSED, read

    return {what: line(read, data) for what, (data, _) in REFUSED.items()}


def of_safetensors(_):
    from safetensors_files import ATTACKS

    return {what: line(safetensors.read, data, "f") for what, (data, _) in ATTACKS.items()}


def of_hdf5(_):
    from hdf5_files import ATTACKS, forge

    changes = {what: change for what, (change, _) in ATTACKS.items() if what != "a group for an array"}
    return {what: line(hdf5.from_bytes, forge(change), "f") for what, change in changes.items()}


def of_onnx(folder):
    from onnx_files import LIES

    from npgrad.io.formats import onnx

    (path := folder / "net.onnx").touch()
    lines = {}
    for what, (data, _) in LIES.items():
        path.write_bytes(data)
        lines[what] = line(onnx.load, path).replace(str(path), "f")
    return lines


def of_strangers(_):
    from format_files import STRANGERS

    return {what: signatures.describe(data) for what, (data, _) in STRANGERS.items()}


KINDS = {function.__name__[3:]: function for function in (
    of_caffe, of_npz, of_torch, of_pickles, of_safetensors, of_hdf5, of_onnx, of_strangers)}  # fmt: skip


def own(lines):
    return {what: text for what, text in lines.items() if not any(words in text for words in FOREIGN)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_line_of_every_refusal(kind, tmp_path):
    expected, found = json.loads(GOLDEN.read_text())[kind], KINDS[kind](tmp_path)
    assert {what: found.get(what) for what in expected} == expected


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        lines = {kind: own(function(Path(folder))) for kind, function in KINDS.items()}
    GOLDEN.write_text(json.dumps(lines, indent=1, ensure_ascii=False) + "\n")
    print({kind: len(table) for kind, table in lines.items()})
