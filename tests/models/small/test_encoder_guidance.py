"""Encoder guidance against written-out loops on tiny inputs."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from icm.models.small.encoder_guidance import (
    AFFINITY_TEMPERATURE,
    CHANNELS,
    COLOUR_RIDGE,
    GROUPS,
    KINDS,
    LIKENESS_TEMPERATURE,
    MATCHED,
    PASS_CHANNELS,
    PRESENCE_FEATURES,
    RIDGE,
    EncoderGuidance,
    EncoderTokens,
    encoder_guidance,
    joined,
    kept_names,
    pass_channels,
    presence_features,
    tokens,
)

GRID = (3, 5)
WIDTHS = (3, 4, 5, 6)
COLOURS = 4


def random_tokens(seed: int, count: int = GRID[0] * GRID[1], batch: int = 1) -> EncoderTokens:
    generator = torch.Generator().manual_seed(seed)

    def drawn(width: int) -> Tensor:
        return torch.randn(batch, count, width, generator=generator) + 0.5

    return EncoderTokens(tuple(drawn(width) for width in WIDTHS), drawn(COLOURS))


@pytest.fixture
def mask_bm() -> Tensor:
    mask = torch.zeros(1, 8)
    mask[0, 2:5], mask[0, 5] = torch.tensor([1.0, 0.8, 0.6]), 0.3
    return mask


@pytest.fixture
def guidance(mask_bm: Tensor) -> EncoderGuidance:
    return encoder_guidance(random_tokens(0), random_tokens(1, 8), mask_bm, GRID)


def unit(vector: Tensor) -> Tensor:
    return vector / vector.norm()


def looped_units() -> list[tuple[list[Tensor], list[Tensor]]]:
    """For each block: centred unit vectors of the target's tokens and of the reference's."""
    result = []
    for mine, theirs in zip(random_tokens(0).maps_bnc, random_tokens(1, 8).maps_bnc, strict=True):
        one, two = [unit(v) for v in mine[0]], [unit(v) for v in theirs[0]]
        mean = (sum(one) / len(one) + sum(two) / len(two)) / 2  # of the means, not of all tokens
        result.append(([unit(v - mean) for v in one], [unit(v - mean) for v in two]))
    return result


def looped_cosines() -> dict[str, list[list[float]]]:
    units, cosines = looped_units(), {}
    for name, blocks in KINDS.items():
        cosines[name] = [
            [
                sum(float(units[i - 1][0][n] @ units[i - 1][1][m]) for i in blocks) / len(blocks)
                for m in range(8)
            ]
            for n in range(15)
        ]
    cosines["joint"] = [
        [(cosines["texture"][n][m] + cosines["deep"][n][m]) / 2 for m in range(8)]
        for n in range(15)
    ]
    return cosines


def looped_ridge(
    mine: list[Tensor], theirs: list[Tensor], foreground: list[float], background: list[float],
    penalty: float,
) -> list[float]:  # fmt: skip
    """Weighted least squares with a free bias, by the normal equations."""
    width = len(mine[0]) + 1
    gram, moment = torch.zeros(width, width).double(), torch.zeros(width).double()
    for token, f, b in zip(theirs, foreground, background, strict=True):
        x = torch.cat([token, torch.ones(1)]).double()
        inside, outside = 0.5 * f / sum(foreground), 0.5 * b / sum(background)
        gram = gram + (inside + outside) * torch.outer(x, x)
        moment = moment + (inside - outside) * x
    gram = gram + penalty * torch.diag(torch.tensor([1.0] * (width - 1) + [0.0]).double())
    solved = torch.linalg.solve(gram, moment)
    scores = [float(torch.cat([t, torch.ones(1)]).double() @ solved) for t in mine]
    return [min(max(score, -3.0), 3.0) for score in scores]


def channel(guidance: EncoderGuidance, name: str) -> list[float]:
    return [float(value) for value in guidance.channels_bcn[0, CHANNELS.index(name)]]


@pytest.mark.parametrize("name", MATCHED)
def test_likeness_is_the_highest_cosine_inside_and_odds_what_it_leads_by(
    guidance: EncoderGuidance, name: str
) -> None:
    cosines = looped_cosines()[name]
    inside = [max(row[m] for m in (2, 3, 4)) for row in cosines]
    outside = [max(row[m] for m in (0, 1, 5, 6, 7)) for row in cosines]
    odds = [(i - o) / LIKENESS_TEMPERATURE for i, o in zip(inside, outside, strict=True)]
    assert channel(guidance, f"{name}_likeness") == pytest.approx([2 * i for i in inside], abs=1e-4)
    assert channel(guidance, f"{name}_odds") == pytest.approx(odds, abs=2e-4)


def test_ridge_channels_are_weighted_least_squares(
    guidance: EncoderGuidance, mask_bm: Tensor
) -> None:
    units = looped_units()

    def stacked(blocks: tuple[int, ...], side: int, count: int, scale: float) -> list[Tensor]:
        return [torch.cat([units[i - 1][side][n] for i in blocks]) * scale for n in range(count)]

    weights = mask_bm[0].tolist()
    others = [1 - weight for weight in weights]
    scale = (sum(WIDTHS[i - 1] for i in KINDS["deep"]) / 2) ** 0.5
    for name, blocks in (("deep_ridge", KINDS["deep"]), ("joint_ridge", (1, 2, 3, 4))):
        mine, theirs = stacked(blocks, 0, 15, scale), stacked(blocks, 1, 8, scale)
        expected = looped_ridge(mine, theirs, weights, others, RIDGE)
        assert channel(guidance, name) == pytest.approx(expected, abs=2e-3), name
    mine, theirs = (list(random_tokens(s, c).colour_bnc[0]) for s, c in ((0, 15), (1, 8)))
    expected = looped_ridge(mine, theirs, weights, others, COLOUR_RIDGE)
    assert channel(guidance, "colour_ridge") == pytest.approx(expected, abs=2e-3)


def test_the_prototype_channel_compares_two_mean_tokens(
    guidance: EncoderGuidance, mask_bm: Tensor
) -> None:
    units = looped_units()
    mine = [unit(torch.cat([units[2][0][n], units[3][0][n]])) for n in range(15)]
    theirs = [unit(torch.cat([units[2][1][m], units[3][1][m]])) for m in range(8)]
    weights = mask_bm[0].tolist()
    inside = unit(sum(w * t for w, t in zip(weights, theirs, strict=True)))
    outside = unit(sum((1 - w) * t for w, t in zip(weights, theirs, strict=True)))
    expected = [2 * float(t @ inside - t @ outside) for t in mine]
    assert channel(guidance, "prototype") == pytest.approx(expected, abs=1e-4)


def test_affinity_is_a_softmax_over_blocks_of_the_target_itself(guidance: EncoderGuidance) -> None:
    units = looped_units()
    joint = [unit(torch.cat([units[i][0][n] for i in range(4)])) for n in range(15)]
    coarse = []
    for top in range(0, GRID[0], 2):
        for left in range(0, GRID[1], 2):
            block = [
                joint[y * GRID[1] + x]
                for y in range(top, min(top + 2, GRID[0]))
                for x in range(left, min(left + 2, GRID[1]))
            ]
            coarse.append(unit(sum(block) / len(block)))
    assert guidance.affinity_bnm.shape == (1, 15, 6)
    for n in range(15):
        powers = [math.exp(float(joint[n] @ c) / AFFINITY_TEMPERATURE) for c in coarse]
        expected = [power / sum(powers) for power in powers]
        assert guidance.affinity_bnm[0, n].tolist() == pytest.approx(expected, abs=1e-4)
        assert float(guidance.affinity_bnm[0, n].sum()) == pytest.approx(1)


def test_a_target_is_never_its_own_neighbour(mask_bm: Tensor) -> None:
    """Other places of the target change its odds through the joint mean only, never as a match."""
    target = random_tokens(0)
    twin = EncoderTokens(
        tuple(torch.cat([x, x], dim=1) for x in target.maps_bnc),
        torch.cat([target.colour_bnc, target.colour_bnc], dim=1),
    )
    one = encoder_guidance(target, random_tokens(1, 8), mask_bm, GRID)
    two = encoder_guidance(twin, random_tokens(1, 8), mask_bm, (2 * GRID[0], GRID[1]))
    assert torch.allclose(two.channels_bcn[..., :15], one.channels_bcn, atol=1e-4)
    assert torch.allclose(two.channels_bcn[..., 15:], one.channels_bcn, atol=1e-4)


def test_references_are_joined_and_a_batch_of_one_serves_all(mask_bm: Tensor) -> None:
    target, shown = random_tokens(0, batch=2), random_tokens(1, 8)
    repeated = EncoderTokens(
        tuple(x.repeat(2, 1, 1) for x in shown.maps_bnc), shown.colour_bnc.repeat(2, 1, 1)
    )
    one = encoder_guidance(target, shown, mask_bm, GRID)
    two = encoder_guidance(target, repeated, mask_bm.repeat(2, 1), GRID)
    assert torch.allclose(one.channels_bcn, two.channels_bcn, atol=1e-5)
    assert torch.allclose(one.match_bf, two.match_bf, atol=1e-5)
    both = joined([shown, random_tokens(2, 6)])
    assert [x.shape[1] for x in (*both.maps_bnc, both.colour_bnc)] == [14] * 5
    assert torch.equal(both.maps_bnc[2][:, 8:], random_tokens(2, 6).maps_bnc[2])


def test_without_any_foreground_nothing_is_like_it() -> None:
    guidance = encoder_guidance(random_tokens(0), random_tokens(1, 8), torch.zeros(1, 8), GRID)
    assert guidance.channels_bcn.isfinite().all()
    assert channel(guidance, "deep_likeness") == [-2.0] * 15


def test_pass_channels_are_the_estimate_its_spread_and_a_ridge_on_itself(
    guidance: EncoderGuidance,
) -> None:
    logit = torch.linspace(-4, 9, 15)[None]
    found = pass_channels(guidance, logit, GRID)[0]
    share = [1 / (1 + math.exp(-float(value))) for value in logit[0]]
    spread = share
    for _ in range(2):
        coarse = []
        for top in range(0, GRID[0], 2):
            for left in range(0, GRID[1], 2):
                block = [
                    spread[y * GRID[1] + x]
                    for y in range(top, min(top + 2, GRID[0]))
                    for x in range(left, min(left + 2, GRID[1]))
                ]
                coarse.append(sum(block) / len(block))
        rows = guidance.affinity_bnm[0].tolist()
        spread = [sum(w * c for w, c in zip(row, coarse, strict=True)) for row in rows]
    limited = [min(max(s, 2e-3), 1 - 2e-3) for s in spread]
    odds = [math.log(s / (1 - s)) / 2 for s in limited]
    scale = guidance.deep_bnc.shape[-1] ** 0.5
    deep = [token * scale for token in guidance.deep_bnc[0]]
    own = looped_ridge(deep, deep, [s**2 for s in share], [(1 - s) ** 2 for s in share], RIDGE)
    assert found[0].tolist() == pytest.approx([min(float(v), 6.0) / 2 for v in logit[0]])
    assert found[1].tolist() == pytest.approx(odds, abs=1e-3)
    assert found[2].tolist() == pytest.approx(own, abs=2e-3)


def test_presence_features_are_written_out(guidance: EncoderGuidance) -> None:
    logit = torch.linspace(-3, 3, 15)[None]
    found = dict(
        zip(PRESENCE_FEATURES, presence_features(guidance, logit)[0].tolist(), strict=True)
    )
    for name in MATCHED:
        cosines = looped_cosines()[name]
        inside = [max(row[m] for m in (2, 3, 4)) for row in cosines]
        odds = [value / 2 for value in channel(guidance, f"{name}_odds")]
        back = [max(row[m] for row in cosines) for m in range(8)]
        object_back = sum(back[m] for m in (2, 3, 4)) / 3
        rest_back = sum(back[m] for m in (0, 1, 5, 6, 7)) / 5
        expected = {
            "best": 2 * sum(inside) / 15,  # all tokens: there are fewer than twenty
            "lead": sum(odds) / 15,
            "back": 2 * object_back,
            "margin": 2 * (object_back - rest_back),
        }
        for fact, value in expected.items():
            assert found[f"{name}_{fact}"] == pytest.approx(value, abs=1e-3), (name, fact)
    share = [1 / (1 + math.exp(-float(value))) for value in logit[0]]
    ridge = channel(guidance, "deep_ridge")
    within = sum(r * s for r, s in zip(ridge, share, strict=True)) / sum(share)
    assert found["mean_prior"] == pytest.approx(math.log(sum(share) / 15 + 1e-3) / 3, abs=1e-4)
    assert found["peak_prior"] == pytest.approx(sum(share) / 15, abs=1e-4)
    assert found["ridge_within"] == pytest.approx(within, abs=1e-3)


def test_peaks_are_means_of_the_best_twenty(mask_bm: Tensor) -> None:
    guidance = encoder_guidance(random_tokens(0, 48), random_tokens(1, 8), mask_bm, (6, 8))
    logit = torch.randn(1, 48, generator=torch.Generator().manual_seed(4))
    found = dict(
        zip(PRESENCE_FEATURES, presence_features(guidance, logit)[0].tolist(), strict=True)
    )
    best = sorted(logit[0].sigmoid().tolist())[-20:]
    assert found["peak_prior"] == pytest.approx(sum(best) / 20, abs=1e-5)
    likeness = sorted(channel(guidance, "deep_likeness"))[-20:]
    assert found["deep_best"] == pytest.approx(sum(likeness) / 20, abs=1e-4)


def test_tokens_are_the_maps_but_the_finest_at_one_grid() -> None:
    generator = torch.Generator().manual_seed(0)
    sizes = ((8, 12), (4, 6), (2, 3), (2, 3), (1, 2))
    maps = [torch.randn(1, 2 + i, *size, generator=generator) for i, size in enumerate(sizes)]
    colour = torch.randn(1, 3, 4, 6, generator=generator)
    found = tokens(maps, colour)
    assert [tuple(each.shape) for each in found.maps_bnc] == [(1, 24, 3 + i) for i in range(4)]
    assert torch.equal(found.maps_bnc[0][0, 7], maps[1][0, :, 1, 1])  # row 1, column 1 of 6
    assert torch.equal(found.colour_bnc[0, 23], colour[0, :, 3, 5])


def test_groups_name_every_channel_once() -> None:
    named = [name for group in GROUPS.values() for name in group]
    known = {*CHANNELS, *PASS_CHANNELS, *PRESENCE_FEATURES}
    assert len(named) == len(set(named))
    assert known - set(named) == {"previous", "mean_prior", "peak_prior"}
    assert set(named) <= known
    kept = kept_names(CHANNELS, ["deep", "colour"])
    gone = [name for name, value in zip(CHANNELS, kept, strict=True) if value == 0]
    assert gone == ["deep_likeness", "deep_odds", "colour_ridge"]
