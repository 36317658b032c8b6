""".npz and zip files by what is wrong with them: REFUSED and HOSTILE."""

import numpy as np
from npy_writer import header, npy
from zip_writer import hostile

REFUSED = {
    "object array": (npy(header=header("|O", shape="()"), content=b"\x80\x02cos\nsystem\n."), "numbers"),
    "object array with numbers' bytes": (npy(header=header("O"), content=bytes(16)), "numbers"),
    "text": (npy(np.array(["a"])), "numbers"),
    "dates": (npy(np.array(["2020"], "M8[D]")), "numbers"),
    "records": (npy(np.zeros(2, [("a", "f4")])), "header"),
    "long double": (npy(header=header("<f16"), content=bytes(32)), "numbers"),
    "a type that is none": (npy(header=header("<f5"), content=bytes(10)), "numbers"),
    "code for a shape": (npy(header=header(shape="(__import__('os'),)"), content=bytes(8)), "header"),
    "nested brackets": (npy(header=header(shape="(" * 3000), content=bytes(8)), "header"),
    "a negative size": (npy(header=header(shape="(-2,)"), content=bytes(8)), "header"),
    "a size of 5,000 digits": (npy(header=header(shape=f"({'9' * 5000},)"), content=bytes(8)), "header"),
    "a size that is true": (npy(header=header(shape="(True,)"), content=bytes(8)), "header"),
    "100 dimensions": (npy(header=header(shape=f"({'1, ' * 100})"), content=bytes(4)), "shape"),
    "a vast empty shape": (npy(header=header(shape=f"(0, {10**17}, {10**17})")), "shape"),
    "64 GiB": (npy(header=header(shape=f"({2**34},)"), content=bytes(8)), f"expected {2**36} bytes"),
    "overflow": (npy(header=header(shape=f"({2**32}, {2**32})"), content=bytes(8)), f"expected {2**66}"),
    "a byte too few": (npy(header=header(), content=bytes(7)), "found 7"),
    "a byte too many": (npy(header=header(), content=bytes(9)), "found 9"),
    "a long header": (npy(header=header() + b" " * 20000, content=bytes(8)), "header"),
    "a header past the end": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + header(), "header"),
    "no header": (b"\x93NUMPY\x01\x00", "version 1 to 3"),
    "version 9": (npy(header=header(), content=bytes(8)).replace(b"Y\x01", b"Y\x09"), "version 1 to 3"),
    "not a .npy file": (b"\x89PNG\r\n\x1a\n" + bytes(20), "version 1 to 3"),
    "another magic": (npy(np.ones(2)).replace(b"NUMPY", b"NUMPX"), "version 1 to 3"),
    "nothing": (b"", "version 1 to 3"),
}
HOSTILE = hostile({"a.npy": npy(np.ones(3)), "b.npy": npy(np.zeros(200))})
