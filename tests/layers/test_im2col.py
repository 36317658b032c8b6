"""The windows of an image: how many fit, and the border around it."""

import numpy as np

from npgrad.layers import im2col as sliding


def test_how_many_windows_fit():
    assert [sliding.output_size(size, 3, 2) for size in (3, 4, 5, 6, 7)] == [1, 1, 2, 2, 3]
    assert [sliding.output_size(size, 3, 2, ceil_mode=True) for size in (3, 4, 5, 6, 7)] == [1, 2, 2, 3, 3]
    assert sliding.output_size(3, 3, 1, 1) == 3
    # the last window must begin inside the image or its left padding
    assert (
        sliding.output_size(2, 1, 2, ceil_mode=True) == 1
        and sliding.output_size(3, 1, 2, ceil_mode=True) == 2
    )
    assert sliding.output_size(6, 3, 3, 1, ceil_mode=True) == 3 and sliding.output_size(5, 2, 3, 1, True) == 2


def test_a_border_is_put_on_and_cut_off():
    x = np.arange(1.0, 7).reshape(1, 2, 3, 1)
    assert sliding.pad(x, (0, 0), (0, 0)) is x
    for before, after in (
        ((1, 0), (0, 0)),
        ((0, 1), (0, 0)),
        ((0, 0), (1, 0)),
        ((0, 0), (0, 1)),
        ((1, 2), (3, 4)),
    ):
        expected = np.pad(x[0, :, :, 0], list(zip(before, after, strict=True)), constant_values=7)
        np.testing.assert_array_equal(sliding.pad(x, before, after, 7)[0, :, :, 0], expected)
    np.testing.assert_array_equal(sliding.pad(x, (1, 0), (0, 0))[0, 0], 0)  # 0, if no value is said
    np.testing.assert_array_equal(sliding.pad(x, (0, 0), (-1, 0)), x[:, :1])
    np.testing.assert_array_equal(sliding.pad(x, (0, 0), (0, -1)), x[:, :, :2])
    both = sliding.pad(x, (1, 0), (-1, 1), 7)
    np.testing.assert_array_equal(both[0, :, :, 0], [[7, 7, 7, 7], [1, 2, 3, 7]])
