"""Masks on grids and the choice of tokens, against written-out loops."""

from __future__ import annotations

import math

import pytest
import torch

from icm.errors import InputError
from icm.functional.pooling import maskpooling, pool_mask, select_tokens
from tests.parity import loops


@pytest.mark.parametrize("kind", ["average", "max", "min"])
def test_cells_of_equal_size(kind):
    mask = torch.rand(2, 1, 12, 8, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(loops.pool(mask.double().numpy(), (4, 4), kind)).float()
    assert torch.allclose(pool_mask(mask, (4, 4), kind), expected, atol=1e-6)


def test_axes_are_pooled_each_for_itself():
    mask = torch.zeros(1, 1, 8, 4)
    mask[..., 0:4, 2:4] = 1
    expected = torch.tensor([[[[0.0, 1.0], [0.0, 0.0]]]])
    assert torch.equal(maskpooling(mask, (2, 2)), expected)


@pytest.mark.parametrize("size", [(4, 4), (7, 5), (15, 14), (20, 33), (1, 1)])
@pytest.mark.parametrize("kind", ["average", "max", "min"])
def test_any_size_is_given_as_asked(size, kind):
    mask = torch.rand(1, 1, 15, 14, generator=torch.Generator().manual_seed(1))
    found = pool_mask(mask, size, kind)
    assert found.shape == (1, 1, *size)
    (height, width), (tall, wide) = (15, 14), (15 // size[0], 14 // size[1])
    published = tall and wide and (height // tall, width // wide) == size
    reduction = {"average": torch.mean, "max": torch.max, "min": torch.min}[kind]
    for i in range(size[0]):
        for j in range(size[1]):
            if published:
                rows, columns = slice(i * tall, (i + 1) * tall), slice(j * wide, (j + 1) * wide)
            else:
                rows = slice(i * height // size[0], math.ceil((i + 1) * height / size[0]))
                columns = slice(j * width // size[1], math.ceil((j + 1) * width / size[1]))
            expected = reduction(mask[0, 0, rows, columns])
            assert found[0, 0, i, j] == pytest.approx(expected.item(), abs=1e-6)


def test_unknown_pool_type_is_named():
    with pytest.raises(InputError, match="median"):
        pool_mask(torch.ones(1, 1, 4, 4), (2, 2), "median")


def test_mask_pooling_leaves_its_argument_and_takes_one_number_for_a_square():
    mask = torch.tensor([[0.2, 0.0], [0.7, 0.1]]).reshape(1, 1, 2, 2)
    before = mask.clone()
    assert maskpooling(mask, 1).item() == 0
    assert torch.equal(mask, before)


def test_tokens_are_chosen_in_order_and_padded():
    maps = torch.arange(2 * 3 * 4, dtype=torch.float).reshape(2, 3, 2, 2)
    weight = torch.tensor([[[[0.0, 0.5], [0.0, 1.0]]], [[[1.0, 0.0], [0.0, 0.0]]]])
    tokens = select_tokens(maps, weight)
    assert tokens.valid_bm.tolist() == [[True, True], [True, False]]
    assert torch.equal(tokens.token_bmc[0], torch.stack([maps[0, :, 0, 1], maps[0, :, 1, 1]]))
    assert torch.equal(tokens.token_bmc[1, 0], maps[1, :, 0, 0])
    assert not tokens.token_bmc[1, 1].any()


def test_no_token_leaves_one_of_padding():
    tokens = select_tokens(torch.ones(1, 3, 2, 2), torch.zeros(1, 1, 2, 2))
    assert tokens.valid_bm.tolist() == [[False]]
    assert not tokens.token_bmc.any()
