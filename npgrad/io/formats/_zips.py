"""Read an untrusted zip archive: .pth and .npz files are zip archives.

A zip file ends with a directory: one entry per member, with its name, sizes, CRC-32 and position. Every entry is
checked when the archive is opened, before any member is read; so duplicate names, encrypted members and archives that
would expand more than a hundredfold are refused immediately. Layout: PKWARE's APPNOTE.TXT, sections
4.3.7 (local header), 4.3.12 (directory entry) and 4.3.16 (end record).
"""

import re
import struct
import zlib
from dataclasses import dataclass

from npgrad.errors import WeightsError

SIGNATURE = b"PK\x03\x04"  # what a zip archive with members begins with
MAX_EXPANSION = 100  # total bytes of all members per byte of the archive
MAX_NAME = 200

# Little-endian, without padding; "4x" and the like skip dates and other unused fields.
_END = struct.Struct("<4s6xHIIH")  # signature, members, directory size, directory start, comment size
_ENTRY = struct.Struct("<4s4xHH4xIIIHHH8xI")
_LOCAL = struct.Struct("<4s2xHH16xHH")
_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: encrypted, strongly encrypted, directory encrypted


@dataclass(frozen=True)
class Member:
    """One file of an archive: `size` bytes, stored as `packed` bytes from byte `start` on."""

    name: str
    start: int
    packed: int
    size: int
    method: int
    crc: int


class Zip:
    """The zip archive `data` (bytes or FileBytes): its members by name. `name` is the file, for messages.

    Raises WeightsError if any entry is damaged or unsafe.
    """

    def __init__(self, data, name):
        self.data, self.name = memoryview(data) if isinstance(data, bytes) else data, name
        self.members = {}
        for member in self._directory():
            if member.name in self.members:
                raise self._wrong(f"expected every name once, found {member.name!r} twice")
            self.members[member.name] = member
        self._check_places()

    def read(self, name):
        """The bytes of a member, after checking size and CRC-32; a view of `data` if that is in memory."""
        member = self.members[name]
        content = self.data[member.start : member.start + member.packed]
        if member.method == _DEFLATED:
            content = self._inflate(content, member)
        found = zlib.crc32(content)
        if found != member.crc:
            raise self._wrong(f"{member.name!r}: expected CRC-32 {member.crc:08x}, found {found:08x}")
        return content

    def _inflate(self, packed, member):
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = inflater.decompress(packed, member.size + 1)  # never more, whatever the stream contains
        except zlib.error as error:
            raise self._wrong(f"{member.name!r}: expected deflated bytes, found {error}") from None
        if len(content) != member.size or not inflater.eof or inflater.unused_data:
            raise self._wrong(f"{member.name!r}: expected {member.size} deflated bytes, found another number")
        return content

    def _directory(self):
        """Yield the Member of each directory entry."""
        count, size, at, limit = self._end_record()
        first, end = at, at + size
        if end > limit:
            raise self._wrong(f"expected a directory before byte {limit}, found one that ends at {end}")
        for _ in range(count):
            signature, flags, method, crc, packed, unpacked, name_size, extra, comment, local = self._unpack(
                _ENTRY, at, "a directory entry", end
            )
            name = self._text(at + _ENTRY.size, name_size)
            if signature != b"PK\x01\x02":
                raise self._wrong(f"expected a directory entry at byte {at}, found {signature!r}")
            self._check_entry(name, flags, method, packed, unpacked)
            start = self._content_start(name, flags, method, local)
            if start + packed > first:
                found = max(first - start, 0)
                raise self._wrong(f"{name!r}: expected {packed} bytes from byte {start} on, found {found}")
            yield Member(name, start, packed, unpacked, method, crc)
            at += _ENTRY.size + name_size + extra + comment
        if at != end:
            raise self._wrong(f"expected {count} directory entries up to byte {end}, found their end at {at}")

    def _end_record(self):
        """(number of members, size of the directory, its first byte, first byte of the end record)."""
        at = bytes(self.data[-_END.size - 0xFFFF :]).rfind(b"PK\x05\x06")
        if at < 0:
            raise self._wrong("expected a zip archive, found no end record: cut short, or not a zip")
        at += max(0, len(self.data) - _END.size - 0xFFFF)
        _, count, size, start, comment = self._unpack(_END, at, "the end record", len(self.data))
        if at + _END.size + comment != len(self.data):
            raise self._wrong(f"expected the end record at byte {at} to close the file, found bytes after it")
        if count == 0xFFFF or start == 0xFFFFFFFF:
            raise self._wrong("expected fewer than 65535 members and less than 4 GiB, found a zip64 archive")
        return count, size, start, at

    def _check_entry(self, name, flags, method, packed, size):
        parts = name.split("/")
        if re.match(r"[a-zA-Z]:|.*\\", name) or ".." in parts or not parts[0] or not name.isprintable():
            raise self._wrong(f"expected a member name inside the archive, found {name[:80]!r}")
        if len(name) > MAX_NAME:
            raise self._wrong(f"expected names of at most {MAX_NAME} characters, found {name[:80]!r}...")
        if flags & _ENCRYPTED:
            raise self._wrong(f"{name!r}: expected a plain member, found an encrypted one")
        if method not in (_STORED, _DEFLATED):
            raise self._wrong(f"{name!r}: expected a stored or deflated member, found method {method}")
        if method == _STORED and packed != size:
            raise self._wrong(f"{name!r}: expected {size} stored bytes, found {packed}")

    def _content_start(self, name, flags, method, at):
        """The first byte of a member's content, after its local header, which must agree with the directory."""
        what = f"the header of {name!r}"
        signature, *same, name_size, extra = self._unpack(_LOCAL, at, what, len(self.data))
        if signature != SIGNATURE:
            raise self._wrong(f"{name!r}: expected its header at byte {at}, found {signature!r}")
        if same != [flags, method] or self._text(at + _LOCAL.size, name_size) != name:
            raise self._wrong(f"{name!r}: expected a header that agrees with the directory, found another")
        return at + _LOCAL.size + name_size + extra

    def _check_places(self):
        """Refuse overlapping members, and an archive that would expand disproportionately."""
        members = sorted(self.members.values(), key=lambda member: member.start)
        for first, second in zip(members, members[1:], strict=False):
            if first.start + first.packed > second.start:
                raise self._wrong(f"expected separate members, found {second.name!r} inside {first.name!r}")
        expansion = sum(member.size for member in members) / len(self.data)
        if expansion > MAX_EXPANSION:
            raise self._wrong(f"expected at most {MAX_EXPANSION} times the file, found {expansion:.0f} times")

    def _unpack(self, layout, at, what, end):
        if at + layout.size > end:
            raise self._wrong(f"expected {what} at byte {at}, found the end of the file")
        return layout.unpack(self.data[at : at + layout.size])

    def _text(self, at, size):
        try:
            return str(self.data[at : at + size], "utf-8")
        except UnicodeDecodeError:
            raise self._wrong(f"expected a name in UTF-8 at byte {at}, found other bytes") from None

    def _wrong(self, message):
        return WeightsError(f"{self.name}: {message}")
