"""Compositing against written-out formulas."""

from __future__ import annotations

import numpy as np
import pytest

from icm.research.data.compositing import Pose, Sprite, over, place, to_bytes, visible


@pytest.fixture
def sprite() -> Sprite:
    rng = np.random.default_rng(0)
    alpha = np.zeros((40, 40), np.uint8)
    alpha[5:35, 8:32] = rng.integers(0, 256, (30, 24))
    return Sprite(rng.integers(0, 256, (40, 40, 3)).astype(np.uint8), alpha)


def test_over_is_the_matting_equation():
    rng = np.random.default_rng(1)
    foreground, background = rng.random((2, 9, 7, 3), dtype=np.float32)
    alpha = rng.random((9, 7), dtype=np.float32)
    layer = np.dstack([foreground * alpha[..., None], alpha])
    result = over(layer, background)
    for y in range(9):
        for x in range(7):
            for c in range(3):
                a = alpha[y, x]
                expected = a * foreground[y, x, c] + (1 - a) * background[y, x, c]
                assert result[y, x, c] == pytest.approx(expected, abs=1e-6)


def test_visible_is_the_product_of_what_the_layers_let_through():
    alpha = np.full((2, 2), 0.8, np.float32)
    layers = [np.full((2, 2, 4), share, np.float32) for share in (0.5, 0.25)]
    np.testing.assert_allclose(visible(alpha, layers), 0.8 * 0.5 * 0.75)
    np.testing.assert_array_equal(visible(alpha, []), alpha)


def test_identity_pose_keeps_every_pixel(sprite):
    layer = place(sprite, Pose(size=1.0), 40)
    np.testing.assert_array_equal(to_bytes(layer[..., 3]), sprite.alpha)
    share = sprite.alpha[..., None] / 255
    np.testing.assert_allclose(layer[..., :3] * 255, sprite.image * share, atol=0.51)


def test_flip_mirrors(sprite):
    plain, flipped = (place(sprite, Pose(size=1.0, flip=flip), 40) for flip in (False, True))
    np.testing.assert_allclose(flipped, plain[:, ::-1], atol=1 / 255)


def test_quarter_turn_is_exact(sprite):
    turned = place(sprite, Pose(size=1.0, degrees=90), 40)
    plain = place(sprite, Pose(size=1.0), 40)
    np.testing.assert_allclose(turned, np.rot90(plain, -1), atol=1 / 255)


@pytest.mark.parametrize("size", [0.3, 0.6, 1.0, 1.6])
def test_area_scales_with_the_square_of_the_size(size):
    alpha = np.zeros((60, 60), np.uint8)
    alpha[15:45, 15:45] = 255
    layer = place(Sprite(np.zeros((60, 60, 3), np.uint8), alpha), Pose(size=size), 120)
    assert layer[..., 3].mean() == pytest.approx(0.25 * size**2, rel=0.03)


def test_no_fringe_whatever_lies_outside_the_object():
    alpha = np.zeros((64, 64), np.uint8)
    alpha[16:48, 16:48] = 255
    image = np.zeros((64, 64, 3), np.uint8)
    image[16:48, 16:48] = 200
    for pose in (Pose(size=0.37, degrees=20), Pose(size=1.1, degrees=33, lean_x=0.2)):
        layer = place(Sprite(image, alpha), pose, 64)
        edge = layer[..., 3] > 0.1
        straight = layer[..., :3][edge] / layer[..., 3][edge][:, None]
        np.testing.assert_allclose(straight, 200 / 255, atol=0.03)


def test_arguments_are_left_alone(sprite):
    image, alpha = sprite.image.copy(), sprite.alpha.copy()
    place(sprite, Pose(size=0.5, degrees=30), 32)
    np.testing.assert_array_equal(sprite.image, image)
    np.testing.assert_array_equal(sprite.alpha, alpha)
