"""A tiny model with random weights, and painted pictures for it: a run takes milliseconds each."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

CONFIG = """
name: tiny-random
backbone: {kind: small, channels: [16, 16, 32], head_width: 16}
network: {kind: small, width: 32, readers: 1, decoder_width: 16}
input: {size: 64, shape: aspect}
finish: {method: guided, present_threshold: 0.0}
precision: float32
"""
LEDGER = "icm-batch.jsonl"


def write_config(folder: Path) -> Path:
    path = folder / "tiny.yaml"
    path.write_text(CONFIG)
    return path


def paint(path: Path, *, seed: int = 0, size: tuple[int, int] = (48, 64)) -> Path:
    """A smooth picture of its own for every seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    small = np.random.default_rng(seed).integers(0, 255, (5, 6, 3), dtype=np.uint8)
    Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(path)
    return path


def paint_reference(folder: Path) -> tuple[Path, Path]:
    reference = paint(folder / "reference.png", seed=1000)
    mask = np.zeros((48, 64), np.uint8)
    mask[12:36, 16:48] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    return reference, folder / "mask.png"


def hashes(folder: Path) -> dict[str, str]:
    """Every file below a folder but the ledger, hidden ones too, with its content's hash."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != LEDGER
    }
