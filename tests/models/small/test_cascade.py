"""Refinement: sizes, tiles, alignment, and where the guided filter's answer stands."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from icm.finishing import full_resolution_alpha
from icm.images import Picture, resize
from icm.models.small import cascade
from icm.models.small.cascade import (
    HEIGHT,
    MARGIN,
    enlarged_alpha,
    refined_alpha,
    refined_size,
)
from icm.models.small.refiner import Correction, DetailRefiner


def as_if_trained() -> DetailRefiner:
    torch.manual_seed(0)
    refiner = DetailRefiner((4, 4, 4))
    torch.nn.init.normal_(refiner.leave[1].weight, std=0.3)
    return refiner.eval().requires_grad_(False)


def shut() -> DetailRefiner:
    """As if trained, and sure of nothing: its gate is closed."""
    refiner = as_if_trained()
    refiner.leave[1].weight[4:] = 0
    refiner.leave[1].bias[4:] = -200
    return refiner


def painted(height: int, width: int) -> Picture:
    rgb = np.zeros((height, width, 3), np.float32)
    rgb[height // 4 : height // 2, width // 4 : 3 * width // 4] = 1
    return Picture(rgb)


def speckled(height: int, width: int) -> Picture:
    return Picture(np.random.default_rng(0).random((height, width, 3), dtype=np.float32))


@pytest.mark.parametrize(
    ("full", "longest", "size"),
    [
        ((200, 200), 1024, (200, 200)),
        ((1000, 1000), 1024, (1000, 1000)),
        ((866, 1155), 1024, (866, 1155)),  # a megapixel of 4 : 3 is done at its own size
        ((3000, 6000), 1024, (512, 1024)),
        ((1, 1), 1024, (1, 1)),
        ((600, 3), 100, (100, 1)),
    ],
)
def test_the_picture_s_own_size_up_to_the_limit(
    full: tuple[int, int], longest: int, size: tuple[int, int]
) -> None:
    assert refined_size(full, longest) == size


@pytest.mark.parametrize("size", [(64, 64), (150, 90), (301, 517), (1, 1), (3, 400)])
def test_alpha_stays_where_it_is_at_any_size(size: tuple[int, int]) -> None:
    picture = painted(*size)
    small = resize(picture.rgb[..., 0], (48, 64))
    with torch.inference_mode():
        refined = refined_alpha(as_if_trained(), small, picture, longest=256)
    alpha = enlarged_alpha(refined, picture)
    assert alpha.shape == size
    assert alpha.dtype == np.float32
    assert alpha.min() >= 0
    assert alpha.max() <= 1


@pytest.mark.parametrize("size", [(200, 150), (333, 512), (40, 700)])
def test_with_the_gate_closed_it_is_the_guided_filter(size: tuple[int, int]) -> None:
    """Never worse than the guided filter where the refiner is unsure: the same alpha."""
    picture = speckled(*size)
    small = np.clip(resize(painted(*size).rgb[..., 0], (48, 64)) * 0.9 + 0.01, 0, 1)
    alpha = refined_alpha(shut(), small, picture, longest=1024)
    np.testing.assert_allclose(alpha, full_resolution_alpha(small, picture.rgb), atol=1e-6)


def test_a_sure_alpha_is_exact_and_costs_no_pass() -> None:
    class Never(DetailRefiner):
        def forward(self, image_b3hw: torch.Tensor, hints_b5hw: torch.Tensor) -> Correction:
            raise AssertionError("nothing to refine")

    alpha = refined_alpha(
        Never((4, 4, 4)), np.full((16, 16), 0.99, np.float32), painted(40, 40), longest=64
    )
    assert (alpha == 1).all()


def test_only_tiles_with_something_unknown_are_looked_at() -> None:
    seen: list[torch.Size] = []

    class Watching(DetailRefiner):
        def forward(self, image_b3hw: torch.Tensor, hints_b5hw: torch.Tensor) -> Correction:
            seen.append(image_b3hw.shape)
            return super().forward(image_b3hw, hints_b5hw)

    small = np.zeros((256, 256), np.float32)
    small[100:108, 32:58] = 0.5
    watching = Watching((4, 4, 4)).requires_grad_(False)
    alpha = refined_alpha(watching, small, painted(1024, 1024), longest=1024)
    # Soft from 128 to 232, unknown from 116 to 244; in the fourth row.
    assert seen == [torch.Size((1, 3, HEIGHT + 2 * MARGIN, 144 + 2 * MARGIN))]
    assert not alpha[:380].any()
    assert alpha[410, 180] > 0


def test_tiles_leave_no_seams() -> None:
    """Where neighbouring tiles meet, the answer is nearly that of one tile over both."""
    picture = speckled(160, 400)
    small = np.full((40, 100), 0.5, np.float32)
    with torch.inference_mode():
        tiled = refined_alpha(as_if_trained(), small, picture, longest=1024)
        cut = Picture(picture.rgb[:, 64:224])
        alone = refined_alpha(as_if_trained(), small[:, 16:56], cut, longest=1024)
    middle = slice(MARGIN + 8, -MARGIN - 8)
    difference = np.abs(tiled[:, 64:224] - alone)[middle, middle]
    assert difference.mean() < 0.01
    assert np.abs(tiled - 0.5).mean() > 0.02  # it does something


def test_the_same_bytes_again() -> None:
    picture = speckled(300, 420)
    small = resize(painted(300, 420).rgb[..., 0], (48, 64))
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        once, again = (
            refined_alpha(as_if_trained(), small, picture, longest=1024) for _ in range(2)
        )
    assert once.tobytes() == again.tobytes()


def test_tiles_of_one_size_together_give_what_each_gives_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on a GPU: fewer passes, whose tiles come from all over the picture."""
    passes: list[int] = []

    class Counting(DetailRefiner):
        def forward(self, image_b3hw: torch.Tensor, hints_b5hw: torch.Tensor) -> Correction:
            passes.append(len(image_b3hw))
            return super().forward(image_b3hw, hints_b5hw)

    refiner = Counting((4, 4, 4)).eval().requires_grad_(False)
    refiner.load_state_dict(as_if_trained().state_dict())
    picture, small = speckled(520, 400), np.zeros((130, 100), np.float32)
    small[10:120, 20:24] = small[10:120, 70:74] = small[50:60, 20:80] = 0.5
    alone = refined_alpha(refiner, small, picture, longest=1024)
    count, passes[:] = len(passes), []
    monkeypatch.setattr(cascade, "_alone", lambda device: False)
    together = refined_alpha(refiner, small, picture, longest=1024)
    assert sum(passes) == count
    assert len(passes) < count
    np.testing.assert_allclose(together, alone, atol=1e-6)
