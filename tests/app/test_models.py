"""What is said of the models, and that none is fetched unasked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.models import Models
from icm import InputError
from tests.app.serving import QUICK


def test_a_model_that_is_not_here_says_how_to_get_it_and_is_not_fetched(
    monkeypatch, tmp_path
) -> None:
    monkeypatch.setenv("ICM_HOME", str(tmp_path))
    monkeypatch.setattr("icm.weights.inventory.find_snapshot", lambda weights: None)
    models = Models(QUICK)
    choice = models.choice("sd21")
    assert not choice.here
    parts = " ".join(choice.parts)
    for words in (
        "icm weights fetch",
        " GB",
        "licence: CreativeML Open RAIL++-M",
        "icm weights im",
    ):
        assert words in parts
    with pytest.raises(InputError, match="icm weights fetch"):
        models.matting("sd21")


def test_a_model_is_loaded_once() -> None:
    models = Models(QUICK)
    assert models.matting("small") is models.matting("small")
    with pytest.raises(InputError, match="there is no model"):
        models.matting("../secret.yaml")


def test_the_page_s_own_configuration_comes_first() -> None:
    assert Models(replace(QUICK, model="mine.yaml")).names == ["mine.yaml", "small", "sd21"]
