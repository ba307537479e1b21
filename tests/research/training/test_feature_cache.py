"""Features of a frozen backbone: what is kept on disk is what would be computed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from icm.backbones import Noise
from icm.research.training.feature_cache import FeatureSource
from icm.results import Features

CPU = torch.device("cpu")


class Counting(nn.Module):
    """A backbone that counts the pictures it has seen."""

    stride = 1
    map_channels = (3,)

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(2.0, dtype=torch.bfloat16))
        self.seen = 0

    def draw_noise(self, height: int, width: int, seed: int) -> Noise:
        generator = torch.Generator().manual_seed(seed)
        return Noise(None, torch.randn(1, 3, height, width, generator=generator))

    def extract(self, image_b3hw: Tensor, noise: Noise, *, attention: bool = True) -> Features:
        self.seen += len(image_b3hw)
        maps = (image_b3hw * self.gain + noise.diffusion_echw[0]).to(torch.bfloat16)
        maps_b1hw = maps.sum(dim=1)
        return Features(image_b3hw, (maps,), (maps_b1hw[..., None].float(),) if attention else ())


def pictures(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (count, 3, 4, 4), generator=generator).to(torch.uint8)


def same(one: Features, two: Features) -> bool:
    mine, other = ([f.image_b3hw, *f.maps, *f.attention] for f in (one, two))
    return len(mine) == len(other) and all(
        torch.equal(a, b) and a.dtype == b.dtype for a, b in zip(mine, other, strict=True)
    )


@pytest.mark.parametrize("attention", [True, False])
def test_kept_features_are_those_that_would_be_computed(tmp_path: Path, attention: bool) -> None:
    plain = FeatureSource(Counting(), 5)
    backbone = Counting()
    kept = FeatureSource(backbone, 5, folder=tmp_path, gigabytes=1)
    image_b3hw = pictures(3)
    expected = plain.features(image_b3hw, CPU, attention=attention)
    kept.features(image_b3hw[1:], CPU, attention=attention)
    assert same(kept.features(image_b3hw, CPU, attention=attention), expected)  # two of three kept
    assert same(kept.features(image_b3hw, CPU, attention=attention), expected)
    assert backbone.seen == 3
    again = Counting()
    later = FeatureSource(again, 5, folder=tmp_path, gigabytes=1)
    assert same(later.features(image_b3hw, CPU, attention=attention), expected)
    assert again.seen == 0


def test_another_backbone_noise_or_wish_is_another_file(tmp_path: Path) -> None:
    image_b3hw = pictures(1)

    def looked(
        backbone: Counting, seed: int = 0, identity: str = "", attention: bool = True
    ) -> int:
        source = FeatureSource(backbone, seed, folder=tmp_path, gigabytes=1, identity=identity)
        source.features(image_b3hw, CPU, attention=attention)
        return backbone.seen

    assert looked(Counting()) == 1
    assert looked(Counting()) == 0
    assert looked(Counting(), seed=1) == 1
    assert looked(Counting(), identity="ensemble 2") == 1
    assert looked(Counting(), attention=False) == 1
    tuned = Counting()
    with torch.no_grad():
        tuned.gain += 1
    assert looked(tuned) == 1
    assert looked(Counting().float()) == 1  # another precision
    assert len(list(tmp_path.iterdir())) == 6


def test_a_full_folder_is_read_but_not_filled(tmp_path: Path) -> None:
    image_b3hw = pictures(3)
    one = FeatureSource(Counting(), 0, folder=tmp_path, gigabytes=1)
    one.features(image_b3hw[:1], CPU, attention=True)
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    backbone = Counting()
    full = FeatureSource(backbone, 0, folder=tmp_path, gigabytes=(size + 1) / 1e9)
    for _ in range(2):
        full.features(image_b3hw, CPU, attention=True)
    assert backbone.seen == 4
    assert len(list(tmp_path.iterdir())) == 1
    shared = FeatureSource(Counting(), 0, folder=tmp_path, gigabytes=3 * size / 1e9, sharers=2)
    shared.features(image_b3hw, CPU, attention=True)
    assert len(list(tmp_path.iterdir())) == 2  # of two more that fit, each process may add one


def test_a_damaged_file_is_written_anew(tmp_path: Path) -> None:
    image_b3hw = pictures(1)
    expected = FeatureSource(Counting(), 0).features(image_b3hw, CPU, attention=True)
    FeatureSource(Counting(), 0, folder=tmp_path, gigabytes=1).features(
        image_b3hw, CPU, attention=True
    )
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"torn")
    for seen in (1, 0):
        backbone = Counting()
        source = FeatureSource(backbone, 0, folder=tmp_path, gigabytes=1)
        assert same(source.features(image_b3hw, CPU, attention=True), expected)
        assert backbone.seen == seen
