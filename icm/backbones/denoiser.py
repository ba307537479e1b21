"""The bundled backbone: a small pixel-space denoising U-Net that runs on any CPU.

A small U-Net sees the image as 4 x 4 pixel blocks, noised once to a small time-step. Its up-block
features and self-attention are used as those of Stable Diffusion are; the network is small enough
to be trained through.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from einops import repeat
from torch import Tensor, nn

from icm.backbones.contract import Noise
from icm.backbones.noising import NoiseSchedule
from icm.backbones.unet import DenoisingUNet, Recorder
from icm.results import Features

PATCH = 4


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
        self.unet = DenoisingUNet(3 * PATCH**2, self.channels, head_width)
        self.schedule = NoiseSchedule()
        self._signal, self._spread = self.schedule.shares(timestep)

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
        noisy_b3hw = self._signal * (image_b3hw * 2 - 1) + self._spread * noise_b3hw
        return Features(image_b3hw, *self.read(noisy_b3hw, attention=attention))

    def read(
        self, noisy_b3hw: Tensor, *, attention: bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """Maps and attention maps of noised images, as `Features` holds them."""
        recorder = Recorder() if attention else None
        maps = self.decode(noisy_b3hw, recorder)
        grids = [(m.shape[-2], m.shape[-1]) for m in maps[:2]]
        return maps, recorder.maps(grids) if recorder else ()

    def decode(self, noisy_b3hw: Tensor, recorder: Recorder | None) -> tuple[Tensor, ...]:
        """Up-block outputs before up-sampling, coarse to fine."""
        time_b = torch.full(
            (noisy_b3hw.shape[0],), self.timestep, dtype=torch.long, device=noisy_b3hw.device
        )
        return self.unet.decode(_patches(noisy_b3hw), time_b, recorder)

    def denoise(self, noisy_b3hw: Tensor, time_b: Tensor) -> Tensor:
        """The U-Net's own output, v-prediction, for training it as a denoiser: `b 3 h w`."""
        return F.pixel_shuffle(self.unet(_patches(noisy_b3hw), time_b), PATCH)


def _patches(image_b3hw: Tensor) -> Tensor:
    """Blocks of `PATCH` x `PATCH` pixels as channels."""
    return F.pixel_unshuffle(image_b3hw, PATCH).contiguous(memory_format=torch.channels_last)
