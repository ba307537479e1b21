"""The line that a person draws through a region: its centre line, from end to end."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from icm.images import scaled_size

LONGEST = 160  # pixels of a side at which the line is sought
NARROW = 0.5  # of the median radius: the line ends where the region gets thinner
STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))


@dataclass(frozen=True)
class CentreLine:
    """A centre line.

    Attributes:
        points: (x, y) in pixels of the region's map.
        radius: how far the region's outline is from most of the line.
    """

    points: tuple[tuple[float, float], ...]
    radius: float


def centre_line(region: NDArray[np.bool_]) -> CentreLine:
    """The centre line of the largest part of a region that is nowhere empty.

    The way between the two places that are the farthest apart, on which a step costs the less, the
    farther it is from the outline.
    """
    height, width = region.shape
    scale = min(1.0, LONGEST / max(height, width))
    size = scaled_size((height, width), scale)
    share = cv2.resize(region.astype(np.float32), size[::-1], interpolation=cv2.INTER_AREA)
    inside = _largest(share >= min(0.5, float(share.max())))
    padded = np.pad(inside.astype(np.uint8), 1)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    rows, columns = np.nonzero(inside)
    depth = distance[rows, columns]
    first, second, length = _steps(inside)
    count = len(rows)
    plain = coo_matrix((length, (first, second)), shape=(count, count))
    costly = length / np.minimum(depth[first], depth[second]) ** 2
    central = coo_matrix((costly, (first, second)), shape=(count, count))
    start = _farthest(plain, int(depth.argmax()))
    end = _farthest(plain, start)
    _, before = dijkstra(central, directed=False, indices=start, return_predecessors=True)
    path = [end]
    while path[-1] != start:
        path.append(int(before[path[-1]]))
    wide = np.flatnonzero(depth[path] >= NARROW * np.median(depth[path]))
    path = path[wide[0] : wide[-1] + 1]
    points = tuple(
        (
            float((columns[node] + 0.5) * width / size[1] - 0.5),
            float((rows[node] + 0.5) * height / size[0] - 0.5),
        )
        for node in path
    )
    return CentreLine(points, float(np.percentile(depth[path], 30)) / scale)


def _largest(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    _, labels, stats, _ = cv2.connectedComponentsWithStats(inside.astype(np.uint8))
    return np.asarray(labels == 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA])))


def _steps(
    inside: NDArray[np.bool_],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pairs of neighbours, by their number in row-major order, and their distance."""
    number = np.full(inside.shape, -1)
    number[inside] = np.arange(int(inside.sum()))
    rows, columns = np.nonzero(inside)
    firsts, seconds, lengths = [], [], []
    for down, right in STEPS:
        below, beside = rows + down, columns + right
        within = (below < inside.shape[0]) & (beside >= 0) & (beside < inside.shape[1])
        first = number[rows[within], columns[within]]
        second = number[below[within], beside[within]]
        firsts.append(first[second >= 0])
        seconds.append(second[second >= 0])
        lengths.append(np.full(len(firsts[-1]), np.hypot(down, right)))
    return np.concatenate(firsts), np.concatenate(seconds), np.concatenate(lengths)


def _farthest(graph: coo_matrix, start: int) -> int:
    distance = dijkstra(graph, directed=False, indices=start)
    return int(np.where(np.isfinite(distance), distance, -1).argmax())
