"""What a block costs in its place: parameters, FLOPs, and milliseconds of one core."""

from __future__ import annotations

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from icm.models.small.network import SmallNetwork

STAGE = "decoder.stages[0].blocks"
PASSES = 15


def cost(network: SmallNetwork, point: str) -> dict[str, float]:
    """Parameters, FLOPs and milliseconds of one core of a block in its place, at 256 px."""
    generator = torch.Generator().manual_seed(0)

    def drawn(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    places: dict[str, tuple[nn.Module, tuple[Any, ...]]] = {
        "fusion.blocks": (network.refinement.blocks, (drawn(1, 128, 32, 32),)),
        "fusion.guide": (
            network.refinement.guide,
            (
                drawn(1, 128, 32, 32),
                drawn(1, 1024, 160),
                torch.ones(1, 1024, dtype=torch.bool),
                (torch.arange(1024)[None] % 2).float(),
            ),
        ),
        "fusion.merge": (
            network.merge,
            ((drawn(1, 192, 16, 16), drawn(1, 160, 32, 32), drawn(1, 64, 64, 64)),),
        ),
        STAGE: (network.stages[0], (drawn(1, 128, 64, 64),)),
    }
    module, inputs = places[point]
    counter = FlopCounterMode(display=False)
    taken: list[float] = []
    with torch.inference_mode():
        with sdpa_kernel(SDPBackend.MATH), counter:
            module(*inputs)
        for _ in range(PASSES):
            begun = time.process_time()
            module(*inputs)
            taken.append(time.process_time() - begun)
    return {
        "parameters": sum(p.numel() for p in module.parameters()),
        "flops": int(counter.get_total_flops()),
        "milliseconds": round(statistics.median(taken) * 1e3, 2),
    }
