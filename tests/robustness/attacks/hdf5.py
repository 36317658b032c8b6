"""npgrad's own .h5 with a header that fits, and in it what HDF5 can do and npgrad must not: follow links out of the
file, read other files as storage, declare what is not there."""

import io

import h5py
import numpy as np
from hdf5_files import ATTACKS, edit_metadata, forge, own_network, put

from attacks import Attack, strangers
from attacks.hdf5_inside import HARMLESS, damage, metadata, sealed
from npgrad.io.formats import hdf5

LAST, STEM = "arrays/last.weight", "arrays/stem.weight"
SHAPE, FLOATS = (3, 36), 3 * 36 * 4
MESSAGE = "expected|found|damaged HDF5|link|declared|is missing|not of this network|metadata: "


def dataset(name, shape, type_, **options):
    """Put a dataset in the place of another, with any of h5py's options."""

    def change(file):
        del file[name]
        file.create_dataset(name, shape, type_, **options)

    return change


def low_level(name, shape, type_id, plan=lambda plist: None, data=None):
    """The same by HDF5's own functions: any type, any creation property list."""

    def change(file):
        del file[name]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan(plist)
        space = h5py.h5s.create(h5py.h5s.NULL) if shape is None else h5py.h5s.create_simple(shape)
        made = h5py.h5d.create(file.id, name.encode(), type_id, space, plist)
        if data is not None:
            made.write(h5py.h5s.ALL, h5py.h5s.ALL, data)

    return change


def virtual(source, name="x"):
    def change(file):
        del file[LAST]
        layout = h5py.VirtualLayout(SHAPE, "<f4")
        layout[:] = h5py.VirtualSource(source, name, SHAPE)
        file.create_virtual_dataset(LAST, layout)

    return change


def several(*changes):
    def change(file):
        for one in changes:
            one(file)

    return change


def committed(name):
    def change(file):
        if name in file:
            del file[name]
        file[name] = np.dtype("f4")

    return change


def committed_type_used(file):
    file["arrays/type"] = np.dtype("<f4")
    del file[LAST]
    file.create_dataset(LAST, SHAPE, dtype=file["arrays/type"])


def group_for(name, inside=None):
    def change(file):
        del file[name]
        group = file.create_group(name)
        if inside is not None:
            group["x"] = inside

    return change


def many(parent, count):
    def change(file):
        for number in range(count):
            file.create_group(f"{parent}/g{number}")

    return change


def links():
    """Every link that is not a hard one, at every component of a path, also in the middle."""
    found = {}
    targets = {
        "soft link": [h5py.SoftLink("/metadata"), h5py.SoftLink("/"), h5py.SoftLink("."), h5py.SoftLink("last.weight"),
                      h5py.SoftLink("/nowhere"), h5py.SoftLink("../../x"), h5py.SoftLink("/arrays/stem.weight")],
        "external link": [h5py.ExternalLink("secret.h5", "/x"), h5py.ExternalLink("secret.h5", "/arrays"),
                          h5py.ExternalLink("secret.txt", "/"), h5py.ExternalLink("/etc/passwd", "/x"),
                          h5py.ExternalLink("/dev/zero", "/x"), h5py.ExternalLink("/proc/self/mem", "/x"),
                          h5py.ExternalLink("\\\\host\\share\\x.h5", "/x"), h5py.ExternalLink("missing.h5", "/")],
    }  # fmt: skip
    for kind, made in targets.items():
        for number, link in enumerate(made):
            for place in ("metadata", "arrays", LAST, STEM):
                found[f"{kind} {number} for {place}"] = put(place, link)
            found[f"{kind} {number} as an extra name"] = several(
                lambda file, link=link: file.__setitem__("more", link)
            )
            found[f"{kind} {number} as an extra array"] = several(
                lambda file, link=link: file.__setitem__("arrays/more", link)
            )
            in_the_middle = several(
                group_for(LAST), lambda file, link=link: file.__setitem__(f"{LAST}/inner", link)
            )
            found[f"{kind} {number} below an array's name"] = in_the_middle
    found |= {
        "a hard link to the root in arrays": lambda file: file.__setitem__("arrays/loop", file["/"]),
        "a hard link of arrays in itself": lambda file: file.__setitem__("arrays/loop", file["arrays"]),
        "the root in the root": lambda file: file.__setitem__("loop", file["/"]),
        "one array under two names": lambda file: file.__setitem__("arrays/more", file[LAST]),
        "metadata as an array": lambda file: file.__setitem__("arrays/more", file["metadata"]),
        "a ring of groups": several(
            group_for(LAST), lambda file: file.__setitem__(f"{LAST}/up", file["arrays"])
        ),
    }
    return found


def storage():
    """Bytes that are elsewhere, filtered, in pieces, or not there."""
    found = {}
    sources = (
        "secret.txt",
        "./secret.txt",
        "/etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "missing",
        "secret.h5",
    )
    for source in sources:
        for place, shape, type_ in ((LAST, SHAPE, "<f4"), ("metadata", (FLOATS,), "u1")):
            storing = [(source, 0, FLOATS)]
            found[f"external storage in {source} for {place}"] = dataset(
                place, shape, type_, external=storing
            )
        found[f"a virtual dataset from {source}"] = virtual(source)
    pieces = [("secret.txt", 0, 100), ("secret.h5", 8, FLOATS - 100)]
    found |= {
        "external storage in two files": dataset(LAST, SHAPE, "<f4", external=pieces),
        "external storage without end": dataset(
            LAST, SHAPE, "<f4", external=[("secret.txt", 0, h5py.h5f.UNLIMITED)]
        ),
        "a virtual dataset of this file": virtual(".", "arrays/stem.weight"),
        "a virtual dataset of itself": virtual(".", LAST),
        "deflated": dataset(LAST, SHAPE, "<f4", compression="gzip"),
        "lzf": dataset(LAST, SHAPE, "<f4", compression="lzf"),
        "shuffled": dataset(LAST, SHAPE, "<f4", shuffle=True),
        "with checksums": dataset(LAST, SHAPE, "<f4", fletcher32=True),
        "scaled": dataset(LAST, SHAPE, "<f4", scaleoffset=2),
        "chunks of 1 GiB": dataset(LAST, (2**28,), "<f4", chunks=(2**28,)),
        "chunks that grow": dataset(LAST, SHAPE, "<f4", maxshape=(None, None)),
        "chunks for metadata": dataset("metadata", (100,), "u1", chunks=(10,)),
        "a bomb of zeros": dataset(LAST, (2**24,), "<f4", compression="gzip", fillvalue=0),
        "a fill value for 64 GiB": dataset(LAST, (2**34,), "<f4", fillvalue=7),
        "metadata of 64 GiB": dataset("metadata", (2**36,), "u1"),
        "metadata of two dimensions": dataset("metadata", (4, 4), "u1"),
        "metadata of floats": dataset("metadata", (4,), "<f4"),
        "a compact dataset": low_level(
            LAST, SHAPE, h5py.h5t.IEEE_F32LE, lambda p: p.set_layout(h5py.h5d.COMPACT)
        ),
        "a filter nobody knows": low_level(LAST, SHAPE, h5py.h5t.IEEE_F32LE, unknown_filter),
        "no space at all": low_level(LAST, None, h5py.h5t.IEEE_F32LE),
        "32 dimensions": dataset(LAST, (1,) * 32, "<f4"),
        "a scalar": dataset(LAST, (), "<f4"),
        "an empty array": dataset(LAST, (0, 36), "<f4"),
    }
    return found


def unknown_filter(plist):
    plist.set_chunk((3, 36))
    plist.set_filter(305, h5py.h5z.FLAG_OPTIONAL, (1, 2, 3))


def types():
    """Everything that is not a plain float."""
    double = h5py.h5t.IEEE_F64LE.copy()
    double.set_ebias(1000)
    compound = h5py.h5t.create(h5py.h5t.COMPOUND, 8)
    compound.insert(b"a", 0, h5py.h5t.IEEE_F32LE)
    low = {
        "opaque": h5py.h5t.create(h5py.h5t.OPAQUE, 4),
        "opaque of a gigabyte": h5py.h5t.create(h5py.h5t.OPAQUE, 2**30),
        "compound": compound,
        "vlen": h5py.h5t.vlen_create(h5py.h5t.IEEE_F32LE),
        "vlen of vlen": h5py.h5t.vlen_create(h5py.h5t.vlen_create(h5py.h5t.IEEE_F32LE)),
        "an array type": h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, (4,)),
        "an array type of a gigabyte": h5py.h5t.array_create(h5py.h5t.IEEE_F32LE, (2**14, 2**14)),
        "an object reference": h5py.h5t.STD_REF_OBJ,
        "a region reference": h5py.h5t.STD_REF_DSETREG,
        "a bit field": h5py.h5t.STD_B32LE,
        "a fixed string": h5py.h5t.C_S1,
        "a time": h5py.h5t.UNIX_D32LE,
        "big-endian": h5py.h5t.IEEE_F32BE,
        "whole numbers": h5py.h5t.STD_I32LE,
        "bytes": h5py.h5t.STD_U8LE,
        "a float of its own": double,
        "80 bits": h5py.h5t.NATIVE_LDOUBLE,
    }
    found = {f"a type that is {what}": low_level(LAST, SHAPE, type_) for what, type_ in low.items()}
    found |= {
        f"metadata of a type that is {what}": low_level("metadata", (64,), type_)
        for what, type_ in low.items()
    }
    found |= {
        "text in metadata": put("metadata", "{}"),
        "an enum": dataset(LAST, SHAPE, h5py.enum_dtype({"a": 1})),
        "truth values": dataset(LAST, SHAPE, bool),
        "a reference out": put(LAST, np.array([h5py.Reference()] * 3, h5py.ref_dtype)),
        "complex numbers": dataset(LAST, SHAPE, "c8"),
        "a committed type for an array": committed(LAST),
        "a committed type for metadata": committed("metadata"),
        "a committed type more": committed("arrays/more"),
        "a committed type that is used": committed_type_used,
        "a group for metadata": group_for("metadata"),
        "a group for an array": group_for(LAST),
        "a dataset for arrays": put("arrays", np.zeros(3, "f4")),
        "an array in a group": group_for(LAST, np.zeros(3, "f4")),
        "3000 groups": many("arrays", 3000),
        "3000 names in the root": many("/", 3000),
        "groups 200 deep": lambda file: file.create_group("arrays/" + "/".join("d" * 200)),
    }
    for name in ("a\nb", "\x1b[2J", "\x1b]0;x\x07", "n" * 20_000, "\u2028", "."[:0] + "é"):
        found[f"an array named {name[:8]!r}"] = lambda file, name=name: file.create_dataset(
            f"arrays/{name}", data=1.0
        )
    return found


def of_a_family(path):
    """The first file of a family, whose driver would look for the others beside it."""
    with (
        h5py.File(f"{path}%d", "w", driver="family", memb_size=1 << 30, userblock_size=hdf5.HEADER) as file,
        h5py.File(io.BytesIO(hdf5.to_bytes(own_network()))) as own,
    ):
        for name in own:
            own.copy(name, file)
    path.write_bytes(sealed(path.with_name(f"{path.name}0").read_bytes()[hdf5.HEADER :]))


def attacks():
    for what, (change, message) in ATTACKS.items():
        if what != "a group for an array":  # it stands among the types
            yield Attack(what, "w.h5", forge(change), "npgrad.load", message)
    for what, change in links().items():
        message = "soft or external link" if " for " in what else MESSAGE
        yield Attack(f"forged: {what}", "w.h5", forge(change), "npgrad.load", message)
    for what, change in {**storage(), **types()}.items():
        yield Attack(f"forged: {what}", "w.h5", forge(change), "npgrad.load", MESSAGE)
    for what, change in metadata().items():
        yield Attack(
            f"content: {what}", "w.h5", forge(change), "npgrad.load", None if what in HARMLESS else MESSAGE
        )
    for what, data in damage().items():
        message = f"{MESSAGE}|SHA-256|not an npgrad weights file"
        yield Attack(what, "w.h5", data, "npgrad.load", message, may_pass="superblock" in what)
    for what, data in strangers.files().items():
        yield Attack(f"a stranger: {what}", "w.h5", data, "npgrad.load", "not an npgrad weights file")
    for what, (make, message) in strangers.places().items():
        yield Attack(f"a stranger: {what}", "w.h5", make, "npgrad.load", message)
    yield Attack("one file of a family", "w.h5", of_a_family, "npgrad.load", "damaged HDF5")
    fewer = edit_metadata(lambda told: told.update(classes=["a", "b"]))
    yield Attack("fewer classes than answers", "w.h5", forge(fewer), "npgrad.load", "classes: expected")


def good_files():
    data = hdf5.to_bytes(own_network())
    return [("npgrad.load", "w.h5", data), ("npgrad.load, predict", "w.h5", data)]
