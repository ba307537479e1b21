"""From coarse shares to an outline: GrabCut, seeded with what is sure.

*"GrabCut": Interactive Foreground Extraction using Iterated Graph Cuts*, SIGGRAPH 2004.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import scaled_size

Plane = NDArray[np.uint8]

LONGEST = 200  # pixels at which the graph is cut
ITERATIONS = 3
SURE_BACKGROUND = 0.1
SURE_FOREGROUND = 0.9  # or higher, so that at most `SURE_SHARE` of the object is fixed
SURE_SHARE = 0.35
LEAST_SEEDS = 50  # pixels
LEAST_AGREEMENT = 0.5  # IoU of the outline and the shares that it came from
LEAST_AREA, LARGEST_AREA = 0.03, 0.8  # of the frame


def outlined(image: Plane, share_hw: NDArray[np.float32]) -> Plane | None:
    """Mask 0 to 255 of the image's size; None where there is too little to start from.

    Args:
        image: uint8 h w 3, RGB.
        share_hw: share of the object, in [0, 1], of any size.
    """
    height, width = image.shape[:2]
    share = cv2.resize(share_hw, (width, height), interpolation=cv2.INTER_CUBIC)
    probable = share > 0.5
    if not probable.any():
        return None
    sure = max(SURE_FOREGROUND, float(np.quantile(share[probable], 1 - SURE_SHARE)))
    seeds = np.where(probable, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    seeds[share > sure] = cv2.GC_FGD
    seeds[share < SURE_BACKGROUND] = cv2.GC_BGD
    if min(int((seeds == value).sum()) for value in (cv2.GC_FGD, cv2.GC_BGD)) < LEAST_SEEDS:
        return None
    scale = min(1.0, LONGEST / max(height, width))
    size = scaled_size((width, height), scale)
    small = np.ascontiguousarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA)[..., ::-1])
    seeds = np.asarray(cv2.resize(seeds, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # its clusters start at random
    try:
        cv2.grabCut(small, seeds, None, *models, ITERATIONS, cv2.GC_INIT_WITH_MASK)
    except cv2.error:  # all pixels of a class were of one colour: nothing to cluster
        return None
    found = np.isin(seeds, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    full = cv2.resize(found, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.rint(full * 255), np.uint8)


def plausible(mask: Plane, share_hw: NDArray[np.float32]) -> bool:
    """Whether an outline is neither tiny nor everything, and still what was asked for."""
    inside = mask > 127
    size = (mask.shape[1], mask.shape[0])
    asked = cv2.resize(share_hw, size, interpolation=cv2.INTER_CUBIC) > 0.5
    agreement = (inside & asked).sum() / max(1, int((inside | asked).sum()))
    return bool(LEAST_AREA < inside.mean() < LARGEST_AREA and agreement >= LEAST_AGREEMENT)
