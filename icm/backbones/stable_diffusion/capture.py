"""Up-block features and self-attention of a stock diffusers U-Net, stopped as early as possible.

A driver over the public submodules of `UNet2DConditionModel` (Stable Diffusion 1.x and 2.x): no
copied network, no hooks. What is constant is computed once: the time-step goes into the biases of
convolutions, the prompt's keys and values are kept. What never runs is dropped, and the last
captured layer computes its queries and keys only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import Attention
from diffusers.models.resnet import ResnetBlock2D
from diffusers.models.transformers.transformer_2d import Transformer2DModel
from einops import rearrange, reduce
from torch import Tensor, nn

from icm.backbones.stable_diffusion.attention import (
    AttentionMean,
    Recording,
    RecordingProcessor,
    attend,
    split_heads,
)
from icm.errors import ConfigError

Stock = Any  # modules of diffusers, which carries no types


@dataclass(frozen=True)
class Captured:
    """Captured features and attention of one pass over some ensemble members, for `b` images.

    Attributes:
        maps: `b c h w`, coarse to fine, float32: sums over the members of this pass.
        attention: running means, coarse to fine; empty where not asked for. A further pass over
            other members continues them.
    """

    maps: tuple[Tensor, ...]
    attention: tuple[AttentionMean, ...]


class CaptureUNet(nn.Module):
    """The part of a denoising U-Net that yields feature maps and self-attention means.

    Args:
        unet: a stock U-Net; its submodules are taken over and changed, do not use it further.
        map_blocks: numbers of the up-blocks whose outputs are kept, ascending.
        attention_blocks: for each level, coarse to fine, the paths of the blocks whose
            self-attention is averaged, such as `up_blocks.1`.
        timestep: the constant time-step.
        prompt_1nc: embedding of the constant prompt.

    Raises:
        ConfigError: the U-Net has not the blocks that are named, or is none of Stable Diffusion.
    """

    prompt_1nc: Tensor
    conv_in: Stock
    down_blocks: Stock
    mid_block: Stock
    up_blocks: Stock

    def __init__(
        self,
        unet: UNet2DConditionModel,
        *,
        map_blocks: Sequence[int],
        attention_blocks: Sequence[Sequence[str]],
        timestep: int,
        prompt_1nc: Tensor,
    ) -> None:
        super().__init__()
        self._map_blocks = tuple(map_blocks)
        self._levels = {
            path: level for level, paths in enumerate(attention_blocks) for path in paths
        }
        _check(unet, self._map_blocks, self._levels, prompt_1nc)
        reversed_channels = unet.config.block_out_channels[::-1]
        self.map_channels = tuple(int(reversed_channels[i]) for i in self._map_blocks)
        self._level_count = len(attention_blocks)
        up_blocks_with_attention = [
            int(path.split(".")[1]) for path in self._levels if path.startswith("up_blocks")
        ]
        self._last_map = self._map_blocks[-1]
        self._last_block = max([self._last_map, *up_blocks_with_attention])
        _fold_timestep(unet, timestep)
        _fold_prompt(unet, prompt_1nc)
        unet.set_attn_processor(RecordingProcessor())
        self.conv_in = unet.conv_in
        self.down_blocks = unet.down_blocks
        self.mid_block = unet.mid_block
        self.up_blocks = unet.up_blocks[: self._last_block + 1]
        if self._last_block > self._last_map:
            _keep_queries_and_keys(self.up_blocks[-1])
        self.register_buffer("prompt_1nc", prompt_1nc.to(unet.dtype), persistent=False)
        self.requires_grad_(False).eval()

    def forward(
        self,
        latents_bchw: Tensor,
        *,
        images: int,
        attention: bool,
        earlier: tuple[AttentionMean, ...] = (),
    ) -> Captured:
        """Runs as far as the last wanted tensor.

        Args:
            latents_bchw: noisy latents, b = (image, member), in the U-Net's precision.
            images: number of images in the batch.
            attention: whether self-attention is recorded; if not, stops after the last map block.
            earlier: attention means of a pass over other members, to be continued.
        """
        recording = Recording(self._level_count, images, earlier) if attention else None
        last = self._last_block if attention else self._last_map
        x_bchw: Tensor = self.conv_in(latents_bchw)
        skips = [x_bchw]
        for number, block in enumerate(self.down_blocks):
            level = self._levels.get(f"down_blocks.{number}")
            for index, resnet in enumerate(block.resnets):
                x_bchw = residual(resnet, x_bchw)
                if hasattr(block, "attentions"):
                    x_bchw = self._attend(block.attentions[index], x_bchw, level, recording)
                skips.append(x_bchw)
            for downsampler in block.downsamplers or ():
                x_bchw = downsampler(x_bchw)
                skips.append(x_bchw)
        x_bchw = residual(self.mid_block.resnets[0], x_bchw)
        for transformer, resnet in zip(
            self.mid_block.attentions, self.mid_block.resnets[1:], strict=True
        ):
            x_bchw = residual(resnet, self._attend(transformer, x_bchw, None, None))
        maps: list[Tensor] = []
        for number, block in enumerate(self.up_blocks[: last + 1]):
            level = self._levels.get(f"up_blocks.{number}")
            for index, resnet in enumerate(block.resnets):
                x_bchw = residual(resnet, torch.cat([x_bchw, skips.pop()], dim=1))
                if hasattr(block, "attentions"):
                    x_bchw = self._attend(block.attentions[index], x_bchw, level, recording)
            for upsampler in block.upsamplers or ():
                # The skip's size: sides that are no multiple of 64 pixels halve with rounding up.
                x_bchw = upsampler(x_bchw, skips[-1].shape[-2:])
            if number in self._map_blocks:
                maps.append(reduce(x_bchw.float(), "(b e) c h w -> b c h w", "sum", b=images))
        return Captured(tuple(maps), recording.means() if recording is not None else ())

    def _attend(
        self, transformer: Stock, x_bchw: Tensor, level: int | None, recording: Recording | None
    ) -> Tensor:
        """One transformer, recorded where its block belongs to a level."""
        recorder = None
        if recording is not None and level is not None:
            recorder = recording.at(level, x_bchw)
        if isinstance(transformer, QueriesAndKeys):
            transformer(x_bchw, recorder)
            return x_bchw
        height, width = x_bchw.shape[-2:]
        tokens_bnc = tokens_in(transformer, x_bchw)
        options = None if recorder is None else {"recorder": recorder}
        for block in transformer.transformer_blocks:
            tokens_bnc = block(
                tokens_bnc, encoder_hidden_states=self.prompt_1nc, cross_attention_kwargs=options
            )
        y_bchw = _tokens_out(transformer, tokens_bnc, height, width)
        return x_bchw + y_bchw


class QueriesAndKeys(nn.Module):
    """The part of a transformer that its self-attention probabilities depend on."""

    norm1: Stock
    to_q: Stock
    to_k: Stock

    def __init__(self, transformer: Stock) -> None:
        super().__init__()
        block = transformer.transformer_blocks[0]
        self.use_linear_projection = transformer.use_linear_projection
        self.norm, self.proj_in, self.norm1 = transformer.norm, transformer.proj_in, block.norm1
        self.to_q, self.to_k, self.heads = block.attn1.to_q, block.attn1.to_k, block.attn1.heads

    def forward(self, x_bchw: Tensor, recorder: AttentionMean | None) -> None:
        """Adds the probabilities to the recorder."""
        tokens_bnc = self.norm1(tokens_in(self, x_bchw))
        query_bknd = split_heads(self.to_q(tokens_bnc), self.heads)
        key_bkmd = split_heads(self.to_k(tokens_bnc), self.heads)
        attend(query_bknd, key_bkmd, None, recorder)


def residual(resnet: Stock, x_bchw: Tensor) -> Tensor:
    """A residual block without time embedding, its activations in place."""
    hidden_bchw = resnet.conv1(F.silu(resnet.norm1(x_bchw), inplace=True))
    y_bchw: Tensor = resnet.conv2(F.silu(resnet.norm2(hidden_bchw), inplace=True))
    if resnet.conv_shortcut is not None:
        x_bchw = resnet.conv_shortcut(x_bchw)
    y_bchw.add_(x_bchw)
    return y_bchw


def tokens_in(transformer: Stock, x_bchw: Tensor) -> Tensor:
    """Norm and input projection of a transformer: `b c h w` to tokens `b n c`."""
    x_bchw = transformer.norm(x_bchw)
    tokens_bnc: Tensor
    if transformer.use_linear_projection:
        tokens_bnc = transformer.proj_in(rearrange(x_bchw, "b c h w -> b (h w) c"))
    else:
        tokens_bnc = rearrange(transformer.proj_in(x_bchw), "b c h w -> b (h w) c")
    return tokens_bnc


def _tokens_out(transformer: Stock, tokens_bnc: Tensor, height: int, width: int) -> Tensor:
    if transformer.use_linear_projection:
        tokens_bnc = transformer.proj_out(tokens_bnc)
        return rearrange(tokens_bnc, "b (h w) c -> b c h w", h=height, w=width)
    x_bchw = rearrange(tokens_bnc, "b (h w) c -> b c h w", h=height, w=width)
    projected_bchw: Tensor = transformer.proj_out(x_bchw)
    return projected_bchw


def _fold_timestep(unet: UNet2DConditionModel, timestep: int) -> None:
    """Adds the constant time embedding to the biases of the convolutions that it follows."""
    time_embedding = unet.time_embedding.float()
    time_b = torch.tensor([timestep], device=unet.device)
    time_1c = F.silu(time_embedding(unet.time_proj(time_b).float()))
    for module in unet.modules():
        if isinstance(module, ResnetBlock2D) and module.time_emb_proj is not None:
            bias = module.conv1.bias.data
            bias.copy_(bias.float() + module.time_emb_proj.float()(time_1c)[0])
            module.time_emb_proj = None


class ConstantProjection(nn.Module):
    """Keys or values of the constant prompt in place of the layer that projects it."""

    value_1mc: Tensor

    def __init__(self, project: nn.Linear, prompt_1nc: Tensor) -> None:
        super().__init__()
        dtype = project.weight.dtype
        with torch.no_grad():
            value_1mc = project.float()(prompt_1nc.to(project.weight.device).float()).to(dtype)
        self.register_buffer("value_1mc", value_1mc, persistent=False)

    def forward(self, _: Tensor) -> Tensor:
        """Returns `1 m c` whatever comes in."""
        return self.value_1mc


def _fold_prompt(unet: UNet2DConditionModel, prompt_1nc: Tensor) -> None:
    """Projects the prompt once for every cross-attention layer."""
    for module in unet.modules():
        if isinstance(module, BasicTransformerBlock):
            cross = module.attn2
            cross.to_k = ConstantProjection(cross.to_k, prompt_1nc)
            cross.to_v = ConstantProjection(cross.to_v, prompt_1nc)


def _keep_queries_and_keys(block: Stock) -> None:
    block.attentions[-1] = QueriesAndKeys(block.attentions[-1])
    block.upsamplers = None


def _check(
    unet: UNet2DConditionModel,
    map_blocks: tuple[int, ...],
    levels: dict[str, int],
    prompt_1nc: Tensor,
) -> None:
    config = unet.config
    if (
        config.resnet_time_scale_shift != "default"
        or config.class_embed_type is not None
        or config.addition_embed_type is not None
        or config.only_cross_attention
        or config.center_input_sample
        or config.mid_block_type != "UNetMidBlock2DCrossAttn"
    ):
        raise ConfigError("the U-Net is not of Stable Diffusion 1.x or 2.x: its blocks differ")
    if map_blocks[-1] >= len(unet.up_blocks):
        raise ConfigError(
            f"the U-Net has {len(unet.up_blocks)} up-blocks, map_blocks asks for more"
        )
    for path in levels:
        stem, number = path.split(".")
        blocks = getattr(unet, stem)
        block = blocks[int(number)] if int(number) < len(blocks) else None
        if not hasattr(block, "attentions"):
            raise ConfigError(f"attention_blocks: the U-Net has no attention in {path}")
    for module in unet.modules():
        if isinstance(module, Transformer2DModel) and len(module.transformer_blocks) != 1:
            raise ConfigError("the U-Net has deeper transformers than Stable Diffusion 1.x and 2.x")
        if isinstance(module, ResnetBlock2D) and module.output_scale_factor != 1:
            raise ConfigError("the U-Net scales its residual blocks: not of Stable Diffusion")
        if isinstance(module, Attention) and (
            module.norm_q is not None or module.residual_connection
        ):
            raise ConfigError("the U-Net normalises its queries: not of Stable Diffusion")
    if prompt_1nc.shape[0] != 1 or prompt_1nc.shape[-1] != config.cross_attention_dim:
        raise ConfigError(
            f"the prompt embedding has shape {tuple(prompt_1nc.shape)}; the U-Net expects "
            f"1 x tokens x {config.cross_attention_dim}: it belongs to another Stable Diffusion"
        )
