"""Stable Diffusion behind the backbone contract: precision, batches, ensemble, input checks."""

from __future__ import annotations

import pytest
import torch

from icm.backbones import Noise
from icm.backbones.stable_diffusion.backbone import build_diffusion_backbone
from icm.config.diffusion import DiffusionBackboneConfig
from icm.errors import InputError
from tests.backbones.stable_diffusion.tiny import tiny_backbone, tiny_parts


def _images(count: int, height: int = 64, width: int = 48) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(3))


def _tensors(features):
    return (*features.maps, *features.attention)


def test_latents_follow_the_formula():
    parts = tiny_parts()
    image = _images(1)
    with torch.no_grad():
        stock = parts.autoencoder.encode(2 * image - 1).latent_dist
    backbone = tiny_backbone()
    posterior = backbone.encode(image)
    torch.testing.assert_close(posterior.mean_bchw, stock.mean, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(posterior.deviation_bchw, stock.std, atol=1e-5, rtol=1e-5)
    noise = backbone.draw_noise(64, 48, seed=1)
    noisy = backbone.noisy_latents(posterior, noise)
    for member in range(2):
        latents = (stock.mean[0] + stock.std[0] * noise.posterior_echw[member]) * 0.18215
        expected = parts.scheduler.add_noise(
            latents, noise.diffusion_echw[member], torch.tensor(200)
        )
        torch.testing.assert_close(noisy[0, member], expected, atol=1e-5, rtol=1e-5)


def test_an_image_does_not_depend_on_its_neighbours_by_a_bit():
    backbone = tiny_backbone()
    images = _images(3)
    noise = backbone.draw_noise(64, 48, seed=0)
    together = backbone.extract(images, noise)
    for index in range(3):
        alone = backbone.extract(images[index : index + 1], noise)
        for a, b in zip(_tensors(together), _tensors(alone), strict=True):
            assert torch.equal(a[index], b[0])


def test_images_that_share_a_pass_get_the_same_result():
    backbone = tiny_backbone()
    images = _images(2)
    noise = backbone.draw_noise(64, 48, seed=0)
    shared = backbone._extract_group(images, noise, True, 2, _no_clock)
    alone = backbone.extract(images, noise)
    for a, b in zip((*shared[0], *shared[1]), _tensors(alone), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_members_at_once_do_not_change_the_result():
    noise = tiny_backbone(ensemble=3).draw_noise(64, 48, seed=0)
    results = [
        tiny_backbone(ensemble=3, members_at_once=members).extract(_images(1), noise)
        for members in (1, 2, 3)
    ]
    for other in results[1:]:
        for a, b in zip(_tensors(results[0]), _tensors(other), strict=True):
            torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_short_memory_halves_the_members(monkeypatch):
    backbone = tiny_backbone(ensemble=4, members_at_once=4)
    noise = backbone.draw_noise(64, 48, seed=0)
    expected = backbone.extract(_images(1), noise)
    whole, tried = backbone.unet.forward, []

    def short(latents, **options):
        tried.append(len(latents))
        if len(latents) > 1:
            raise torch.OutOfMemoryError("no memory")
        return whole(latents, **options)

    monkeypatch.setattr(backbone.unet, "forward", short)
    found = backbone.extract(_images(1), noise)
    assert tried == [4, 2, 1, 1, 1, 1]
    for a, b in zip(_tensors(expected), _tensors(found), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.bfloat16, 0.05), (torch.float16, 0.01)])
def test_half_precision_stays_near(dtype, bound):
    noise = tiny_backbone().draw_noise(64, 64, seed=0)
    image = _images(1, 64, 64)
    exact = tiny_backbone().extract(image, noise)
    near = tiny_backbone(dtype=dtype).extract(image, noise)
    for a, b in zip(_tensors(exact), _tensors(near), strict=True):
        assert b.dtype == torch.float32
        difference = (a - b).norm() / a.norm()
        assert 0 < difference < bound


def test_attention_sums_to_one_and_inputs_stay_as_they_are():
    backbone = tiny_backbone()
    image, noise = _images(1), backbone.draw_noise(64, 48, seed=0)
    before = image.clone(), noise.posterior_echw.clone(), noise.diffusion_echw.clone()
    features = backbone.extract(image, noise)
    assert [level.shape[1:3] for level in features.attention] == [(2, 2), (4, 3)]
    for level in features.attention:
        torch.testing.assert_close(level.sum(-1), torch.ones(level.shape[:3]))
    after = image, noise.posterior_echw, noise.diffusion_echw
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


def test_noise_comes_from_the_seed_alone():
    backbone = tiny_backbone()
    one, two = backbone.draw_noise(64, 48, seed=4), backbone.draw_noise(64, 48, seed=4)
    other = backbone.draw_noise(64, 48, seed=5)
    assert torch.equal(one.diffusion_echw, two.diffusion_echw)
    assert not torch.equal(one.diffusion_echw, other.diffusion_echw)
    assert not torch.equal(one.diffusion_echw, one.posterior_echw)
    assert one.diffusion_echw.shape == (2, 4, 8, 6)
    assert one.diffusion_echw.is_contiguous()


def test_a_reference_has_the_same_maps_without_attention():
    backbone = tiny_backbone()
    noise = backbone.draw_noise(64, 48, seed=0)
    target = backbone.extract(_images(1), noise)
    reference = backbone.extract(_images(1), noise, attention=False)
    assert reference.attention == ()
    assert all(torch.equal(a, b) for a, b in zip(target.maps, reference.maps, strict=True))


def test_sizes_are_checked():
    backbone = tiny_backbone()
    assert backbone.stride == 8
    assert backbone.map_channels == (32, 32)
    with pytest.raises(InputError, match="multiples of 8 pixels; this image is 60 x 64"):
        backbone.draw_noise(60, 64, seed=0)
    noise = backbone.draw_noise(64, 64, seed=0)
    with pytest.raises(InputError, match="draw it for the size"):
        backbone.extract(_images(1), noise)
    with pytest.raises(InputError, match="for a backbone on pixels"):
        backbone.extract(_images(1, 64, 64), Noise(None, noise.diffusion_echw))


def test_random_weights_follow_their_seed():
    config = DiffusionBackboneConfig(source="random", architecture="tiny", ensemble=1)
    place = {"device": torch.device("cpu"), "dtype": torch.float32}
    backbones = [build_diffusion_backbone(config, **place, seed=seed) for seed in (0, 0, 1)]
    weights = [backbone.unet.conv_in.weight for backbone in backbones]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert weights[0].is_contiguous(memory_format=torch.channels_last)


def _no_clock(_):
    import contextlib

    return contextlib.nullcontext()
