"""Seeds grown by attention: planted blocks, written-out loops, refusals."""

from __future__ import annotations

import pytest
import torch

from benchmarks.seed_spreading import spread_seeds
from icm.errors import InputError


def halves(height: int = 4, width: int = 6) -> torch.Tensor:
    """Attention between positions of the same half of the grid only: left, or right."""
    column = torch.arange(height * width) % width
    same = ((column < width // 2)[:, None] == (column < width // 2)[None]).float()
    attention = same / same.sum(dim=1, keepdim=True)
    return attention.reshape(1, height, width, height * width)


def test_the_seeded_block_is_grown_and_the_other_is_not() -> None:
    seed = torch.zeros(1, 1, 4, 6)
    seed[0, 0, 1, 1] = 1
    grown = spread_seeds(seed, halves(), steps=2)
    assert torch.allclose(grown[..., :3], torch.ones(1, 1, 4, 3))
    assert torch.equal(grown[..., 3:], torch.zeros(1, 1, 4, 3))


def test_spreading_is_what_the_loops_say() -> None:
    rng = torch.Generator().manual_seed(0)
    attention = torch.rand(2, 2, 3, 6, generator=rng).softmax(dim=-1)
    seed = (torch.rand(2, 1, 2, 3, generator=rng) > 0.5).float()
    found = spread_seeds(seed, attention, steps=3)
    for item in range(2):
        response = seed[item].flatten().tolist()
        for _ in range(3):
            response = [
                sum(float(attention[item, q // 3, q % 3, k]) * response[k] for k in range(6))
                for q in range(6)
            ]
        expected = torch.tensor(response) / max(response)
        assert torch.allclose(found[item].flatten(), expected, atol=1e-6)


def test_without_a_seed_nothing_responds() -> None:
    assert torch.equal(spread_seeds(torch.zeros(1, 1, 4, 6), halves()), torch.zeros(1, 1, 4, 6))


def test_grids_and_steps_are_checked() -> None:
    with pytest.raises(InputError, match="one grid"):
        spread_seeds(torch.ones(1, 1, 6, 4), halves())
    with pytest.raises(InputError, match="at least 1"):
        spread_seeds(torch.ones(1, 1, 4, 6), halves(), steps=0)
