"""A mark for tests that pass alone and stall now and then after others: to be looked into."""

from __future__ import annotations

import os

import pytest

unsteady = pytest.mark.skipif(
    not os.environ.get("ICM_UNSTEADY"),
    reason="stalls now and then when tests follow one another; ICM_UNSTEADY=1 runs it",
)
