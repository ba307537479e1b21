"""A grown mask follows the picture's edges and keeps what was marked."""

from __future__ import annotations

import numpy as np
import torch

from icm.engine.grown_mask import grown_mask
from icm.results import Features, Points, seeds_of

SIZE = (96, 128)


def scene() -> tuple[Features, np.ndarray]:
    """Two red discs on a blue ground, with features that know red from blue at 1/8."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    left = np.hypot(rows - 48, columns - 36) < 25
    right = np.hypot(rows - 48, columns - 100) < 15
    rng = np.random.default_rng(0)
    image = np.where((left | right)[..., None], (0.8, 0.2, 0.2), (0.2, 0.3, 0.7))
    noisy = np.clip(image + rng.normal(0, 0.03, image.shape), 0, 1)
    image_b3hw = torch.from_numpy(noisy).float().permute(2, 0, 1)[None]
    coarse = torch.nn.functional.avg_pool2d(image_b3hw, 8)
    place = torch.linspace(-1, 1, SIZE[1] // 8).expand(1, 1, SIZE[0] // 8, -1)
    map_bchw = torch.cat([coarse, place, coarse.flip(1), -place], dim=1)
    return Features(image_b3hw, (map_bchw[..., ::2, ::2], map_bchw)), left


def iou(found: np.ndarray, true: np.ndarray) -> float:
    return float(((found > 0.5) & true).sum() / ((found > 0.5) | true).sum())


def test_a_click_and_one_beside_it_give_the_disc_to_the_pixel() -> None:
    features, left = scene()
    seeds = seeds_of(Points(((36, 48), (25, 40), (47, 56)), ((100, 48), (70, 10))), SIZE, SIZE)
    grown = grown_mask(features, seeds)
    assert grown.shape == SIZE
    assert set(np.unique(grown)) == {0, 1}
    assert iou(grown, left) > 0.95
    assert (grown[seeds.inside] == 1).all()
    assert (grown[seeds.outside] == 0).all()


def test_growing_is_deterministic_and_leaves_its_arguments() -> None:
    features, _ = scene()
    seeds = seeds_of(Points(((36, 48),)), SIZE, SIZE)
    image = features.image_b3hw.clone()
    first = grown_mask(features, seeds)
    assert np.array_equal(first, grown_mask(features, seeds))
    assert torch.equal(features.image_b3hw, image)


def test_a_picture_of_one_colour_still_gives_what_was_marked() -> None:
    flat = torch.full((1, 3, *SIZE), 0.5)
    map_bchw = torch.ones(1, 8, SIZE[0] // 8, SIZE[1] // 8)
    seeds = seeds_of(Points(((36, 48),), ((100, 48),)), SIZE, SIZE)
    grown = grown_mask(Features(flat, (map_bchw, map_bchw)), seeds)
    assert (grown[seeds.inside] == 1).all()
    assert (grown[seeds.outside] == 0).all()


def test_a_box_gives_the_disc_in_it_to_the_pixel() -> None:
    features, left = scene()
    seeds = seeds_of(Points(box=(7, 19, 66, 78)), SIZE, SIZE)
    grown = grown_mask(features, seeds)
    assert iou(grown, left) > 0.95
    assert (grown[~seeds.box] == 0).all()


def test_in_a_box_about_both_discs_one_can_be_excluded() -> None:
    features, left = scene()
    both = seeds_of(Points(box=(5, 15, 122, 80)), SIZE, SIZE)
    excluded = seeds_of(Points(outside=((100, 48), (94, 42)), box=(5, 15, 122, 80)), SIZE, SIZE)
    with_both, without = grown_mask(features, both), grown_mask(features, excluded)
    assert with_both[48, 100] == 1
    assert (without[48, 100], without[48, 36]) == (0, 1)
    assert iou(without, left) > iou(with_both, left)
