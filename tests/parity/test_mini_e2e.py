"""The published pipeline in miniature, end to end, through our path and the published one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from icm.backbones import Noise
from icm.backbones.stable_diffusion.backbone import DiffusionBackbone
from icm.backbones.stable_diffusion.parts import load_parts
from icm.config.diffusion import DiffusionBackboneConfig
from icm.models.published import DetailCapture, SemiTrainingAttentionBlocks
from icm.models.published.network import PublishedNetwork
from icm.research.bench.published_path import PublishedPath
from icm.results import Example, Features

CASES = ["mini_e2e_128_b1_e2", "mini_e2e_128_b2_e3_img4"]


class Case:
    def __init__(self, folder: Path, name: str) -> None:
        with safe_open(folder / f"{name}.safetensors", "pt") as file:
            self.meta = json.loads(file.metadata()["meta"])
            self.tensors = {key: file.get_tensor(key) for key in list(file.keys())}
        self.images, self.members = self.meta["batch"], self.meta["ensemble"]
        self.parts = load_parts(
            DiffusionBackboneConfig(source=str(folder / "mini_pipeline")), dtype=torch.float32
        )
        self.network = self._network()

    def _network(self) -> PublishedNetwork:
        arguments = self.meta["decoder_args"]
        fusion = SemiTrainingAttentionBlocks(**arguments)
        decoder = DetailCapture(
            in_chans=arguments["ft_out_dim"][-1],
            img_chans=self.meta["img_chans"],
            fusion_out=self.meta["fusion_out"],
        )
        network = PublishedNetwork(fusion, decoder).eval()
        network.load_state_dict(
            {
                k.removeprefix("decoder."): v
                for k, v in self.tensors.items()
                if k.startswith("decoder.")
            }
        )
        return network

    def image(self, side: str, index: int) -> torch.Tensor:
        return (self.tensors[f"{side}.image"][index : index + 1] + 1) / 2

    def noise(self, side: str, index: int) -> Noise:
        """The stored numbers; `z` is the drawn latent, so the normal behind it is recovered."""
        part = slice(index * self.members, (index + 1) * self.members)
        mean, deviation = self.tensors[f"{side}.post_mean"], self.tensors[f"{side}.post_std"]
        normal = (self.tensors[f"{side}.z"].double() - mean) / deviation
        return Noise(normal[part].float(), self.tensors[f"{side}.noise"][part])

    def backbone(self) -> DiffusionBackbone:
        return DiffusionBackbone(
            self.parts.unet,
            self.parts.autoencoder,
            alpha_cumprod=float(self.parts.scheduler.alphas_cumprod[200]),
            prompt_1nc=self.parts.prompt_1nc,
            ensemble=self.members,
        ).to(memory_format=torch.channels_last)

    def extractor(self, path: str):
        if path == "ours":
            return self.backbone().extract
        published = PublishedPath(
            self.parts,
            self.network,
            timestep=200,
            map_blocks=(0, 1),
            attention_blocks=(("down_blocks.2", "up_blocks.1"), ("down_blocks.1", "up_blocks.2")),
            members_at_once=2,  # of 2 and of 3: all at once, and in uneven parts
        )
        return published.extract


def _join(parts: list[Features]) -> Features:
    return Features(
        torch.cat([p.image_b3hw for p in parts]),
        tuple(torch.cat(level) for level in zip(*(p.maps for p in parts), strict=True)),
        tuple(torch.cat(level) for level in zip(*(p.attention for p in parts), strict=True)),
    )


def _relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("path", ["ours", "published"])
@pytest.mark.parametrize("name", CASES)
def test_features_maps_and_alpha_are_the_published_ones(published, name, path):
    case = Case(published, name)
    extract = case.extractor(path)
    reference, target = (
        _join([extract(case.image(s, i), case.noise(s, i)) for i in range(case.images)])
        for s in ("ref", "src")
    )
    stored = case.tensors
    assert _relative(reference.maps[1], stored["ref.ft"]) < 1e-4
    assert _relative(target.maps[1], stored["src.ft_cor"]) < 1e-4
    for level, key in enumerate(("4", "8")):
        assert _relative(target.maps[level], stored[f"src.ft_matting.{key}"]) < 1e-4
        assert _relative(target.attention[level], stored[f"src.attn.{key}"]) < 1e-4
    with torch.no_grad():
        prediction = case.network(target, [Example(reference, stored["guidance"])])
    assert stored["out.alpha"].std() > 0.05  # else the comparison would mean nothing
    assert (prediction.alpha_b1hw - stored["out.alpha"]).abs().max() < 1e-4


@pytest.mark.parametrize("name", CASES)
def test_the_steps_between_are_the_published_ones(published, name):
    case = Case(published, name)
    backbone = case.backbone()
    for side in ("ref", "src"):
        for index in range(case.images):
            part = slice(index * case.members, (index + 1) * case.members)
            posterior = backbone.encode(case.image(side, index))
            for found, key in (
                (posterior.mean_bchw, "post_mean"),
                (posterior.deviation_bchw, "post_std"),
            ):
                assert _relative(found, case.tensors[f"{side}.{key}"][part][:1]) < 1e-4
            noisy = backbone.noisy_latents(posterior, case.noise(side, index))
            assert _relative(noisy[0], case.tensors[f"{side}.latents_noisy"][part]) < 1e-4


def test_single_layers_join_to_the_published_levels(published):
    case = Case(published, CASES[0])
    stored = case.tensors
    features = case.backbone().extract(case.image("src", 0), case.noise("src", 0))
    fine = [f"down_self.{i}" for i in (0, 1)] + [f"up_self.{i}" for i in (3, 4, 5)]
    coarse = [f"down_self.{i}" for i in (2, 3)] + [f"up_self.{i}" for i in (0, 1, 2)]
    for found, layers in zip(features.attention, (coarse, fine), strict=True):
        mean = torch.stack([stored[f"src.layer_attn.{layer}"] for layer in layers]).mean(0)
        assert _relative(found.flatten(1, 2), mean) < 1e-4
