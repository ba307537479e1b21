"""The warm-up equals the published learning-rate schedule."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icm.research.training.schedule import warm_up_factor


def test_warm_up(published: Path) -> None:
    expected = json.loads((published / "lr_schedule.json").read_text())
    assert len(expected) == 9
    for step, factor in expected.items():
        assert warm_up_factor(int(step)) == pytest.approx(factor, abs=1e-12)
