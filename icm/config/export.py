"""Knobs of result files: which, in what format, and how much of the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from icm.config.base import Config
from icm.config.results import EXPORT, FORMATS, MOST_CANVAS, Format
from icm.errors import InputError

Side = Annotated[int, Field(ge=1, le=MOST_CANVAS)]


def _whole(name: str) -> Any:
    knob = EXPORT[name]
    return Field(round(knob.default), ge=knob.least, le=knob.most, description=knob.words)


class Export(Config):
    """What is written of each matte; the page, `icm matte` and `icm batch` have the same."""

    kinds: tuple[str, ...] = Field(("alpha", "cutout"), min_length=1)
    format: Format = "png"
    quality: int = _whole("quality")
    bits: Literal[8, 16] = 8
    trim: bool = Field(False, description="only the box around the object; the ledger says where")
    margin: int = _whole("margin")
    canvas: tuple[Side, Side] | None = Field(
        None,
        description="width and height of every result: the object with its margin in the middle, "
        "scaled down where it is larger, never up",
    )
    background: str | tuple[int, int, int] = "checker"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        check_format(self.format, self.bits, self.kinds)
        if self.format == "jpeg" and self.background == "checker":
            raise InputError(
                "a JPEG needs a background: choose a colour or a picture (--background '#ffffff')"
            )
        if self.canvas is not None and 2 * self.margin >= min(self.canvas):
            raise InputError(
                f"a margin of {self.margin} pixels leaves no room on a canvas of "
                f"{self.canvas[0]} x {self.canvas[1]}: choose a smaller margin"
            )
        return self

    @property
    def framed(self) -> bool:
        """Whether results show another part of the picture than all of it."""
        return self.trim or self.margin > 0 or self.canvas is not None

    @property
    def ending(self) -> str:
        """Of the names of files."""
        return FORMATS[self.format]

    def choices(self) -> dict[str, Any]:
        """Plain values of what is unlike the default and changes files of this format."""
        quality = {"quality"} if self.format == "png" else set()
        return self.model_dump(
            mode="json",
            include={"format", "quality", "margin", "canvas"} - quality,
            exclude_defaults=True,
        )


def check_format(format_: Format, bits: int, kinds: Sequence[str]) -> None:
    """Refuses what a format cannot hold.

    Raises:
        InputError: which says what to choose instead.
    """
    if format_ not in FORMATS:
        raise InputError(f"'{format_}' is no format: choose of {', '.join(FORMATS)}")
    if bits == 16 and format_ != "png":
        raise InputError(f"{_NAMES[format_]} has 8 bits per channel: choose PNG for 16")
    other = [kind for kind in kinds if kind != "composite"]
    if format_ == "jpeg" and "cutout" in other:
        raise InputError(
            "a JPEG has no transparency: save the composite alone, on a colour "
            "(--save composite --background '#ffffff'), or choose PNG or WebP for the cut-out"
        )
    if format_ == "jpeg" and other:
        raise InputError(
            f"a JPEG would spoil the {other[0]}, whose values must be exact: save the composite "
            "alone, or choose PNG or WebP"
        )


_NAMES: dict[Format, str] = {"png": "PNG", "webp": "WebP", "jpeg": "JPEG"}
