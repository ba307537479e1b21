"""The baseline that knows colours alone: GrabCut with colour models fitted on the reference.

*GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts*, SIGGRAPH 2004.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.images import scaled_size
from icm.research.evaluation.predictor import Estimate, Fitted, Marked, Pixels

LONGEST = 256  # working size, about what the small model sees; the result is enlarged
LEAST = 25  # pixels that five Gaussians need
ADAPTING_PASSES = 2  # over the target, after the cut with the reference's colours alone
CENTRED_PASSES = 5
ELLIPSE = 0.35  # half axes of the centred start, of the sides
FRAME = 2  # pixels at the border that are background for certain

Models = tuple[NDArray[np.float64], NDArray[np.float64]]


class ColourModel:
    """Foreground and background colours of the reference, cut out of the target.

    Args:
        centred: start from an ellipse in the middle of the target instead of from the colours
            alone: a baseline for pictures that photographers compose.
        seed: of the clustering of colours.
    """

    uses_reference = True

    def __init__(self, *, centred: bool = False, seed: int = 0) -> None:
        self.name = "colour model, centred" if centred else "colour model"
        self._centred = centred
        self._seed = seed

    def fit(self, references: Sequence[Marked]) -> Fitted:
        """Fits five Gaussians to the colours of each side of the mask."""
        image = np.vstack([cv2.resize(each.image, (LONGEST, LONGEST)) for each in references])
        mask = np.vstack([_square(each.mask) for each in references])
        if min(int(mask.sum()), int((~mask).sum())) < LEAST:
            return _nothing
        background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
        labels = np.where(mask, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
        cv2.setRNGSeed(self._seed)
        cv2.grabCut(image, labels, None, background, foreground, 1, cv2.GC_INIT_WITH_MASK)
        return lambda target: self._cut(target, (background, foreground))

    def _cut(self, target: Pixels, models: Models) -> Estimate:
        height, width = target.shape[:2]
        scale = min(1.0, LONGEST / max(height, width))
        size = scaled_size((width, height), scale)
        image = cv2.resize(target, size, interpolation=cv2.INTER_AREA)
        mask = self._labelled(image, models)
        alpha = mask.astype(np.float32)
        if size != (width, height):
            alpha = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
        return Estimate(alpha, present=bool(mask.any()), confidence=float(mask.any()))

    def _labelled(self, image: Pixels, models: Models) -> NDArray[np.bool_]:
        background, foreground = (model.copy() for model in models)  # GrabCut writes to them
        labels = self._start(*image.shape[:2])
        passes = CENTRED_PASSES if self._centred else ADAPTING_PASSES
        cv2.setRNGSeed(self._seed)
        if not self._centred:
            frozen = cv2.GC_EVAL_FREEZE_MODEL
            cv2.grabCut(image, labels, None, background, foreground, 1, frozen)
        for _ in range(passes):
            found = np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))
            if min(int(found.sum()), int((~found).sum())) < LEAST:
                return found
            cv2.grabCut(image, labels, None, background, foreground, 1, cv2.GC_EVAL)
        return np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD))

    def _start(self, height: int, width: int) -> NDArray[np.uint8]:
        labels = np.full((height, width), cv2.GC_PR_FGD, np.uint8)
        if self._centred:
            rows, columns = np.ogrid[:height, :width]
            distance = ((rows / height - 0.5) / ELLIPSE) ** 2 + (
                (columns / width - 0.5) / ELLIPSE
            ) ** 2
            labels[distance > 1] = cv2.GC_PR_BGD
        frame = np.ones((height, width), bool)
        frame[FRAME:-FRAME, FRAME:-FRAME] = False
        labels[frame] = cv2.GC_BGD
        return labels


def _nothing(target: Pixels) -> Estimate:
    """Too few pixels were marked, or left unmarked, to say anything of colours."""
    return Estimate(np.zeros(target.shape[:2], np.float32), present=False, confidence=0.0)


def _square(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    size = (LONGEST, LONGEST)
    nearest = cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(nearest, bool)
