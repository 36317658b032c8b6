"""Read protocol buffers field by field: the format of Caffe's files.

A message is a sequence of fields. Each field is a tag (field number * 8 + wire type) and a value, of four kinds:

| wire type | value |
|---|---|
| 0 | a varint: seven bits per byte, lowest first, the top bit set on all bytes but the last |
| 1 | eight bytes: a double |
| 2 | a varint length and that many bytes: a string, packed numbers, or another message |
| 5 | four bytes: a float |

Types 3 and 4 began and ended groups, which nest without a length. They were deprecated before Caffe was written and are
refused. Nested messages are parsed only by callers that know their meaning, so no file makes the reader recurse.
Source: https://protobuf.dev/programming-guides/encoding/
"""

import numpy as np

from npgrad.errors import WeightsError

VARINT, DOUBLE, BYTES, FLOAT = 0, 1, 2, 5
FIXED = {DOUBLE: "<f8", FLOAT: "<f4"}

# A network has a few thousand fields apart from its weights. Without this bound, a file of tiny fields would keep the
# reader busy for minutes.
MAX_FIELDS = 20_000

PAST_THE_END = "a number continues past the end (truncated?)"


class WireReader:
    """Reads the messages of one file; WeightsErrors name the file.

    name: the file, for error messages
    partial: the bytes are only the beginning of a file, so the last value may be truncated
    """

    def __init__(self, name, partial=False):
        self.name = name
        self.partial = partial
        self.fields_left = MAX_FIELDS

    def refuse(self, part, problem):
        """The WeightsError that names the file and a part of it."""
        return WeightsError(f"{self.name}: {part}: {problem}")

    def fields(self, message, part):
        """Yield (field number, wire type, value) for each field of `message`, a memoryview.

        The value is an int (VARINT), a memoryview (BYTES), or for FLOAT and DOUBLE a 1-D array: consecutive fields
        with the same tag, as unpacked repeated numbers are written, are yielded as one field.
        """
        position = 0
        while position < len(message):
            start = position
            tag, position = self.varint(message, position, part)
            number, wire = tag >> 3, tag & 7
            self._count_field(part)
            if not 1 <= number < 2**29:
                raise self.refuse(part, f"found field number {number}, expected 1 to {2**29 - 1}")
            if wire == VARINT:
                value, position = self.varint(message, position, part)
            elif wire == BYTES:
                value, position = self._bytes(message, position, part)
            elif wire in FIXED:
                value, position = self._row_of_numbers(message, start, position, wire, part)
            else:
                raise self.refuse(part, f"field {number} is of wire type {wire}, expected 0, 1, 2 or 5")
            yield number, wire, value

    def varint(self, message, position, part):
        """The unsigned number that begins at `position`, and the position after it."""
        value = 0
        for place, byte in enumerate(message[position : position + 10]):
            value |= (byte & 0x7F) << (7 * place)
            if byte < 0x80:
                return value & (2**64 - 1), position + place + 1
        if len(message) - position < 10:
            raise self.refuse(part, PAST_THE_END)
        raise self.refuse(part, f"expected a varint of at most 10 bytes at byte {position} of it, found more")

    def varints(self, wire, value, part):
        """The numbers of a repeated varint field, packed or not, as a list."""
        if wire == VARINT:
            return [value]
        self.expect(wire, BYTES, part)
        numbers, position = [], 0
        while position < len(value):
            self._count_field(part)
            number, position = self.varint(value, position, part)
            numbers.append(number)
        return numbers

    def numbers(self, wire, value, number_wire, part):
        """The 1-D array of a repeated FLOAT or DOUBLE field; a view of the file, not a copy."""
        if wire == number_wire:
            return value
        self.expect(wire, BYTES, part)
        dtype = np.dtype(FIXED[number_wire])
        if len(value) % dtype.itemsize:
            raise self.refuse(part, f"expected packed {dtype.name} numbers, found {len(value)} bytes")
        return np.frombuffer(value, dtype) if len(value) else np.zeros(0, dtype)

    def expect(self, wire, wanted, part):
        """Refuse a known field whose wire type differs from its definition."""
        if wire != wanted:
            raise self.refuse(part, f"found wire type {wire}, expected {wanted}")

    def _count_field(self, part):
        self.fields_left -= 1
        if self.fields_left < 0:
            raise self.refuse(part, f"expected at most {MAX_FIELDS} fields in the file, found more")

    def _bytes(self, message, position, part):
        length, position = self.varint(message, position, part)
        if length > len(message) - position and not self.partial:
            found = len(message) - position
            raise self.refuse(part, f"expected {length} more bytes, found {found} (truncated?)")
        return message[position : position + length], position + length

    def _row_of_numbers(self, message, start, after_tag, wire, part):
        record = np.dtype([("tag", "u1", (after_tag - start,)), ("value", FIXED[wire])])
        count = (len(message) - start) // record.itemsize
        if count == 0:
            raise self.refuse(part, PAST_THE_END)
        records = np.frombuffer(message, record, count, offset=start)
        count = _equal_to_the_first(records["tag"])
        return records["value"][:count], start + count * record.itemsize


def _equal_to_the_first(tags):
    """How many consecutive `tags` (n, tag length), from the beginning, equal the first."""
    checked, step = 0, 16
    while checked < len(tags):
        # In growing pieces, so that a file that alternates two tags does not take quadratic time.
        piece = tags[checked : checked + step]
        same = (piece == tags[0]).all(axis=1)
        if not same.all():
            return checked + int(same.argmin())
        checked += len(piece)
        step *= 2
    return checked
