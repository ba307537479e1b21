"""The matte of a target: alpha, colours without the old background, composites and files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePath
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.config.adjust import Adjustment
from icm.config.export import check_format
from icm.config.results import FORMATS, SAVE_KINDS, Format
from icm.errors import InputError, OutputError
from icm.finishing import estimate_foreground, trimap_from_alpha
from icm.finishing.adjusting import adjusted_alpha
from icm.finishing.recolouring import partly_coloured, recoloured
from icm.images import Picture, output_path, resize, write_picture
from icm.results.compositing import Background, as_image, composite
from icm.results.correction import corrected_alpha
from icm.results.strokes import Stroke

COLOURED = 12  # pixels beyond an edge for which its estimated colours surely suffice


@dataclass(frozen=True, eq=False)
class Matte:
    """Alpha and what belongs to it, at the target's own size and orientation.

    Attributes:
        picture: the target.
        alpha: float32 h w in [0, 1].
        guidance: map of where the reference's object is, in [0, 1], at the network's size.
        confidence: how likely the object is in the picture, in [0, 1], not how good the matte is.
        present: whether the confidence reaches the model's threshold (`finish.present_threshold`).
        known_foreground: the object's own colours, float32 h w 3 in [0, 1]; None: `foreground`
            estimates them.
        known_trimap: as `trimap`, of the whole picture at any size; None: made from alpha.
        skipped: whether the object is too unlikely to be there for anything to be written, as was
            asked for (`absent="skip"`); alpha is then all zero.
    """

    picture: Picture
    alpha: NDArray[np.float32]
    guidance: NDArray[np.float32]
    confidence: float
    present: bool
    known_foreground: NDArray[np.float32] | None = None
    known_trimap: NDArray[np.float32] | None = None
    skipped: bool = False

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
        """The object's own colours, float32 h w 3 in [0, 1], not multiplied by alpha.

        Estimated when first asked for, which takes seconds for a large picture.
        """
        if self.known_foreground is not None:
            return self.known_foreground
        return estimate_foreground(self.picture.rgb, self.alpha)

    @cached_property
    def trimap(self) -> NDArray[np.float32]:
        """0 background, 0.5 unknown, 1 foreground; of the whole picture, not always at its size.

        Made when first asked for.
        """
        if self.known_trimap is not None:
            return self.known_trimap
        return trimap_from_alpha(self.alpha)

    @property
    def _estimated(self) -> NDArray[np.float32] | None:
        """The foreground, where it is known already."""
        if self.known_foreground is not None:
            return self.known_foreground
        estimated: NDArray[np.float32] | None = self.__dict__.get("foreground")
        return estimated

    def cutout(self) -> Image.Image:
        """The object alone: RGBA, straight alpha, with the target's colour profile."""
        return as_image(np.dstack([self.foreground, self.alpha]), self.profile)

    def over(self, background: Background) -> Image.Image:
        """The object on another background: RGB, with the target's colour profile.

        Args:
            background: a colour of three whole numbers 0 to 255, 'checker', or a picture (path,
                PIL image or array), which is scaled to cover the target and cut to it evenly.

        Raises:
            InputError: the background cannot be read, or a colour is not of whole numbers: 1.0
                could mean white as well as nearly black.
        """
        return as_image(self._composite(background), self.profile)

    def corrected(self, strokes: Sequence[Stroke], *, earlier: Sequence[Stroke] = ()) -> Matte:
        """The matte after strokes that say what belongs to the object and what does not.

        A stroke is a hint: the region that it lies on is matted anew, from the picture's colours,
        the guidance and the alpha about it, with soft edges. A small network of its own says how
        far the region reaches; the model is not needed. Far from the strokes nothing changes, and
        without any the matte itself is returned.

        Args:
            strokes: in the order in which they were drawn; each respects those before it.
            earlier: strokes that this matte was corrected by before.

        Raises:
            WeightsError: the weights of that network are missing or damaged.
        """
        found = corrected_alpha(
            self.picture.rgb, self.alpha, self.guidance, strokes, earlier=earlier
        )
        if found.changed is None:
            return self
        alpha = found.alpha
        if self.picture.alpha is not None:
            alpha = np.minimum(alpha, self.picture.alpha)
        colours = self._estimated
        if colours is not None:
            colours = recoloured(self.picture.rgb, alpha, colours, found.changed)
        return replace(
            self, alpha=alpha, known_foreground=colours, known_trimap=None, skipped=False
        )

    def adjusted(self, adjustment: Adjustment) -> Matte:
        """The matte with some of its pieces, another edge, or other colours; no network is needed.

        With the adjustment's defaults the matte itself is returned.
        """
        if not adjustment.changes:
            return self
        alpha = adjusted_alpha(self.alpha, adjustment)
        if self.picture.alpha is not None:
            alpha = np.minimum(alpha, self.picture.alpha)
        reach = max(0.0, adjustment.edge_shift) + adjustment.feather
        colours = self.foreground
        if reach > COLOURED:
            colours = estimate_foreground(self.picture.rgb, alpha)
        colours = partly_coloured(self.picture.rgb, alpha, colours, adjustment.foreground)
        return replace(self, alpha=alpha, known_foreground=colours, known_trimap=None)

    def save(
        self,
        folder: str | Path,
        stem: str | PurePath,
        kinds: Sequence[str] = ("alpha", "cutout"),
        *,
        bits: Literal[8, 16] = 8,
        background: Background = "checker",
        format: Format = "png",  # noqa: A002 - as Pillow calls it
        quality: int = 90,
    ) -> list[Path]:
        """Writes results as `folder/stem.kind.png`, each at the target's size.

        Of a skipped matte nothing is written, and what an earlier run left in its place, in any
        format, is removed.

        Args:
            folder: where to write; made where it is missing.
            stem: the results' common name, as `a/b` (see `icm.images.output_stems`); below
                `folder`, so neither absolute nor with `..`.
            kinds: some of `SAVE_KINDS`.
            bits: 8 or 16 per channel, the latter of PNG only.
            background: background of the composite, as for `over`.
            format: 'png', 'webp', or of composites 'jpeg' (`.jpg`).
            quality: 1 to 100, of the colours of WebP and JPEG; a WebP of 100 is lossless.

        Returns:
            The files written, in the order of `kinds`; none of a skipped matte.

        Raises:
            InputError: an unknown kind, a format that cannot hold it, a stem that leads out of the
                folder or is no name, or a background that cannot be read.
            OutputError: a file cannot be written, or an earlier one not be removed.
        """
        check_kinds(kinds)
        check_format(format, bits, kinds)
        stem = _checked_stem(stem)
        paths: list[Path] = []
        if self.skipped:
            for kind in kinds:
                for ending in FORMATS.values():
                    _remove(output_path(folder, stem, kind, ending))
            return paths
        for kind in kinds:
            path = output_path(folder, stem, kind, FORMATS[format])
            profile = self.profile if kind in ("cutout", "composite") else None
            content = self._content(kind, background)
            alpha = self.alpha if kind == "cutout" else None
            write_picture(path, content, bits=bits, quality=quality, profile=profile, alpha=alpha)
            paths.append(path)
        return paths

    def _content(self, kind: str, background: Background) -> NDArray[np.float32]:
        """What is written, of a cut-out without its alpha."""
        if kind == "alpha":
            return self.alpha
        if kind == "cutout":
            return self.foreground
        if kind == "composite":
            return self._composite(background)
        if kind == "guidance":
            return resize(self.guidance, self.picture.size)
        height, width = self.picture.size
        return np.asarray(
            cv2.resize(self.trimap, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
        )

    def _composite(self, background: Background) -> NDArray[np.float32]:
        return composite(self._cutout(), background)

    def _cutout(self) -> Picture:
        return replace(self.picture, rgb=self.foreground, alpha=self.alpha)


def check_kinds(kinds: Sequence[str]) -> None:
    """Raises an InputError that lists the valid kinds where one is unknown or none is given."""
    unknown = [kind for kind in kinds if kind not in SAVE_KINDS]
    if unknown or not kinds:
        found = f"'{unknown[0]}' cannot be saved" if unknown else "nothing to save"
        raise InputError(f"{found}: choose of {', '.join(SAVE_KINDS)}")


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"cannot remove {path}: {error.strerror}") from error


def _checked_stem(stem: str | PurePath) -> PurePath:
    path = PurePath(stem)
    if path.is_absolute() or ".." in path.parts or not path.name or "\0" in path.name:
        raise InputError(
            f"'{stem}' cannot name results: give a name, or a path below the folder, as a/b"
        )
    return path
