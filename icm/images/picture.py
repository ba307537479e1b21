"""A decoded picture: upright, straight alpha, colours in the space of its own profile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.images.profile import convert_colours
from icm.images.resize import resize

PictureSource = str | Path | bytes | Image.Image | NDArray[Any]


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as the program works with it.

    Colours stay in the space of the file's own profile, which outputs embed again: an opaque pixel
    of a cut-out has the very numbers of the photograph, and a wide gamut is not clipped. Only the
    network's input is converted, by `at`.

    Attributes:
        rgb: float32 h w 3 in [0, 1], upright, not multiplied by alpha.
        alpha: float32 h w in [0, 1]; None where the picture is opaque throughout.
        profile: an ICC profile of RGB colours; None means sRGB.
        name: the file's name, for messages; empty where the picture came from memory.
    """

    rgb: NDArray[np.float32]
    alpha: NDArray[np.float32] | None = None
    profile: bytes | None = None
    name: str = ""

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.rgb.shape[0], self.rgb.shape[1]

    def at(self, size: tuple[int, int]) -> NDArray[np.float32]:
        """The whole picture at `size`, in sRGB and over white: what a network looks at."""
        opaque = self.rgb
        if self.alpha is not None:
            alpha = self.alpha[..., np.newaxis]
            opaque = opaque * alpha + (1 - alpha)
        return convert_colours(resize(opaque, size), self.profile, None)
