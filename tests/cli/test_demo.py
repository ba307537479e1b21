"""`icm demo` with the bundled weights: files, contact sheet, and what it finds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.cli import main
from icm.demo import TARGETS


def test_the_demo_mattes_the_cheetah(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "demo"
    assert main(["demo", "-o", str(out), "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert str(out / "contact_sheet.png") in said
    for name in TARGETS:
        stem = Path(name).stem
        assert (out / f"{stem}.alpha.png").is_file()
        assert (out / f"{stem}.cutout.png").is_file()
    alpha = np.asarray(Image.open(out / "cheetah1.alpha.png")) / 255
    mask_file = Path(__file__).parents[2] / "icm" / "demo" / "cheetah1.mask.png"
    mask = np.asarray(Image.open(mask_file)) / 255
    both, either = ((alpha > 0.5) & (mask > 0.5)).sum(), ((alpha > 0.5) | (mask > 0.5)).sum()
    assert both / either > 0.9
    sheet = Image.open(out / "contact_sheet.png")
    assert sheet.width > 1000
    assert len(set(np.asarray(sheet.convert("L")).ravel().tolist())) > 100
