"""Noise: *Denoising Diffusion Probabilistic Models*, NeurIPS 2020, arXiv 2006.11239.

A thousand steps, the share of noise growing linearly; the network predicts the velocity
(*Progressive Distillation*, ICLR 2022, arXiv 2202.00512).
"""

from __future__ import annotations

import torch
from torch import Tensor

STEPS = 1000
FIRST, LAST = 1e-4, 0.02  # variance that one step adds


class NoiseSchedule:
    """Shares of image and noise at every step."""

    def __init__(self) -> None:
        self._kept_t = (1 - torch.linspace(FIRST, LAST, STEPS)).cumprod(dim=0)

    def add_noise(self, clean_bchw: Tensor, noise_bchw: Tensor, time_b: Tensor) -> Tensor:
        """Images as they are at their time-steps."""
        image_b111, noise_b111 = self._shares(clean_bchw, time_b)
        return image_b111 * clean_bchw + noise_b111 * noise_bchw

    def get_velocity(self, clean_bchw: Tensor, noise_bchw: Tensor, time_b: Tensor) -> Tensor:
        """What the network is to predict of images and their noise."""
        image_b111, noise_b111 = self._shares(clean_bchw, time_b)
        return image_b111 * noise_bchw - noise_b111 * clean_bchw

    def shares(self, step: int) -> tuple[float, float]:
        """Of image and noise at one step, as numbers: nothing is moved to a device."""
        kept = self._kept_t[step]
        return float(kept.sqrt()), float((1 - kept).sqrt())

    def _shares(self, like_bchw: Tensor, time_b: Tensor) -> tuple[Tensor, Tensor]:
        kept_b111 = self._kept_t.to(like_bchw)[time_b.to(like_bchw.device)][:, None, None, None]
        return kept_b111.sqrt(), (1 - kept_b111).sqrt()
