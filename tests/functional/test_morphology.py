"""Dilation, erosion and trimaps against written-out windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.errors import InputError
from icm.functional.morphology import alpha_to_trimap, dilate, erode, generate_trimap
from tests.parity import loops


@pytest.mark.parametrize("size", [(1, 1), (2, 7), (6, 5)])
@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 7, 10])
def test_any_kernel_on_any_size(size, kernel):
    mask = torch.rand(2, 1, *size, generator=torch.Generator().manual_seed(0))
    array = mask.double().numpy()
    np.testing.assert_allclose(dilate(mask, kernel), loops.window(array, kernel, np.max))
    np.testing.assert_allclose(erode(mask, kernel), loops.window(array, kernel, np.min))


def test_even_kernel_reaches_further_down_and_right():
    mask = torch.zeros(1, 1, 5, 5)
    mask[..., 2, 2] = 1
    expected = torch.zeros(1, 1, 5, 5)
    expected[..., 1:3, 1:3] = 1  # the windows of these positions reach the pixel
    assert torch.equal(dilate(mask, 2), expected)


def test_default_trimap_works_and_keeps_the_size():
    mask = torch.zeros(1, 1, 40, 31)
    mask[..., 8:32, 6:26] = 1
    trimap = generate_trimap(mask)
    assert trimap.shape == mask.shape
    assert set(trimap.unique().tolist()) == {0.0, 0.5, 1.0}
    array = loops.trimap(mask.double().numpy(), 10, 10)
    np.testing.assert_array_equal(trimap.numpy(), array)


def test_alpha_to_trimap_widens_the_soft_band_to_both_sides():
    alpha = torch.tensor([0.0, 0.0, 0.0, 0.02, 0.5, 0.97, 1.0, 1.0, 1.0]).expand(1, 1, 9, 9)
    expected = torch.tensor([0.0, 0.0, 0.0, 0.5, 0.5, 0.5, 1.0, 1.0, 1.0])
    assert torch.equal(alpha_to_trimap(alpha, 3), expected.expand(1, 1, 9, 9))


def test_kernel_below_one_is_refused():
    with pytest.raises(InputError, match="kernel of 0"):
        dilate(torch.ones(1, 1, 4, 4), 0)
