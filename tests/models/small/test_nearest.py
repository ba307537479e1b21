"""Nearest neighbours: in rows and picture by picture, or all at once: they find the same."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from icm.models.small import nearest as module
from icm.models.small.nearest import nearest


def unit_pairs(batch: int, references: int) -> list[tuple[Tensor, Tensor]]:
    random = torch.Generator().manual_seed(4)

    def drawn(count: int, tokens: int, width: int) -> Tensor:
        return F.normalize(torch.randn(count, tokens, width, generator=random), dim=-1)

    return [(drawn(batch, 13, width), drawn(references, 11, width)) for width in (3, 5)]


def all_at_once(pairs: list[tuple[Tensor, Tensor]], foreground_bm: Tensor) -> list[list[Tensor]]:
    """As on a GPU."""
    return [
        [
            *(each.float().clamp_min(-1.0) for each in module._highest(cosine_bnm, foreground_bm)),
            cosine_bnm.float().amax(dim=1),
        ]
        for cosine_bnm in module._cosines(pairs)
    ]


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize(("batch", "references"), [(1, 1), (3, 1), (3, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_find_the_same_as_all_at_once(
    monkeypatch: pytest.MonkeyPatch, batch: int, references: int, share: float, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(module, "ROWS", 4)
    random = torch.Generator().manual_seed(5)
    foreground_bm = torch.rand(references, 11, generator=random) < share
    pairs = [(mine.to(dtype), theirs.to(dtype)) for mine, theirs in unit_pairs(batch, references)]
    expected = all_at_once(pairs, foreground_bm)
    tolerance = (
        1e-6 if dtype == torch.float32 else 0.0
    )  # sums of other shapes; bfloat16 rounds them
    for found, wanted in zip(nearest(pairs, foreground_bm), expected, strict=True):
        for mine, theirs in zip(found, wanted, strict=True):
            assert mine.dtype == torch.float32
            torch.testing.assert_close(mine, theirs, rtol=0, atol=tolerance)


def test_each_reference_token_keeps_its_place() -> None:
    pairs = unit_pairs(1, 1)
    foreground_1m = torch.tensor([[False, True] * 5 + [False]])
    (_, _, back_1m), *_ = nearest(pairs, foreground_1m)
    mine, theirs = (each[0].double() for each in pairs[0])
    expected = [max(float(token @ other) for token in mine) for other in theirs]
    assert back_1m[0].tolist() == pytest.approx(expected, abs=1e-6)


def test_without_a_background_nothing_is_like_it() -> None:
    for _, outside_bn, _ in nearest(unit_pairs(2, 1), torch.ones(1, 11, dtype=torch.bool)):
        assert outside_bn.tolist() == [[-1.0] * 13] * 2
