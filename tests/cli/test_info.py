"""`icm info` says what a bug report needs."""

import numpy as np
import torch

from icm import __version__
from icm.cli import main


def test_the_report(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("ICM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "weights").write_bytes(bytes(3 * 2**20))
    assert main(["info"]) == 0
    report = capsys.readouterr().out
    rows = {line.split()[0]: " ".join(line.split()[1:]) for line in report.splitlines()}
    assert f"icm {__version__} python" in " ".join(report.split())
    assert rows["icm"] == f"(ICM_HOME) {tmp_path / 'home'} (not there yet)"
    assert rows["torch"] == torch.__version__
    assert rows["numpy"] == np.__version__
    assert "small" in rows["configurations"]
    assert rows["hub"] == f"(HF_HOME) {tmp_path / 'hub'} (3.0 MiB)"
    assert "processors" in rows["cpu"]


def test_graphics_devices_are_listed(capsys, monkeypatch):
    class Properties:
        name = "Large Device"
        total_memory = 2048 * 2**20

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Properties)
    assert main(["info"]) == 0
    report = " ".join(capsys.readouterr().out.split())
    assert "cuda:1 Large Device, 2048 MiB" in report
