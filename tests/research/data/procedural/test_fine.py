"""Made-up objects at the size of photographs: fine edges, one identity, the same again by seed."""

from __future__ import annotations

import numpy as np
import pytest

from icm.research.data.procedural.fine import FINE_FAMILIES
from icm.research.data.procedural.strands import draw_fur

SIDE = 320


@pytest.fixture(params=list(FINE_FAMILIES))
def family(request):
    return FINE_FAMILIES[request.param]


def test_views_are_large_sprites_with_much_soft_alpha(family):
    soft, largest = [], []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sprite = family(rng, SIDE, None).view(rng)
        assert sprite.exact
        assert sprite.image.shape == (*sprite.alpha.shape, 3)
        assert sprite.image.dtype == sprite.alpha.dtype == np.uint8
        assert max(sprite.alpha.shape) <= SIDE + 1
        drawn = sprite.alpha > 0
        soft.append(((sprite.alpha > 10) & (sprite.alpha < 245)).sum() / drawn.sum())
        largest.append(max(sprite.alpha.shape))
    assert np.mean(soft) > 0.1, "hard edges: nothing that would need a matte"
    assert np.mean(largest) > SIDE / 3


def test_same_generator_same_view(family):
    first, second = (
        family(rng, SIDE, None).view(rng) for rng in map(np.random.default_rng, (9, 9))
    )
    np.testing.assert_array_equal(first.alpha, second.alpha)
    np.testing.assert_array_equal(first.image, second.image)


def test_another_view_is_another_picture_of_the_same_colours(family):
    made = family(np.random.default_rng(3), SIDE, None)
    first, second = (made.view(np.random.default_rng(seed)) for seed in (1, 2))
    assert first.alpha.shape != second.alpha.shape or (first.alpha != second.alpha).any()


def test_colours_continue_under_the_edge(family):
    rng = np.random.default_rng(2)
    sprite = family(rng, SIDE, None).view(rng)
    faint = (sprite.alpha > 20) & (sprite.alpha < 90)
    solid = sprite.alpha > 120
    assert sprite.image[faint].mean() > 0.45 * sprite.image[solid].mean(), "a dark fringe"


def test_strands_stand_off_the_body():
    """Fur reaches beyond the body that it grows on, and there it is mostly gaps."""
    rng = np.random.default_rng(0)
    coat = draw_fur(rng, SIDE, None)
    alpha = coat.view(np.random.default_rng(1)).alpha
    rng = np.random.default_rng(1)
    from icm.research.data.procedural.material import draw_turn

    body = coat.body.relief(draw_turn(rng), SIDE).coverage_hw
    assert (alpha > 0).sum() > 1.15 * (body > 0).sum()
    outline = (alpha > 0) & (alpha < 128)
    assert outline.sum() > 0.03 * (alpha > 0).sum()
