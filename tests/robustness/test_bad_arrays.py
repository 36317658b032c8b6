"""Every public function with arrays and targets that it cannot use, and with odd arrays that are as good as any."""

import warnings

import numpy as np
import pytest
from every_function import (
    CLASSES,
    FUNCTIONS,
    NAN,
    TAKING_X,
    WITH_TARGET,
    X,
    call,
    images,
    numbers,
    refused,
)
from messages import AN_INDEX

import npgrad
from npgrad import synthesis


@pytest.mark.filterwarnings("ignore:no information curve")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_good_arguments_are_taken(name):
    """The test of the tests: it is what is changed below that is refused."""
    found = numbers(call(name))
    # blurred noise is not less of its class
    assert name in ("sic_auc", "aic_auc") or all(np.isfinite(array).all() for array in found)


UNUSABLE = {
    "rank 3": lambda x: x[0],
    "rank 5": lambda x: x[None],
    "rank 2": lambda x: x[0, 0],
    "a number": lambda x: np.float32(1),
    "NHWC": lambda x: x.transpose(0, 2, 3, 1),
    "one channel": lambda x: x[:, :1],
    "bytes": lambda x: (x * 50).astype(np.uint8),
    "whole numbers": lambda x: x.astype(np.int64),
    "truth values": lambda x: x > 0,
    "objects": lambda x: x.astype(object),
    "text": lambda x: x.astype(str),
    "dates": lambda x: x.astype("m8[s]"),
    "records": lambda x: x.view([("a", "f4")]),
    "None": lambda x: None,
    "a word": lambda x: "cat.jpg",
    "rows of different lengths": lambda x: [[[[1.0]]], [[[1.0, 2.0]]]],
    "NaN": lambda x: np.where(x == x.max(), np.nan, x),
    "Inf": lambda x: np.where(x == x.max(), -np.inf, x),
    "a batch of 0": lambda x: x[:0],
    "no width": lambda x: x[..., :0],
    "no channels": lambda x: x[:, :0],
    "3 px": lambda x: x[..., :3, :3],
}
IMAGES_TOO = {  # predict takes what preprocess takes: a path, bytes
    "Model.predict": ("bytes", "whole numbers", "truth values", "objects", "text", "dates", "records", "None", "a word",
                      "rows of different lengths"),
}  # fmt: skip


OF_A_TYPE = (  # one check refuses them for all functions, so each function meets a third of them
    *("bytes", "whole numbers", "truth values", "objects", "text", "dates", "records", "None", "a word"),
    *("a number", "rank 2", "rank 5"),
)


def pairs(names, values, of_one_check):
    """(name, value) for parametrize: all, save that of the values of one check each name has every third."""
    return [
        pytest.param(name, value, id=f"{value}-{name}")
        for i, name in enumerate(names)
        for j, value in enumerate(values)
        if value not in of_one_check or (i + j) % 3 == 0
    ]


@pytest.mark.sampled(100)
@pytest.mark.parametrize(("name", "what"), pairs(TAKING_X, UNUSABLE, OF_A_TYPE))
def test_an_array_that_cannot_be_used(name, what):
    if name == "style_transfer" and what == "3 px":
        pytest.skip("it brings its images to a size of their own")
    before = X.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
        given = UNUSABLE[what](images(name))
    words = ("input", "x:", "conv", "pool", "image", "image", "content", "expects", "cat.jpg")
    if name == "feature_permutation":  # whose mask then does not fit
        words += ("mask",)
    refused(
        npgrad.ImageError if what in IMAGES_TOO.get(name, ()) else npgrad.NpgradError,
        lambda: call(name, (given,)),
        words,
    )
    np.testing.assert_array_equal(X, before)


class Own(np.ndarray):
    """A subclass of NumPy's array."""


AS_GOOD = {
    "big-endian": lambda x: x.astype(">f4"),
    "Fortran's order": np.asfortranarray,
    "every second": lambda x: np.repeat(x, 2, axis=3)[..., ::2],
    "backwards": lambda x: np.flip(np.flip(x, (2, 3)).copy(), (2, 3)),
    "channels last": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "unaligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.float32, offset=1).reshape(x.shape),
    "a subclass": lambda x: x.view(Own),
}


@pytest.mark.filterwarnings("ignore:no information curve")
@pytest.mark.sampled(20)
@pytest.mark.parametrize("name", TAKING_X)
def test_arrays_of_the_same_numbers_give_the_same_numbers(name):
    clean = images(name).copy()
    expected = numbers(call(name, (clean,)))
    for what, make in AS_GOOD.items():
        given = make(clean)
        given.flags.writeable = False  # and no caller's array is ever changed
        found = numbers(call(name, (given,)))
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert one.dtype.isnative
            np.testing.assert_array_equal(one, other, err_msg=what)
    np.testing.assert_array_equal(clean, images(name))


@pytest.mark.parametrize("name", TAKING_X)
def test_pixels_of_0_to_255_are_warned_of_once(name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")  # as a user has it: of each line once
        call(name, (np.abs(images(name)) * 80,))
    assert sum("as pixels do" in str(one.message) for one in caught) == 1


TARGETS = {
    "minus one": (-1, IndexError, [f"{AN_INDEX} 3"]),
    "one too far": (CLASSES, IndexError, [f"{AN_INDEX} 3"]),
    "vast": (10**30, IndexError, [f"{AN_INDEX} 3"]),
    "one of them too far": ([0, CLASSES], IndexError, [f"{AN_INDEX} 3", "one class"]),
    "a float": (1.0, TypeError, ["expected an index"]),
    "a NumPy float": (np.float32(1), TypeError, ["expected an index"]),
    "True": (True, TypeError, ["expected an index"]),
    "NaN": (NAN, TypeError, ["expected an index"]),
    "bytes": (b"cat", TypeError, ["expected an index"]),
    "a set": ({1}, (TypeError, ValueError), ["expected an index", "target"]),
    "None among them": ([1, None], (TypeError, ValueError), ["expected an index", "target"]),
    "three for two": ([1, 2, 3], ValueError, ["target"]),
    "none for two": ([], ValueError, ["target"]),
    "in columns": ([[1], [2]], ValueError, ["target"]),
    "floats": ([1.0, 2.0], (TypeError, ValueError), ["expected an index", "target"]),
    "a name that is none": ("cow", KeyError, ["no class 'cow'"]),
    "digits too far": ("17", IndexError, [f"{AN_INDEX} 3"]),
}


OF_NO_TYPE = (  # likewise
    *("vast", "a float", "a NumPy float", "True", "NaN", "bytes", "a set", "in columns", "floats"),
    "digits too far",
)


@pytest.mark.sampled(80)
@pytest.mark.parametrize(("name", "what"), pairs(WITH_TARGET, TARGETS, OF_NO_TYPE))
def test_a_target_that_is_no_class(name, what):
    target, error, words = TARGETS[what]
    if name in synthesis.__all__ and isinstance(target, list):
        error, words = TypeError, ["expected an index"]  # its one image has one target
    refused(error, lambda: call(name, target=target), words)
