"""Metrics equal to the numbers of the published code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icm.research.metrics import (
    conn,
    conn_published,
    gaussian_gradient,
    grad,
    largest_component,
    mse,
    sad,
    unknown_band,
)

PAIRS = (
    "soft_disc_shift",
    "identical",
    "noise",
    "two_components",
    "all_zero_pred",
    "all_one_target",
    "all_zero_both",
)


@pytest.fixture(scope="module")
def arrays(published: Path) -> Any:
    with np.load(published / "metrics.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def numbers(published: Path) -> Any:
    return json.loads((published / "metrics.json").read_text())["results"]


def test_every_published_pair_is_checked(numbers: Any) -> None:
    assert {key.split(".")[0] for key in numbers} == {*PAIRS, "uint8_inputs"}


@pytest.mark.parametrize("region", ["unknown", "whole"])
@pytest.mark.parametrize("pair", PAIRS)
def test_equals_published(arrays: Any, numbers: Any, pair: str, region: str) -> None:
    predicted, alpha, trimap = (
        arrays[f"{pair}.{part}"] / 255 for part in ("pred", "target", "trimap")
    )
    band = unknown_band(trimap) if region == "unknown" else None
    expected = numbers[f"{pair}.{region}"]
    assert mse(predicted, alpha, band) == pytest.approx(expected["mse"], abs=1e-9)
    assert sad(predicted, alpha, band) == pytest.approx(expected["sad"][0], abs=1e-9)
    assert grad(predicted, alpha, band) == pytest.approx(expected["grad"], abs=1e-9)
    assert conn_published(predicted, alpha, band) == pytest.approx(expected["conn"], abs=1e-9)
    area = predicted.size if band is None else int(band.sum())
    assert area / 1000 == expected["sad"][1]


def test_gaussian_gradient(arrays: Any) -> None:
    along_x, along_y = gaussian_gradient(arrays["gaussgradient.in"])
    np.testing.assert_allclose(along_x, arrays["gaussgradient.gx"], atol=1e-12)
    np.testing.assert_allclose(along_y, arrays["gaussgradient.gy"], atol=1e-12)


def test_largest_component(arrays: Any) -> None:
    found = largest_component(arrays["largestcc.in"], background_counts=True)
    np.testing.assert_array_equal(found, arrays["largestcc.out"])
    empty = np.zeros((6, 6), bool)
    found = largest_component(empty, background_counts=True)
    np.testing.assert_array_equal(found, arrays["largestcc.zeros_out"])
    assert not largest_component(empty, background_counts=False).any()


def test_corrected_connectivity_blames_an_empty_prediction(arrays: Any) -> None:
    predicted, alpha = (arrays[f"all_zero_pred.{part}"] / 255 for part in ("pred", "target"))
    assert conn_published(predicted, alpha) == 0
    assert conn(predicted, alpha) > 0.5
