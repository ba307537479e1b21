"""Every module equals the published one, where its numbers are at hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.models.published.released import released_network
from tests.parity import checks

CHECKS = checks.COMMON + checks.PUBLISHED_ONLY


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_equals_the_published_module(published: Path, check):
    check(published)


def test_released_checkpoint_loads_by_stripping_its_prefix(published: Path):
    keys = json.loads((published / "checkpoint_keys.json").read_text())
    expected = {
        name.removeprefix("in_context_decoder."): (tuple(shape), dtype)
        for name, (shape, dtype) in keys["keys"].items()
    }
    network = released_network()
    found = {
        name: (tuple(value.shape), str(value.dtype).removeprefix("torch."))
        for name, value in network.state_dict().items()
    }
    assert found == expected
    assert len(found) == 89
    parameters = sum(parameter.numel() for parameter in network.parameters())
    assert parameters == keys["n_params"]
