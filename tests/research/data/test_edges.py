"""Windows about edges, and true alpha made coarse: what the refiner is trained on."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from icm.config.data import EdgeSettings, EdgeShares
from icm.errors import InputError
from icm.research.data.coarsening import coarse_alpha
from icm.research.data.edges import EdgeSource
from icm.research.data.pictures import TrainingPictures

SETTINGS = EdgeSettings(window=128, crop=64)


@pytest.fixture(scope="module")
def pictures(tiny_root: Path, tmp_path_factory: pytest.TempPathFactory) -> TrainingPictures:
    return TrainingPictures.open(tiny_root, tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize("kind", list(EdgeShares().as_dict()))
def test_windows_show_an_edge(pictures: TrainingPictures, kind: str) -> None:
    shares = EdgeShares(**{name: float(name == kind) for name in EdgeShares().as_dict()})
    source = EdgeSource(pictures, SETTINGS.model_copy(update={"shares": shares}))
    windows = source.draw(np.random.default_rng(0), 6)
    assert len(windows) == 6
    soft = []
    for window in windows:
        assert window.image.shape == (128, 128, 3)
        assert window.image.dtype == np.uint8
        assert window.alpha.shape == (128, 128)
        assert window.alpha.dtype == np.float32
        assert 0 <= window.alpha.min() <= window.alpha.max() <= 1
        middle = window.alpha[16:-16, 16:-16]
        soft.append(((middle > 0.03) & (middle < 0.97)).any())
    assert all(soft)


def test_the_same_seed_draws_the_same_windows(pictures: TrainingPictures) -> None:
    source = EdgeSource(pictures, SETTINGS)
    for one, two in zip(
        source.draw(np.random.default_rng(4), 3),
        source.draw(np.random.default_rng(4), 3),
        strict=True,
    ):
        np.testing.assert_array_equal(one.image, two.image)
        np.testing.assert_array_equal(one.alpha, two.alpha)


def test_without_backgrounds_there_is_nothing_to_draw(pictures: TrainingPictures) -> None:
    bare = TrainingPictures(pictures.root, pictures.cutouts, (), (), ())
    with pytest.raises(InputError, match="backgrounds"):
        EdgeSource(bare, SETTINGS)


def disc() -> np.ndarray:
    large = np.zeros((1024, 1024), np.float32)
    cv2.circle(large, (512, 512), 300, 1.0, -1)
    for angle in range(0, 360, 15):  # hairs
        tip = 512 + 440 * np.array([np.cos(np.deg2rad(angle)), np.sin(np.deg2rad(angle))])
        cv2.line(large, (512, 512), (int(tip[0]), int(tip[1])), 1.0, 6)
    return cv2.resize(large, (256, 256), interpolation=cv2.INTER_AREA)


def test_exact_coarse_alpha_is_the_mean_over_the_area() -> None:
    alpha = disc()
    coarse = coarse_alpha(alpha, 64, np.random.default_rng(0), exact=1.0)
    blocks = alpha.reshape(64, 4, 64, 4).mean((1, 3))
    np.testing.assert_allclose(coarse, blocks, atol=1e-6)


def test_a_network_s_errors_lie_about_the_edge_and_differ() -> None:
    alpha = disc()
    true = alpha.reshape(64, 4, 64, 4).mean((1, 3))
    near = cv2.dilate(((true > 0.02) & (true < 0.98)).astype(np.uint8), np.ones((9, 9))) > 0
    errors, far = [], []
    for seed in range(40):
        coarse = coarse_alpha(alpha, 64, np.random.default_rng(seed), exact=0.0)
        assert coarse.dtype == np.float32
        assert coarse.min() >= 0
        assert coarse.max() <= 1
        error = np.abs(coarse - true)
        errors.append(error[near].mean())
        far.append(error[~near].mean())
    assert np.std(errors) > 0.02  # some barely wrong, some badly
    assert min(errors) < 0.04
    assert max(errors) > 0.08
    assert np.median(far) < 0.1 * np.median(errors)
