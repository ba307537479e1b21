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
    found = nearest(pairs, foreground_bm)
    monkeypatch.setattr(module, "_in_rows", module._whole)  # as on a GPU
    expected = nearest(pairs, foreground_bm)
    tolerance = (
        1e-6 if dtype == torch.float32 else 0.0
    )  # sums of other shapes; bfloat16 rounds them
    for mine, theirs in zip(found, expected, strict=True):
        for name in ("inside_bn", "outside_bn", "back_bm"):
            value = getattr(mine, name)
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, getattr(theirs, name), rtol=0, atol=tolerance)


@pytest.mark.parametrize("way", ["_in_rows", "_whole"])
def test_the_values_are_those_of_loops(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr(module, "_in_rows", getattr(module, way))
    pairs = unit_pairs(1, 1)
    chosen = [index % 3 == 0 for index in range(11)]
    *kinds, _ = nearest(pairs, torch.tensor([chosen]))
    for (mine, theirs), highest in zip(pairs, kinds, strict=True):
        cosines = [[float(a.double() @ b.double()) for b in theirs[0]] for a in mine[0]]
        for wanted, values_bn in ((True, highest.inside_bn), (False, highest.outside_bn)):
            expected = [
                max(c for c, inside in zip(row, chosen, strict=True) if inside == wanted)
                for row in cosines
            ]
            assert values_bn[0].tolist() == pytest.approx(expected, abs=1e-6)
        back = [max(column) for column in zip(*cosines, strict=True)]
        assert highest.back_bm[0].tolist() == pytest.approx(back, abs=1e-6)


def test_without_a_background_nothing_is_like_it() -> None:
    for highest in nearest(unit_pairs(2, 1), torch.ones(1, 11, dtype=torch.bool)):
        assert highest.outside_bn.tolist() == [[-1.0] * 13] * 2
