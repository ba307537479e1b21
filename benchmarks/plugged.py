"""The small network from its plug points on, over what the layers before them have computed once.

With everything before the plug points frozen, a pair's inputs of the rest never change: they are
computed once, and many blocks are trained and compared on them at a fraction of the cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from icm.models.small.guidance import FewShotGuidance, FewShotTokens
from icm.models.small.network import SmallNetwork
from icm.models.small.network_steps import SmallOutput, SmallSketch
from icm.results import Example, Features


@dataclass(frozen=True)
class Inputs:
    """What the layers from the plug points on are given, of a batch of targets.

    Attributes:
        image_b3hw: the targets, in [0, 1].
        token_bchw: targets' tokens at 1/16, which have read the references.
        middle_bchw, fine_bchw: the backbone's maps at 1/8 and 1/4.
        guidance_bchw: guidance channels at 1/8.
        odds_b1hw: log-odds of the guidance at 1/8.
        ridge_b1hw: ridge scores at 1/4.
        reference_bchw: the reference's map at 1/8, for guided blocks.
        mask_b1hw: the reference's mask.
    """

    image_b3hw: Tensor
    token_bchw: Tensor
    middle_bchw: Tensor
    fine_bchw: Tensor
    guidance_bchw: Tensor
    odds_b1hw: Tensor
    ridge_b1hw: Tensor
    reference_bchw: Tensor
    mask_b1hw: Tensor

    def __getitem__(self, index: slice | list[int]) -> Inputs:
        """Some items of the batch."""
        return Inputs(*(getattr(self, field.name)[index] for field in fields(self)))

    def to(self, dtype: torch.dtype) -> Inputs:
        """All maps in another dtype."""
        return Inputs(*(getattr(self, field.name).to(dtype) for field in fields(self)))


def joined(parts: Sequence[Inputs]) -> Inputs:
    """Batches of one size, one after the other."""
    return Inputs(
        *(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Inputs))
    )


@torch.no_grad()
def inputs_of(network: SmallNetwork, target: Features, example: Example) -> Inputs:
    """Computes what comes before the plug points, with a single look at the target.

    Args:
        network: whose layers before the plug points are used.
        target: with self-attention maps.
        example: a reference for each target.
    """
    seen: list[tuple[Tensor, ...]] = []
    handle = network.merge.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    try:
        guidance = network.sketch(target, [example]).guidance
    finally:
        handle.remove()
    token_bchw, middle_bchw, fine_bchw = seen[0]
    return Inputs(
        target.image_b3hw,
        token_bchw,
        middle_bchw,
        fine_bchw,
        guidance.map_bchw,
        guidance.logit_b1hw,
        guidance.fine_b1hw,
        example.features.maps[1],
        example.mask_b1hw,
    )


def sketch(network: SmallNetwork, inputs: Inputs) -> SmallSketch:
    """All that the network does before details; presence, which has no part in it, is 0."""
    maps = (inputs.token_bchw, inputs.middle_bchw, inputs.fine_bchw)
    merged_bchw, middle, fine = network.merge(maps)
    guidance_bchw = inputs.guidance_bchw.to(middle.dtype)
    up_bchw = F.interpolate(merged_bchw, size=middle.shape[-2:], mode="nearest")
    fused_bchw = network.fuse_8(torch.cat([up_bchw.to(middle.dtype), middle, guidance_bchw], dim=1))
    fused_bchw = network.refinement(fused_bchw, [inputs.reference_bchw], [inputs.mask_b1hw])
    coarse_b1hw = network.coarse_head(fused_bchw).float()
    nothing = inputs.image_b3hw.new_zeros(inputs.image_b3hw.shape[0])
    tokens = FewShotTokens(*(nothing for _ in fields(FewShotTokens)))
    guidance = FewShotGuidance(inputs.guidance_bchw, inputs.odds_b1hw, inputs.ridge_b1hw, tokens)
    return SmallSketch(fused_bchw, fine, coarse_b1hw, guidance, nothing, nothing)


def predict(network: SmallNetwork, inputs: Inputs, drawn: int | None = None) -> SmallOutput:
    """What the network gives with one look; presence, which has no part in it, is 0.

    Args:
        network: from its plug points on.
        inputs: of a batch.
        drawn: of how many targets, the first ones, details are drawn, which costs most; None: all.
            The result is of these; the coarse logits are those of all.
    """
    whole = sketch(network, inputs)
    few = inputs[:drawn]
    guidance = replace(
        whole.guidance,
        map_bchw=few.guidance_bchw,
        logit_b1hw=few.odds_b1hw,
        fine_b1hw=few.ridge_b1hw,
    )
    part = replace(
        whole,
        fused_bchw=whole.fused_bchw[:drawn],
        fine_bchw=whole.fine_bchw[:drawn],
        guidance=guidance,
    )
    logit_b1hw = network._decode(Features(few.image_b3hw, ()), part)
    return SmallOutput(logit_b1hw, whole.coarse_b1hw, guidance, whole.present_b[:drawn])
