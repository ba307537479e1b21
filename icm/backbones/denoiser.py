"""The bundled backbone: a small pixel-space denoising U-Net that runs on any CPU.

A stock diffusers `UNet2DModel` sees the image as 4 x 4 pixel blocks, noised once to a small
time-step (*Denoising Diffusion Probabilistic Models*, NeurIPS 2020, arXiv 2006.11239). Its up-block
features and self-attention are used as those of Stable Diffusion are; the network is small enough
to be trained through.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.models.attention_processor import Attention
from einops import rearrange, reduce, repeat
from torch import Tensor, nn

from icm.backbones.contract import Noise
from icm.results import Features

PATCH = 4


@dataclass
class AttentionMean:
    """Running mean over layers of the head-mean attention of one resolution."""

    total_bnn: Tensor | None = None
    layers: int = 0

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
        self.means.setdefault(probability_bknn.shape[-1], AttentionMean()).add(probability_bknn)

    def maps(self, sizes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """The mean maps `b h w n` of the grids `sizes`."""
        result = []
        for height, width in sizes:
            mean = self.means[height * width]
            if mean.total_bnn is None:
                raise ValueError("no attention layer of this grid has run")
            mean_bnn = mean.total_bnn / mean.layers
            result.append(rearrange(mean_bnn, "b (h w) n -> b h w n", h=height))
        return tuple(result)


class MapAttention:
    """Attention processor on maps `b c h w` with explicit probabilities and an optional recorder.

    Explicit products train faster on a CPU than the fused attention's backward pass, and the
    probabilities are wanted anyway.
    """

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: Tensor | None = None,
        *,
        recorder: Recorder | None = None,
    ) -> Tensor:
        """Self-attention with the module's own projections, plus the residual."""
        height = hidden_states.shape[-2]
        tokens_bnc = rearrange(attn.group_norm(hidden_states), "b c h w -> b (h w) c")
        query_bknd, key_bknd, value_bknd = (
            rearrange(project(tokens_bnc), "b n (k d) -> b k n d", k=attn.heads)
            for project in (attn.to_q, attn.to_k, attn.to_v)
        )
        logits_bknn = (query_bknd * query_bknd.shape[-1] ** -0.5) @ key_bknd.transpose(-1, -2)
        probability_bknn = logits_bknn.float().softmax(dim=-1)
        if recorder is not None:
            recorder.add(probability_bknn)
        mixed_bknd = probability_bknn.to(value_bknd.dtype) @ value_bknd
        mixed_bnc = attn.to_out[0](rearrange(mixed_bknd, "b k n d -> b n (k d)"))
        mixed_bchw: Tensor = rearrange(mixed_bnc, "b (h w) c -> b c h w", h=height)
        return mixed_bchw + hidden_states


class SmallBackbone(nn.Module):
    """Features and self-attention of a small denoising U-Net.

    Args:
        channels: widths at 1/4, 1/8 and 1/16 of the input.
        head_width: channels of one attention head; divides the two coarser widths.
        timestep: of 1000, to which the image is noised.
        ensemble: number of noises that features and attention are averaged over.

    Maps are up-blocks at 1/16, 1/8 and 1/4; attention is at 1/16 and 1/8.
    """

    stride = 16

    def __init__(
        self,
        *,
        channels: Sequence[int] = (64, 160, 320),
        head_width: int = 80,
        timestep: int = 5,
        ensemble: int = 1,
    ) -> None:
        super().__init__()
        self.channels = tuple(channels)
        self.timestep = timestep
        self.ensemble = ensemble
        self.unet = UNet2DModel(
            in_channels=3 * PATCH**2,
            out_channels=3 * PATCH**2,
            block_out_channels=self.channels,
            down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
            up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
            layers_per_block=1,
            attention_head_dim=head_width,
            norm_num_groups=16,
        )
        for module in self.unet.modules():
            if isinstance(module, Attention):
                module.set_processor(MapAttention())
        self.schedule = DDPMScheduler(prediction_type="v_prediction")
        # As the schedule's `add_noise` has them, which moves a table of all time-steps to a GPU.
        kept = self.schedule.alphas_cumprod[timestep]
        self._signal, self._spread = float(kept**0.5), float((1 - kept) ** 0.5)

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the maps, coarse to fine."""
        return tuple(reversed(self.channels))

    def draw_noise(self, height: int, width: int, seed: int) -> Noise:
        """Noise for an input of this size, `e 3 height width`, from a CPU generator."""
        generator = torch.Generator().manual_seed(seed)
        return Noise(None, torch.randn(self.ensemble, 3, height, width, generator=generator))

    def extract(self, image_b3hw: Tensor, noise: Noise, *, attention: bool = True) -> Features:
        """Features of images in [0, 1] whose sides are multiples of 16.

        With an ensemble each image passes once per noise, and the results are averaged.
        """
        members = noise.diffusion_echw.to(image_b3hw)
        passes = [
            self.noised_features(
                image_b3hw,
                repeat(member, "c h w -> b c h w", b=image_b3hw.shape[0]),
                attention=attention,
            )
            for member in members
        ]
        if len(passes) == 1:
            return passes[0]
        maps = tuple(
            torch.stack(maps).mean(0) for maps in zip(*(p.maps for p in passes), strict=True)
        )
        means = tuple(
            torch.stack(maps).mean(0) for maps in zip(*(p.attention for p in passes), strict=True)
        )
        return Features(image_b3hw, maps, means)

    def noised_features(
        self, image_b3hw: Tensor, noise_b3hw: Tensor, *, attention: bool
    ) -> Features:
        """Features of one pass, each image with a noise of its own, as training needs it."""
        time_b = torch.full(
            (image_b3hw.shape[0],), self.timestep, dtype=torch.long, device=image_b3hw.device
        )
        noisy_bchw = self._signal * (image_b3hw * 2 - 1) + self._spread * noise_b3hw
        recorder = Recorder() if attention else None
        maps = self._decode(noisy_bchw, time_b, recorder)
        grids = [(m.shape[-2], m.shape[-1]) for m in maps[:2]]
        return Features(image_b3hw, maps, recorder.maps(grids) if recorder else ())

    def _decode(
        self, noisy_b3hw: Tensor, time_b: Tensor, recorder: Recorder | None
    ) -> tuple[Tensor, ...]:
        """Up-block outputs before up-sampling, coarse to fine."""
        unet = self.unet
        x_bchw = F.pixel_unshuffle(noisy_b3hw, PATCH).contiguous(memory_format=torch.channels_last)
        embedding = unet.time_embedding(unet.time_proj(time_b).to(x_bchw.dtype))
        x_bchw = unet.conv_in(x_bchw)
        skips = [x_bchw]
        for block in unet.down_blocks:
            for resnet, attend in zip(block.resnets, _attentions(block), strict=True):
                x_bchw = attend(resnet(x_bchw, embedding), recorder)
                skips.append(x_bchw)
            for downsampler in block.downsamplers or ():
                x_bchw = downsampler(x_bchw)
                skips.append(x_bchw)
        first, last = unet.mid_block.resnets
        x_bchw = last(_attentions(unet.mid_block)[0](first(x_bchw, embedding), recorder), embedding)
        maps = []
        for block in unet.up_blocks:
            for resnet, attend in zip(block.resnets, _attentions(block), strict=True):
                x_bchw = resnet(torch.cat([x_bchw, skips.pop()], dim=1), embedding)
                x_bchw = attend(x_bchw, recorder)
            maps.append(x_bchw)
            for upsampler in block.upsamplers or ():
                x_bchw = upsampler(x_bchw)
        return tuple(maps)

    def denoise(self, noisy_b3hw: Tensor, time_b: Tensor) -> Tensor:
        """The U-Net's own output, v-prediction, for training it as a denoiser: `b 3 h w`."""
        *_, finest_bchw = self._decode(noisy_b3hw, time_b, None)
        unet = self.unet
        x_bchw = unet.conv_out(unet.conv_act(unet.conv_norm_out(finest_bchw)))
        return F.pixel_shuffle(x_bchw, PATCH)


def _attentions(block: Any) -> list[Callable[[Tensor, Recorder | None], Tensor]]:
    """One attention per residual layer of a block; the identity where it has none."""
    modules = getattr(block, "attentions", None)
    if modules is None:
        return [_no_attention] * len(block.resnets)
    return [partial(_attend, module) for module in modules]


def _attend(module: nn.Module, x_bchw: Tensor, recorder: Recorder | None) -> Tensor:
    result: Tensor = module(x_bchw, recorder=recorder)
    return result


def _no_attention(x_bchw: Tensor, recorder: Recorder | None) -> Tensor:
    del recorder
    return x_bchw
