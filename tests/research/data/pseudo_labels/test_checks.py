"""Co-segmentation, outline and cycle check on made-up tokens and pictures, where truth is known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from icm.research.data.pseudo_labels.cosegmentation import Member, category_classes, cosegment
from icm.research.data.pseudo_labels.cycle import Marked, cycle_iou, passes_cycle
from icm.research.data.pseudo_labels.outline import outlined, plausible

GRID = (10, 12)
WIDTH = 24


def _truth(generator: torch.Generator) -> Tensor:
    """A rectangle of 5 x 5 tokens, never touching the border: n."""
    top, left = (int(torch.randint(1, n - 6, (), generator=generator)) for n in GRID)
    mask_hw = torch.zeros(GRID)
    mask_hw[top : top + 5, left : left + 5] = 1
    return mask_hw.flatten()


def _tokens(mask_n: Tensor, thing_c: Tensor, generator: torch.Generator) -> Tensor:
    """Unit vectors: the thing within the mask, elsewhere surroundings of four kinds."""
    around_4c = torch.randn(4, WIDTH, generator=torch.Generator().manual_seed(8))
    chosen_n = torch.randint(4, (len(mask_n),), generator=generator)
    token_nc = torch.where(mask_n[:, None] > 0.5, thing_c, around_4c[chosen_n])
    return F.normalize(token_nc + 0.3 * torch.randn(token_nc.shape, generator=generator), dim=1)


def _iou(share_n: Tensor, mask_n: Tensor) -> float:
    one, two = share_n > 0.5, mask_n > 0.5
    return float((one & two).sum() / (one | two).sum())


@pytest.fixture
def things() -> list[tuple[Tensor, Tensor]]:
    """Tokens and true masks of eight photographs of one kind of thing."""
    generator = torch.Generator().manual_seed(3)
    thing_c = torch.randn(WIDTH, generator=generator)
    masks = [_truth(generator) for _ in range(8)]
    return [(_tokens(mask_n, thing_c, generator), mask_n) for mask_n in masks]


def _members(things: list[tuple[Tensor, Tensor]], known: int = 0) -> list[Member]:
    """The classifier sees a corner of each thing, and something else at one wrong place."""
    members = []
    for number, (token_nc, mask_n) in enumerate(things):
        class_kn = torch.zeros(6, len(mask_n))
        inside = mask_n.nonzero()[:, 0]
        class_kn[2, inside[:8]] = 8.0
        class_kn[2, 5] = 6.0
        members.append(Member(token_nc, class_kn, GRID, mask_n if number < known else None))
    return members


def test_what_the_photographs_share_is_found(things: list[tuple[Tensor, Tensor]]) -> None:
    generator = torch.Generator().manual_seed(9)
    surroundings_mc = F.normalize(torch.randn(200, WIDTH, generator=generator), dim=1)
    members = _members(things, known=2)
    shares = cosegment(members, surroundings_mc)
    assert torch.equal(shares[0], things[0][1]), "a known mask is not changed"
    found = [_iou(share_n, mask_n) for share_n, (_, mask_n) in zip(shares, things, strict=True)]
    assert min(found) > 0.6 and np.mean(found) > 0.8, found


def test_classes_of_a_category_are_those_that_its_photographs_show() -> None:
    logits = [torch.zeros(20, 4) for _ in range(3)]
    for class_kn in logits:
        class_kn[7], class_kn[11] = 5.0, 4.0
    index_t, weight_t = category_classes(logits)
    assert index_t[:2].tolist() == [7, 11]
    assert weight_t[0] > weight_t[1] > 5 * weight_t[2]
    assert float(weight_t.sum()) == pytest.approx(1)


def test_the_cycle_confirms_a_right_mask_and_rejects_a_wrong_one(
    things: list[tuple[Tensor, Tensor]],
) -> None:
    marked = [Marked(token_nc, mask_n) for token_nc, mask_n in things]
    wrong_n = torch.zeros(GRID)
    wrong_n[:3, :6] = 1
    wrong_n = wrong_n.flatten() * (1 - marked[0].mask_n)
    assert cycle_iou(marked[0], marked[1]) > 0.7
    assert cycle_iou(Marked(marked[0].token_nc, wrong_n), marked[1]) < 0.3
    assert cycle_iou(marked[1], Marked(marked[0].token_nc, wrong_n)) < 0.3
    with_wrong = [Marked(marked[0].token_nc, wrong_n), *marked[1:]]
    for number in range(8):
        rng = np.random.default_rng(number)
        assert passes_cycle(number, with_wrong, rng) == (number != 0)
    assert not passes_cycle(0, marked[:1], np.random.default_rng(0))


def test_an_empty_or_full_mask_confirms_nothing(things: list[tuple[Tensor, Tensor]]) -> None:
    one = Marked(*things[0])
    for value in (0.0, 1.0):
        other = Marked(things[1][0], torch.full_like(things[1][1], value))
        assert cycle_iou(one, other) == 0


@pytest.fixture
def picture() -> tuple[np.ndarray, np.ndarray]:
    """A red disc on green blocks, and its mask."""
    rng = np.random.default_rng(0)
    green = rng.integers(60, 200, (8, 10)).astype(np.uint8)
    image = np.zeros((120, 150, 3), np.uint8)
    image[..., 1] = cv2.resize(green, (150, 120), interpolation=cv2.INTER_CUBIC)
    mask = cv2.circle(np.zeros((120, 150), np.uint8), (80, 60), 32, 255, -1)
    image[mask > 0] = (200, 40, 30)
    noise = rng.integers(-12, 13, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8), mask


def test_the_outline_follows_the_picture(picture: tuple[np.ndarray, np.ndarray]) -> None:
    image, mask = picture
    coarse = cv2.resize(mask, (10, 8), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    found = outlined(image, coarse)
    assert found is not None and found.shape == mask.shape
    iou = ((found > 127) & (mask > 127)).sum() / ((found > 127) | (mask > 127)).sum()
    assert iou > 0.95
    assert plausible(found, coarse)
    assert not plausible(np.full_like(mask, 255), coarse), "everything"
    assert not plausible(np.roll(found, 60, axis=1), coarse), "somewhere else"


def test_without_seeds_there_is_no_outline(picture: tuple[np.ndarray, np.ndarray]) -> None:
    image, _ = picture
    assert outlined(image, np.zeros((8, 10), np.float32)) is None
    assert outlined(image, np.ones((8, 10), np.float32)) is None
