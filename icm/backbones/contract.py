"""The contract of backbones: features and self-attention maps of a batch of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from icm.results import Features


@dataclass(frozen=True)
class Noise:
    """The random numbers that a backbone uses, drawn beforehand so that nothing is left to chance.

    Attributes:
        posterior_echw: standard normal, draws the latents from the encoder's mean and deviation;
            None where the backbone works on pixels.
        diffusion_echw: standard normal, noises the latents to the time-step.
    Every target gets the same noise: e ensemble members, the same for all images of a batch.
    """

    posterior_echw: Tensor | None
    diffusion_echw: Tensor


class Backbone(Protocol):
    """A diffusion backbone, seen from outside."""

    @property
    def stride(self) -> int:
        """Input heights and widths must be multiples of this."""
        ...

    @property
    def map_channels(self) -> tuple[int, ...]:
        """Channels of `Features.maps`, coarse to fine."""
        ...

    def draw_noise(self, height: int, width: int, seed: int) -> Noise:
        """Draws noise for an input size from a CPU generator: contiguous float32."""
        ...

    def extract(self, image_b3hw: Tensor, noise: Noise, *, attention: bool = True) -> Features:
        """Features of RGB images in [0, 1]; without `attention` only what a reference needs."""
        ...
