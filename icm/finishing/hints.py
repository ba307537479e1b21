"""What the detail refiner is told beside the picture: the network's alpha and two guesses.

The guesses, by guided filtering and by the colour line, are fitted once at the network's size and
evaluated on the pixels of a tile.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from icm.beside import begun
from icm.finishing.colour_line import colour_line, on_line
from icm.finishing.full_resolution import evaluated, guided_fit
from icm.finishing.tiles import by_planes

Map = NDArray[np.float32]


def fitted(alpha: Map, small: Map) -> Map:
    """All that is known at the network's size.

    Args:
        alpha: h w in [0, 1], the network's, of the whole picture.
        small: h w 3 in [0, 1], the picture at that size.

    Returns:
        h w 11: alpha, the guided filter's slope and offset, both ends of the colour line.
    """
    with begun(lambda: guided_fit(alpha, small)) as fit:
        line = colour_line(alpha, small)
        return by_planes(np.dstack([alpha, fit(), line]))


def hints_of(large_hwc: Map, image: Map) -> Map:
    """The hints of a tile.

    Args:
        large_hwc: what is known, enlarged to the tile's pixels.
        image: h w 3 in [0, 1], the tile's pixels.

    Returns:
        h w 5 in [0, 1], in the order of `icm.models.small.refiner.HINTS`.
    """
    guided = evaluated(large_hwc[..., 1:5], image)
    line = on_line(large_hwc[..., 5:], image)
    planes = np.stack([large_hwc[..., 0], guided, *np.moveaxis(line, -1, 0)])
    return np.moveaxis(planes, 0, -1)
