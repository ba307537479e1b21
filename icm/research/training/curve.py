"""The curve of a training as a picture: a small chart for each number."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT = 320, 180  # pixels of a chart
MARGIN = 24
COLUMNS = 3
SKIPPED = {"step", "seconds"}
INK, LINE, POINT = (40, 40, 40), (30, 90, 200), (200, 60, 30)
MARKED = 30  # a line of at most so many values shows each as a point


def draw_curves(rows: Sequence[dict[str, float]], steps: int) -> NDArray[np.uint8]:
    """Draws every number of the rows over the steps.

    Args:
        rows: each with its `step`; a number may be missing in some.
        steps: where the axis of steps ends.

    Returns:
        uint8 h w 3, RGB.
    """
    names = list(dict.fromkeys(name for row in rows for name in row if name not in SKIPPED))
    charts = [
        _chart(name, [(row["step"], row[name]) for row in rows if name in row], steps)
        for name in names
    ]
    blank = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    charts += [blank] * (-len(charts) % COLUMNS)
    lines = [charts[start : start + COLUMNS] for start in range(0, len(charts), COLUMNS)]
    return np.concatenate([np.concatenate(line, axis=1) for line in lines], axis=0)


def _chart(name: str, points: list[tuple[float, float]], steps: int) -> NDArray[np.uint8]:
    """One number over the steps, between its least and its greatest value."""
    values = np.array(points, np.float64)
    low, high = float(values[:, 1].min()), float(values[:, 1].max())
    chart = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    cv2.rectangle(chart, (MARGIN, MARGIN), (WIDTH - MARGIN, HEIGHT - MARGIN), (210, 210, 210), 1)
    across = values[:, 0] / steps
    up = (values[:, 1] - low) / (high - low) if high > low else np.full(len(values), 0.5)
    x = MARGIN + across * (WIDTH - 2 * MARGIN)
    y = HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)
    pixels = np.rint(np.stack([x, y], axis=1)).astype(np.int32)
    cv2.polylines(chart, [pixels], isClosed=False, color=LINE, thickness=1, lineType=cv2.LINE_AA)
    if len(pixels) <= MARKED:
        for left, top in pixels.tolist():
            cv2.circle(chart, (left, top), 2, POINT, -1, cv2.LINE_AA)
    _write(chart, f"{name}  {values[-1, 1]:.4g}", (MARGIN, MARGIN - 8), 0.45)
    _write(chart, f"{high:.4g}", (MARGIN + 4, MARGIN + 12), 0.35)
    _write(chart, f"{low:.4g}", (MARGIN + 4, HEIGHT - MARGIN - 5), 0.35)
    _write(chart, f"{steps} steps", (WIDTH - MARGIN - 70, HEIGHT - 8), 0.35)
    return chart


def _write(chart: NDArray[np.uint8], text: str, place: tuple[int, int], size: float) -> None:
    """Writes onto the chart."""
    cv2.putText(chart, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, INK, 1, cv2.LINE_AA)
