"""A small validation folder, benchmark and held-back cut-outs, drawn for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

SIZE = (40, 56)
COLOURS = {"apple": (200, 30, 30), "leaf": (40, 160, 50), "sky": (60, 90, 220)}
GROUND = (128, 120, 110)


def draw(kind: str, row: int, column: int, radius: int = 9) -> tuple[Any, Any]:
    """A noisy disc of a kind's colour on grey ground, with its alpha, soft over a pixel."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    alpha = np.clip(radius + 0.5 - np.hypot(rows - row, columns - column), 0, 1)
    noise = np.random.default_rng(row * 100 + column).normal(0, 6, (*SIZE, 3))
    colours = alpha[..., None] * COLOURS[kind] + (1 - alpha[..., None]) * GROUND
    return np.clip(colours + noise, 0, 255).astype(np.uint8), (alpha * 255).round().astype(np.uint8)


def save(path: Path, pixels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    order = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    if pixels.ndim == 3:
        pixels = cv2.cvtColor(pixels, order[pixels.shape[2]])
    assert cv2.imwrite(str(path), pixels)


@pytest.fixture(scope="session")
def validation_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sets: fruit (apple, 3 members, alpha) and outdoors (leaf 2, sky 2, masks)."""
    root = tmp_path_factory.mktemp("data")
    groups = []
    for kind, count, set_name, label in (
        ("apple", 3, "fruit", "pseudo_alpha"),
        ("leaf", 2, "outdoors", "mask"),
        ("sky", 2, "outdoors", "mask"),
    ):
        members = []
        for index in range(count):
            image, alpha = draw(kind, 14 + 5 * index, 18 + 9 * index)
            stem = f"val/{kind}/{index}"
            save(root / f"{stem}.png", image)
            save(root / f"{stem}.alpha.png", alpha)
            member = {"image": f"{stem}.png", "alpha": f"{stem}.alpha.png"}
            if label == "pseudo_alpha":
                save(root / f"{stem}.mask.png", np.where(alpha > 200, 255, 0).astype(np.uint8))
                member["mask"] = f"{stem}.mask.png"
            members.append(member)
        group = {"name": f"{kind}s", "category": kind, "label": label, "set": set_name}
        groups.append({**group, "members": members})
    absent = [{"reference": "apples", "reference_index": 1, "target": "val/leaf/0.png"}]
    text = json.dumps({"groups": groups, "absent": absent})
    (root / "val" / "groups.json").write_text(text)
    return root / "val"


@pytest.fixture(scope="session")
def cutouts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty cut-outs of two sources and twenty backgrounds: two of each are held back."""
    root = tmp_path_factory.mktemp("training")
    rng = np.random.default_rng(0)
    for index in range(20):
        image, alpha = draw(list(COLOURS)[index % 3], 18, 24, 8 + index % 4)
        alpha[18:, 24:] = 0  # so that a mirrored pose can be told
        source = "caltech101/things" if index < 10 else "grocery/fruit"
        save(
            root / "train" / "cutouts" / source / f"{index:02}.png",
            np.dstack([image, alpha]),
        )
        scene = np.full((60, 80, 3), rng.integers(0, 255, 3), np.uint8)
        save(root / "train" / "backgrounds" / f"{index:02}.png", scene)
    return root
