"""Shapes of the Stable Diffusion networks that are known without a folder that describes them.

Used for single-file checkpoints, which hold tensors alone, and for random weights. The values are
those of the published configurations; "tiny" is for tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

DOWN_BLOCKS = ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",)
UP_BLOCKS = ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3


@dataclass(frozen=True)
class Architecture:
    """Constructor arguments of the stock classes.

    Attributes:
        unet: configuration of `UNet2DConditionModel`.
        autoencoder: configuration of `AutoencoderKL`.
        schedule: configuration of `DDIMScheduler`.
        text_encoder: configuration of `CLIPTextConfig`.
    """

    unet: dict[str, Any]
    autoencoder: dict[str, Any]
    schedule: dict[str, Any]
    text_encoder: dict[str, Any]


def _unet(channels: tuple[int, ...], heads: tuple[int, ...] | int, **rest: Any) -> dict[str, Any]:
    return {
        "in_channels": 4,
        "out_channels": 4,
        "block_out_channels": channels,
        "attention_head_dim": heads,  # the number of heads, in spite of its name
        "down_block_types": DOWN_BLOCKS,
        "up_block_types": UP_BLOCKS,
        "layers_per_block": 2,
        **rest,
    }


def _autoencoder(channels: tuple[int, ...], groups: int, size: int) -> dict[str, Any]:
    return {
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * 4,
        "up_block_types": ("UpDecoderBlock2D",) * 4,
        "layers_per_block": 2,
        "latent_channels": 4,
        "norm_num_groups": groups,
        "sample_size": size,
        "scaling_factor": 0.18215,
    }


def _schedule(prediction: str) -> dict[str, Any]:
    return {
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "beta_schedule": "scaled_linear",
        "prediction_type": prediction,
        "clip_sample": False,
        "set_alpha_to_one": False,
        "steps_offset": 1,
    }


def _text_encoder(
    width: int, layers: int, heads: int, activation: str, **rest: Any
) -> dict[str, Any]:
    return {
        "hidden_size": width,
        "intermediate_size": 4 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "hidden_act": activation,
        "max_position_embeddings": 77,
        "vocab_size": 49408,
        **rest,
    }


FULL_AUTOENCODER = (128, 256, 512, 512)

ARCHITECTURES: dict[str, Architecture] = {
    "sd21": Architecture(
        unet=_unet(
            (320, 640, 1280, 1280),
            (5, 10, 20, 20),
            cross_attention_dim=1024,
            use_linear_projection=True,
            upcast_attention=True,
            sample_size=96,
        ),
        autoencoder=_autoencoder(FULL_AUTOENCODER, 32, 768),
        schedule=_schedule("v_prediction"),
        # The last of OpenCLIP's 24 layers is not used.
        text_encoder=_text_encoder(1024, 23, 16, "gelu"),
    ),
    "sd15": Architecture(
        unet=_unet((320, 640, 1280, 1280), 8, cross_attention_dim=768, sample_size=64),
        autoencoder=_autoencoder(FULL_AUTOENCODER, 32, 512),
        schedule=_schedule("epsilon"),
        text_encoder=_text_encoder(768, 12, 12, "quick_gelu"),
    ),
    "tiny": Architecture(
        unet=_unet(
            (16, 32, 32, 32),
            (2, 4, 4, 4),
            cross_attention_dim=16,
            use_linear_projection=True,
            norm_num_groups=8,
            sample_size=16,
        ),
        autoencoder=_autoencoder((8, 16, 16, 16), 4, 128),
        schedule=_schedule("v_prediction"),
        text_encoder=_text_encoder(16, 2, 2, "gelu", vocab_size=64),
    ),
}
