"""Made-up objects with fine or soft edges, at the size of photographs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.procedural.foliage import draw_foliage
from icm.research.data.procedural.lattices import Lattice, draw_lattice
from icm.research.data.procedural.objects import Family, MadeUpObject
from icm.research.data.procedural.skins import draw_glass, draw_smoke
from icm.research.data.procedural.strands import draw_fur, draw_hair

Plane = NDArray[np.uint8]

SMOKY = 0.5  # of the partly transparent ones
LOW_BUMPS, BROAD_BUMPS = (-0.1, 0.2), 2.5  # of glass: its outline is smooth at this size


def draw_thin_lattice(rng: Generator, side: int, skin: Plane | None) -> Lattice:
    """Draws a net, cage, spring or bare tree of wires that are one to some pixels wide."""
    width = float(rng.uniform(1.0, 5.0)) * 2.9 / side
    return replace(draw_lattice(rng, side, skin), width=width, largest=side)


def draw_transparent(rng: Generator, side: int, skin: Plane | None) -> MadeUpObject:
    """Draws a bubble, jar, veil or cloud."""
    if rng.random() < SMOKY:
        return draw_smoke(rng, side, skin)
    glass = draw_glass(rng, side, skin)
    round_body = replace(
        glass.body,
        heights_b=np.clip(glass.body.heights_b, *LOW_BUMPS),
        narrowness_b=np.minimum(glass.body.narrowness_b, BROAD_BUMPS),
    )
    return replace(glass, body=round_body)


# How to draw one, by name.
FINE_FAMILIES: dict[str, Family] = {
    "fur": draw_fur,
    "hair": draw_hair,
    "leaves": draw_foliage,
    "lattice": draw_thin_lattice,
    "transparent": draw_transparent,
}
