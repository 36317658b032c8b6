"""Resizing maps: Captum's nearest, and torch's bilinear and bicubic."""

import checks
import numpy as np
import pytest
import torch
from torch.nn import functional

from npgrad.errors import InputError, UnknownName
from npgrad.images.resize import resize_map


def test_nearest_takes_the_pixel_at_the_floor_and_bilinear_is_torchs(rng):
    maps = rng.normal(size=(2, 13, 7))
    found = resize_map(maps, (227, 30))
    for i in range(227):
        for j in range(30):
            assert np.array_equal(found[:, i, j], maps[:, i * 13 // 227, j * 7 // 30])
    expected = functional.interpolate(torch.tensor(maps)[None], (227, 30))[0].numpy()
    assert np.array_equal(found, expected)
    expected = functional.interpolate(torch.tensor(maps)[None], (40, 30), mode="bilinear")[0].numpy()
    checks.assert_close(resize_map(maps, (40, 30), "bilinear"), expected, 1e-6)
    expected = functional.interpolate(torch.tensor(maps)[None], (40, 30), mode="bicubic", antialias=True)[0]
    checks.assert_close(resize_map(maps, (40, 30), "bicubic"), expected.numpy(), 1e-6)
    assert resize_map(maps.astype(np.float32), 5, "bilinear").dtype == np.float32
    assert resize_map(np.eye(3, dtype=bool)[None], 6).shape == (1, 6, 6)


def test_wrong_arguments_are_named(rng):
    with pytest.raises(InputError, match="size.*0"):
        resize_map(rng.normal(size=(1, 3, 3)), (4, 0))
    with pytest.raises(InputError, match=r"maps: .*\(3, 3\)"):
        resize_map(rng.normal(size=(3, 3)), 4)
    with pytest.raises(UnknownName, match="'lanczos'; .*bilinear"):
        resize_map(rng.normal(size=(1, 3, 3)), 4, "lanczos")
