"""The mask of a reference that was only marked by points, a box or scribbles.

Ridge regression on the backbone's features finds the object roughly; GrabCut (Rother, Kolmogorov,
Blake, SIGGRAPH 2004) then follows the picture's colours and edges. `benchmarks/prompts.py` says how
far that gets from clicks alone.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from icm.functional import pool_mask, resize
from icm.functional.growing import grow_by_ridge, grow_in_box
from icm.images import scaled_size
from icm.results import Features, Seeds

_LEVEL = 1  # of the maps: fine enough for the outline, coarse enough to know objects
_COLOUR_WEIGHT = 3.0  # against feature channels of unit variance
_POSITION_WEIGHT = 3.0
_SURE_BACKGROUND = -0.5  # ridge scores below this are not looked at again
_NEVER = -1.0  # score of what lies out of the box
_ITERATIONS = 2  # of GrabCut
_LONGEST = 320  # pixels; GrabCut takes seconds on larger pictures


def grown_mask(features: Features, seeds: Seeds) -> NDArray[np.float32]:
    """Grows marks to the object they lie on.

    Args:
        features: of the reference alone (batch 1).
        seeds: at the size of `features.image_b3hw`.

    Returns:
        h w, 0 or 1, of the seeds' size; 1 at the inside seeds, 0 at the outside ones and out of
        the box.
    """
    score_hw = rough_scores(features, seeds)
    mask_hw = sharpened(features.image_b3hw, score_hw, seeds)
    if seeds.box is not None:
        mask_hw = mask_hw & seeds.box
    return np.where(seeds.inside, 1, np.where(seeds.outside, 0, mask_hw)).astype(np.float32)


def rough_scores(features: Features, seeds: Seeds) -> NDArray[np.float32]:
    """Ridge scores of the seeds' object, h w at the seeds' size: above 0 where it is."""
    map_bchw = features.maps[_LEVEL]
    grid = (map_bchw.shape[-2], map_bchw.shape[-1])
    inside_bn, outside_bn = (
        _on_grid(marked, grid).to(map_bchw.device) for marked in (seeds.inside, seeds.outside)
    )
    outside_bn = outside_bn & ~inside_bn
    token_bnc = _tokens(features.image_b3hw, map_bchw)
    if seeds.box is None:
        score_bn = grow_by_ridge(token_bnc, inside_bn, outside_bn)
    else:
        box_bn = _on_grid(seeds.box, grid).to(map_bchw.device)
        score_bn = grow_in_box(token_bnc[0], box_bn[0], inside_bn[0], outside_bn[0])[None]
    score_b1hw = rearrange(score_bn, "b (h w) -> b 1 h w", h=grid[0])
    score_hw = np.asarray(resize(score_b1hw, seeds.inside.shape)[0, 0].cpu().numpy())
    return score_hw if seeds.box is None else np.where(seeds.box, score_hw, _NEVER)


def _on_grid(marked: NDArray[np.bool_], grid: tuple[int, int]) -> Tensor:
    """Positions of a grid in which anything is marked, b n."""
    return pool_mask(torch.from_numpy(marked).float()[None, None], grid, "max").flatten(1) > 0


def sharpened(image_b3hw: Tensor, score_hw: NDArray[np.float32], seeds: Seeds) -> NDArray[np.bool_]:
    """Follows the picture's edges by GrabCut, from rough scores and the marks themselves."""
    size = seeds.inside.shape
    scale = min(1.0, _LONGEST / max(size))
    small = scaled_size(size, scale)
    shrunk_b3hw = F.interpolate(image_b3hw.float(), small, mode="area").cpu()
    shrunk_hw3 = rearrange(shrunk_b3hw, "1 c h w -> h w c").numpy()
    scores = _at(score_hw, small)
    labels = np.where(scores > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[scores < _SURE_BACKGROUND] = cv2.GC_BGD
    labels[_at(seeds.outside, small) > 0] = cv2.GC_BGD
    labels[_at(seeds.inside, small) > 0] = cv2.GC_FGD
    if np.isin(labels, (cv2.GC_FGD, cv2.GC_PR_FGD)).all() or not (labels & 1).any():
        return np.asarray(score_hw > 0)  # GrabCut needs examples of both
    bgr = np.ascontiguousarray(np.rint(shrunk_hw3 * 255).astype(np.uint8)[..., ::-1])
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)  # GrabCut draws the first centres of its colour clusters
    cv2.grabCut(bgr, labels, None, *models, _ITERATIONS, cv2.GC_INIT_WITH_MASK)
    inside = (labels & 1).astype(np.float32)  # sure and probable foreground are 1 and 3
    return np.asarray(_at(inside, size) >= 0.5)


def _tokens(image_b3hw: Tensor, map_bchw: Tensor) -> Tensor:
    """Normalised features with colour and position, so that likeness and nearness both count."""
    height, width = map_bchw.shape[-2:]
    feature_bnc = rearrange(map_bchw, "b c h w -> b (h w) c").float()
    feature_bnc = F.layer_norm(feature_bnc, feature_bnc.shape[-1:])
    mean_b3hw = F.adaptive_avg_pool2d(image_b3hw.float() * 2 - 1, (height, width))
    colour_bchw = torch.cat([mean_b3hw, mean_b3hw.square()], dim=1)
    row_h = torch.linspace(-1, 1, height, device=map_bchw.device)
    column_w = torch.linspace(-1, 1, width, device=map_bchw.device)
    row_hw, column_hw = torch.meshgrid(row_h, column_w, indexing="ij")
    planes = [row_hw, column_hw, row_hw.square(), column_hw.square(), row_hw * column_hw]
    position_nc = rearrange(torch.stack(planes), "c h w -> (h w) c")
    position_bnc = position_nc.expand(feature_bnc.shape[0], -1, -1)
    colour_bnc = rearrange(colour_bchw, "b c h w -> b (h w) c")
    return torch.cat(
        [feature_bnc, _COLOUR_WEIGHT * colour_bnc, _POSITION_WEIGHT * position_bnc], dim=-1
    )


def _at(values: NDArray[np.generic], size: tuple[int, int]) -> NDArray[np.float32]:
    result: NDArray[np.float32] = cv2.resize(
        values.astype(np.float32), size[::-1], interpolation=cv2.INTER_LINEAR
    )
    return result.reshape(size)
