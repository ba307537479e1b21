"""Operations of both paths at full size, counted without computing anything."""

from __future__ import annotations

import pytest
import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel

from icm.backbones import Noise
from icm.backbones.stable_diffusion.architectures import ARCHITECTURES
from icm.backbones.stable_diffusion.backbone import DiffusionBackbone
from icm.backbones.stable_diffusion.parts import Parts
from icm.config.diffusion import DiffusionBackboneConfig
from icm.research.bench.published_path import PublishedPath
from icm.research.bench.stages import count_flops
from icm.results import Example, Features
from tests.models.published.released import released_network

DEFAULTS = DiffusionBackboneConfig()


def _parts() -> Parts:
    shapes = ARCHITECTURES["sd21"]
    with torch.device("meta"):
        return Parts(
            UNet2DConditionModel(**shapes.unet).eval(),
            AutoencoderKL(**shapes.autoencoder).eval(),
            DDIMScheduler(**shapes.schedule),
            torch.zeros(1, 77, 1024),
        )


@pytest.fixture(scope="module")
def inputs():
    with torch.device("meta"):
        noise = Noise(torch.zeros(4, 4, 96, 96), torch.zeros(4, 4, 96, 96))
        return torch.zeros(1, 3, 768, 768), noise


@pytest.fixture(scope="module")
def head_teraflops():
    """Of the head; the matched tokens are counted as all 2304, since nothing is known of a mask."""
    network = released_network().eval()
    features = Features(
        torch.zeros(1, 3, 768, 768),
        (torch.zeros(1, 1280, 24, 24), torch.zeros(1, 1280, 48, 48)),
        (torch.zeros(1, 24, 24, 576), torch.zeros(1, 48, 48, 2304)),
    )
    example = Example(features, torch.ones(1, 1, 768, 768))
    with torch.no_grad():
        return count_flops(lambda: network(features, [example])) / 1e12


def test_the_published_path_costs_what_was_counted_for_it(inputs, head_teraflops):
    path = PublishedPath(
        _parts(),
        released_network(),
        timestep=200,
        map_blocks=DEFAULTS.map_blocks,
        attention_blocks=DEFAULTS.attention_blocks,
    )
    image = count_flops(lambda: path.extract(*inputs)) / 1e12
    assert 2 * image + head_teraflops == pytest.approx(38.6, rel=0.03)


def test_ours_costs_less_than_a_quarter(inputs, head_teraflops):
    parts = _parts()
    backbone = DiffusionBackbone(
        parts.unet, parts.autoencoder, alpha_cumprod=0.75, prompt_1nc=parts.prompt_1nc
    )
    target = count_flops(lambda: backbone.extract(*inputs)) / 1e12
    reference = count_flops(lambda: backbone.extract(*inputs, attention=False)) / 1e12
    assert target + head_teraflops == pytest.approx(8.5, rel=0.03)
    assert reference == pytest.approx(2.609 + 4 * 1.126, rel=0.03)
