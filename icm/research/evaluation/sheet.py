"""Picture sheets: reference, target, truth and result side by side, best to worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import scaled_size
from icm.research.evaluation.groups import Group, Sample
from icm.research.evaluation.predictor import Pixels, Plane, Predictor
from icm.research.evaluation.protocol import Score

TILE = 200  # pixels of a side
GAP = 6
LINE = 18  # height of a caption
PAPER, INK = 255, (40, 40, 40)
DIMMED = 0.3  # of a reference's surroundings
COLUMNS = ("reference", "target", "truth", "result", "cut out")


@dataclass(frozen=True)
class Choice:
    """Pairs that a sheet shows, with what they are chosen for."""

    reason: str
    score: Score


def choose(scores: Sequence[Score], best: int, median: int, worst: int) -> tuple[Choice, ...]:
    """The best, median and worst pairs by IoU, each target at most once."""
    ordered = sorted(scores, key=lambda score: -score.measures["iou"])
    distinct = list({score.target: score for score in ordered}.values())  # its worst reference
    distinct.sort(key=lambda score: -score.measures["iou"])
    best = min(best, len(distinct))
    worst = min(worst, len(distinct) - best)
    median = min(median, len(distinct) - best - worst)
    middle = best + (len(distinct) - best - worst - median) // 2
    chosen = [Choice("best", score) for score in distinct[:best]]
    chosen += [Choice("median", score) for score in distinct[middle : middle + median]]
    return (*chosen, *(Choice("worst", score) for score in distinct[len(distinct) - worst :]))


def draw_sheet(choices: Sequence[Choice], groups: Sequence[Group], predictor: Predictor) -> Pixels:
    """Mattes the chosen pairs again and lays them out, one a row.

    Args:
        choices: pairs of `groups`.
        groups: that the scores come from.
        predictor: that gave the scores.

    Returns:
        uint8 h w 3, RGB.
    """
    strips = [_caption(COLUMNS)]
    for choice in choices:
        reference = _sample(groups, choice.score, choice.score.reference)
        target = _sample(groups, choice.score, choice.score.target)
        alpha = predictor.fit([reference.marked])(target.image).alpha
        dimmed = reference.mask[..., None] * (1 - DIMMED) + DIMMED
        tiles = (
            _rounded(reference.image * dimmed),
            target.image,
            _grey(target.alpha),
            _grey(alpha),
            _cut_out(target.image, alpha),
        )
        measures = choice.score.measures
        text = (
            f"{choice.reason}: {choice.score.set_name}/{choice.score.group}, IoU "
            f"{measures['iou']:.3f}, MSE {measures['mse']:.4f}, confidence "
            f"{measures['confidence']:.2f}"
        )
        strips += [_caption([text]), _row([_tile(tile) for tile in tiles])]
    return np.vstack(strips)


def _sample(groups: Sequence[Group], score: Score, name: str) -> Sample:
    group = next(g for g in groups if (g.set_name, g.name) == (score.set_name, score.group))
    return next(member for member in group.members if member.name == name).read()


def _tile(image: Pixels) -> Pixels:
    """The whole picture in the middle of a square."""
    height, width = image.shape[:2]
    scale = TILE / max(height, width)
    size = scaled_size((width, height), scale)
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    small = cv2.resize(image, size, interpolation=method)
    tile = np.full((TILE, TILE, 3), PAPER, np.uint8)
    top, left = (TILE - size[1]) // 2, (TILE - size[0]) // 2
    tile[top : top + size[1], left : left + size[0]] = small
    return tile


def _row(tiles: Sequence[Pixels]) -> Pixels:
    gap = np.full((tiles[0].shape[0], GAP, 3), PAPER, np.uint8)
    joined = [piece for tile in tiles for piece in (tile, gap)]
    return np.hstack(joined)


def _caption(texts: Sequence[str]) -> Pixels:
    """A line of text over the columns."""
    line = np.full((LINE, len(COLUMNS) * (TILE + GAP), 3), PAPER, np.uint8)
    for column, text in enumerate(texts):
        origin = (column * (TILE + GAP) + 2, LINE - 5)
        cv2.putText(line, text, origin, cv2.FONT_HERSHEY_SIMPLEX, 0.42, INK, 1, cv2.LINE_AA)
    return line


def _grey(alpha: Plane) -> Pixels:
    return np.repeat(_rounded(alpha * 255)[..., None], 3, axis=2)


def _cut_out(image: Pixels, alpha: Plane) -> Pixels:
    """The target's colours over green, where edges and leftovers show."""
    green = np.array([0, 160, 60], np.float32)
    weight = alpha[..., None]
    return _rounded(image * weight + green * (1 - weight))


def _rounded(values: NDArray[np.floating]) -> Pixels:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)
