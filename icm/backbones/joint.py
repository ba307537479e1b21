"""The small denoiser and a pretrained encoder beside each other, behind one contract.

Diffusion features know edges and layout, discriminative ones know what a thing is; that they
complement each other is shown by *A Tale of Two Features* (NeurIPS 2023, arXiv 2305.15347).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from icm.backbones.contract import Noise
from icm.backbones.denoiser import SmallBackbone
from icm.backbones.efficientnet_lite import LARGEST_STRIDE, EfficientNetLite2
from icm.beside import begun
from icm.results import Features

DENOISER_STRIDE = 16


class JointBackbone(nn.Module):
    """Maps of the denoiser, at a reduced size, followed by maps of the encoder at the input size.

    Args:
        denoiser: sees the picture reduced by `denoiser_scale`.
        encoder: sees the picture as it is.
        denoiser_scale: in (0, 1].
    """

    def __init__(
        self, denoiser: SmallBackbone, encoder: EfficientNetLite2, *, denoiser_scale: float
    ) -> None:
        super().__init__()
        self.denoiser = denoiser
        self.encoder = encoder
        self.denoiser_scale = denoiser_scale
        self.stride = LARGEST_STRIDE

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of the denoiser's maps and then of the encoder's, both coarse to fine."""
        return (*self.denoiser.map_channels, *reversed(self.encoder.channels))

    def draw_noise(self, height: int, width: int, seed: int) -> Noise:
        """Noise for the denoiser at its reduced size."""
        return self.denoiser.draw_noise(*self.denoiser_size((height, width)), seed)

    def extract(self, image_b3hw: Tensor, noise: Noise, *, attention: bool = True) -> Features:
        """Features of images in [0, 1]; the attention maps are the denoiser's."""
        with begun(lambda: self.denoised(image_b3hw, noise, attention=attention)) as denoised:
            maps = self.encoder(image_b3hw)
            diffusion = denoised()
        return Features(image_b3hw, (*diffusion.maps, *reversed(maps)), diffusion.attention)

    def denoised(self, image_b3hw: Tensor, noise: Noise, *, attention: bool = True) -> Features:
        """What the denoiser sees of images, with the images at the size that it sees."""
        reduced = F.interpolate(
            image_b3hw,
            size=self.denoiser_size(image_b3hw.shape[-2:]),
            mode="bilinear",
            antialias=True,
        )
        return self.denoiser.extract(reduced, noise, attention=attention)

    def denoiser_size(self, size: Sequence[int]) -> tuple[int, int]:
        """Height and width that the denoiser sees of a picture of a size."""
        height, width = (
            max(1, round(side * self.denoiser_scale / DENOISER_STRIDE)) * DENOISER_STRIDE
            for side in size
        )
        return height, width
