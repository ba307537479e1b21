"""The U-Net of the small denoiser, with attention maps that can be read.

*Denoising Diffusion Probabilistic Models* (NeurIPS 2020, arXiv 2006.11239). Layers, their names and
their initial values are those of diffusers' `UNet2DModel`, which the tests compare it with; it is
written out here because importing diffusers takes longer than matting a photograph.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from einops import rearrange, reduce
from torch import Tensor, nn

GROUPS = 16  # of normalisation
LONGEST_PERIOD = 10_000  # of the sinusoids that stand for a time-step


@dataclass
class AttentionMean:
    """Running mean over layers of the head-mean attention of one resolution."""

    total_bnn: Tensor | None = None
    layers: int = 0

    @property
    def mean_bnn(self) -> Tensor:
        """Mean over the layers so far."""
        if self.total_bnn is None:
            raise ValueError("no attention layer of this grid has run")
        return self.total_bnn / self.layers

    def add(self, probability_bknn: Tensor) -> None:
        """Adds one layer's probabilities, averaged over its heads in float32."""
        mean_bnn = reduce(probability_bknn.float(), "b k n m -> b n m", "mean")
        self.total_bnn = mean_bnn if self.total_bnn is None else self.total_bnn + mean_bnn
        self.layers += 1


@dataclass
class Recorder:
    """Collects self-attention of one pass through the U-Net, by number of tokens."""

    means: dict[int, AttentionMean] = field(default_factory=dict)

    def add(self, probability_bknn: Tensor) -> None:
        """Files one layer's probabilities under its number of tokens."""
        count = int(probability_bknn.shape[-1])  # a tensor while the network is traced
        self.means.setdefault(count, AttentionMean()).add(probability_bknn)

    def maps(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """The mean maps `b h w n` of the grids `sizes`."""
        result = []
        for height, width in sizes:
            mean_bnn = self.means[height * width].mean_bnn
            result.append(rearrange(mean_bnn, "b (h w) n -> b h w n", h=height))
        return tuple(result)


class DenoisingUNet(nn.Module):
    """Three levels of residual blocks, with self-attention at the two coarser ones.

    Args:
        image_channels: of input and output.
        channels: widths, fine to coarse.
        head_width: channels of one attention head.
    """

    def __init__(self, image_channels: int, channels: Sequence[int], head_width: int) -> None:
        super().__init__()
        fine, coarse = channels[0], channels[-1]
        time, last = 4 * fine, len(channels) - 1
        self.fine = fine
        self.conv_in = nn.Conv2d(image_channels, fine, 3, padding=1)
        self.time_embedding = _TimeEmbedding(fine, time)
        self.down_blocks = nn.ModuleList(
            _DownBlock(
                (channels[max(level - 1, 0)], width),
                time,
                head_width if level == last else None,
                down=level < last,
            )
            for level, width in enumerate(channels)
        )
        middle = _MidBlock(coarse, time, head_width)
        widths = (coarse, *reversed(channels), fine)
        self.up_blocks = nn.ModuleList(
            _UpBlock(
                widths[level : level + 3],
                time,
                head_width if level < last else None,
                up=level < last,
            )
            for level in range(len(channels))
        )
        self.mid_block = middle  # registered after them, as saved optimisers expect
        self.conv_norm_out = nn.GroupNorm(GROUPS, fine, eps=1e-5)
        self.conv_out = nn.Conv2d(fine, image_channels, 3, padding=1)

    def decode(
        self, noisy_bchw: Tensor, time_b: Tensor, recorder: Recorder | None = None
    ) -> tuple[Tensor, ...]:
        """Outputs of the up-blocks before up-sampling, coarse to fine.

        Args:
            noisy_bchw: the noised image.
            time_b: whole time-steps.
            recorder: is given the attention of every layer.
        """
        embedding_bc = self.time_embedding(sinusoids(time_b, self.fine).to(noisy_bchw.dtype))
        x_bchw = self.conv_in(noisy_bchw)
        skips = [x_bchw]
        for block in self.down_blocks:
            skips += block(skips[-1], embedding_bc, recorder)
        x_bchw = self.mid_block(skips[-1], embedding_bc, recorder)
        maps = []
        for block in self.up_blocks:
            map_bchw, x_bchw = block(x_bchw, skips, embedding_bc, recorder)
            maps.append(map_bchw)
        return tuple(maps)

    def forward(self, noisy_bchw: Tensor, time_b: Tensor) -> Tensor:
        """The network's prediction: b c h w."""
        *_, finest_bchw = self.decode(noisy_bchw, time_b)
        result_bchw: Tensor = self.conv_out(F.silu(self.conv_norm_out(finest_bchw)))
        return result_bchw


def sinusoids(time_b: Tensor, channels: int) -> Tensor:
    """Cosines and sines that stand for time-steps: b c, float32."""
    half = channels // 2
    exponent_c = -math.log(LONGEST_PERIOD) * torch.arange(
        half, dtype=torch.float32, device=time_b.device
    )
    angle_bc = time_b[:, None].float() * (exponent_c / half).exp()
    return torch.cat([angle_bc.cos(), angle_bc.sin()], dim=-1)


class SelfAttention(nn.Module):
    """Attention on maps `b c h w` with explicit probabilities and an optional recorder.

    Explicit products train faster on a CPU than the fused attention's backward pass, and the
    probabilities are wanted anyway.

    Args:
        channels: of the map.
        head_width: channels of one head; divides them.
    """

    def __init__(self, channels: int, head_width: int) -> None:
        super().__init__()
        self.heads = channels // head_width
        self.group_norm = nn.GroupNorm(GROUPS, channels, eps=1e-5)
        inner = self.heads * head_width
        self.to_q = nn.Linear(channels, inner)
        self.to_k = nn.Linear(channels, inner)
        self.to_v = nn.Linear(channels, inner)
        self.to_out = nn.ModuleList([nn.Linear(inner, channels)])

    def forward(self, x_bchw: Tensor, recorder: Recorder | None) -> Tensor:
        """The map, plus what its places read of one another."""
        height = x_bchw.shape[-2]
        tokens_bnc = rearrange(self.group_norm(x_bchw), "b c h w -> b (h w) c")
        query_bknd, key_bknd, value_bknd = (
            rearrange(project(tokens_bnc), "b n (k d) -> b k n d", k=self.heads)
            for project in (self.to_q, self.to_k, self.to_v)
        )
        logits_bknn = (query_bknd * query_bknd.shape[-1] ** -0.5) @ key_bknd.transpose(-1, -2)
        probability_bknn = logits_bknn.float().softmax(dim=-1)
        if recorder is not None:
            recorder.add(probability_bknn)
        mixed_bknd = probability_bknn.to(value_bknd.dtype) @ value_bknd
        mixed_bnc = self.to_out[0](rearrange(mixed_bknd, "b k n d -> b n (k d)"))
        mixed_bchw: Tensor = rearrange(mixed_bnc, "b (h w) c -> b c h w", h=height)
        return mixed_bchw + x_bchw


class _TimeEmbedding(nn.Module):
    """What the residual blocks are told of the time-step, after its activation."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear_1 = nn.Linear(inputs, outputs)
        self.linear_2 = nn.Linear(outputs, outputs)

    def forward(self, x_bc: Tensor) -> Tensor:
        return F.silu(self.linear_2(F.silu(self.linear_1(x_bc))))


class _Residual(nn.Module):
    def __init__(self, inputs: int, outputs: int, time: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs, eps=1e-5)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.time_emb_proj = nn.Linear(time, outputs)
        self.norm2 = nn.GroupNorm(GROUPS, outputs, eps=1e-5)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.conv_shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x_bchw: Tensor, embedding_bc: Tensor) -> Tensor:
        inner_bchw = self.conv1(F.silu(self.norm1(x_bchw)))
        inner_bchw = inner_bchw + self.time_emb_proj(embedding_bc)[:, :, None, None]
        inner_bchw = self.conv2(F.silu(self.norm2(inner_bchw)))
        result_bchw: Tensor = inner_bchw + (
            x_bchw if self.conv_shortcut is None else self.conv_shortcut(x_bchw)
        )
        return result_bchw


class _Resampling(nn.Module):
    """A convolution to half the size, or after doubling by repetition."""

    def __init__(self, channels: int, *, up: bool) -> None:
        super().__init__()
        self.up = up
        self.conv = nn.Conv2d(channels, channels, 3, stride=1 if up else 2, padding=1)

    def forward(self, x_bchw: Tensor) -> Tensor:
        if self.up:
            x_bchw = F.interpolate(x_bchw, scale_factor=2.0, mode="nearest")
        result_bchw: Tensor = self.conv(x_bchw)
        return result_bchw


class _DownBlock(nn.Module):
    """One residual block, perhaps attention, perhaps a step down."""

    def __init__(
        self, widths: tuple[int, int], time: int, head_width: int | None, *, down: bool
    ) -> None:
        super().__init__()
        inputs, outputs = widths
        resnets = nn.ModuleList([_Residual(inputs, outputs, time)])
        heads = [] if head_width is None else [SelfAttention(outputs, head_width)]
        self.attentions = nn.ModuleList(heads)
        self.resnets = resnets
        self.downsamplers = nn.ModuleList([_Resampling(outputs, up=False)] if down else [])

    def forward(
        self, x_bchw: Tensor, embedding_bc: Tensor, recorder: Recorder | None
    ) -> list[Tensor]:
        """The maps that the decoder reads, the last of which is the next block's input."""
        x_bchw = self.resnets[0](x_bchw, embedding_bc)
        for attention in self.attentions:
            x_bchw = attention(x_bchw, recorder)
        return [x_bchw, *(downsampler(x_bchw) for downsampler in self.downsamplers)]


class _MidBlock(nn.Module):
    def __init__(self, channels: int, time: int, head_width: int) -> None:
        super().__init__()
        first = _Residual(channels, channels, time)
        self.attentions = nn.ModuleList([SelfAttention(channels, head_width)])
        self.resnets = nn.ModuleList([first, _Residual(channels, channels, time)])

    def forward(self, x_bchw: Tensor, embedding_bc: Tensor, recorder: Recorder | None) -> Tensor:
        first, second = self.resnets
        result_bchw: Tensor = second(
            self.attentions[0](first(x_bchw, embedding_bc), recorder), embedding_bc
        )
        return result_bchw


class _UpBlock(nn.Module):
    """Two residual blocks that read the encoder's maps, each perhaps with attention.

    Args:
        widths: of the block before, of this one, and of the one after.
        time: width of the time embedding.
        head_width: of attention; None for none.
        up: whether a step up follows.
    """

    def __init__(
        self, widths: Sequence[int], time: int, head_width: int | None, *, up: bool
    ) -> None:
        super().__init__()
        before, width, after = widths
        resnets, attentions = [], []
        for inputs in (before + width, width + after):
            resnets.append(_Residual(inputs, width, time))
            attentions += [] if head_width is None else [SelfAttention(width, head_width)]
        self.attentions = nn.ModuleList(attentions)
        self.resnets = nn.ModuleList(resnets)
        self.upsamplers = nn.ModuleList([_Resampling(width, up=True)] if up else [])

    def forward(
        self,
        x_bchw: Tensor,
        skips: list[Tensor],
        embedding_bc: Tensor,
        recorder: Recorder | None,
    ) -> tuple[Tensor, Tensor]:
        """This block's map, and the next one's input; takes two maps off the end of `skips`."""
        for index, resnet in enumerate(self.resnets):
            x_bchw = resnet(torch.cat([x_bchw, skips.pop()], dim=1), embedding_bc)
            if self.attentions:
                x_bchw = self.attentions[index](x_bchw, recorder)
        map_bchw = x_bchw
        for upsampler in self.upsamplers:
            x_bchw = upsampler(x_bchw)
        return map_bchw, x_bchw
