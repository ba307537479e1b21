"""What the stroke network learns from: strokes on what the bundled model gets wrong.

Of the targets two in five are photographs of cats and people as they are, with another one of the
kind as the reference; as many are composed pairs, moments of a clip among them; the others are
drawings, which need no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.config.data import PairSettings, PairShares
from icm.errors import InputError
from icm.finishing.stroke_cues import stroke_cues
from icm.images import resize
from icm.matting import Matting
from icm.research.data.categories import by_category
from icm.research.data.drawn_scenes import drawn_scene
from icm.research.data.pairs import PairSource
from icm.research.data.pictures import TrainingPictures
from icm.research.data.simulated_strokes import Mistake, careless_stroke, mistakes
from icm.results import Matte, Stroke
from icm.results.correction import part_about

PAIRS = PairSettings(
    size=384,
    absent=0,
    shares=PairShares(
        composite=0.6, procedural=0.1, natural=0, garment=0, region=0, video=0.3, likeness=0
    ),
)
PHOTOGRAPHS, DRAWINGS = 0.4, 0.2  # shares of the targets
FOUND, DONE = 0.3, 0.985  # IoU below which the object was not found, above which nothing is wrong
STROKES = 4  # on one matte, one after the other
LOOKED_AT = 4  # of the largest mistakes, one is drawn upon
LARGEST_FIRST = 0.6  # share of the strokes that are on the largest
LEAST_AREA, LEAST_SHARE = 25, 2e-4  # of a mistake: in pixels, of the picture
COARSEST = 6  # pixels by which a correction may fall short
TOO_MUCH = 0.25  # share of the corrections that go beyond the mistake instead

Map = NDArray[np.float32]
Half = NDArray[np.float16]


@dataclass(frozen=True, eq=False)
class StrokeSample:
    """A part of a picture with a stroke.

    Attributes:
        cues: c h w, see `icm.finishing.stroke_cues`.
        alpha: h w, as it is.
        true: h w, as it should be.
        free: h w, how far it may change.
    """

    cues: Half
    alpha: Half
    true: Half
    free: Half


@dataclass(frozen=True, eq=False)
class Attempt:
    """A matte and its truth."""

    matte: Matte
    true: Map


def attempts(matting: Matting, data: Path, cache: Path, rng: Generator) -> Iterator[Attempt]:
    """Mattes of training pictures, without end; those that are all wrong or all right are left out.

    Raises:
        InputError: the folder holds no labelled photographs.
    """
    pictures = TrainingPictures.open(data, cache)
    kinds = [members for members in by_category(pictures.photographs).values() if len(members) > 1]
    if not kinds:
        raise InputError(f"{data} holds no labelled photographs")
    pairs = PairSource(pictures, PAIRS)
    while True:
        kind = rng.random()
        if kind < DRAWINGS:
            yield Attempt(*drawn_scene(rng))
            continue
        if kind < DRAWINGS + PHOTOGRAPHS:
            members = kinds[int(rng.integers(len(kinds)))]
            first, second = (members[i] for i in rng.choice(len(members), 2, replace=False))
            seen, mark, image, true = first.image, first.alpha, second.image, second.alpha
        else:
            pair = pairs.draw(rng)
            seen, mark = pair.reference_image, pair.reference_alpha
            image, true = pair.target_image, pair.target_alpha
        if mark is None or true is None or mark.max() < 128:
            continue
        matte = matting(image, matting.reference(seen, (mark > 127).astype(np.uint8) * 255))
        alpha = true.astype(np.float32) / np.float32(255)
        ours, theirs = matte.alpha >= 0.5, alpha >= 0.5
        if FOUND < (ours & theirs).sum() / max(1, (ours | theirs).sum()) < DONE:
            yield Attempt(matte, alpha)


def stroke_samples(attempt: Attempt, rng: Generator) -> Iterator[StrokeSample]:
    """Some strokes on a matte, each after what an imperfect correction has made of those before."""
    matte, true = attempt.matte, attempt.true
    alpha, before = matte.alpha, list[Stroke]()
    for _ in range(STROKES):
        least = max(LEAST_AREA, LEAST_SHARE * alpha.size)
        found = [each for each in mistakes(alpha, true, LOOKED_AT) if each.area >= least]
        if not found:
            return
        first = rng.random() < LARGEST_FIRST
        mistake = found[0 if first else int(rng.integers(len(found)))]
        stroke = careless_stroke(mistake, rng)
        part = part_about(stroke, matte.picture.rgb, alpha, matte.guidance)
        if part is None:
            return
        hint = part.hint(stroke, before)
        if hint.mark.any():
            planes = (
                stroke_cues(part.image, part.alpha, part.guidance, hint),
                part.alpha,
                resize(true[part.tile.window], part.size),
                part.free,
            )
            yield StrokeSample(*(plane.astype(np.float16) for plane in planes))
        alpha = _roughly_corrected(alpha, mistake, rng)
        before.append(stroke)


def _roughly_corrected(alpha: Map, mistake: Mistake, rng: Generator) -> Map:
    """The mistake mended but for a rim, or somewhat more than it."""
    side = int(rng.integers(1, COARSEST))
    region = mistake.region.astype(np.uint8)
    if rng.random() < TOO_MUCH:
        region = cv2.dilate(region, np.ones((min(side, 3),) * 2, np.uint8))
    else:
        region = cv2.erode(region, np.ones((side, side), np.uint8))
    share = cv2.GaussianBlur(region.astype(np.float32), (0, 0), 0.7)
    return np.asarray(alpha + (np.float32(mistake.keep) - alpha) * share, np.float32)
