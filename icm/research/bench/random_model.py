"""A full-size model with random weights that still gives an alpha worth comparing.

Freshly initialised heads answer 0.5 everywhere, and any two paths agree on that. Here the head's
weights keep the signal's size, its running statistics are random, and its last layer is scaled so
that alpha spreads over [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from icm.backbones.stable_diffusion.parts import random_parts, save_parts
from icm.models.published.network import PublishedNetwork

LOGIT_DEVIATION = 1.5  # of alpha's logits after scaling: alpha deviates by about .25


def write_backbone(architecture: str, folder: Path, *, seed: int) -> None:
    """Writes a random backbone as a folder in the diffusers layout, stored in half precision.

    The prompt's embedding is written last: a folder that has it is complete.
    """
    save_parts(random_parts(architecture, dtype=torch.float16, seed=seed), folder)


def randomise_head(network: PublishedNetwork, *, seed: int) -> None:
    """Gives a head weights that neither fade nor grow the signal, and random statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv2d):
                fan_in = math.prod(module.weight.shape[1:])
                drawn = torch.randn(module.weight.shape, generator=generator)
                module.weight.copy_(drawn * math.sqrt(2.0 / fan_in))
                if module.bias is not None:
                    module.bias.copy_(0.1 * torch.randn(module.bias.shape, generator=generator))
            elif isinstance(module, nn.BatchNorm2d) and module.running_mean is not None:
                shape = module.running_mean.shape
                module.running_mean.copy_(0.1 * torch.randn(shape, generator=generator))
                spread = torch.rand(shape, generator=generator) + 0.5
                if module.running_var is not None:
                    module.running_var.copy_(spread)


def spread_alpha(network: PublishedNetwork, run: Callable[[], Tensor]) -> None:
    """Scales the head's last layer so that the logits of `run()` have mean 0 and a set deviation.

    Args:
        network: the head; its last convolution is changed.
        run: gives alpha in (0, 1) through this head.
    """
    last = [module for module in network.modules() if isinstance(module, nn.Conv2d)][-1]
    logits = torch.logit(run().double(), eps=1e-7)
    factor = LOGIT_DEVIATION / float(logits.std())
    with torch.no_grad():
        last.weight.mul_(factor)
        if last.bias is not None:
            last.bias.sub_(float(logits.mean())).mul_(factor)


def write_head(network: PublishedNetwork, path: Path) -> None:
    """Writes a head as `icm weights import` writes the published one."""
    state = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(state, path)
