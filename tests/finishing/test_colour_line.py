"""The colour line: exact where two plain colours mix, and doubtful where they are one."""

from __future__ import annotations

import numpy as np

from icm.finishing.colour_line import colour_line, on_line


def mixed(foreground: float, background: float) -> tuple[np.ndarray, np.ndarray]:
    """A ramp of alpha between two plain colours, and the picture it gives."""
    alpha = np.clip(np.linspace(-1, 2, 60, dtype=np.float32), 0, 1)[None].repeat(40, 0)
    colours = np.array([[foreground, 0.3, 0.2], [background, 0.5, 0.1]], np.float32)
    image = alpha[..., None] * colours[0] + (1 - alpha[..., None]) * colours[1]
    return alpha, image.astype(np.float32)


def test_two_plain_colours_give_alpha_back() -> None:
    alpha, image = mixed(0.9, 0.2)
    ends = colour_line(alpha, image)
    share, contrast, distance = np.moveaxis(on_line(ends, image), -1, 0)
    assert np.abs(share - alpha).max() < 0.15  # ends near the soft region lean towards each other
    assert np.abs(share - alpha).mean() < 0.05
    assert contrast.min() > 0.9
    assert distance.max() < 0.02


def test_without_contrast_it_says_so() -> None:
    alpha, image = mixed(0.5, 0.5)
    image[:] = 0.4
    found = on_line(colour_line(alpha, image), image)
    assert np.isfinite(found).all()
    assert found[..., 1].max() < 0.01


def test_a_colour_off_the_line_is_far_from_it() -> None:
    alpha, image = mixed(0.9, 0.2)
    ends = colour_line(alpha, image)
    other = image.copy()
    other[10, 30] = [0.2, 0.2, 0.9]
    assert on_line(ends, other)[10, 30, 2] > 0.4


def test_any_alpha_is_finite_and_in_range() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((30, 20, 3), dtype=np.float32)
    for alpha in (np.zeros((30, 20)), np.ones((30, 20)), rng.random((30, 20))):
        found = on_line(colour_line(alpha.astype(np.float32), image), image)
        assert np.isfinite(found).all()
        assert found.min() >= 0
        assert found.max() <= 1
