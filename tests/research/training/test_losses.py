"""Losses against written-out loops; small sizes, weights, gradients, precision."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from icm.research.training.losses import (
    gradient_loss,
    known_smooth_l1,
    laplacian_loss,
    laplacian_pyramid,
    masked_l1,
    published_objective,
)

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]
LOSSES: tuple[Loss, ...] = (masked_l1, known_smooth_l1, gradient_loss, laplacian_loss)
SIZES = [(2, 2), (2, 9), (3, 3), (4, 4), (5, 31), (33, 57), (64, 64)]


def maps(height: int, width: int, batch: int = 2) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * 100 + width)
    prediction, alpha, mask = torch.rand(3, batch, 1, height, width, generator=generator)
    return prediction, alpha, (mask > 0.4).float()


def loop_mean(error: list[float], mask: Tensor, batch: int) -> float:
    """The published factor, written out: mean |m d| x B x 262144 / sum m."""
    return sum(error) / len(error) * batch * 262144 / float(mask.sum())


def test_masked_l1_by_loops() -> None:
    prediction, alpha, mask = maps(6, 7)
    error, smooth = [], []
    for p, a, m in zip(prediction.flatten(), alpha.flatten(), mask.flatten(), strict=True):
        difference = abs(float(p) - float(a))
        error.append(float(m) * difference)
        smooth.append(float(m) * difference**2 / 2)
    assert masked_l1(prediction, alpha, mask).item() == pytest.approx(loop_mean(error, mask, 2))
    found = known_smooth_l1(prediction, alpha, mask).item()
    assert found == pytest.approx(loop_mean(smooth, mask, 2))


def test_gradient_loss_by_loops() -> None:
    prediction, alpha, mask = maps(5, 6)
    kernel = [[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]]

    def sobel(x: Tensor, row: int, column: int, transposed: bool) -> float:
        total = 0.0
        for i in range(3):
            for j in range(3):
                y, z = row + i - 1, column + j - 1
                if 0 <= y < x.shape[0] and 0 <= z < x.shape[1]:
                    total += (kernel[j][i] if transposed else kernel[i][j]) * float(x[y, z])
        return total

    error = []
    for item in range(2):
        for row in range(5):
            for column in range(6):
                value = 0.0
                for transposed in (False, True):
                    p = sobel(prediction[item, 0], row, column, transposed)
                    a = sobel(alpha[item, 0], row, column, transposed)
                    value += abs(p - a) + 0.01 * abs(p)
                error.append(float(mask[item, 0, row, column]) * value)
    found = gradient_loss(prediction, alpha, mask).item()
    assert found == pytest.approx(loop_mean(error, mask, 2), rel=1e-5)


def test_pyramid_first_level_by_loops() -> None:
    x = maps(6, 8, 1)[0]
    weight = [1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16]

    def blur(plane: list[list[float]]) -> list[list[float]]:
        height, width = len(plane), len(plane[0])

        def at(row: int, column: int) -> float:
            row, column = abs(row), abs(column)
            row = 2 * (height - 1) - row if row >= height else row
            column = 2 * (width - 1) - column if column >= width else column
            return plane[row][column]

        return [
            [
                sum(
                    weight[i] * weight[j] * at(row + i - 2, column + j - 2)
                    for i in range(5)
                    for j in range(5)
                )
                for column in range(width)
            ]
            for row in range(height)
        ]

    plane = x[0, 0].tolist()
    smaller = [row[::2] for row in blur(plane)[::2]]
    spread = [[0.0] * 8 for _ in range(6)]
    for row in range(3):
        for column in range(4):
            spread[2 * row][2 * column] = 4 * smaller[row][column]
    expected = x[0, 0] - torch.tensor(blur(spread))
    torch.testing.assert_close(laplacian_pyramid(x)[0][0, 0], expected, atol=1e-6, rtol=0)


def test_pyramid_levels_grow_with_the_image() -> None:
    count = {size: len(laplacian_pyramid(torch.rand(1, 1, *size))) for size in SIZES}
    assert list(count.values()) == [1, 1, 1, 1, 1, 4, 5]
    assert [level.shape[-1] for level in laplacian_pyramid(torch.rand(1, 1, 57, 61))] == [
        60,
        30,
        14,
        6,
    ]


def test_laplacian_weight() -> None:
    prediction, alpha, _ = maps(32, 32)
    ones = torch.ones_like(alpha)
    plain = laplacian_loss(prediction, alpha)
    torch.testing.assert_close(laplacian_loss(prediction, alpha, ones), plain)
    torch.testing.assert_close(laplacian_loss(prediction, alpha, ones / 2), plain / 2)
    weight = torch.zeros_like(alpha)
    weight[0] = 1
    half = laplacian_loss(prediction[:1], alpha[:1]) / 2
    torch.testing.assert_close(laplacian_loss(prediction, alpha, weight), half)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("size", SIZES)
def test_any_size(loss: Loss, size: tuple[int, int]) -> None:
    prediction, alpha, mask = maps(*size)
    before = prediction.clone(), alpha.clone(), mask.clone()
    prediction.requires_grad_(True)
    value = loss(prediction, alpha, mask)
    value.backward()
    assert value.shape == ()
    assert value > 0
    assert prediction.grad is not None
    assert prediction.grad.isfinite().all()
    assert prediction.grad.abs().sum() > 0
    for found, expected in zip((prediction, alpha, mask), before, strict=True):
        torch.testing.assert_close(found.detach(), expected, atol=0, rtol=0)
    expected_zero = loss(alpha, alpha, mask)
    if loss is not gradient_loss:  # which also weighs the prediction's own gradient
        assert expected_zero == 0


@pytest.mark.parametrize("loss", (masked_l1, known_smooth_l1, gradient_loss))
def test_an_empty_mask_costs_nothing(loss: Loss) -> None:
    prediction, alpha, mask = maps(8, 8)
    prediction.requires_grad_(True)
    value = loss(prediction, alpha, torch.zeros_like(mask))
    value.backward()
    assert value == 0
    assert prediction.grad is not None
    assert (prediction.grad == 0).all()


def test_a_narrow_band_weighs_as_a_wide_one() -> None:
    alpha = torch.zeros(1, 1, 16, 16)
    narrow, wide = torch.zeros_like(alpha), torch.ones_like(alpha)
    narrow[..., :2] = 1
    values = [masked_l1(alpha + 0.25, alpha, mask).item() for mask in (narrow, wide)]
    assert values == pytest.approx([0.25 * 262144 / 256] * 2)


def test_objective_tells_constant_alpha_apart() -> None:
    prediction, alpha, unknown = maps(32, 32)
    soft = published_objective(prediction, alpha, unknown)
    assert soft.known_smooth_l1 == 0
    alone = [
        published_objective(prediction[i : i + 1], alpha[i : i + 1], unknown[i : i + 1]).total
        for i in range(2)
    ]
    torch.testing.assert_close(soft.total, alone[0] + alone[1])
    empty = published_objective(prediction, torch.zeros_like(alpha), unknown)
    assert empty.known_smooth_l1 > 0
    assert [empty.unknown_l1, empty.known_l1, empty.laplacian, empty.gradient] == [0, 0, 0, 0]


@pytest.mark.parametrize("loss", LOSSES)
def test_bf16(loss: Loss) -> None:
    prediction, alpha, mask = maps(32, 48)
    exact = loss(prediction, alpha, mask).item()
    found = loss(prediction.bfloat16(), alpha.bfloat16(), mask.bfloat16()).item()
    assert found == pytest.approx(exact, rel=0.03)


@pytest.mark.parametrize("loss", LOSSES)
def test_compiles(loss: Loss) -> None:
    prediction, alpha, mask = maps(16, 24)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(prediction, alpha, mask), loss(prediction, alpha, mask))
