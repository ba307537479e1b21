"""The matte of a target: alpha, colours without the old background, and how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Integral
from pathlib import Path, PurePath
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.config.results import SAVE_KINDS
from icm.errors import InputError
from icm.images import (
    Picture,
    PictureSource,
    convert_colours,
    output_path,
    read_image,
    resize,
    write_png,
)

Background = tuple[int, int, int] | PictureSource
ForegroundEstimator = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float32]]

_CHECKER_GREYS = (0.6, 0.8)
_CHECKER_SQUARES = 32  # along the longer side


@dataclass(frozen=True, eq=False)
class Matte:
    """What was found in a target, at the target's own size and orientation.

    Attributes:
        picture: the target.
        alpha: float32 h w in [0, 1]: how much of each pixel is the object's.
        guidance: where the network saw the reference's object, in [0, 1], at the network's size.
        trimap: 0 background, 0.5 unknown, 1 foreground; any size, of the whole picture.
        confidence: in [0, 1], that the target contains the reference's object.
        present: whether the program says that it does.
        estimate_foreground: gives the object's colours from the picture's and alpha; called once,
            when `foreground` is first used.
    """

    picture: Picture
    alpha: NDArray[np.float32]
    guidance: NDArray[np.float32]
    trimap: NDArray[np.float32]
    confidence: float
    present: bool
    estimate_foreground: ForegroundEstimator

    @property
    def name(self) -> str:
        """The target's file name; empty where it came from memory."""
        return self.picture.name

    @property
    def profile(self) -> bytes | None:
        """ICC profile of the colours, as the target's; None means sRGB."""
        return self.picture.profile

    @cached_property
    def foreground(self) -> NDArray[np.float32]:
        """The object's own colours, float32 h w 3 in [0, 1], not multiplied by alpha."""
        return self.estimate_foreground(self.picture.rgb, self.alpha)

    def cutout(self) -> Image.Image:
        """The object alone: RGBA, straight alpha, with the target's colour profile."""
        return self._image(self._rgba())

    def over(self, background: Background) -> Image.Image:
        """The object on another background: RGB, with the target's colour profile.

        Args:
            background: a colour of three whole numbers 0 to 255, 'checker', or a picture (path,
                PIL image or array), which is scaled to cover the target and cut to it evenly.

        Raises:
            InputError: the background cannot be read, or a colour is not of whole numbers: 1.0
                could mean white as well as nearly black.
        """
        return self._image(self._composite(background))

    def save(
        self,
        folder: str | Path,
        stem: str | PurePath,
        kinds: Sequence[str] = ("alpha", "cutout"),
        *,
        bits: Literal[8, 16] = 8,
        background: Background = "checker",
    ) -> list[Path]:
        """Writes results as `folder/stem.kind.png`, each at the target's size.

        Args:
            folder: where to write; made where it is missing.
            stem: the results' common name, as `a/b` (see `icm.images.output_stems`); below
                `folder`, so neither absolute nor with `..`.
            kinds: some of `SAVE_KINDS`.
            bits: 8 or 16 per channel.
            background: of the composite, as for `over`.

        Returns:
            The files written, in the order of `kinds`.

        Raises:
            InputError: an unknown kind, a stem that leads out of the folder or is no name, or a
                background that cannot be read.
            OutputError: a file cannot be written.
        """
        check_kinds(kinds)
        stem = _checked_stem(stem)
        paths = []
        for kind in kinds:
            path = output_path(folder, stem, kind)
            coloured = kind in ("cutout", "composite")
            content = self._content(kind, background)
            write_png(path, content, bits, self.profile if coloured else None)
            paths.append(path)
        return paths

    def _content(self, kind: str, background: Background) -> NDArray[np.float32]:
        if kind == "alpha":
            return self.alpha
        if kind == "cutout":
            return self._rgba()
        if kind == "composite":
            return self._composite(background)
        if kind == "guidance":
            return resize(self.guidance, self.picture.size)
        height, width = self.picture.size
        return np.asarray(
            cv2.resize(self.trimap, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        )

    def _rgba(self) -> NDArray[np.float32]:
        return np.dstack([self.foreground, self.alpha])

    def _composite(self, background: Background) -> NDArray[np.float32]:
        behind = convert_colours(
            _background(background, self.picture.size), None, self.picture.profile
        )
        composite: NDArray[np.float32] = self.foreground - behind  # in place, for large pictures
        composite *= self.alpha[..., np.newaxis]
        composite += behind
        return composite

    def _image(self, colours: NDArray[np.float32]) -> Image.Image:
        """An 8-bit image of colours made for it alone, which are used up."""
        levels = np.multiply(colours, 255, out=colours)
        image = Image.fromarray(np.rint(levels, out=levels).astype(np.uint8))
        if self.profile is not None:
            image.info["icc_profile"] = self.profile
        return image


def check_kinds(kinds: Sequence[str]) -> None:
    """Raises an InputError that lists the valid kinds where one is unknown or none is given."""
    unknown = [kind for kind in kinds if kind not in SAVE_KINDS]
    if unknown or not kinds:
        found = f"'{unknown[0]}' cannot be saved" if unknown else "nothing to save"
        raise InputError(f"{found}: choose of {', '.join(SAVE_KINDS)}")


def _checked_stem(stem: str | PurePath) -> PurePath:
    path = PurePath(stem)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in path.name:
        raise InputError(
            f"'{stem}' cannot name results: give a name, or a path below the folder, as a/b"
        )
    return path


def _background(background: Background, size: tuple[int, int]) -> NDArray[np.float32]:
    """A background as sRGB colours h w 3."""
    if isinstance(background, tuple):
        return np.broadcast_to(_colour(background), (*size, 3))
    if isinstance(background, str) and background == "checker":
        return _checker(size)
    picture = read_image(background)
    scale = max(size[0] / picture.size[0], size[1] / picture.size[1])
    rows, columns = (
        _middle(side, wanted / scale) for side, wanted in zip(picture.size, size, strict=True)
    )
    alpha = None if picture.alpha is None else picture.alpha[rows, columns]
    return replace(picture, rgb=picture.rgb[rows, columns], alpha=alpha).at(size)


def _middle(side: int, length: float) -> slice:
    """The middle of a side, as long as asked for."""
    kept = min(side, max(1, round(length)))
    start = (side - kept) // 2
    return slice(start, start + kept)


def _colour(values: tuple[Any, ...]) -> NDArray[np.float32]:
    whole = all(isinstance(value, Integral) and not isinstance(value, bool) for value in values)
    if len(values) != 3 or not whole or not all(0 <= value <= 255 for value in values):
        raise InputError(f"{values} is no colour: give three whole numbers from 0 to 255")
    return np.array(values, np.float32) / np.float32(255)


def _checker(size: tuple[int, int]) -> NDArray[np.float32]:
    square = max(1, max(size) // _CHECKER_SQUARES)
    rows, columns = np.arange(size[0]) // square, np.arange(size[1]) // square
    odd = (rows[:, np.newaxis] + columns) % 2
    greys = np.array(_CHECKER_GREYS, np.float32)[odd]
    return np.repeat(greys[..., np.newaxis], 3, axis=2)
