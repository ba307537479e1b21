"""Stable Diffusion as a backbone: features and self-attention of one noised step.

In-Context Matting, CVPR 2024, arXiv 2403.15789, on Stable Diffusion (CVPR 2022, arXiv 2112.10752).
An image is encoded once; each ensemble member draws its latents and its noise from numbers that
come in as an argument, passes the U-Net once, and is averaged with the others.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Sequence

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from einops import rearrange
from torch import Tensor, nn

from icm.backbones.contract import Noise
from icm.backbones.stable_diffusion.attention import AttentionMean
from icm.backbones.stable_diffusion.capture import CaptureUNet
from icm.backbones.stable_diffusion.encoder import LatentEncoder, Posterior
from icm.backbones.stable_diffusion.identity import weights_identity
from icm.backbones.stable_diffusion.parts import alpha_cumprod, load_parts
from icm.config.diffusion import DiffusionBackboneConfig
from icm.errors import InputError
from icm.results import Features

log = logging.getLogger(__name__)

Stopwatch = Callable[[str], contextlib.AbstractContextManager[None]]


def _untimed(_: str) -> contextlib.AbstractContextManager[None]:
    return contextlib.nullcontext()


class DiffusionBackbone(nn.Module):
    """Stable Diffusion 1.x or 2.x behind the backbone contract.

    Args:
        unet: stock U-Net, taken over.
        autoencoder: stock autoencoder, taken over.
        alpha_cumprod: cumulative alpha of the noise schedule at `timestep`, in (0, 1).
        prompt_1nc: embedding of the empty prompt.
        timestep: noise level of the features.
        ensemble: number of noises averaged.
        map_blocks: up-blocks whose outputs are the maps, ascending.
        attention_blocks: for each level, coarse to fine, block paths of its self-attention.
        members_at_once: ensemble members in one pass; None for one on a CPU and all on a GPU.
        identity: tells the weights from others.
    """

    def __init__(
        self,
        unet: UNet2DConditionModel,
        autoencoder: AutoencoderKL,
        *,
        alpha_cumprod: float,
        prompt_1nc: Tensor,
        timestep: int = 200,
        ensemble: int = 4,
        map_blocks: Sequence[int] = (0, 1),
        attention_blocks: Sequence[Sequence[str]] = (
            ("down_blocks.2", "up_blocks.1"),
            ("down_blocks.1", "up_blocks.2"),
        ),
        members_at_once: int | None = None,
        identity: str = "",
    ) -> None:
        super().__init__()
        self.ensemble = ensemble
        self.identity = identity
        self._latent_channels = int(autoencoder.config.latent_channels)
        self._stride: int = 2 ** (len(autoencoder.config.block_out_channels) - 1)
        self._signal = alpha_cumprod**0.5
        self._noise = (1 - alpha_cumprod) ** 0.5
        self._members_at_once = members_at_once
        self.encoder = LatentEncoder(autoencoder)
        self.unet = CaptureUNet(
            unet,
            map_blocks=map_blocks,
            attention_blocks=attention_blocks,
            timestep=timestep,
            prompt_1nc=prompt_1nc,
        )

    @property
    def stride(self) -> int:
        """Input heights and widths must be multiples of this."""
        return self._stride

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the maps, coarse to fine."""
        return self.unet.map_channels

    def draw_noise(self, height: int, width: int, seed: int) -> Noise:
        """Draws the noise of all ensemble members for an input size, contiguous float32 on a CPU.

        Raises:
            InputError: a side is no multiple of the stride.
        """
        self._check_size(height, width)
        rows, columns = height // self.stride, width // self.stride
        return latent_noise(self.ensemble, self._latent_channels, rows, columns, seed)

    @torch.no_grad()
    def extract(
        self,
        image_b3hw: Tensor,
        noise: Noise,
        *,
        attention: bool = True,
        time: Stopwatch = _untimed,
    ) -> Features:
        """Features of RGB images in [0, 1].

        Args:
            image_b3hw: sides are multiples of the stride.
            noise: of the same input size, see `draw_noise`; its e decides the ensemble.
            attention: whether self-attention maps are wanted; a reference needs none.
            time: told the names of the stages "encoder" and "unet" while they last.

        Raises:
            InputError: a side is no multiple of the stride, or the noise has another size.
        """
        self._check_size(*image_b3hw.shape[-2:])
        # On a CPU image by image: batches are no faster there, and the result of an image must not
        # depend on its neighbours by so much as a bit.
        on_cpu = image_b3hw.device.type == "cpu"
        groups = torch.split(image_b3hw, 1 if on_cpu else image_b3hw.shape[0])
        members = self._members_at_once or (1 if on_cpu else noise.diffusion_echw.shape[0])
        found = [self._extract_group(group, noise, attention, members, time) for group in groups]
        return Features(
            image_b3hw,
            tuple(torch.cat(level) for level in zip(*(f[0] for f in found), strict=True)),
            tuple(torch.cat(level) for level in zip(*(f[1] for f in found), strict=True)),
        )

    def encode(self, image_b3hw: Tensor) -> Posterior:
        """Distribution of the latents of RGB images in [0, 1]."""
        parameter = next(self.encoder.parameters())
        image_b3hw = (2 * image_b3hw - 1).to(parameter.dtype)
        posterior: Posterior = self.encoder(
            _like_weights(image_b3hw, self.encoder.encoder.conv_in.weight)
        )
        return posterior

    def noisy_latents(self, posterior: Posterior, noise: Noise) -> Tensor:
        """Latents of every member at the time-step, `b e c h w`, float32."""
        if noise.posterior_echw is None:
            raise InputError("the noise was drawn for a backbone on pixels, not for latents")
        device = posterior.mean_bchw.device
        expected = (self._latent_channels, *posterior.mean_bchw.shape[-2:])
        for tensor in (noise.posterior_echw, noise.diffusion_echw):
            if tuple(tensor.shape[1:]) != expected:
                raise InputError(
                    f"the noise has shape {tuple(tensor.shape[1:])}, the latents {expected}: draw "
                    "it for the size of the image"
                )
        mean_b1chw = posterior.mean_bchw[:, None]
        deviation_b1chw = posterior.deviation_bchw[:, None]
        sample_bechw = mean_b1chw + deviation_b1chw * noise.posterior_echw.to(device)
        latents_bechw = sample_bechw * self.encoder.scaling_factor
        noisy_bechw: Tensor = self._signal * latents_bechw + self._noise * noise.diffusion_echw.to(
            device
        )
        return noisy_bechw

    def _extract_group(
        self, image_b3hw: Tensor, noise: Noise, attention: bool, members: int, time: Stopwatch
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Mean maps and attention of images that share each pass."""
        with time("encoder"):
            posterior = self.encode(image_b3hw)
        noisy_bechw = self.noisy_latents(posterior, noise)
        while True:
            try:
                with time("unet"):
                    return self._average(noisy_bechw, attention, members)
            except torch.OutOfMemoryError:
                if members == 1:
                    raise
                members = (members + 1) // 2
                log.warning(
                    "the device is short of memory: going on with %d ensemble members at once",
                    members,
                )
                self._members_at_once = members

    def _average(
        self, noisy_bechw: Tensor, attention: bool, members: int
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        weight = self.unet.conv_in.weight
        total: tuple[Tensor, ...] = ()
        means: tuple[AttentionMean, ...] = ()
        for part_bechw in torch.split(noisy_bechw, members, dim=1):
            latents = rearrange(part_bechw, "b e c h w -> (b e) c h w").to(weight.dtype)
            captured = self.unet(
                _like_weights(latents, weight),
                images=part_bechw.shape[0],
                attention=attention,
                earlier=means,
            )
            means = captured.attention
            parts = captured.maps
            total = tuple(a + b for a, b in zip(total, parts, strict=True)) if total else parts
        ensemble = noisy_bechw.shape[1]
        maps = tuple((level / ensemble).contiguous() for level in total)
        return maps, tuple(mean.result() for mean in means)

    def _check_size(self, height: int, width: int) -> None:
        if height % self.stride or width % self.stride or min(height, width) < self.stride:
            raise InputError(
                f"Stable Diffusion takes sides that are multiples of {self.stride} pixels; this "
                f"image is {height} x {width} (height x width): resize it"
            )


def latent_noise(ensemble: int, channels: int, height: int, width: int, seed: int) -> Noise:
    """Noise of all ensemble members for latents of a size, contiguous float32 on a CPU."""
    generator = torch.Generator("cpu").manual_seed(seed)
    shape = (ensemble, channels, height, width)
    posterior_echw = torch.randn(shape, generator=generator)
    return Noise(posterior_echw, torch.randn(shape, generator=generator))


def _like_weights(x_bchw: Tensor, weight: Tensor) -> Tensor:
    """Gives activations the memory order of the weights: channels last where they are."""
    channels_last = weight.is_contiguous(memory_format=torch.channels_last)
    order = torch.channels_last if channels_last else torch.contiguous_format
    return x_bchw.contiguous(memory_format=order)


def build_diffusion_backbone(
    config: DiffusionBackboneConfig, *, device: torch.device, dtype: torch.dtype, seed: int = 0
) -> DiffusionBackbone:
    """Loads a diffusion backbone and puts it in place.

    Args:
        config: which weights, and what of the network is captured.
        device: device to run on.
        dtype: its precision; channels last throughout, which bfloat16 needs to be fast on a CPU.
        seed: seed of the weights where `config.source` is "random".

    Raises:
        WeightsError: weights are missing, damaged, of another model, or could not be fetched.
        ConfigError: the network has not the blocks that the configuration names.
    """
    parts = load_parts(config, dtype=dtype, seed=seed)
    backbone = DiffusionBackbone(
        parts.unet,
        parts.autoencoder,
        alpha_cumprod=alpha_cumprod(parts, config.timestep),
        prompt_1nc=parts.prompt_1nc,
        timestep=config.timestep,
        ensemble=config.ensemble,
        map_blocks=config.map_blocks,
        attention_blocks=config.attention_blocks,
        members_at_once=config.members_at_once,
        identity=weights_identity(parts.unet, parts.autoencoder),
    )
    backbone.to(device)
    backbone.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    return backbone
