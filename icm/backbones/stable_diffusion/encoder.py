"""The image encoder of Stable Diffusion's autoencoder, run once for an image.

The decoder is dropped. Ensemble members draw their latents from the mean and deviation found here.
High-Resolution Image Synthesis with Latent Diffusion Models, CVPR 2022, arXiv 2112.10752.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from einops import rearrange
from torch import Tensor, nn

from icm.backbones.stable_diffusion.attention import attend
from icm.backbones.stable_diffusion.capture import Stock, residual


@dataclass(frozen=True)
class Posterior:
    """Distribution of an image's latents, before scaling.

    Attributes:
        mean_bchw: float32, at an eighth of the image's size.
        deviation_bchw: float32, of the same shape.
    """

    mean_bchw: Tensor
    deviation_bchw: Tensor


class LatentEncoder(nn.Module):
    """Images to the distribution of their latents.

    Args:
        autoencoder: a stock autoencoder; its encoder is taken over, its decoder dropped.
    """

    encoder: Stock
    quant_conv: Stock

    def __init__(self, autoencoder: AutoencoderKL) -> None:
        super().__init__()
        self.encoder = autoencoder.encoder
        self.quant_conv = autoencoder.quant_conv
        self.scaling_factor = float(autoencoder.config.scaling_factor)
        self.requires_grad_(False).eval()

    def forward(self, image_b3hw: Tensor) -> Posterior:
        """Encodes images in [-1, 1], in the encoder's own precision."""
        encoder = self.encoder
        x_bchw: Tensor = encoder.conv_in(image_b3hw)
        for block in encoder.down_blocks:
            for resnet in block.resnets:
                x_bchw = residual(resnet, x_bchw)
            for downsampler in block.downsamplers or ():
                x_bchw = downsampler(x_bchw)
        x_bchw = residual(encoder.mid_block.resnets[0], x_bchw)
        for attention, resnet in zip(
            encoder.mid_block.attentions, encoder.mid_block.resnets[1:], strict=True
        ):
            if attention is not None:
                x_bchw = _attend_pixels(attention, x_bchw)
            x_bchw = residual(resnet, x_bchw)
        x_bchw = encoder.conv_out(F.silu(encoder.conv_norm_out(x_bchw), inplace=True))
        if self.quant_conv is not None:
            x_bchw = self.quant_conv(x_bchw)
        mean_bchw, log_variance_bchw = x_bchw.float().chunk(2, dim=1)
        # The published clamp: keeps the deviation finite in every precision.
        deviation_bchw = torch.exp(0.5 * log_variance_bchw.clamp(-30.0, 20.0))
        return Posterior(mean_bchw, deviation_bchw)


def _attend_pixels(attention: Stock, x_bchw: Tensor) -> Tensor:
    """Self-attention with one head over all positions, with its residual."""
    height, width = x_bchw.shape[-2:]
    tokens_bnc: Tensor = rearrange(attention.group_norm(x_bchw), "b c h w -> b (h w) c")
    query, key, value = (
        rearrange(project(tokens_bnc), "b n (k d) -> b k n d", k=attention.heads)
        for project in (attention.to_q, attention.to_k, attention.to_v)
    )
    output_bknd = attend(query, key, value, None)
    tokens_bnc = attention.to_out[0](rearrange(output_bknd, "b k n d -> b n (k d)"))
    y_bchw = rearrange(tokens_bnc, "b (h w) c -> b c h w", h=height, w=width)
    return x_bchw + y_bchw
