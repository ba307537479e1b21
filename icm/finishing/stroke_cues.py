"""What the stroke network is told of the places about a stroke.

Colours, the present alpha and the guidance as they are, and what a person's stroke makes of them:
how far a place is from it, straight and along what looks alike (after *A Geodesic Framework for
Fast Interactive Image and Video Segmentation and Matting*, ICCV 2007), whether it looks like what
lies under the stroke or like what the two labels have now (kernel density estimates), and where it
lies between the present edge and the stroke.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.finishing.geodesic import geodesic_distance

CUES = (
    *("red", "green", "blue", "alpha", "labelled", "keep", "mark"),
    *("near", "about", "pixels_near", "guidance"),
    *("like_labelled", "like_others", "labelled_or_others", "along_alike", "along_colours"),
    *(
        "from_edge",
        "beyond_stroke",
        "pixels_from_edge",
        "fixed_labelled",
        "fixed_other",
        "contrast",
    ),
)
COLOUR, BLURRED, PLACE = 2.0, 1.5, 0.7  # weights of what pixels are compared by
BLUR = 2.0  # pixels, of the colours about a pixel
ALIKE = 0.2  # difference of colours up to which they are blurred
SHARPNESS = 4.0  # of the kernel
UNDER, OTHERS = 60, 120  # pixels that stand for the stroke, for either label
LEAST = -12.0  # logarithm of a density
STEP, UNLIKE, EDGE = 0.02, 0.8, 0.2  # cost of a step, more of one to the unlike, more at an edge
STEPS = 100  # to which the costs relate, along the longer side
SURELY_ALIKE = 1.3  # times the likelihood
THINNEST = 1.5  # pixels of a stroke
NOWHERE = 50.0  # pixels to an edge where there is none
LARGEST = 2.0  # of a cue
_NOTHING = 1e-9

Map = NDArray[np.float32]
Region = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Hint:
    """A stroke on a part of a picture, and those before it.

    Attributes:
        keep: whether the stroke lies on the object.
        width: pixels of the brush.
        mark: h w, where the stroke lies; somewhere true.
        same: h w, where earlier strokes say the same; nowhere true where `mark` is.
        other: h w, where earlier strokes say the opposite; likewise.
    """

    keep: bool
    width: float
    mark: Region
    same: Region
    other: Region


def stroke_cues(image: Map, alpha: Map, guidance: Map, hint: Hint) -> Map:
    """The cues of each place.

    Args:
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1], as it is.
        guidance: h w in [0, 1].
        hint: the stroke.

    Returns:
        c h w in the order of `CUES`, each of about unit scale. "Labelled" is what already has the
        label that the stroke gives.
    """
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB) / np.float32(100)
    labelled, guided = (each if hint.keep else 1 - each for each in (alpha, guidance))
    inside = labelled >= 0.5
    width = max(THINNEST, hint.width)
    away = _distance_to(hint.mark)
    under, same, others = _logarithms(lab, hint.mark, inside)
    alike = np.minimum(SURELY_ALIKE / (1 + np.exp(others - under)), 1).astype(np.float32)
    from_edge = _from_edge(inside)
    at_stroke = _nearest(_averaged(from_edge, hint.mark), hint.mark)
    planes = [
        *np.moveaxis(image - 0.5, -1, 0), 2 * alpha - 1, 2 * labelled - 1,
        np.full_like(alpha, 1 if hint.keep else -1), hint.mark,
        np.exp(-away / width), np.exp(-away / (4 * width)), np.exp(-away / 8), 2 * guided - 1,
        _clipped((under - same) / 3), _clipped((under - others) / 3), _clipped((same - others) / 3),
        np.exp(-_along(lab, alike, hint.mark)),
        np.exp(-8 * _along(lab, np.ones_like(alike), hint.mark)),
        _clipped(from_edge / (2 * width)), _clipped(from_edge / np.maximum(at_stroke, 1.5) - 1),
        _clipped(from_edge / 12), hint.same, hint.other, np.minimum(_contrast(lab), LARGEST),
    ]  # fmt: skip
    return np.stack(planes).astype(np.float32)


def _clipped(values: NDArray[np.floating]) -> Map:
    return np.asarray(np.clip(values, -LARGEST, LARGEST), np.float32)


def _distance_to(region: Region) -> Map:
    outside = (~region).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _from_edge(inside: Region) -> Map:
    """Pixels to the present edge: above 0 outside of what has the label, below 0 within."""
    if not inside.any():
        return np.full(inside.shape, NOWHERE, np.float32)
    within = np.zeros(inside.shape, np.float32) + NOWHERE
    within = within if inside.all() else _distance_to(~inside)
    return np.where(inside, -within, _distance_to(inside)).astype(np.float32)


def _averaged(values: Map, where: Region) -> Map:
    """The mean of the values about a pixel, of those in a region alone."""
    window = (5, 5)
    share = cv2.blur(where.astype(np.float32), window)
    total = cv2.blur(np.where(where, values, 0).astype(np.float32), window)
    return np.asarray(total / np.maximum(share, 1e-6), np.float32)


def _nearest(values: Map, where: Region) -> Map:
    """At each pixel the value at the nearest one of a region."""
    _, labels = cv2.distanceTransformWithLabels(
        (~where).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    by_label = np.zeros(int(labels.max()) + 1, np.float32)
    by_label[labels[where]] = values[where]
    return np.asarray(by_label[labels], np.float32)


def _contrast(lab: Map) -> Map:
    steps = (cv2.Sobel(lab, cv2.CV_32F, *direction) for direction in ((1, 0), (0, 1)))
    return np.asarray(sum(np.abs(step).sum(2) for step in steps), np.float32)


def _logarithms(lab: Map, mark: Region, inside: Region) -> list[Map]:
    """How likely each place is under the stroke, in what has its label, in what has not."""
    height, width = mark.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / np.float32(max(height, width))
    blurred = cv2.bilateralFilter(lab, -1, ALIKE, BLUR)  # not across edges
    parts = [COLOUR * lab, BLURRED * blurred, PLACE * rows, PLACE * columns]
    token_nc = np.dstack(parts).reshape(height * width, -1).astype(np.float32)
    chosen = ((mark, UNDER), (inside & ~mark, OTHERS), (~inside & ~mark, OTHERS))
    return [
        np.maximum(np.log(_density(token_nc, region, most)), LEAST).reshape(height, width)
        for region, most in chosen
    ]


def _density(token_nc: Map, chosen: Region, most: int) -> Map:
    """Kernel density of the chosen pixels' tokens at each token: n."""
    places = np.flatnonzero(chosen)
    if not len(places):
        return np.full(len(token_nc), _NOTHING, np.float32)
    if len(places) > most:
        places = np.random.default_rng(0).choice(places, most, replace=False)
    some_mc = token_nc[places]
    squared_nm = (token_nc**2).sum(1)[:, np.newaxis] + (some_mc**2).sum(1)
    squared_nm -= 2 * token_nc @ some_mc.T
    np.exp(-np.float32(SHARPNESS) * np.maximum(squared_nm, 0), out=squared_nm)
    return np.asarray(squared_nm.mean(1) + np.float32(_NOTHING), np.float32)


def _along(lab: Map, likely: Map, mark: Region) -> Map:
    """Geodesic distance from the stroke, on how likely each pixel belongs to it."""
    unit = STEPS / max(mark.shape)
    costs = []
    for axis in (1, 0):
        first, second = (np.delete(likely, end, axis) for end in (0, -1))
        steps = np.sqrt((np.diff(lab, axis=axis) ** 2).sum(2))
        costs.append(unit * (STEP + UNLIKE * (1 - (first + second) / 2) ** 2) + EDGE * steps)
    return geodesic_distance(mark, *costs)
