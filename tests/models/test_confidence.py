"""Numbers that say how sure a network looks, against their definitions."""

from __future__ import annotations

import pytest
import torch

from icm.models.confidence import contrast_confidence, peak_confidence, stretch


def test_peak_is_the_mean_of_the_highest_share():
    alpha = torch.zeros(2, 1, 64, 64)
    alpha[0, 0, 0, :3] = torch.tensor([1.0, 0.8, 0.6])
    assert peak_confidence(alpha).tolist() == pytest.approx([(1 + 0.8 + 0.6) / 4, 0])


def test_contrast_is_the_mass_out_of_place():
    maps = torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 5], [3, 3, 1, 1], [0, 0, 0, 0]])
    found = contrast_confidence(maps.reshape(4, 1, 2, 2))
    assert found.tolist() == pytest.approx([0, 0.75, 0.25, 0])


def test_stretch_reaches_both_ends_and_leaves_a_constant_at_zero():
    maps = torch.tensor([[2.0, 4, 3, 2], [7, 7, 7, 7]]).reshape(2, 1, 2, 2)
    assert stretch(maps)[0].flatten().tolist() == [0, 1, 0.5, 0]
    assert not stretch(maps)[1].any()
