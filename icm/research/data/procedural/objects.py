"""The families of made-up objects, and the draw of one of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.research.data.compositing import Sprite
from icm.research.data.procedural.furred import draw_furred
from icm.research.data.procedural.jointed import draw_jointed
from icm.research.data.procedural.lattices import draw_lattice
from icm.research.data.procedural.plants import draw_plant
from icm.research.data.procedural.skins import draw_glass, draw_smoke
from icm.research.data.procedural.solids import draw_solid

Plane = NDArray[np.uint8]


class MadeUpObject(Protocol):
    """An object with a fixed shape, texture and colours that can be looked at again and again."""

    def view(self, rng: Generator) -> Sprite:
        """The object in a new pose under new light; the same `rng` gives the same picture."""
        ...


Family = Callable[[Generator, int, Plane | None], MadeUpObject]

# Name, how to draw one, how often.
FAMILIES: dict[str, tuple[Family, float]] = {
    "solid": (draw_solid, 1.0),
    "jointed": (draw_jointed, 1.0),
    "furred": (draw_furred, 0.8),
    "plant": (draw_plant, 0.6),
    "lattice": (draw_lattice, 0.5),
    "glass": (draw_glass, 0.4),
    "smoke": (draw_smoke, 0.15),
}


def draw_object(rng: Generator, *, size: int, skin: Plane | None) -> MadeUpObject:
    """Draws an object of a random family.

    Args:
        rng: decides everything about the object.
        size: side of the frames it will appear in; the object is drawn at about this size.
        skin: a picture that it may be wrapped in, uint8 h w 3.
    """
    shares = np.array([share for _, share in FAMILIES.values()])
    name = str(rng.choice(list(FAMILIES), p=shares / shares.sum()))
    return FAMILIES[name][0](rng, min(max(size, 96), 192), skin)
