"""Rotary positions against complex numbers, and the property they exist for."""

import cmath

import pytest
import torch

from icm.errors import InputError
from icm.functional.rotary import centred_positions, rotate


def normal(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.double)


@pytest.mark.parametrize(("decay", "sign"), [("none", 0), ("query", 1), ("key", -1)])
def test_equals_complex_multiplication(decay, sign):
    x, places = normal(1, 2, 3, 6), torch.tensor([-2.0, 0.5, 700.0])
    turned = rotate(x, places, decay=decay)
    for head in range(2):
        for token in range(3):
            place = float(places[token])
            for pair in range(3):
                fraction = 2 * pair / 6
                factor = cmath.exp(1j * place / 10000**fraction)
                factor *= ((fraction + 0.4) / 1.4) ** (sign * place / 512)
                first, second = x[0, head, token, 2 * pair : 2 * pair + 2].tolist()
                expected = complex(first, second) * factor
                found = complex(*turned[0, head, token, 2 * pair : 2 * pair + 2].tolist())
                assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("decays", [("none", "none"), ("query", "key")])
def test_only_the_distance_counts(decays):
    query, key = normal(1, 1, 1, 8), normal(1, 1, 1, 8, seed=1)

    def likeness(query_place, key_place):
        return (
            rotate(query, torch.tensor([query_place]), decay=decays[0])
            * rotate(key, torch.tensor([key_place]), decay=decays[1])
        ).sum()

    torch.testing.assert_close(likeness(7.0, 3.0), likeness(104.0, 100.0))
    assert not torch.isclose(likeness(7.0, 3.0), likeness(8.0, 3.0))


def test_extrapolation_decays_with_distance():
    x = torch.ones(1, 1, 1, 8, dtype=torch.double)
    key = rotate(x, torch.tensor([0.0]), decay="key").norm()
    near = rotate(x, torch.tensor([100.0]), decay="query").norm() * key
    far = rotate(x, torch.tensor([2000.0]), decay="query").norm() * key
    assert far < near < 8


def test_lengths_are_kept_without_decay_and_dtype_always():
    x = normal(1, 1, 4, 6)
    torch.testing.assert_close(rotate(x, torch.arange(4.0)).norm(dim=-1), x.norm(dim=-1))
    assert rotate(x.bfloat16(), torch.arange(4.0)).dtype == torch.bfloat16


def test_an_odd_head_is_refused():
    with pytest.raises(InputError, match="head of 5"):
        rotate(torch.ones(1, 1, 2, 5), torch.arange(2.0))


def test_centred_positions():
    assert centred_positions(4, device=torch.device("cpu")).tolist() == [-1.5, -0.5, 0.5, 1.5]
