"""Contact sheets of pseudo-labels: what was kept, what was not, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from icm.images import scaled_size
from icm.research.data.pseudo_labels.photograph import Plane

TILE = 112  # pixels of a side
COLUMNS = 10
CAPTION = 14
DIMMED = 0.25  # brightness of what is not marked
KEPT, REJECTED = (60, 200, 60), (230, 60, 60)


@dataclass(frozen=True)
class Verdict:
    """A photograph, its mask, and the check that it failed.

    Attributes:
        image: uint8 h w 3, RGB.
        mask: uint8 h w.
        rejected: `lost` (nothing to start from), `outline`, `cycle`, or '' where it is kept.
    """

    image: Plane
    mask: Plane
    rejected: str = ""

    @property
    def kept(self) -> bool:
        """Whether all checks were passed."""
        return not self.rejected


def contact_sheet(verdicts: Sequence[Verdict]) -> Plane:
    """Tiles in rows: photographs with what is not marked dimmed, a strip green where kept."""
    tiles = [_tile(verdict) for verdict in verdicts]
    columns = min(COLUMNS, len(tiles))
    tiles += [np.zeros_like(tiles[0])] * (-len(tiles) % columns)
    rows = [
        np.concatenate(tiles[first : first + columns], axis=1)
        for first in range(0, len(tiles), columns)
    ]
    return np.concatenate(rows, axis=0)


def _tile(verdict: Verdict) -> Plane:
    light = DIMMED + (1 - DIMMED) * verdict.mask[..., None].astype(np.float32) / 255
    shown = np.rint(verdict.image * light).astype(np.uint8)
    scale = TILE / max(shown.shape[:2])
    size = scaled_size((shown.shape[1], shown.shape[0]), scale)
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    tile = np.zeros((TILE + CAPTION, TILE, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    tile[TILE:] = KEPT if verdict.kept else REJECTED
    words = verdict.rejected or "kept"
    cv2.putText(tile, words, (4, TILE + 11), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255, 255, 255), 1)
    return tile
