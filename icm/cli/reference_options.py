"""Options that name the reference: photographs with what marks them, or saved ones."""

from __future__ import annotations

from argparse import Action, ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from icm.errors import InputError

if TYPE_CHECKING:
    from icm.matting import Matting
    from icm.results import Points, Reference

REFERENCE = (
    "--reference PICTURE with --mask, --points or --box, or a saved reference (--reference "
    "FILE.icmref)"
)


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
