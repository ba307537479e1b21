"""Options that say what is written, and how each matte is adjusted."""

from __future__ import annotations

import os
import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from icm.config.results import ABSENT, ADJUSTMENTS, EXPORT, FORMATS, OBJECTS, SAVE_KINDS
from icm.errors import InputError

if TYPE_CHECKING:
    from icm.config.adjust import Adjustment
    from icm.config.export import Export


def add_output_options(parser: ArgumentParser) -> None:
    """-o, --absent, and an option for each field of `Export`."""
    group = parser.add_argument_group("results")
    group.add_argument(
        "-o", "--out", required=True, metavar="FOLDER", help="where results go; made if missing"
    )
    group.add_argument(
        "--save",
        type=save_kinds,
        default=("alpha", "cutout"),
        metavar="KIND,...",
        help=f"of {', '.join(SAVE_KINDS)} (default: alpha,cutout)",
    )
    group.add_argument(
        "--format",
        choices=tuple(FORMATS),
        default="png",
        help="of the files (default: png); jpeg of composites on a colour or a picture only",
    )
    group.add_argument(
        "--bits",
        type=int,
        choices=(8, 16),
        default=8,
        help="per channel (default: 8); 16 of PNG only",
    )
    for name, knob in EXPORT.items():
        words = f"{knob.words} (default: {knob.default:g})"
        group.add_argument(f"--{name}", type=int, default=knob.default, metavar="N", help=words)
    group.add_argument("--trim", action="store_true", help="cut results to the object")
    group.add_argument(
        "--canvas",
        type=canvas,
        metavar="WIDTHxHEIGHT",
        help="size of every result, with the object in its middle, scaled down where it is larger",
    )
    group.add_argument(
        "--background",
        default="checker",
        metavar="COLOUR|PICTURE|checker",
        help="behind composites: #ffffff, a picture, or checker (default)",
    )
    group.add_argument(
        "--absent",
        choices=ABSENT,
        help="where the confidence, which says how likely the object is in the picture (not how "
        "good the matte is), is below the model's threshold: keep the matte all the same "
        "(default), make it empty, or skip the picture",
    )


def export_of(arguments: Namespace) -> Export:
    """What the options ask for.

    Raises:
        InputError: the format cannot hold it, or a colour is none.
        ConfigError: a value is out of range.
    """
    from icm.config import parse_config  # noqa: PLC0415 - imports pydantic
    from icm.config.export import Export  # noqa: PLC0415 - imports pydantic

    names = ("format", "bits", "trim", "canvas", *EXPORT)
    values = {name: getattr(arguments, name) for name in names} | {
        "kinds": tuple(dict.fromkeys(arguments.save)),
        "background": background_of(arguments.background),
    }
    return parse_config(Export, values, source="the command line")


def add_adjust_options(parser: ArgumentParser) -> None:
    """An option for each field of `Adjustment` that makes sense for any picture."""
    group = parser.add_argument_group("adjustments of each finished matte")
    group.add_argument(
        "--objects", choices=OBJECTS, help="where several matched: all (default), or the largest"
    )
    for name, knob in ADJUSTMENTS.items():
        option = f"--{name.replace('_', '-')}"
        words = f"{knob.words} (default: {knob.default:g})"
        group.add_argument(option, type=float, metavar="N", help=words)


def adjustment_of(arguments: Namespace) -> Adjustment:
    """The adjustment that the options ask for.

    Raises:
        ConfigError: a value is out of range.
    """
    from icm.config import parse_config  # noqa: PLC0415 - imports pydantic
    from icm.config.adjust import Adjustment  # noqa: PLC0415 - imports pydantic

    asked = {name: getattr(arguments, name) for name in ("objects", *ADJUSTMENTS)}
    given = {name: value for name, value in asked.items() if value is not None}
    return parse_config(Adjustment, given, source="the command line")


def canvas(text: str) -> tuple[int, int]:
    """Parses `1200x800`; anything else is an error that argparse reports."""
    width, _, height = text.lower().partition("x")
    if not (width.isascii() and width.isdigit() and height.isascii() and height.isdigit()):
        raise ArgumentTypeError(f"'{text}' is no size: write it as 1200x800, width first")
    return int(width), int(height)


def save_kinds(text: str) -> tuple[str, ...]:
    """Parses `alpha,cutout`; an unknown kind is a ValueError that argparse reports."""
    kinds = tuple(kind.strip() for kind in text.split(",") if kind.strip())
    unknown = [kind for kind in kinds if kind not in SAVE_KINDS]
    if unknown or not kinds:
        named = ", ".join(unknown) or "nothing"
        raise ArgumentTypeError(f"cannot save {named}: choose of {', '.join(SAVE_KINDS)}")
    return kinds


def background_of(text: str) -> str | tuple[int, int, int]:
    """A colour `#rrggbb` as numbers; a path or 'checker' as it is.

    Raises:
        InputError: it is none of these.
    """
    if re.fullmatch("#[0-9A-Fa-f]{6}", text):
        red, green, blue = bytes.fromhex(text[1:])
        return red, green, blue
    path = Path(text)
    if text == "checker" or path.suffix or len(path.parts) > 1:
        return text
    if os.path.exists(path):  # noqa: PTH110 - Path.exists raises where a name is too long
        return text
    raise InputError(
        f"--background {text}: give a colour as #rrggbb (white is #ffffff), the path of a "
        "picture, or checker"
    )
