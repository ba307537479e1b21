"""Confidence of the networks without a trained presence head."""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor

PEAK_SHARE = 1 / 1024  # of the picture's pixels: an object smaller than this cannot reach 1


def peak_confidence(map_b1hw: Tensor) -> Tensor:
    """Mean of the highest 1 / 1024 of a map's values: is there anything opaque?

    Args:
        map_b1hw: alpha or guidance in [0, 1].

    Returns:
        b, in [0, 1]. Not calibrated: it is no probability.
    """
    value_bn = rearrange(map_b1hw.float(), "b 1 h w -> b (h w)")
    count = max(1, round(value_bn.shape[1] * PEAK_SHARE))
    return value_bn.topk(count, dim=1).values.mean(dim=1)


def contrast_confidence(guidance_b1hw: Tensor) -> Tensor:
    """Distance of a guidance map from uniform: the share of its mass that is out of place.

    Args:
        guidance_b1hw: not negative, of any total.

    Returns:
        b, in [0, 1): half the summed difference between the map, scaled to a sum of 1, and the
        uniform map; 0 for a map of zeros. Not calibrated: it is no probability.
    """
    value_bn = rearrange(guidance_b1hw.float(), "b 1 h w -> b (h w)")
    total_b1 = value_bn.sum(dim=1, keepdim=True)
    uniform = 1 / value_bn.shape[1]
    share_bn = torch.where(total_b1 > 0, value_bn / total_b1.clamp_min(1e-30), uniform)
    return 0.5 * (share_bn - uniform).abs().sum(dim=1)


def stretch(guidance_b1hw: Tensor) -> Tensor:
    """Each item's range stretched to [0, 1], for display; a constant map becomes 0.

    Args:
        guidance_b1hw: any values.

    Returns:
        b 1 h w, float32.
    """
    guidance_b1hw = guidance_b1hw.float()
    low_b111 = guidance_b1hw.amin(dim=(1, 2, 3), keepdim=True)
    span_b111 = guidance_b1hw.amax(dim=(1, 2, 3), keepdim=True) - low_b111
    stretched_b1hw = (guidance_b1hw - low_b111) / span_b111.clamp_min(1e-30)
    return torch.where(span_b111 > 0, stretched_b1hw, torch.zeros_like(guidance_b1hw))
