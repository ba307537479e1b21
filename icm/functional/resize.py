"""Feature maps brought to another size."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

ResizeMode = Literal["nearest", "bilinear", "bicubic"]


def resize(
    map_bchw: Tensor,
    size: tuple[int, int],
    *,
    mode: ResizeMode = "bilinear",
    align_corners: bool = False,
) -> Tensor:
    """Resizes a map; the same tensor where it has the size already.

    Args:
        map_bchw: any values.
        size: (height, width).
        mode: interpolation; "bicubic" may overshoot the range of the values.
        align_corners: whether the centres of the corner pixels lie on one another (True) or the
            outer borders of the corner pixels do (False). Not for "nearest".

    Returns:
        b c h w of the asked size.
    """
    if tuple(map_bchw.shape[-2:]) == tuple(size):
        return map_bchw
    if mode == "nearest":
        return F.interpolate(map_bchw, size, mode=mode)
    return F.interpolate(map_bchw, size, mode=mode, align_corners=align_corners)
