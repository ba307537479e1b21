"""Few-shot guidance: each channel against a plain formula, and what it must not depend on."""

from __future__ import annotations

import math

import pytest
import torch

from icm.models.small import guidance
from icm.models.small.guidance import (
    GUIDANCE_CHANNELS,
    PROPAGATED,
    FewShotCorrespondence,
    colour_statistics,
)
from icm.results import Example, Features

CHANNELS = (12, 8, 6)


@pytest.fixture(scope="module")
def correspondence() -> FewShotCorrespondence:
    torch.manual_seed(0)
    return FewShotCorrespondence(
        CHANNELS, match_width=5, ridge_width=4, fine_width=3, palette_width=4
    )


def features(
    seed: int, size: tuple[int, int] = (32, 48), batch: int = 2, *, attention: bool = True
) -> Features:
    generator = torch.Generator().manual_seed(seed)
    grids = [(size[0] // step, size[1] // step) for step in (16, 8, 4)]
    maps = tuple(
        torch.randn(batch, channels, *grid, generator=generator)
        for channels, grid in zip(CHANNELS, grids, strict=True)
    )
    means = tuple(
        torch.rand(batch, *grid, math.prod(grid), generator=generator).softmax(-1)
        for grid in grids[:2]
    )
    return Features(
        torch.rand(batch, 3, *size, generator=generator), maps, means if attention else ()
    )


def example(seed: int, size: tuple[int, int] = (32, 48), batch: int = 2) -> Example:
    mask = torch.zeros(batch, 1, *size)
    mask[:, :, : size[0] // 2, : size[1] // 2] = 1
    return Example(features(seed, size, batch, attention=False), mask)


@torch.no_grad()
def test_channels_equal_their_formulas(correspondence: FewShotCorrespondence) -> None:
    target, shown = features(0, batch=1), example(1, batch=1)
    found = correspondence(target, correspondence.reference([shown])).map_bchw[0].flatten(1)
    mine = correspondence.tokens(target)
    theirs = correspondence.tokens(shown.features)
    sharp = math.exp(2.5)
    mask = torch.nn.functional.adaptive_avg_pool2d(shown.mask_b1hw, (4, 6)).flatten()
    cosine = mine.match_bnc[0] @ theirs.match_bnc[0].T
    share = torch.zeros(24)
    for m in range(24):
        share += mask[m] * (sharp * cosine[:, m]).softmax(0)
    for n in range(24):
        inside = sum((mask[m] + 1e-4) * math.exp(sharp * cosine[n, m]) for m in range(24))
        outside = sum((1 - mask[m] + 1e-4) * math.exp(sharp * cosine[n, m]) for m in range(24))
        likeness = math.log(inside / (mask + 1e-4).sum())
        unlikeness = math.log(outside / (1 - mask + 1e-4).sum())
        assert found[0, n].item() == pytest.approx(likeness / sharp, abs=1e-4)
        assert found[1, n].item() == pytest.approx(likeness - unlikeness, abs=1e-3)
        weights = (sharp * cosine[n]).softmax(0)
        assert found[2, n].item() == pytest.approx(4 * (weights @ mask).item() - 2, abs=1e-4)
        published = math.log(share[n].item() / mask.sum().item() * 24 + 1e-2)
        assert found[7, n].item() == pytest.approx(published, abs=1e-4)


@torch.no_grad()
def test_propagation_is_attention_times_guidance(correspondence: FewShotCorrespondence) -> None:
    target, shown = features(0, batch=1), example(1, batch=1)
    found = correspondence(target, correspondence.reference([shown])).map_bchw[0]
    fine = target.attention[1].reshape(24, 24)
    for index, channel in enumerate(PROPAGATED):
        expected = fine @ found[guidance.CHANNELS.index(channel)].flatten()
        spread = found[8 + len(PROPAGATED) + index].flatten()
        assert torch.allclose(spread, expected, atol=1e-5)


@torch.no_grad()
def test_each_item_alone_equals_the_item_in_its_batch(
    correspondence: FewShotCorrespondence,
) -> None:
    target, shown = features(0), example(1)
    together = correspondence(target, correspondence.reference([shown]))
    assert together.map_bchw.shape == (2, GUIDANCE_CHANNELS, 4, 6)
    for item in range(2):
        part = slice(item, item + 1)
        lone = Features(
            target.image_b3hw[part],
            tuple(m[part] for m in target.maps),
            tuple(a[part] for a in target.attention),
        )
        lone_example = Example(
            Features(shown.features.image_b3hw[part], tuple(m[part] for m in shown.features.maps)),
            shown.mask_b1hw[part],
        )
        alone = correspondence(lone, correspondence.reference([lone_example]))
        assert torch.allclose(alone.map_bchw, together.map_bchw[part], atol=1e-4)
        assert torch.allclose(alone.fine_b1hw, together.fine_b1hw[part], atol=1e-4)


@torch.no_grad()
def test_references_of_other_sizes_join_and_their_order_does_not_matter(
    correspondence: FewShotCorrespondence,
) -> None:
    target = features(0)
    shown = [example(1), example(2, (64, 32))]
    one = correspondence(target, correspondence.reference(shown))
    other = correspondence(target, correspondence.reference(shown[::-1]))
    assert torch.allclose(one.map_bchw, other.map_bchw, atol=1e-4)
    single = correspondence(target, correspondence.reference(shown[:1]))
    assert not torch.allclose(one.map_bchw, single.map_bchw, atol=1e-2)


@torch.no_grad()
def test_the_marked_side_scores_higher_on_the_reference_itself(
    correspondence: FewShotCorrespondence,
) -> None:
    shown = example(1, batch=1)
    target = Features(
        shown.features.image_b3hw, shown.features.maps, features(3, batch=1).attention
    )
    logit = correspondence(target, correspondence.reference([shown])).logit_b1hw[0, 0]
    assert logit[:2, :3].mean() > logit[2:, 3:].mean() + 1
    inverted = Example(shown.features, 1 - shown.mask_b1hw)
    other = correspondence(target, correspondence.reference([inverted])).logit_b1hw[0, 0]
    assert other[:2, :3].mean() < other[2:, 3:].mean() - 1


def test_colours_are_means_squares_and_differences_by_cell() -> None:
    image = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    found = colour_statistics(image, (2, 2))[0]
    assert found.shape == (18, 2, 2)
    rgb = image[0] * 2 - 1
    for row in range(2):
        for column in range(2):
            cell = rgb[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            mean = cell.mean((1, 2))
            assert torch.allclose(found[:3, row, column], mean, atol=1e-6)
            assert torch.allclose(found[3:6, row, column], mean**2, atol=1e-6)
            assert torch.allclose(found[6, row, column], mean[0] * mean[1], atol=1e-6)
            deviation = (cell.var((1, 2), correction=0) + 1e-5).sqrt()
            assert torch.allclose(found[12:15, row, column], 3 * deviation, atol=1e-4)


def test_every_parameter_gets_a_gradient(correspondence: FewShotCorrespondence) -> None:
    correspondence.zero_grad()
    found = correspondence(features(0), correspondence.reference([example(1)]))
    (found.map_bchw.square().sum() + found.fine_b1hw.square().sum()).backward()
    for name, value in correspondence.named_parameters():
        assert value.grad is not None, name
        assert value.grad.abs().sum() > 0, name


@torch.no_grad()
def test_inputs_are_left_as_they_are(correspondence: FewShotCorrespondence) -> None:
    target, shown = features(0), example(1)
    before = [t.clone() for t in (*target.maps, *target.attention, shown.mask_b1hw)]
    correspondence(target, correspondence.reference([shown]))
    after = (*target.maps, *target.attention, shown.mask_b1hw)
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
