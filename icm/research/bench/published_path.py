"""The published path, step by step, to compare with: correct, and as costly as it was released.

In-Context Matting, CVPR 2024, arXiv 2403.15789. For every target the reference is computed again;
every ensemble member is encoded on its own; the whole U-Net runs, output included; attention
probabilities are materialised in the blocks whose maps are used. Float32 throughout. One mercy: the
other layers use fused attention, as the released code did through xformers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from einops import reduce, repeat
from torch import Tensor

from icm.backbones.contract import Noise
from icm.backbones.stable_diffusion.parts import Parts
from icm.errors import InputError
from icm.models.published.network import PublishedNetwork
from icm.research.bench.stages import Stages
from icm.results import Example, Features, Prediction


@dataclass(frozen=True)
class Pair:
    """A target and its reference, as one run of the published path takes them.

    Attributes:
        target_b3hw: RGB in [0, 1].
        target_noise: noise of the target's pass.
        reference_b3hw: RGB in [0, 1].
        reference_noise: noise of the reference's pass.
        mask_b1hw: the reference's mask, in [0, 1].
    """

    target_b3hw: Tensor
    target_noise: Noise
    reference_b3hw: Tensor
    reference_noise: Noise
    mask_b1hw: Tensor


class PublishedPath:
    """Stock modules run as the published code ran them.

    Args:
        parts: stock U-Net and autoencoder in float32; not changed but for attention processors.
        network: the published head, shared with our path.
        timestep: noise level.
        map_blocks: up-blocks whose outputs are features, coarse to fine.
        attention_blocks: block paths of each attention level, coarse to fine.
        members_at_once: ensemble members in one batch; the released code took all, which needs
            some 10 GB of memory at 768 x 768 and, on a CPU, is not faster than one by one.
    """

    def __init__(
        self,
        parts: Parts,
        network: PublishedNetwork,
        *,
        timestep: int,
        map_blocks: Sequence[int],
        attention_blocks: Sequence[Sequence[str]],
        members_at_once: int = 1,
    ) -> None:
        self._parts = parts
        self._members_at_once = members_at_once
        self._network = network
        self._timestep = timestep
        self._map_blocks = tuple(map_blocks)
        self._attention_blocks = tuple(tuple(level) for level in attention_blocks)

    @torch.no_grad()
    def __call__(self, pair: Pair, stages: Stages | None = None) -> Tensor:
        """Alpha of the targets, `b 1 h w`; the reference is recomputed."""
        stages = stages or Stages()
        reference = self.extract(pair.reference_b3hw, pair.reference_noise, stages)
        target = self.extract(pair.target_b3hw, pair.target_noise, stages)
        with stages.time("head"):
            example = Example(Features(reference.image_b3hw, reference.maps), pair.mask_b1hw)
            prediction: Prediction = self._network(target, [example])
            return prediction.alpha_b1hw

    @torch.no_grad()
    def extract(self, image_b3hw: Tensor, noise: Noise, stages: Stages | None = None) -> Features:
        """Features and attention maps of RGB images in [0, 1], averaged over the ensemble."""
        stages = stages or Stages()
        members = noise.diffusion_echw.shape[0]
        passes = [
            self._pass(image_b3hw, noise, slice(start, start + self._members_at_once), stages)
            for start in range(0, members, self._members_at_once)
        ]
        maps, attention = (
            tuple(torch.stack(level).sum(0) / members for level in zip(*kind, strict=True))
            for kind in zip(*passes, strict=True)
        )
        return Features(image_b3hw, maps, attention)

    def _pass(
        self, image_b3hw: Tensor, noise: Noise, members: slice, stages: Stages
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Sums of maps and of attention over some members of the ensemble."""
        scheduler, autoencoder = self._parts.scheduler, self._parts.autoencoder
        if noise.posterior_echw is None:
            raise InputError("the noise was drawn for a backbone on pixels, not for latents")
        images, device = image_b3hw.shape[0], image_b3hw.device
        drawn_echw, added_echw = noise.posterior_echw[members], noise.diffusion_echw[members]
        count = drawn_echw.shape[0]
        with stages.time("encoder"):
            repeated = repeat(2 * image_b3hw - 1, "b c h w -> (b e) c h w", e=count)
            posterior = autoencoder.encode(repeated).latent_dist
        with stages.time("unet"):
            drawn = repeat(drawn_echw.to(device), "e c h w -> (b e) c h w", b=images)
            latents = (posterior.mean + posterior.std * drawn) * autoencoder.config.scaling_factor
            added = repeat(added_echw.to(device), "e c h w -> (b e) c h w", b=images)
            timesteps = torch.full((images * count,), self._timestep, device=device)
            noisy = scheduler.add_noise(latents, added, timesteps)
            maps, levels = self._run_unet(self._parts.unet, noisy, timesteps)
            return (
                tuple(reduce(level, "(b e) c h w -> b c h w", "sum", b=images) for level in maps),
                tuple(self._sum(layers, images, grid) for layers, grid in levels),
            )

    def _run_unet(
        self, unet: Any, noisy: Tensor, timesteps: Tensor
    ) -> tuple[list[Tensor], list[tuple[list[Tensor], torch.Size]]]:
        """One whole pass; returns maps, and for each level its layers' probabilities and grid."""
        maps: dict[int, Tensor] = {}
        grids: dict[str, torch.Size] = {}
        processors = {
            path: MaterialisedProcessor() for level in self._attention_blocks for path in level
        }
        unet.set_attn_processor(
            {
                name: processors.get(_block_of(name), AttnProcessor2_0())
                if "attn1" in name
                else AttnProcessor2_0()
                for name in unet.attn_processors
            }
        )
        handles = [
            unet.up_blocks[number].register_forward_hook(
                lambda _m, _i, output, number=number: maps.__setitem__(number, output)
            )
            for number in self._map_blocks
        ]
        for path in processors:
            first = unet.get_submodule(f"{path}.attentions.0")
            handles.append(
                first.register_forward_pre_hook(
                    lambda _m, args, path=path: grids.__setitem__(path, args[0].shape[-2:])
                )
            )
        try:
            prompt = self._parts.prompt_1nc.to(noisy.device).expand(noisy.shape[0], -1, -1)
            unet(noisy, timesteps, encoder_hidden_states=prompt)
        finally:
            for handle in handles:
                handle.remove()
        levels = [
            ([layer for path in level for layer in processors[path].layers], grids[level[0]])
            for level in self._attention_blocks
        ]
        return [maps[number] for number in self._map_blocks], levels

    @staticmethod
    def _sum(layers: list[Tensor], images: int, grid: torch.Size) -> Tensor:
        """Mean over layers, sum over members."""
        height, width = grid
        stacked = [
            reduce(layer, "(b e) (h w) n -> b h w n", "sum", b=images, h=height, w=width)
            for layer in layers
        ]
        return torch.stack(stacked).mean(0)


class MaterialisedProcessor:
    """Self-attention that holds all probabilities, `[b * heads, n, n]`; keeps their head-mean."""

    def __init__(self) -> None:
        self.layers: list[Tensor] = []

    def __call__(
        self,
        attention: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
    ) -> Tensor:
        """Attends, as `diffusers` asks of a processor."""
        query = attention.head_to_batch_dim(attention.to_q(hidden_states))
        key = attention.head_to_batch_dim(attention.to_k(hidden_states))
        value = attention.head_to_batch_dim(attention.to_v(hidden_states))
        probability = attention.get_attention_scores(query, key, attention_mask)
        self.layers.append(reduce(probability, "(b k) n m -> b n m", "mean", k=attention.heads))
        output = attention.batch_to_head_dim(torch.bmm(probability, value))
        projected: Tensor = attention.to_out[0](output)
        return projected


def _block_of(name: str) -> str:
    """`up_blocks.1` of `up_blocks.1.attentions.0.transformer_blocks.0.attn1.processor`."""
    return ".".join(name.split(".")[:2])
