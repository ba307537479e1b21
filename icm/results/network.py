"""Values between backbone, network and the rest: features, examples, predictions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class Features:
    """Features of a batch of images.

    Attributes:
        image_b3hw: the images at the network's input size, RGB in [0, 1].
        maps: decoder feature maps `b c h w`, coarse to fine.
        attention: self-attention maps `b h w n`, coarse to fine: for the query position (h, w)
            the probability of each key position n = h * w (row-major), averaged over heads, layers
            of that resolution and the ensemble; float32, each sums to 1 over n. Empty where they
            were not asked for, as for references.
    """

    image_b3hw: Tensor
    maps: tuple[Tensor, ...]
    attention: tuple[Tensor, ...] = ()

    @property
    def batch(self) -> int:
        """Number of images."""
        return self.image_b3hw.shape[0]


@dataclass(frozen=True)
class Example:
    """A marked reference as the network sees it.

    Attributes:
        features: features of the reference image; attention maps may be missing.
        mask_b1hw: in [0, 1], at the size of `features.image_b3hw`.
    """

    features: Features
    mask_b1hw: Tensor


@dataclass(frozen=True)
class Prediction:
    """Prediction for a batch of targets, at the network's input size.

    Attributes:
        alpha_b1hw: alpha in [0, 1].
        guidance_b1hw: map of the reference's object, in [0, 1], at the size of the matching
            features; for display and for the trimap, not calibrated.
        confidence_b: how likely the object is in the target, in [0, 1], not how good alpha is.
    """

    alpha_b1hw: Tensor
    guidance_b1hw: Tensor
    confidence_b: Tensor


@dataclass(frozen=True, eq=False)
class Computed:
    """All that the device has to say of one target; the rest of the work is a processor's.

    Attributes:
        prediction: of the network, on the CPU, of batch 1.
        refined: alpha float32 h w in [0, 1] at the size up to which the detail refiner works; None
            where the model has none, or where the object is not there and no matte is wanted.
    """

    prediction: Prediction
    refined: NDArray[np.float32] | None = None
