"""The bundled model finds the toy in the documentation's pictures, as the README has it."""

from __future__ import annotations

import pytest

import icm
from tests.docs.conftest import EXAMPLES


@pytest.fixture(scope="module")
def matting() -> icm.Matting:
    return icm.load("small", device="cpu")


@pytest.fixture(scope="module")
def reference(matting: icm.Matting) -> icm.Reference:
    return matting.reference(EXAMPLES / "toy.jpg", EXAMPLES / "toy_mask.png")


def test_the_toy_is_found(matting: icm.Matting, reference: icm.Reference) -> None:
    matte = matting(EXAMPLES / "photos" / "table.jpg", reference)
    assert matte.present
    assert matte.alpha[420:500, 380:440].mean() > 0.95  # on the toy
    assert matte.alpha[:, 680:].mean() < 0.05  # on the ball and the block beside it


def test_its_absence_is_noticed(matting: icm.Matting, reference: icm.Reference) -> None:
    there = matting(EXAMPLES / "photos" / "table.jpg", reference).confidence
    away = matting(EXAMPLES / "photos" / "garden" / "path.jpg", reference)
    assert away.confidence < there
    assert away.alpha.mean() < 0.05
