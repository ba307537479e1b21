"""What some systems lack: a clear message, or the same work without it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import pytest

from icm.errors import OutputError


@pytest.fixture
def without_file_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows: Python has no module `fcntl`."""
    monkeypatch.setitem(sys.modules, "fcntl", None)


@pytest.mark.usefixtures("without_file_locks")
def test_a_batch_names_the_systems_that_it_runs_on(tmp_path: Path) -> None:
    ledger = importlib.import_module("icm.engine.ledger")
    with pytest.raises(OutputError, match="Linux or macOS") as caught:
        ledger.Ledger(tmp_path)
    assert "icm matte" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("without_file_locks")
def test_the_engine_can_be_imported_without_file_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "icm.engine.ledger", raising=False)
    engine = importlib.import_module("icm.engine")  # its attribute is the module as it was
    before = engine.ledger
    try:
        assert importlib.import_module("icm.engine.ledger").LEDGER == before.LEDGER
    finally:
        engine.ledger = before


def test_processes_share_the_cores_where_no_affinity_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from icm.research.training import processes

    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)  # as on macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert processes._shared_environment(2)["OMP_NUM_THREADS"] == "4"
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processes._shared_environment(2)["OMP_NUM_THREADS"] == "1"
