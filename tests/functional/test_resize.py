"""Resizing against written-out interpolation weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.functional.resize import resize
from tests.parity import loops


@pytest.mark.parametrize("size", [(3, 9), (8, 2), (5, 7)])
@pytest.mark.parametrize(
    ("mode", "align_corners"),
    [("nearest", False), ("bilinear", False), ("bilinear", True), ("bicubic", False)],
)
def test_equals_written_out_weights(size, mode, align_corners):
    maps = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    found = resize(maps, size, mode=mode, align_corners=align_corners)
    expected = loops.resize(maps.double().numpy(), size, mode, align_corners)
    np.testing.assert_allclose(found.numpy(), expected, atol=3e-6)  # float32 coordinates


def test_a_map_of_the_right_size_is_returned_as_it_is():
    maps = torch.randn(1, 2, 3, 4)
    assert resize(maps, (3, 4), mode="bicubic") is maps
