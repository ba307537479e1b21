"""Refinement in a cascade: sizes, alignment, and what is sure stays sure."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.images import Picture, resize
from icm.models.small.cascade import refine_alpha, refinement_sizes
from icm.models.small.refiner import DetailRefiner


def identity() -> DetailRefiner:
    """Without training it gives back what it gets."""
    return DetailRefiner((4, 4, 4)).eval().requires_grad_(False)


def painted(height: int, width: int) -> Picture:
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[height // 4 : height // 2, width // 4 : 3 * width // 4] = 1
    return Picture(rgb)


@pytest.mark.parametrize(
    ("found", "full", "longest", "sizes"),
    [
        ((256, 256), (200, 200), 1024, [(200, 200)]),
        ((256, 256), (500, 500), 1024, [(500, 500)]),
        ((256, 256), (1000, 1000), 1024, [(512, 512), (1000, 1000)]),
        ((176, 368), (3000, 6000), 1024, [(368, 736), (512, 1024)]),
        ((256, 256), (1, 1), 1024, [(1, 1)]),
        ((64, 64), (600, 3), 100, [(100, 1)]),
    ],
)
def test_sizes_double_up_to_the_limit(
    found: tuple[int, int],
    full: tuple[int, int],
    longest: int,
    sizes: list[tuple[int, int]],
) -> None:
    assert refinement_sizes(found, full, longest) == sizes


@pytest.mark.parametrize("size", [(64, 64), (150, 90), (301, 517), (1, 1), (3, 400)])
def test_alpha_stays_where_it_is_at_any_size(size: tuple[int, int]) -> None:
    picture = painted(*size)
    small = resize(picture.rgb[..., 0], (48, 64))
    with torch.inference_mode():
        alpha = refine_alpha(identity(), small, picture, longest=256)
    assert alpha.shape == size
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1
    true = picture.rgb[..., 0]
    cell = max(size[0] / 48, size[1] / 64, 1)
    moved = np.abs(alpha - true).sum()
    assert moved <= 2 * cell * (size[0] + size[1])


def test_a_sure_alpha_is_exact_and_costs_no_pass() -> None:
    class Never(DetailRefiner):
        def forward(self, image_b3hw: torch.Tensor, coarse_b1hw: torch.Tensor) -> torch.Tensor:
            raise AssertionError("nothing to refine")

    alpha = refine_alpha(
        Never((4, 4, 4)), np.full((16, 16), 0.99, np.float32), painted(40, 40), longest=64
    )
    assert (alpha == 1).all()


def test_only_the_unsure_box_is_looked_at() -> None:
    seen: list[torch.Size] = []

    class Watching(DetailRefiner):
        def forward(self, image_b3hw: torch.Tensor, coarse_b1hw: torch.Tensor) -> torch.Tensor:
            seen.append(image_b3hw.shape)
            return super().forward(image_b3hw, coarse_b1hw)

    small = np.zeros((256, 256), np.float32)
    small[100:120, 30:60] = 0.5
    refine_alpha(Watching((4, 4, 4)).requires_grad_(False), small, painted(256, 256), longest=256)
    assert seen == [torch.Size((1, 3, 20 + 64, 60 + 32))]
