"""Predictions with solved edges: where it is asked for, for each picture by itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

import icm
from icm.beside import Helpers
from icm.config.model import FinishConfig
from icm.engine import finish
from icm.engine.finish import with_solved_edges
from icm.finishing import solved_edges
from icm.images import Picture
from icm.results import Prediction
from tests.images.painted import painted


def predicted(middle: int) -> tuple[Picture, Prediction]:
    """A bright half, and an alpha whose edge is three pixels beside it."""
    rgb = np.full((40, 60, 3), 0.2, np.float32)
    rgb[:, middle:] = 0.8
    alpha = torch.zeros(1, 1, 40, 60)
    alpha[..., middle + 3 :] = 1
    return Picture(rgb), Prediction(alpha, alpha.clone(), torch.tensor([0.75]))


@pytest.mark.parametrize("method", ["guided", "bicubic"])
def test_each_picture_has_its_own_edge(method: str) -> None:
    pictures, predictions = zip(*(predicted(middle) for middle in (20, 30, 40)), strict=True)
    config = FinishConfig.model_validate({"method": method, "solve_edges": 5})
    found = with_solved_edges(pictures, predictions, config)
    for picture, before, after in zip(pictures, predictions, found, strict=True):
        true = picture.rgb[..., 0] > 0.5
        assert np.abs(after.alpha_b1hw[0, 0].numpy() - true).max() < 0.05
        assert after.guidance_b1hw is before.guidance_b1hw
        assert after.confidence_b is before.confidence_b
        alone = with_solved_edges([picture], [before], config)[0]
        assert torch.equal(alone.alpha_b1hw, after.alpha_b1hw)


@pytest.mark.parametrize(
    "values", [{"method": "guided"}, {"method": "closed_form", "solve_edges": 5}]
)
def test_the_network_s_alpha_stands_where_nothing_is_asked_for(values: dict[str, object]) -> None:
    picture, prediction = predicted(20)
    found = with_solved_edges([picture], [prediction], FinishConfig.model_validate(values))
    assert found == [prediction]


@pytest.mark.parametrize(("reach", "imported"), [(5, ["solver"]), (0, [])])
def test_what_solving_needs_is_imported_beside_the_network(
    monkeypatch: pytest.MonkeyPatch, reach: int, imported: list[str]
) -> None:
    found: list[str] = []
    monkeypatch.delitem(sys.modules, "pymatting", raising=False)
    monkeypatch.setattr(finish, "FINISHING", Helpers(2))
    monkeypatch.setattr(finish, "load_solver", lambda: found.append("solver"))
    with finish.solver_ready(FinishConfig(method="guided", solve_edges=reach)):
        pass
    assert found == imported


def test_the_bundled_model_solves_its_edges() -> None:
    """Its own prediction differs from the network's about edges alone."""
    picture = Picture(painted(90, 120) / np.float32(255))
    mask = np.pad(np.full((40, 60), 255, np.uint8), ((25, 25), (30, 30)))
    alphas = []
    for overrides in ([], ["finish.solve_edges=0"]):
        small = icm.load("small", device="cpu", overrides=overrides)
        (prediction,) = small.predict([picture], small.reference(picture.rgb, mask))
        alphas.append(prediction.alpha_b1hw[0, 0].numpy())
    solved, network = alphas
    assert not np.array_equal(solved, network)
    np.testing.assert_array_equal(solved, solved_edges(network, picture.at(network.shape), 5))
