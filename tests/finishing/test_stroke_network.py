"""The stroke network: any size, every parameter learns, and weights that say what is wrong."""

from __future__ import annotations

import pytest
import torch

from icm.errors import WeightsError
from icm.finishing import stroke_network
from icm.finishing.stroke_cues import CUES
from icm.finishing.stroke_network import StrokeNetwork, belonging, bundled_stroke_network


@pytest.mark.parametrize("size", [(1, 1), (7, 30), (24, 16)])
def test_any_size_has_an_answer_of_that_size(size: tuple[int, int]) -> None:
    share = belonging(torch.rand(2, len(CUES), *size))
    assert share.shape == (2, 1, *size)
    assert share.isfinite().all() and share.min() >= 0 and share.max() <= 1


def test_every_parameter_gets_a_gradient() -> None:
    torch.manual_seed(0)
    network = StrokeNetwork()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    network(torch.rand(1, len(CUES), 16, 24)).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


def test_missing_weights_are_an_error_that_says_what_to_do(monkeypatch, tmp_path) -> None:
    bundled_stroke_network.cache_clear()
    monkeypatch.setattr(stroke_network, "bundled_weights", lambda name: tmp_path / name)
    with pytest.raises(WeightsError, match="install the package again"):
        bundled_stroke_network()
