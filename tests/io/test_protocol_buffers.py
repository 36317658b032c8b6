"""The reader of protocol buffers, which Caffe's files are: numbers of every size, and its limits."""

import caffe_writer as w
import numpy as np
from refusals import line

from npgrad.io.formats import _protobuf as protobuf


def test_bounds_of_protocol_buffers():
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
    def fields(count):
        return list(protobuf.WireReader("f").fields(memoryview(w.integer(1, 0) * count), "it"))

    assert fields(protobuf.MAX_FIELDS)[-1] == (1, 0, 0)
    found = line(fields, protobuf.MAX_FIELDS + 1)
    assert found == f"f: it: expected at most {protobuf.MAX_FIELDS} fields in the file, found more"
