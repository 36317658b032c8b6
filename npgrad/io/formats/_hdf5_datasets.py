"""Read groups and datasets of an untrusted HDF5 file: everything that could make reading unsafe is checked first."""

import numpy as np

from npgrad._validate import all_finite
from npgrad.errors import WeightsError

FLOATS = {"<f2": np.float16, "<f4": np.float32, "<f8": np.float64}


def members(group, name, where):
    """{member: object type} of a group; every link except a single hard one is refused."""
    import h5py

    members = {}
    for key in group:
        label = f"{name}: {where}: {key.decode('utf-8', 'replace')[:80]!r}"
        if group.links.get_info(key).type != h5py.h5l.TYPE_HARD:
            raise WeightsError(f"{label} is a soft or external link, which is never followed")
        info = h5py.h5o.get_info(group, key)
        if info.rc != 1:
            raise WeightsError(f"{label} is reached by {info.rc} links, expected one")
        members[key.decode("utf-8", "replace")] = info.type
    return members


def open_dataset(group, key, name):
    """A dataset's handle, after checking everything that could make reading it unsafe."""
    import h5py

    label = f"{name}: {key}"
    if h5py.h5o.get_info(group, key.encode()).type != h5py.h5o.TYPE_DATASET:
        raise WeightsError(f"{label}: expected a dataset")
    dataset = h5py.h5d.open(group, key.encode())
    plan = dataset.get_create_plist()
    if plan.get_layout() != h5py.h5d.CONTIGUOUS or plan.get_external_count() or plan.get_nfilters():
        raise WeightsError(f"{label}: expected plain contiguous storage, found chunked, external or virtual")
    wanted = (*FLOATS, "|u1")
    # get_type().dtype would resolve compound, vlen and reference types; ask for the class first
    type_class = dataset.get_type().get_class()
    if type_class not in (h5py.h5t.INTEGER, h5py.h5t.FLOAT) or dataset.dtype.str not in wanted:
        raise WeightsError(f"{label}: expected floats of 16, 32 or 64 bits, found another type")
    size = int(np.prod(dataset.shape, dtype=object)) * dataset.dtype.itemsize
    if dataset.get_storage_size() != size:
        raise WeightsError(f"{label}: expected {size} bytes, found {dataset.get_storage_size()}")
    return dataset


def values(dataset, key, name):
    import h5py

    array = np.empty(dataset.shape, dataset.dtype)
    if array.dtype.kind != "f":
        raise WeightsError(f"{name}: {key}: expected floats, found {array.dtype}")
    dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, array)
    if not all_finite(array):
        raise WeightsError(f"{name}: {key}: expected finite numbers, found NaN or Inf")
    return array.astype(np.float32) if array.dtype.itemsize == 2 else array
