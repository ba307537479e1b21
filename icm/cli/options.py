"""Options that several verbs share: which model, which reference, which outputs."""

from __future__ import annotations

import logging
import os
import re
from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from icm.config.results import ABSENT, ADJUSTMENTS, EXPORT, FORMATS, OBJECTS, SAVE_KINDS
from icm.errors import InputError

if TYPE_CHECKING:
    from icm.config.adjust import Adjustment
    from icm.config.export import Export
    from icm.config.model import ModelConfig
    from icm.matting import Matting
    from icm.results import Points, Reference

REFERENCE = (
    "--reference PICTURE with --mask, --points or --box, or a saved reference (--reference "
    "FILE.icmref)"
)
_LOG = logging.getLogger(__name__)


class _ReferenceAction(Action):
    """Starts a new (reference, mask) pair."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        del parser, option
        namespace.references = [*(namespace.references or []), (values, None)]


class _MaskAction(Action):
    """Gives the last reference its mask."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        references = list(namespace.references or [])
        if not references:
            parser.error(f"{option}: give its --reference before it")
        if references[-1][1] is not None:
            parser.error(
                f"{option}: {references[-1][0]} is marked already: give one of --mask, --points "
                "and --box after each --reference"
            )
        references[-1] = (references[-1][0], values)
        namespace.references = references


class _PointsAction(_MaskAction):
    """Marks the object of the last reference by points instead of a mask."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        from icm.results import Points  # noqa: PLC0415 - imports torch

        super().__call__(parser, namespace, Points(inside=values), option)


class _BoxAction(_MaskAction):
    """Marks the object of the last reference by a box around it."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        from icm.results import Points  # noqa: PLC0415 - imports torch

        super().__call__(parser, namespace, Points(box=values), option)


class _NotPointsAction(Action):
    """Adds what is not the object to the last reference that is marked by points or a box."""

    def __call__(
        self, parser: ArgumentParser, namespace: Namespace, values: Any, option: str | None = None
    ) -> None:
        from icm.results import Points  # noqa: PLC0415 - imports torch

        references = list(namespace.references or [])
        picture, marks = references[-1] if references else (None, None)
        if not isinstance(marks, Points):
            parser.error(f"{option}: give its --reference and --points or --box before it")
        outside = (*marks.outside, *values)
        references[-1] = (picture, Points(marks.inside, outside, marks.box))
        namespace.references = references


def add_model_options(parser: ArgumentParser) -> None:
    """--model, --checkpoint, --backbone, --device, --seed, --set."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="small",
        metavar="NAME|FILE.yaml",
        help="small (bundled, any CPU), sd21 (Stable Diffusion 2.1), or a configuration file",
    )
    group.add_argument("--checkpoint", metavar="FILE", help="weights of the network to use instead")
    group.add_argument(
        "--backbone", metavar="PATH", help="Stable Diffusion weights: a folder or a single file"
    )
    group.add_argument(
        "--device", default="auto", metavar="auto|cpu|cuda", help="never another than asked for"
    )
    group.add_argument("--seed", type=int, help="of the noise that all pictures share")
    group.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="replace a value of the configuration, for example input.size=320",
    )


def load_model(arguments: Namespace) -> Matting:
    """The model that the options name."""
    from icm.matting import load  # noqa: PLC0415 - imports torch

    matting = load(
        arguments.model,
        device=arguments.device,
        checkpoint=arguments.checkpoint,
        backbone=arguments.backbone,
        seed=arguments.seed,
        overrides=arguments.overrides,
        absent=vars(arguments).get("absent"),  # of verbs that write mattes
    )
    warn_of_random_weights(matting.config)
    return matting


def warn_of_random_weights(config: ModelConfig) -> None:
    """Logs a warning where what a model gives means nothing."""
    if config.is_random:
        _LOG.warning(
            "the model '%s' has random weights, for tests: its results mean nothing", config.name
        )


def add_reference_options(parser: ArgumentParser, *, required: bool = True) -> None:
    """--reference and --mask, which may be repeated in pairs."""
    group = parser.add_argument_group("reference")
    group.add_argument(
        "--reference",
        dest="references",
        action=_ReferenceAction,
        required=required,
        metavar="PICTURE|FILE.icmref",
        help="photograph of the object, or a saved reference; may be repeated",
    )
    group.add_argument(
        "--mask",
        dest="masks",
        action=_MaskAction,
        metavar="PICTURE",
        help="white on the object, of the photograph's size, after its --reference; "
        "not needed for a cut-out with transparency",
    )
    group.add_argument(
        "--points",
        dest="masks",
        type=points,
        action=_PointsAction,
        metavar='"X,Y X,Y"',
        help="instead of --mask: pixels on the object, from the upper left corner",
    )
    group.add_argument(
        "--box",
        dest="masks",
        type=box,
        action=_BoxAction,
        metavar="LEFT,TOP,RIGHT,BOTTOM",
        help="instead of --mask: a box around the object, in pixels",
    )
    group.add_argument(
        "--not-points",
        dest="masks",
        type=points,
        action=_NotPointsAction,
        metavar='"X,Y X,Y"',
        help="after --points or --box: pixels that are not the object",
    )


def load_reference(matting: Matting, arguments: Namespace) -> Reference:
    """The reference that the options name; several are joined."""
    return reference_of(matting, arguments.references or [])


def reference_of(matting: Matting, pairs: Sequence[tuple[str, str | Points | None]]) -> Reference:
    """A reference of (picture or .icmref, mask or points) pairs, joined.

    Raises:
        InputError: there is none, a mask belongs to a saved reference, or a picture is unusable.
    """
    if not pairs:
        raise InputError(f"no reference was given: add {REFERENCE}")
    return matting.reference(list(pairs))


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


def points(text: str) -> tuple[tuple[float, float], ...]:
    """Parses `120,80 40,60`; anything else is an error that argparse reports."""
    from icm.results import parse_points  # noqa: PLC0415 - imports torch

    try:
        return parse_points(text)
    except InputError as error:
        raise ArgumentTypeError(str(error)) from error


def box(text: str) -> tuple[float, float, float, float]:
    """Parses `40,30,300,260`; anything else is an error that argparse reports."""
    from icm.results import parse_box  # noqa: PLC0415 - imports torch

    try:
        return parse_box(text)
    except InputError as error:
        raise ArgumentTypeError(str(error)) from error


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
