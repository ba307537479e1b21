"""From a list of block configurations to one module for each contract."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor, nn

from icm.blocks import GUIDED_BLOCKS, MAP_BLOCKS, PYRAMID_BLOCKS
from icm.config.blocks import BlockConfig
from icm.errors import ConfigError

FIXED_BY_NETWORK = ("out_channels",)  # a block at a plug point must keep the width


class ZeroGate(nn.Module):
    """x + g (block(x) - x) with a learned scalar g that starts at 0: at first the identity."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x_bchw: Tensor, *guide: Tensor) -> Tensor:
        """From b c h w, and a guide for a guided block, to b c h w."""
        changed_bchw: Tensor = self.block(x_bchw, *guide)
        return x_bchw + self.gate * (changed_bchw - x_bchw)


class PyramidZeroGate(nn.Module):
    """The zero gate over each map of a pyramid whose widths a block keeps."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """From maps coarse to fine to maps coarse to fine."""
        changed: tuple[Tensor, ...] = self.block(maps)
        return tuple(x + self.gate * (y - x) for x, y in zip(maps, changed, strict=True))


class GuidedChain(nn.Module):
    """Guided blocks one after the other, all with the same guide; with none, the identity."""

    def __init__(self, blocks: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(
        self, x_bchw: Tensor, guide_bmc: Tensor, valid_bm: Tensor, mask_bm: Tensor
    ) -> Tensor:
        """As a guided block (`icm.blocks.contracts`)."""
        for block in self.blocks:
            x_bchw = block(x_bchw, guide_bmc, valid_bm, mask_bm)
        return x_bchw


class PyramidChain(nn.Module):
    """Pyramid blocks one after the other; with none, the maps as they are."""

    def __init__(self, blocks: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As a pyramid block (`icm.blocks.contracts`)."""
        for block in self.blocks:
            maps = block(maps)
        return tuple(maps)


def build_map_blocks(configs: Sequence[BlockConfig], channels: int) -> nn.Sequential:
    """Map blocks one after the other; an empty list is the identity, without any parameter.

    Raises:
        ConfigError: a name or option is unknown (the text lists the valid ones), or an option has
            a value that the block cannot have at this width.
    """
    return nn.Sequential(
        *(_gated(_create("map", MAP_BLOCKS, config, channels), config) for config in configs)
    )


def build_guided_blocks(
    configs: Sequence[BlockConfig], channels: int, guide_channels: int
) -> GuidedChain:
    """Guided blocks one after the other; an empty list is the identity.

    Raises:
        ConfigError: as for `build_map_blocks`.
    """
    return GuidedChain(
        [
            _gated(_create("guided", GUIDED_BLOCKS, config, channels, guide_channels), config)
            for config in configs
        ]
    )


def build_pyramid_blocks(
    configs: Sequence[BlockConfig], channels: Sequence[int], out_channels: int
) -> PyramidChain:
    """Pyramid blocks one after the other; an empty list leaves the maps as they are.

    Args:
        configs: the blocks.
        channels: number of channels of each level, coarse to fine.
        out_channels: number of channels of each level after the first block.

    Raises:
        ConfigError: as for `build_map_blocks`; or a zero gate stands where widths or the number of
            levels change.
    """
    widths = tuple(channels)
    blocks: list[nn.Module] = []
    for config in configs:
        block = _create("pyramid", PYRAMID_BLOCKS, config, widths, out_channels)
        after = (out_channels,) * (len(widths) + getattr(block, "extra_levels", 0))
        if config.residual_gate == "zero":
            if after != widths:
                raise ConfigError(
                    f"{config.name}: residual_gate: zero needs maps that keep their widths, found "
                    f"{list(widths)} before and {list(after)} after"
                )
            block = PyramidZeroGate(block)
        blocks.append(block)
        widths = after
    return PyramidChain(blocks)


def options_of(block: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The options that a configuration may set: the block's keyword-only parameters."""
    return {
        name: parameter
        for name, parameter in inspect.signature(block).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and name not in FIXED_BY_NETWORK
    }


def _gated(block: nn.Module, config: BlockConfig) -> nn.Module:
    return ZeroGate(block) if config.residual_gate == "zero" else block


def _create(
    contract: str, registry: Mapping[str, type[nn.Module]], config: BlockConfig, *widths: Any
) -> nn.Module:
    kind = registry.get(config.name)
    if kind is None:
        raise ConfigError(
            f"unknown {contract} block '{config.name}' (valid: {', '.join(sorted(registry))})"
        )
    valid = options_of(kind)
    for name in config.options:
        if name not in valid:
            listing = ", ".join(valid) if valid else "none"
            raise ConfigError(f"{config.name}: unknown option '{name}' (valid: {listing})")
    hints = get_type_hints(kind.__init__)
    values = {
        name: _checked(config.name, name, value, hints[name])
        for name, value in config.options.items()
    }
    try:
        return kind(*widths, **values)
    except ConfigError as error:
        raise ConfigError(f"{config.name}: {error}") from error


def _checked(block: str, name: str, value: Any, annotation: Any) -> Any:
    """The value as the annotated type, which YAML's numbers and lists fit without conversion."""
    try:
        return TypeAdapter(annotation).validate_python(value, strict=True)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise ConfigError(f"{block}: option '{name}' is {value!r}: {reason}") from error
