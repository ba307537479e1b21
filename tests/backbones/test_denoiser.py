"""The bundled backbone against the stock U-Net run whole, and its attention against loops."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from diffusers import DDPMScheduler, UNet2DModel
from diffusers.models.attention_processor import Attention, AttnProcessor

from icm.backbones.denoiser import PATCH, SmallBackbone
from icm.backbones.noising import NoiseSchedule


@pytest.fixture(scope="module")
def backbone() -> SmallBackbone:
    torch.manual_seed(0)
    return SmallBackbone(channels=(16, 16, 32), head_width=16).eval()


def stock_of(channels: tuple[int, ...], head_width: int) -> UNet2DModel:
    return UNet2DModel(
        in_channels=3 * PATCH**2,
        out_channels=3 * PATCH**2,
        block_out_channels=channels,
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
        layers_per_block=1,
        attention_head_dim=head_width,
        norm_num_groups=16,
    )


def stock(backbone: SmallBackbone) -> UNet2DModel:
    """diffusers' network of the same weights, with its own attention."""
    copy = stock_of((16, 16, 32), head_width=16)
    copy.load_state_dict(backbone.unet.state_dict())
    for module in copy.modules():
        if isinstance(module, Attention):
            module.set_processor(AttnProcessor())
    return copy.eval()


def test_it_begins_as_the_stock_network_does() -> None:
    """Names, initial values and the order that saved optimisers rely on."""
    torch.manual_seed(3)
    ours = SmallBackbone(channels=(16, 32, 48), head_width=16).unet
    torch.manual_seed(3)
    theirs = stock_of((16, 32, 48), head_width=16)
    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()]
    assert all(
        torch.equal(mine, value)
        for mine, value in zip(ours.parameters(), theirs.parameters(), strict=True)
    )


def test_noise_is_added_as_the_stock_schedule_does() -> None:
    ours, theirs = NoiseSchedule(), DDPMScheduler(prediction_type="v_prediction")
    clean, noise = torch.randn(2, 3, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    time = torch.tensor([0, 5, 999])
    assert torch.equal(ours.add_noise(clean, noise, time), theirs.add_noise(clean, noise, time))
    assert torch.equal(
        ours.get_velocity(clean, noise, time), theirs.get_velocity(clean, noise, time)
    )


@pytest.mark.parametrize("size", [(64, 64), (48, 96)])
@torch.no_grad()
def test_denoising_equals_the_stock_network(backbone: SmallBackbone, size: tuple[int, int]) -> None:
    noisy = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1))
    time = torch.tensor([5, 700])
    expected = F.pixel_shuffle(stock(backbone)(F.pixel_unshuffle(noisy, PATCH), time).sample, PATCH)
    assert torch.allclose(backbone.denoise(noisy, time), expected, atol=1e-5)


@torch.no_grad()
def test_attention_is_the_mean_over_heads_and_layers_of_a_grid(backbone: SmallBackbone) -> None:
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    noise = backbone.draw_noise(64, 64, seed=0)
    features = backbone.extract(image, noise)
    network = stock(backbone)
    seen: dict[int, list[torch.Tensor]] = {}

    def watch(module: Attention, inputs: tuple[torch.Tensor, ...], _: object) -> None:
        (x,) = inputs
        tokens = module.group_norm(x).flatten(2).transpose(1, 2)
        width = tokens.shape[-1] // module.heads
        query, key = module.to_q(tokens), module.to_k(tokens)
        total = torch.zeros(tokens.shape[1], tokens.shape[1])
        for head in range(module.heads):
            part = slice(head * width, (head + 1) * width)
            total += (query[0, :, part] @ key[0, :, part].T / width**0.5).softmax(-1)
        seen.setdefault(tokens.shape[1], []).append(total / module.heads)

    for module in network.modules():
        if isinstance(module, Attention):
            module.register_forward_hook(watch)
    time = torch.tensor([backbone.timestep])
    noisy = backbone.schedule.add_noise(image * 2 - 1, noise.diffusion_echw, time)
    network(F.pixel_unshuffle(noisy, PATCH), time)
    assert {tokens: len(maps) for tokens, maps in seen.items()} == {16: 4, 64: 2}
    for found, tokens in zip(features.attention, (16, 64), strict=True):
        expected = torch.stack(seen[tokens]).mean(0)
        assert torch.allclose(found.reshape(tokens, tokens), expected, atol=1e-5)


@torch.no_grad()
def test_features_are_a_pyramid_of_the_promised_widths(backbone: SmallBackbone) -> None:
    noise = backbone.draw_noise(48, 96, seed=0)
    features = backbone.extract(torch.rand(2, 3, 48, 96), noise, attention=False)
    shapes = [tuple(map_bchw.shape) for map_bchw in features.maps]
    assert shapes == [(2, 32, 3, 6), (2, 16, 6, 12), (2, 16, 12, 24)]
    assert backbone.map_channels == (32, 16, 16)
    assert features.attention == ()


@torch.no_grad()
def test_an_ensemble_is_the_mean_over_its_noises() -> None:
    torch.manual_seed(0)
    backbone = SmallBackbone(channels=(16, 16, 32), head_width=16, ensemble=3).eval()
    image = torch.rand(2, 3, 64, 64)
    noise = backbone.draw_noise(64, 64, seed=0)
    assert noise.diffusion_echw.shape[0] == 3
    together = backbone.extract(image, noise)
    alone = [
        backbone.noised_features(image, one.expand(2, -1, -1, -1), attention=True)
        for one in noise.diffusion_echw
    ]
    for level in range(3):
        mean = torch.stack([each.maps[level] for each in alone]).mean(0)
        assert torch.allclose(together.maps[level], mean, atol=1e-6)
    for level in range(2):
        mean = torch.stack([each.attention[level] for each in alone]).mean(0)
        assert torch.allclose(together.attention[level], mean, atol=1e-6)


def test_noise_depends_on_the_seed_alone(backbone: SmallBackbone) -> None:
    first = backbone.draw_noise(32, 48, seed=3).diffusion_echw
    torch.manual_seed(77)
    again = backbone.draw_noise(32, 48, seed=3).diffusion_echw
    assert torch.equal(first, again)
    assert not torch.equal(first, backbone.draw_noise(32, 48, seed=4).diffusion_echw)
    assert first.is_contiguous()
    assert first.dtype == torch.float32


def test_every_parameter_of_the_denoiser_learns(backbone: SmallBackbone) -> None:
    backbone.zero_grad()
    backbone.denoise(torch.randn(1, 3, 64, 64), torch.tensor([9])).square().mean().backward()
    idle = [name for name, value in backbone.named_parameters() if value.grad is None]
    assert idle == []


def test_pictures_are_noised_as_the_schedule_does_to_the_bit() -> None:
    """Without the schedule, which moves its table to the device of what it noises."""
    backbone = SmallBackbone(channels=(16, 32, 48), head_width=16)
    image = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    seen: list[torch.Tensor] = []
    backbone.decode = lambda noisy, *_: seen.append(noisy) or (noisy, noisy, noisy)
    backbone.noised_features(image, noise, attention=False)
    time = torch.full((2,), backbone.timestep)
    assert torch.equal(seen[0], backbone.schedule.add_noise(image * 2 - 1, noise, time))
