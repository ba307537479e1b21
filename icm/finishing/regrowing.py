"""Alpha matted anew about a stroke that says: this belongs to the object, or this does not.

How far the region reaches that a stroke lies on is found by a small network
(`icm.finishing.stroke_network`) from what the picture, the present alpha and the stroke say of each
place; the guided filter then makes its edges as soft as the picture's are.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from icm.finishing.full_resolution import evaluated, guided_fit
from icm.finishing.stroke_cues import Hint, stroke_cues
from icm.finishing.stroke_network import belonging

SURER = 0.15  # a place that is so much surer of its label than those under a stroke keeps it
WINDOW = 5  # pixels, of the guided filter
MOVED = 0.05  # a smaller change of alpha is none

Map = NDArray[np.float32]
Region = NDArray[np.bool_]


def regrown(image: Map, alpha: Map, guidance: Map, hint: Hint, *, free: Map) -> Map:
    """Alpha about a stroke, of a size at which a few hundred pixels are one side.

    Args:
        image: h w 3 in [0, 1].
        alpha: h w in [0, 1], as it is.
        guidance: h w in [0, 1].
        hint: the stroke; what lies under those before it stays.
        free: h w in [0, 1]: 0 where alpha is not to change, as at the borders of a part.

    Returns:
        h w in [0, 1]: nowhere less than `alpha` where the stroke keeps, nowhere more where it
        erases, and equal to it wherever the change does not hang together with the stroke.
    """
    if not hint.mark.any():
        return alpha
    cues_1chw = torch.from_numpy(stroke_cues(image, alpha, guidance, hint))[None]
    belongs = free * belonging(cues_1chw)[0, 0].numpy()
    belongs[hint.mark], belongs[hint.other] = 1, 0
    found = _soft(alpha + (np.float32(hint.keep) - alpha) * belongs, image)
    found = alpha + (found - alpha) * _open(alpha, hint)
    found[hint.other] = alpha[hint.other]
    found = np.maximum(found, alpha) if hint.keep else np.minimum(found, alpha)
    return np.where(_connected(np.abs(found - alpha) > MOVED, hint.mark), found, alpha)


def _open(alpha: Map, hint: Hint) -> Map:
    """Less than 1 where a place is surer of its label than all that the stroke lies on."""
    contrary = 1 - alpha if hint.keep else alpha
    surer = np.maximum(contrary - contrary[hint.mark].max(), 0)
    return np.asarray(np.exp(-((surer / SURER) ** 2)), np.float32)


def _soft(alpha: Map, image: Map) -> Map:
    """As soft as the picture's own edges are: a guided filter (TPAMI 2013)."""
    fit_hw4 = guided_fit(alpha, image)
    fit_hw4[..., 3] = cv2.blur(fit_hw4[..., 3], (WINDOW, WINDOW), borderType=cv2.BORDER_REFLECT)
    return evaluated(fit_hw4, image)


def _connected(changed: Region, mark: Region) -> Region:
    """What has changed as far as it hangs together with the stroke."""
    _, labels = cv2.connectedComponents((changed | mark).astype(np.uint8), connectivity=4)
    return np.isin(labels, np.unique(labels[mark]))
