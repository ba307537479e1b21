"""Alpha matted anew about a stroke that says: this belongs to the object, or this does not.

The region a stroke lies on is found by what it looks like (kernel density estimates of colours,
guidance, present alpha and place under the stroke and of what has the other label), as far as it
hangs together with the stroke, and then once more by what was plainly found so: after *A Geodesic
Framework for Fast Interactive Image and Video Segmentation and Matting* (ICCV 2007), distances
are measured on that likelihood. A random walk (Grady: *Random Walks for Image Segmentation*, TPAMI
2006) with the present alpha as its prior then follows the edges.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.finishing.full_resolution import evaluated, guided_fit
from icm.finishing.geodesic import geodesic_distance
from icm.finishing.random_walk import random_walk

COLOUR, BLURRED, GUIDED = 2.0, 1.5, 1.0  # weights of what pixels are compared by:
PRESENT, PLACE = 1.0, 1.0  # the present alpha is one of them
BLUR = 2.0  # pixels, of the colours about a pixel
ALIKE = 0.2  # difference of colours up to which they are blurred
SHARPNESS = 4.0  # of the kernel
UNDER, OTHERS, SAME = 50, 150, 80  # pixels that stand for the stroke, the other label, the same one
CAUTION = 2.0  # a place must look so many times more like the stroke than like the rest
SPREAD = 2.0  # of the likelihood about one half
SHARE_OF_SAME = 0.2  # how far what has the stroke's label already says what it looks like
STEP, UNLIKE, EDGE = 0.02, 0.8, 0.2  # cost of a step, more of one to the unlike, more at an edge
STEPS = 100  # to which the costs relate, along the longer side
REACH = 1.5  # of the stroke
ROUNDS = 2  # of the search for the region
PLAIN = 0.8  # from this on a place stands for the stroke in the next round
TRUST = 0.1  # in the prior, against smoothness, where it is plain whether a place belongs
LEAST_TRUST = 0.02  # of that, where it is not plain at all
SURE = 100.0  # trust under strokes
CONTRAST = 2.0  # of the result about one half
WINDOW = 5  # pixels, of the guided filter
MOVED = 0.05  # a smaller change of alpha is none
_NOTHING = 1e-9

Map = NDArray[np.float32]
Region = NDArray[np.bool_]


def regrown(
    image: Map,
    alpha: Map,
    guidance: Map,
    mark: Region,
    *,
    fixed: Region,
    free: Map,
    reach: float,
    keep: bool,
) -> Map:
    """Alpha about a stroke, of a size at which a few hundred pixels are one side.

    Args:
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1], as it is.
        guidance: h w in [0, 1].
        mark: h w, where the stroke lies.
        fixed: h w, where alpha is certain; nowhere true where `mark` is.
        free: h w in [0, 1]: 0 where alpha is not to change, as at the borders of a part.
        reach: pixels from the stroke beyond which little changes.
        keep: whether the stroke lies on the object.

    Returns:
        h w in [0, 1]: nowhere less than `alpha` where the stroke keeps, nowhere more where it
        erases, and equal to it wherever the change does not hang together with the stroke.
    """
    if not mark.any():
        return alpha
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB) / np.float32(100)
    away = _straight(mark)
    tokens = _tokens(lab, guidance, alpha)
    seeds = mark
    for _ in range(ROUNDS):  # what is plainly like the stroke speaks for the region as well
        likely = _likelihood(tokens, alpha, seeds, keep=keep)
        belongs = free * likely * np.exp(-((_distance(lab, likely, seeds) / REACH) ** 2))
        belongs *= np.exp(-((away / reach) ** 4))
        seeds = mark | ((belongs > PLAIN) & ~fixed)
    belongs[mark], belongs[fixed] = 1, 0
    label = np.float32(keep)
    prior = alpha + (label - alpha) * belongs
    trust = TRUST * (np.abs(2 * belongs - 1) + LEAST_TRUST)
    trust = np.where(mark | fixed, SURE, np.where(free < 1, 1, trust))
    found = random_walk(lab, prior, trust.astype(np.float32))
    found = np.clip((found - 0.5) * np.float32(CONTRAST) + 0.5, 0, 1)
    found = _soft(found, image)
    found = np.maximum(found, alpha) if keep else np.minimum(found, alpha)
    return np.where(_connected(np.abs(found - alpha) > MOVED, mark), found, alpha)


def _straight(mark: Region) -> Map:
    """Distance from the stroke in pixels."""
    away = (~mark).astype(np.uint8)
    return np.asarray(cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_5), np.float32)


def _soft(alpha: Map, image: Map) -> Map:
    """As soft as the picture's own edges are: a guided filter (TPAMI 2013)."""
    fit_hw4 = guided_fit(alpha, image)
    fit_hw4[..., 3] = cv2.blur(fit_hw4[..., 3], (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
    return evaluated(fit_hw4, image)


def _tokens(lab: Map, guidance: Map, alpha: Map) -> Map:
    """What pixels are compared by: n c."""
    height, width = guidance.shape
    rows, columns = np.mgrid[:height, :width].astype(np.float32) / np.float32(max(height, width))
    blurred = cv2.bilateralFilter(lab, -1, ALIKE, BLUR)  # not across edges
    parts = [
        COLOUR * lab, BLURRED * blurred, GUIDED * guidance, PRESENT * alpha,
        PLACE * rows, PLACE * columns,
    ]  # fmt: skip
    return np.asarray(np.dstack(parts), np.float32).reshape(height * width, -1)


def _likelihood(token_nc: Map, alpha: Map, mark: Region, *, keep: bool) -> Map:
    """How far each pixel looks like the stroke rather than like what has the other label: h w.

    The region itself still has the other label, so even what looks just like the stroke is never
    quite sure: what is usual under the stroke counts as 1.
    """
    object_ = alpha >= 0.5
    same = object_ if keep else ~object_
    under = _density(token_nc, mark, UNDER)
    alike = _density(token_nc, same & ~mark, SAME)
    others = _density(token_nc, ~same & ~mark, OTHERS)
    ours = (1 - SHARE_OF_SAME) * under + SHARE_OF_SAME * alike
    likely = ours / (ours + CAUTION * others)
    likely = np.maximum((likely - 0.5) * np.float32(SPREAD) + 0.5, 0).reshape(alpha.shape)
    return np.asarray(np.minimum(likely / max(float(np.median(likely[mark])), 0.5), 1), np.float32)


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


def _distance(lab: Map, likely: Map, mark: Region) -> Map:
    """Geodesic distance from the stroke, on how likely each pixel belongs to it."""
    unit = STEPS / max(mark.shape)
    costs = []
    for axis in (1, 0):
        first, second = (np.delete(likely, end, axis) for end in (0, -1))
        steps = np.sqrt((np.diff(lab, axis=axis) ** 2).sum(2))
        costs.append(unit * (STEP + UNLIKE * (1 - (first + second) / 2) ** 2) + EDGE * steps)
    return geodesic_distance(mark, *costs)


def _connected(changed: Region, mark: Region) -> Region:
    """What has changed as far as it hangs together with the stroke."""
    _, labels = cv2.connectedComponents((changed | mark).astype(np.uint8), connectivity=4)
    return np.isin(labels, np.unique(labels[mark]))
