"""Made-up objects: one identity in many views, exact alpha, and geometry against formulas."""

from __future__ import annotations

import numpy as np
import pytest

from icm.research.data.procedural import draw_object
from icm.research.data.procedural.canvas import Canvas
from icm.research.data.procedural.jointed import FORMS, Part, meet
from icm.research.data.procedural.material import draw_material, draw_turn
from icm.research.data.procedural.objects import FAMILIES
from icm.research.data.procedural.solids import BASE, OUTER, Body

SKIN = np.random.default_rng(3).integers(0, 256, (20, 30, 3)).astype(np.uint8)


@pytest.fixture(params=list(FAMILIES))
def family(request):
    return FAMILIES[request.param][0]


def mean_colour(sprite) -> np.ndarray:
    weight = sprite.alpha[..., None].astype(float)
    return (sprite.image * weight).sum((0, 1)) / weight.sum()


def test_views_are_sprites_with_soft_edges(family):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sprite = family(rng, 96, SKIN).view(rng)
        assert sprite.exact
        assert sprite.image.shape == (*sprite.alpha.shape, 3)
        assert sprite.image.dtype == sprite.alpha.dtype == np.uint8
        assert 20 <= max(sprite.alpha.shape) <= 96
        partial = (sprite.alpha > 10) & (sprite.alpha < 245)
        assert (sprite.alpha > 60).mean() > 0.02
        assert partial.mean() > 0.005, "a hard edge: alpha is not anti-aliased"
        assert sprite.alpha[0].any() and sprite.alpha[:, 0].any()


def test_views_change_but_identity_stays(family):
    between_objects, between_views = [], []
    for seed in range(10):
        rng = np.random.default_rng([seed, 1])
        made = family(rng, 96, SKIN)
        first, second = made.view(rng), made.view(rng)
        assert first.alpha.shape != second.alpha.shape or (first.alpha != second.alpha).any()
        colours = mean_colour(first), mean_colour(second)
        between_views.append(np.abs(colours[0] - colours[1]).mean())
        between_objects.append(colours[0])
    spread = np.abs(np.diff(between_objects, axis=0)).mean()
    assert np.mean(between_views) < 0.7 * spread, "two views differ like two objects"


def test_same_generator_same_view(family):
    sprites = []
    for _ in range(2):
        rng = np.random.default_rng(9)
        sprites.append(family(rng, 96, SKIN).view(rng))
    np.testing.assert_array_equal(sprites[0].alpha, sprites[1].alpha)
    np.testing.assert_array_equal(sprites[0].image, sprites[1].image)


def test_colours_continue_under_the_edge(family):
    rng = np.random.default_rng(2)
    sprite = family(rng, 96, None).view(rng)
    faint = (sprite.alpha > 0) & (sprite.alpha < 90)
    solid = sprite.alpha > 120
    assert sprite.image[faint].mean() > 0.45 * sprite.image[solid].mean(), "a dark fringe"


def test_every_family_is_drawn():
    kinds = {
        type(draw_object(np.random.default_rng(seed), size=64, skin=None)).__name__
        for seed in range(250)
    }
    assert len(kinds) == len(FAMILIES)


def test_bare_body_is_a_ball():
    body = Body(
        bumps_3b=np.eye(3, dtype=np.float32),
        heights_b=np.zeros(3, np.float32),
        narrowness_b=np.ones(3, np.float32),
        stretch_3=np.array([1.0, 1.0, 1.0], np.float32),
    )
    relief = body.relief(draw_turn(np.random.default_rng(0)), 96)
    unit = 2 * OUTER / 96
    area = relief.coverage_hw.sum() * unit**2
    assert area == pytest.approx(np.pi * BASE**2, rel=0.005)
    well_inside = relief.normals_n3[:, 2] > 0.5
    lengths = np.linalg.norm(relief.points_n3[well_inside], axis=1)
    np.testing.assert_allclose(lengths, BASE, atol=0.01)


def test_relief_points_lie_on_the_surface_of_a_bumpy_body():
    rng = np.random.default_rng(4)
    bumps = rng.standard_normal((3, 4))
    body = Body(
        bumps_3b=np.asarray(bumps / np.linalg.norm(bumps, axis=0), np.float32),
        heights_b=np.full(4, 0.2, np.float32),
        narrowness_b=np.full(4, 2.0, np.float32),
        stretch_3=np.array([0.6, 0.9, 0.8], np.float32),
    )
    relief = body.relief(draw_turn(rng), 96)
    points = relief.points_n3[relief.normals_n3[:, 2] > 0.6]
    lengths = np.linalg.norm(points, axis=1)
    expected = body.radius(points / lengths[:, None])
    np.testing.assert_allclose(lengths, expected, atol=0.03)


@pytest.mark.parametrize("form", list(FORMS))
def test_rays_meet_a_part_where_marching_does(form):
    turn = draw_turn(np.random.default_rng(5))
    part = Part(
        form=form,
        centre_3=np.array([0.1, -0.2, 0.05], np.float32),
        axes_33=draw_turn(np.random.default_rng(6)),
        radii_3=np.array([0.5, 0.8, 0.3], np.float32),
        joint_3=np.zeros(3, np.float32),
        material=0,
    )
    axis = np.linspace(-1.2, 1.2, 25, dtype=np.float32)
    plane = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    origins = plane @ turn[:2]
    hits = meet(part, origins, turn[2])
    depths = np.linspace(1.5, -1.5, 3001)
    met = missed = 0
    for number in range(0, len(origins), 7):
        points = origins[number] + depths[:, None] * turn[2]
        local = (points - part.centre_3) @ part.axes_33 / part.radii_3
        if form == "ball":
            inside = (local**2).sum(1) < 1
        elif form == "block":
            inside = (np.abs(local) < 1).all(1)
        else:
            inside = (local[:, 0] ** 2 + local[:, 2] ** 2 < 1) & (np.abs(local[:, 1]) < 1)
        if inside.sum() > 2:
            (place,) = np.flatnonzero(hits.rays_m == number)
            assert hits.depth_m[place] == pytest.approx(depths[inside.argmax()], abs=2e-3)
            assert np.linalg.norm(hits.normals_m3[place]) == pytest.approx(1, abs=1e-3)
            assert hits.normals_m3[place] @ turn[2] > -1e-3, "the surface faces the viewer"
            met += 1
        elif not inside.any():
            assert number not in hits.rays_m
            missed += 1
    assert met > 5 and missed > 5


def test_textures_stay_on_the_surface():
    rng = np.random.default_rng(0)
    points = rng.standard_normal((50, 3)).astype(np.float32)
    for seed in range(12):
        material = draw_material(np.random.default_rng(seed), SKIN)
        colours = material.colours(points)
        assert colours.shape == (50, 3) and colours.min() >= 0 and colours.max() <= 1
        np.testing.assert_array_equal(colours[7:9], material.colours(points)[7:9])
        np.testing.assert_allclose(colours[::2], material.colours(points[::2]), atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 40_000])
def test_any_number_of_points_can_be_coloured(count):
    points = np.full((count, 3), 0.3, np.float32)
    for seed in range(20):
        material = draw_material(np.random.default_rng(seed), SKIN)
        assert material.colours(points).shape == (count, 3)


def test_canvas_alpha_is_the_covered_share():
    canvas = Canvas.empty(64, 1.0)
    square = np.array([[-0.5, -0.5], [0.53, -0.5], [0.53, 0.4], [-0.5, 0.4]], np.float32)
    canvas.polygon(square, np.array([1.0, 0.5, 0.0], np.float32))
    sprite = canvas.sprite()
    covered = sprite.alpha.astype(float).sum() / 255 * (2 / 64) ** 2
    assert covered == pytest.approx(1.03 * 0.9, rel=0.02)
    drawn = sprite.image[sprite.alpha > 0].astype(int)
    assert np.abs(drawn - [255, 128, 0]).max() <= 4
