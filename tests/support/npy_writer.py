"""The .npy files that an .npz archive is made of, with any header."""

import io
import struct

import numpy as np


def npy(array=None, header=None, content=b"", version=1):
    """The .npy file of an array, or one with this header and content."""
    if header is None:
        file = io.BytesIO()
        np.save(file, array)
        return file.getvalue()
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header + content


def header(type_="<f4", order="False", shape="(2,)"):
    return f"{{'descr': '{type_}', 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
