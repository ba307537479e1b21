"""A small folder of training pictures, drawn for the tests in the layout of the real one."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from icm.research.data.pictures import TrainingPictures

CUTOUTS = 24
BACKGROUNDS = 12
PHOTOGRAPHS = 8


def _write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def _cutout(rng: np.random.Generator) -> np.ndarray:
    pixels = np.zeros((90, 70, 4), np.uint8)
    pixels[..., :3] = rng.integers(30, 255, 3)
    alpha = np.zeros((90 * 4, 70 * 4), np.uint8)
    cv2.ellipse(alpha, (140, 180), (100, 130), float(rng.uniform(0, 90)), 0, 360, 255, -1)
    pixels[..., 3] = cv2.resize(alpha, (70, 90), interpolation=cv2.INTER_AREA)
    pixels[pixels[..., 3] == 0] = 0
    return pixels


def _scene(rng: np.random.Generator, height: int = 100, width: int = 120) -> np.ndarray:
    coarse = rng.integers(0, 255, (6, 7, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="session")
def tiny_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cut-outs of six categories, cats and people with masks, scenes, and garment labels."""
    root = tmp_path_factory.mktemp("tiny")
    rng = np.random.default_rng(7)
    for number in range(CUTOUTS):
        category = ("cup", "panda", "lamp", "watch", "anchor", "umbrella")[number % 6]
        folder = root / "train/cutouts/caltech101" / category
        _write(folder / f"image_{number:04d}.png", _cutout(rng))
    for number in range(BACKGROUNDS):
        _write(root / f"train/backgrounds/shop_{number:03d}.jpg", _scene(rng))
        _write(root / f"unlabelled/caltech101/chair/image_{number:04d}.jpg", _scene(rng))
    for number in range(8):
        category = ("cup", "panda")[number % 2]
        _write(root / f"unlabelled/caltech101/{category}/image_{100 + number}.jpg", _scene(rng))
    rows = ["image,mask,category,source,kind,label,licence"]
    for number in range(PHOTOGRAPHS):
        source, category = ("ccp", "person") if number % 2 else ("feralcat", "cat")
        stem = root / f"train/photos/{source}/{number:04d}"
        mask = np.zeros((140, 100), np.uint8)
        cv2.ellipse(mask, (50, 70), (22, 50), 0, 0, 360, 255, -1)
        _write(stem.with_suffix(".jpg"), _scene(rng, 140, 100))
        _write(stem.with_suffix(".mask.png"), mask)
        _write(stem.with_suffix(".alpha.png"), cv2.GaussianBlur(mask, (0, 0), 1.5))
        if source == "ccp":
            labels = np.where(mask > 0, np.uint8(1), np.uint8(0))
            labels[70:][mask[70:] > 0] = 2
            _write(stem.with_suffix(".labels.png"), labels)
        name = stem.relative_to(root).as_posix()
        rows.append(f"{name}.jpg,{name}.mask.png,{category},{source},photo,mask,none")
    (root / "train/index.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    labels_json = json.dumps({"labels": ["null", "coat", "skirt"]})
    (root / "ccp_labels.json").write_text(labels_json, encoding="utf-8")
    return root


@pytest.fixture(scope="session")
def tiny_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder for the decoded pictures."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_pictures(tiny_root: Path, tiny_cache: Path) -> TrainingPictures:
    """The small folder, opened."""
    return TrainingPictures.open(tiny_root, tiny_cache)
