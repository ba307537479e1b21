"""Masks made thicker and thinner, and the trimaps that follow from them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from icm.errors import InputError


def dilate(mask_b1hw: Tensor, kernel_size: int = 5) -> Tensor:
    """Largest value within a square window; beyond the border there is nothing.

    Args:
        mask_b1hw: any values, any size.
        kernel_size: side of the window. An odd one is centred; an even one reaches one pixel
            further down and to the right.

    Returns:
        b 1 h w, of the same size.

    Raises:
        InputError: the kernel is smaller than 1.
    """
    if kernel_size < 1:
        raise InputError(f"a kernel of {kernel_size} pixels: at least 1 is needed")
    before, after = (kernel_size - 1) // 2, kernel_size // 2
    lowest = -float("inf")
    rows_b1hw = F.max_pool2d(
        F.pad(mask_b1hw, (0, 0, before, after), value=lowest), (kernel_size, 1), stride=1
    )
    return F.max_pool2d(
        F.pad(rows_b1hw, (before, after, 0, 0), value=lowest), (1, kernel_size), stride=1
    )


def erode(mask_b1hw: Tensor, kernel_size: int = 5) -> Tensor:
    """Smallest value within a square window: `dilate` of the mask's negative."""
    return -dilate(-mask_b1hw, kernel_size)


def generate_trimap(
    mask_b1hw: Tensor, erosion_kernel_size: int = 10, dilation_kernel_size: int = 10
) -> Tensor:
    """Trimap of a mask: sure inside where its erosion is 1, unknown where its dilation is 1.

    Args:
        mask_b1hw: 0 or 1; of a soft mask only the positions of exactly 1 count as inside.
        erosion_kernel_size: window of the erosion, at least 1.
        dilation_kernel_size: window of the dilation, at least 1.

    Returns:
        b 1 h w in {0, 0.5, 1}.
    """
    known_b1hw = erode(mask_b1hw, erosion_kernel_size) == 1
    reach_b1hw = dilate(mask_b1hw, dilation_kernel_size) == 1
    half_b1hw = 0.5 * (reach_b1hw | known_b1hw).to(mask_b1hw.dtype)
    return torch.where(known_b1hw, torch.ones_like(mask_b1hw), half_b1hw)


def alpha_to_trimap(
    alpha_b1hw: Tensor, kernel_size: int, *, low: float = 0.05, high: float = 0.95
) -> Tensor:
    """Trimap of a soft map: unknown is what lies between the bounds, widened by a window.

    Args:
        alpha_b1hw: in [0, 1].
        kernel_size: window by which sure foreground and sure background are eroded, at least 1.
        low: alpha up to here is sure background.
        high: alpha from here on is sure foreground.

    Returns:
        b 1 h w in {0, 0.5, 1}, of alpha's dtype.
    """
    known_b1hw = erode((alpha_b1hw >= high).to(alpha_b1hw.dtype), kernel_size)
    reach_b1hw = dilate((alpha_b1hw > low).to(alpha_b1hw.dtype), kernel_size)
    return 0.5 * (known_b1hw + reach_b1hw)
