"""Metrics against written-out loops and scipy; their corner cases and refusals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from icm.errors import InputError
from icm.research.metrics import (
    agreement,
    alpha_errors,
    boundary_f,
    conn,
    conn_published,
    gaussian_gradient,
    grad,
    iou,
    largest_component,
    mae,
    mse,
    sad,
    unknown_band,
)
from icm.research.metrics.boundary import outline

MEASURES = (sad, mse, mae, grad, conn, conn_published)


def maps(seed: int = 0, size: tuple[int, int] = (17, 23)) -> tuple[Any, Any]:
    """Two smooth, similar mattes."""
    rng = np.random.default_rng(seed)
    alpha = ndimage.gaussian_filter(rng.random(size), 2)
    alpha = np.clip((alpha - alpha.min()) / np.ptp(alpha) * 1.6 - 0.3, 0, 1)
    return np.clip(alpha + rng.normal(0, 0.2, size), 0, 1), alpha


def disc(size: tuple[int, int], centre: tuple[float, float], radius: float) -> Any:
    rows, columns = np.mgrid[: size[0], : size[1]]
    return (np.hypot(rows - centre[0], columns - centre[1]) <= radius).astype(float)


def test_differences_against_loops() -> None:
    predicted, alpha = maps()
    region = np.random.default_rng(1).random(alpha.shape) < 0.4
    absolute = squared = count = 0.0
    for row in range(alpha.shape[0]):
        for column in range(alpha.shape[1]):
            if region[row, column]:
                difference = predicted[row, column] - alpha[row, column]
                absolute, squared, count = (
                    absolute + abs(difference),
                    squared + difference**2,
                    count + 1,
                )
    assert sad(predicted, alpha, region) == pytest.approx(absolute / 1000)
    assert mae(predicted, alpha, region) == pytest.approx(absolute / count)
    assert mse(predicted, alpha, region) == pytest.approx(squared / count)
    assert sad(predicted, alpha) == pytest.approx(mae(predicted, alpha) * alpha.size / 1000)


def test_gradient_against_scipy() -> None:
    predicted, alpha = maps()

    def amplitude(values: Any) -> Any:
        offset = np.arange(-4.0, 5.0)  # the Gaussian falls below 0.01 at 3.6 px
        smooth = np.exp(-(offset**2) / (2 * 1.4**2))
        kernel = np.outer(smooth, -offset * smooth)
        kernel /= np.sqrt((kernel**2).sum())
        along_x = ndimage.convolve(values, kernel, mode="nearest")
        along_y = ndimage.convolve(values, kernel.T, mode="nearest")
        return np.sqrt(along_x**2 + along_y**2)

    expected = ((amplitude(predicted) - amplitude(alpha)) ** 2).sum() / 1000
    assert grad(predicted, alpha) == pytest.approx(expected)


def test_gradient_points_uphill() -> None:
    ramp = np.tile(np.arange(20.0), (12, 1)) / 20
    along_x, along_y = gaussian_gradient(ramp)
    assert (along_x > 0).all()
    np.testing.assert_allclose(along_y, 0, atol=1e-12)


@pytest.mark.parametrize("published", [False, True])
def test_connectivity_against_scipy(published: bool) -> None:
    predicted, alpha = maps(3, (31, 29))
    level = np.full(alpha.shape, -1.0)
    for index in range(1, 11):
        labels, count = ndimage.label((predicted >= index * 0.1) & (alpha >= index * 0.1))
        sizes = [(labels == label).sum() for label in range(count + 1)]
        if not published:
            sizes[0] = 0
        largest = labels == int(np.argmax(sizes))
        if not published and count == 0:
            largest[:] = False
        for position in np.ndindex(alpha.shape):
            if level[position] == -1 and not largest[position]:
                level[position] = (index - 1) * 0.1
    level[level == -1] = 1
    phi = [1 - np.where(m - level >= 0.15, m - level, 0) for m in (predicted, alpha)]
    expected = np.abs(phi[0] - phi[1]).sum() / 1000
    found = (conn_published if published else conn)(predicted, alpha)
    assert found == pytest.approx(expected)


def test_largest_component_joins_over_edges_not_corners() -> None:
    mask = np.array([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1]], bool)
    found = largest_component(mask, background_counts=False)
    expected = np.zeros_like(mask)
    expected[2, 3] = expected[3, 3] = expected[3, 4] = True
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(largest_component(mask, background_counts=True), ~mask)


def test_an_island_costs_connectivity() -> None:
    alpha = disc((40, 40), (20, 12), 8) + disc((40, 40), (20, 32), 4)
    lost = disc((40, 40), (20, 12), 8)
    island = alpha[:, 24:].sum()
    assert conn(lost, alpha) == pytest.approx(island / 1000)
    assert conn(alpha, alpha) == 0


def test_iou_by_counting() -> None:
    predicted = np.array([[0.6, 0.5, 0.9], [0.1, 0.7, 0.0]])
    alpha = np.array([[1.0, 1.0, 0.0], [0.0, 0.51, 0.0]])
    assert iou(predicted, alpha) == pytest.approx(2 / 4)
    assert iou(np.zeros((3, 3)), np.zeros((3, 3))) == 1
    assert iou(np.zeros((3, 3)), np.ones((3, 3))) == 0


def test_outline_leaves_out_the_frame() -> None:
    mask = np.zeros((5, 6), bool)
    mask[:, :3] = True
    expected = np.zeros_like(mask)
    expected[:, 2] = True
    np.testing.assert_array_equal(outline(mask), expected)
    assert not outline(np.ones((4, 4), bool)).any()


def test_boundary_f_against_loops() -> None:
    size = (60, 80)
    first, second = disc(size, (30, 40), 14), disc(size, (31, 42), 15)
    reach = 0.02 * math.hypot(*size)
    points = [np.argwhere(outline(region > 0.5)) for region in (first, second)]

    def share(these: Any, those: Any) -> float:
        near = [min(math.dist(p, q) for q in those) <= reach for p in these]
        return sum(near) / len(near)

    precision, recall = share(*points), share(*points[::-1])
    assert 0.3 < precision < 1
    expected = 2 * precision * recall / (precision + recall)
    assert boundary_f(first, second, 0.02) == pytest.approx(expected)


def test_boundary_f_of_nothing() -> None:
    size = (30, 30)
    empty, something = np.zeros(size), disc(size, (15, 15), 6)
    assert boundary_f(empty, empty) == 1
    assert boundary_f(empty, something) == boundary_f(something, empty) == 0
    assert boundary_f(something, something) == 1
    far = disc(size, (3, 3), 1)
    assert boundary_f(far, something) == 0


def test_unknown_band_of_stored_trimaps() -> None:
    trimap = np.array([[0, 127, 128, 255]], np.uint8) / 255
    np.testing.assert_array_equal(unknown_band(trimap), [[False, True, True, False]])


def test_measures_by_name() -> None:
    predicted, alpha = maps()
    band = (alpha > 0) & (alpha < 1)
    found = alpha_errors(predicted, alpha, band)
    assert found.as_dict() == {
        measure.__name__: measure(predicted, alpha, band) for measure in MEASURES
    }
    hard = alpha_errors(predicted, alpha, soft=False)
    assert hard.as_dict() == {m.__name__: m(predicted, alpha) for m in (sad, mse, mae)}
    regions = agreement(predicted, alpha)
    assert (regions.iou, regions.boundary_f) == (
        iou(predicted, alpha),
        boundary_f(predicted, alpha),
    )


@pytest.mark.parametrize("measure", MEASURES)
def test_inputs_are_left_alone_and_order_does_not_matter(measure: Any) -> None:
    predicted, alpha = (plane.astype(np.float32) for plane in maps())
    before = predicted.copy(), alpha.copy()
    assert measure(predicted, alpha) == pytest.approx(measure(alpha, predicted))
    assert measure(predicted, alpha) > 0
    assert measure(alpha, alpha) == 0
    np.testing.assert_array_equal(predicted, before[0])
    np.testing.assert_array_equal(alpha, before[1])


@pytest.mark.parametrize("measure", (*MEASURES, iou, boundary_f))
def test_refusals(measure: Any) -> None:
    predicted, alpha = maps()
    with pytest.raises(InputError, match="uint8"):
        measure((predicted * 255).astype(np.uint8), alpha)
    with pytest.raises(InputError, match="17 x 22"):
        measure(predicted[:, 1:], alpha)
    with pytest.raises(InputError, match="h w"):
        measure(predicted[None], alpha)


def test_an_empty_region_counts_nothing() -> None:
    predicted, alpha = maps()
    nowhere = np.zeros(alpha.shape, bool)
    assert [measure(predicted, alpha, nowhere) for measure in MEASURES] == [0] * len(MEASURES)
