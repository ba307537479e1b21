"""Catalogue of blocks: the documentation of each in parts, its parameters, FLOPs and time."""

from __future__ import annotations

import inspect
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.errors import ConfigError

Contract = Literal["map", "guided", "pyramid"]


@dataclass(frozen=True)
class Shapes:
    """Shapes that a block is measured on.

    Attributes:
        channels: number of channels of the map, and of each level of a pyramid.
        height: height of the map, and of a pyramid's finest level.
        width: likewise.
        guide_channels: number of channels of the guide.
        tokens: tokens of the guide, all valid, every other one foreground.
        levels: number of levels of a pyramid, each half the size of the next.
        batch: b.
    """

    channels: int = 64
    height: int = 48
    width: int = 48
    guide_channels: int = 64
    tokens: int = 256
    levels: int = 3
    batch: int = 1


@dataclass(frozen=True)
class Cost:
    """Cost of a block at given shapes, in evaluation mode.

    Attributes:
        parameters: how many.
        flops: matrix products and convolutions of one forward pass, two a multiply-add.
        seconds: median time of a forward pass on this machine's CPU.
    """

    parameters: int
    flops: int
    seconds: float


@dataclass(frozen=True)
class Entry:
    """One block of the registries.

    Attributes:
        name: as in a configuration.
        contract: "map", "guided" or "pyramid".
        block: its class.
    """

    name: str
    contract: Contract
    block: type[nn.Module]

    @property
    def summary(self) -> str:
        """The first line of its documentation."""
        return (inspect.getdoc(self.block) or "").split("\n", 1)[0]

    def section(self, title: str) -> str:
        """The text under "Paper:", "Equation:", "Shapes:", "Cost:" or "Args:"."""
        lines = (inspect.getdoc(self.block) or "").split("\n")
        start = next((i for i, line in enumerate(lines) if line.startswith(f"{title}:")), None)
        if start is None:
            return ""
        found = [lines[start].removeprefix(f"{title}:").strip()]
        for line in lines[start + 1 :]:
            if not line.strip():
                break
            found.append(line)
        return inspect.cleandoc("\n".join(found)).strip()

    def create(self, shapes: Shapes, **options: Any) -> nn.Module:
        """The block, newly initialised, at the widths of `shapes`."""
        if self.contract == "map":
            return self.block(shapes.channels, **options)
        if self.contract == "guided":
            return self.block(shapes.channels, shapes.guide_channels, **options)
        return self.block((shapes.channels,) * shapes.levels, shapes.channels, **options)

    def inputs(self, shapes: Shapes, generator: torch.Generator) -> tuple[Any, ...]:
        """Standard normal arguments for `create`'s block."""
        b, c, m = shapes.batch, shapes.channels, shapes.tokens
        sizes = [
            (max(1, shapes.height >> i), max(1, shapes.width >> i))
            for i in reversed(range(shapes.levels))
        ]
        maps = tuple(torch.randn(b, c, h, w, generator=generator) for h, w in sizes)
        if self.contract == "pyramid":
            return (maps,)
        x_bchw = torch.randn(b, c, shapes.height, shapes.width, generator=generator)
        if self.contract == "map":
            return (x_bchw,)
        guide_bmc = torch.randn(b, m, shapes.guide_channels, generator=generator)
        mask_bm = (torch.arange(m) % 2).float().expand(b, m).contiguous()
        return x_bchw, guide_bmc, torch.ones(b, m, dtype=torch.bool), mask_bm


def catalogue() -> tuple[Entry, ...]:
    """All blocks: maps, guided, pyramids, each in the order of its registry."""
    return (
        *(Entry(name, "map", block) for name, block in MAP_BLOCKS.items()),
        *(Entry(name, "guided", block) for name, block in GUIDED_BLOCKS.items()),
        *(Entry(name, "pyramid", block) for name, block in PYRAMID_BLOCKS.items()),
    )


def find_entry(name: str) -> Entry:
    """The block of a name.

    Raises:
        ConfigError: there is none; the text lists all names.
    """
    entries = {entry.name: entry for entry in catalogue()}
    if name not in entries:
        raise ConfigError(f"unknown block '{name}' (valid: {', '.join(sorted(entries))})")
    return entries[name]


def measure(entry: Entry, shapes: Shapes, *, repeats: int = 5, **options: Any) -> Cost:
    """Parameters, FLOPs and time of a block.

    Args:
        entry: the block.
        shapes: what it is measured on.
        repeats: how many timed passes; 0 times none, `seconds` is then 0.
        **options: of the block.

    Raises:
        ConfigError: the block cannot be built at these widths.
    """
    block = entry.create(shapes, **options).eval()
    inputs = entry.inputs(shapes, torch.Generator().manual_seed(0))
    parameters = sum(p.numel() for p in block.parameters())
    return Cost(parameters, _flops(block, inputs), _seconds(block, inputs, repeats))


def _flops(block: nn.Module, inputs: Sequence[Tensor]) -> int:
    # fused attention on a CPU is not counted; its plain form consists of counted products
    counter = FlopCounterMode(display=False)
    with torch.inference_mode(), sdpa_kernel(SDPBackend.MATH), counter:
        block(*inputs)
    return int(counter.get_total_flops())


def _seconds(block: nn.Module, inputs: Sequence[Tensor], repeats: int) -> float:
    taken: list[float] = []
    with torch.inference_mode():
        for _ in range(repeats + 1 if repeats else 0):
            start = time.perf_counter()
            block(*inputs)
            taken.append(time.perf_counter() - start)
    return statistics.median(taken[1:]) if taken else 0.0  # the first pass warms up
