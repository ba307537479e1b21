"""Closed-form matting: against a dense solution, exact where known, bounded in size."""

import numpy as np
import pytest

from icm.errors import InputError
from icm.finishing import closed_form_alpha


def two_colours(height, width, softness):
    """A soft vertical edge between two colours, with its true alpha and a wide trimap."""
    columns = np.arange(width) - width / 2 + 0.5
    alpha = np.clip(0.5 + columns / softness, 0, 1) * np.ones((height, 1))
    texture = 0.05 * np.sin(np.arange(height)[:, None] / 3 + columns / 5)
    foreground = np.stack([0.8 + texture, 0.3 + texture, 0.1 + texture], axis=-1)
    background = np.stack([0.1 - texture, 0.4 - texture, 0.9 - texture], axis=-1)
    image = alpha[..., None] * foreground + (1 - alpha[..., None]) * background
    trimap = np.where(np.abs(columns) < softness, 0.5, columns > 0) * np.ones((height, 1))
    return image.astype(np.float32), alpha.astype(np.float32), trimap.astype(np.float32)


def dense_solution(image, trimap, epsilon=1e-7):
    """The matting Laplacian of the paper's equation 12, written out, with hard constraints."""
    height, width = trimap.shape
    laplacian = np.zeros((trimap.size, trimap.size))
    index = np.arange(trimap.size).reshape(height, width)
    for row in range(1, height - 1):
        for column in range(1, width - 1):
            window = (slice(row - 1, row + 2), slice(column - 1, column + 2))
            colours = image[window].reshape(9, 3).astype(np.float64)
            nodes = index[window].ravel()
            centred = colours - colours.mean(axis=0)
            covariance = centred.T @ centred / 9 + epsilon / 9 * np.eye(3)
            affinity = (1 + centred @ np.linalg.inv(covariance) @ centred.T) / 9
            laplacian[np.ix_(nodes, nodes)] += np.eye(9) - affinity
    unknown = (trimap == 0.5).ravel()
    known = trimap.ravel()[~unknown].astype(np.float64)
    right = -laplacian[np.ix_(unknown, ~unknown)] @ known
    result = trimap.ravel().astype(np.float64)
    result[unknown] = np.linalg.solve(laplacian[np.ix_(unknown, unknown)], right)
    return np.clip(result, 0, 1).reshape(height, width)


def test_equals_the_dense_solution():
    rng = np.random.default_rng(0)
    image, _, trimap = two_colours(16, 24, 6)
    image = np.clip(image + rng.normal(0, 0.02, image.shape), 0, 1).astype(np.float32)
    found = closed_form_alpha(image, trimap)
    np.testing.assert_allclose(found, dense_solution(image, trimap), atol=2e-3)


def test_a_linear_mixture_is_recovered():
    image, alpha, trimap = two_colours(40, 60, 12)
    found = closed_form_alpha(image, trimap)
    assert np.abs(found - alpha).max() < 0.02
    assert (found[trimap != 0.5] == trimap[trimap != 0.5]).all()


def test_large_unknowns_are_solved_small_and_stay_in_place():
    image, alpha, trimap = two_colours(120, 160, 24)
    found = closed_form_alpha(image, trimap, megapixels=0.0015)
    assert np.abs(found - alpha).mean() < 0.01
    assert np.abs(found - alpha).max() < 0.12
    assert (found[trimap != 0.5] == trimap[trimap != 0.5]).all()


def test_thin_marks_survive_shrinking():
    image, alpha, _ = two_colours(120, 160, 24)
    trimap = np.full(alpha.shape, 0.5, np.float32)
    trimap[:, 0] = 0
    trimap[:, -1] = 1
    found = closed_form_alpha(image, trimap, megapixels=0.0015)
    assert np.abs(found - alpha).mean() < 0.05


def test_one_sided_trimaps_have_a_constant_solution():
    image = np.random.default_rng(0).random((12, 14, 3), dtype=np.float32)
    trimap = np.full((12, 14), 0.5, np.float32)
    trimap[:3] = 0
    assert (closed_form_alpha(image, trimap) == 0).all()
    trimap[:3] = 1
    assert (closed_form_alpha(image, trimap) == 1).all()


def test_known_throughout():
    trimap = np.eye(5, dtype=np.float32)
    found = closed_form_alpha(np.zeros((5, 5, 3), np.float32), trimap)
    np.testing.assert_array_equal(found, trimap)
    assert found is not trimap


def test_what_cannot_be_solved():
    image = np.zeros((5, 6, 3), np.float32)
    with pytest.raises(InputError, match="unknown throughout"):
        closed_form_alpha(image, np.full((5, 6), 0.5, np.float32))
    with pytest.raises(InputError, match="size"):
        closed_form_alpha(image, np.zeros((6, 5), np.float32))


@pytest.mark.parametrize("shape", [(1, 3), (2, 9), (9, 2), (3, 400)])
@pytest.mark.parametrize("flat", [True, False])
def test_narrow_and_flat_pictures(shape, flat):
    rng = np.random.default_rng(0)
    image = np.full((*shape, 3), 0.4) if flat else rng.random((*shape, 3))
    trimap = np.full(shape, 0.5, np.float32)
    trimap.flat[0] = 0
    trimap.flat[-1] = 1
    before = trimap.copy()
    found = closed_form_alpha(image.astype(np.float32), trimap)
    assert found.shape == shape
    assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_array_equal(trimap, before)
