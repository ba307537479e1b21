"""Pre-training of the bundled backbone as a denoiser, on photographs without labels.

*Denoising Diffusion Probabilistic Models*, NeurIPS 2020, arXiv 2006.11239, with v-prediction
(*Progressive Distillation*, ICLR 2022, arXiv 2202.00512).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from icm.backbones.denoiser import SmallBackbone
from icm.config.training import DenoiserTraining
from icm.errors import InputError
from icm.models.matting_model import MattingModel
from icm.research.data.pictures import TrainingPictures
from icm.research.training.distributed import DistributedContext
from icm.research.training.loop import Stage, Watched


def denoising_stage(
    model: MattingModel,
    config: DenoiserTraining,
    data: Path,
    cache: Path,
    context: DistributedContext,
) -> Stage[tuple[Tensor, int]]:
    """The stage that trains the backbone alone, to tell the noise in photographs.

    Args:
        model: with a small backbone.
        config: configuration of the stage; the crops have the size of its pairs.
        data: folder of training pictures.
        cache: folder for decoded pictures.
        context: distributed context of the run.

    Raises:
        ConfigError: the batch cannot be shared by the processes.
        InputError: there are no photographs.
    """
    backbone = cast(SmallBackbone, model.backbone)
    device, share = context.device, context.share_of(config.batch)
    pictures = TrainingPictures.open(data, cache)
    images = [
        picture.image
        for group in (pictures.unlabelled, pictures.photographs, pictures.backgrounds)
        for picture in group
    ]
    if not images:
        raise InputError(f"{data} holds no photographs to train a denoiser on")

    def batches(start: int) -> Iterator[tuple[Tensor, int]]:
        step = start
        while True:
            number = step * context.world + context.rank
            rng = np.random.default_rng([config.seed, number])
            chosen = rng.integers(len(images), size=share)
            crops = [_crop(images[index], config.pairs.size, rng) for index in chosen]
            yield rearrange(torch.from_numpy(np.stack(crops)), "b h w c -> b c h w"), number
            step += 1

    def loss(batch: tuple[Tensor, int]) -> tuple[Tensor, Watched]:
        image_b3hw, number = batch
        clean_b3hw = image_b3hw.to(device).float() / 127.5 - 1
        generator = torch.Generator().manual_seed(config.seed * 1_000_003 + number)
        # Squared: small time-steps, at which features are taken, come more often.
        share_b = torch.rand(clean_b3hw.shape[0], generator=generator).square()
        time_b = (share_b * 1000).long().clamp(max=999).to(device)
        noise_b3hw = torch.randn(clean_b3hw.shape, generator=generator).to(device)
        noisy_b3hw = backbone.schedule.add_noise(clean_b3hw, noise_b3hw, time_b)
        velocity_b3hw = backbone.schedule.get_velocity(clean_b3hw, noise_b3hw, time_b)
        with context.autocast():
            predicted_b3hw = backbone.denoise(noisy_b3hw, time_b)
        error = (predicted_b3hw.float() - velocity_b3hw).square().mean()
        return error, {"error": error.detach()}

    return Stage(batches, loss)


def _crop(image: NDArray[np.uint8], size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random square of the picture, enlarged where it is too small, perhaps mirrored."""
    shortest = min(image.shape[:2])
    if shortest < size:
        scale = size / shortest
        shape = (
            max(size, round(image.shape[1] * scale)),
            max(size, round(image.shape[0] * scale)),
        )
        image = np.asarray(cv2.resize(image, shape, interpolation=cv2.INTER_LINEAR), np.uint8)
    top = int(rng.integers(image.shape[0] - size + 1))
    left = int(rng.integers(image.shape[1] - size + 1))
    crop = image[top : top + size, left : left + size]
    return np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)
