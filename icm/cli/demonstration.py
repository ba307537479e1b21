"""Mattes a few real photographs with one hand-drawn mask, and draws a contact sheet of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from icm.cli.demo_sheet import contact_sheet
from icm.errors import InputError
from icm.images import read_image, read_mask, written_aside
from icm.matting import Matting
from icm.results import Matte
from icm.results.verdict import verdict_of

REFERENCE = "cheetah1.jpg"
MASK = Path(__file__).with_name("cheetah1.mask.png")
TARGETS = ("cheetah1.jpg", "lion.jpg", "cheetah.jpg", "tower.jpg")


@dataclass(frozen=True)
class DemoResult:
    """Where the demonstration's results are.

    Attributes:
        mattes: one of each of `TARGETS`.
        files: alpha and cut-out of each.
        sheet: the contact sheet.
    """

    mattes: tuple[Matte, ...]
    files: tuple[Path, ...]
    sheet: Path


def run_demo(matting: Matting, out: Path, say: Callable[[str], None]) -> DemoResult:
    """Mattes `TARGETS` by `REFERENCE` and its mask; writes alpha, cut-out and a contact sheet.

    Args:
        matting: any model.
        out: folder for the results; made where it is missing.
        say: is told of each target as it is done.

    Raises:
        InputError: the photographs are not there.
        OutputError: a result cannot be written.
    """
    source = photograph(REFERENCE)
    reference = matting.reference(source, MASK)
    mattes, files = [], []
    for name in TARGETS:
        matte = matting(photograph(name), reference)
        files += matte.save(out, Path(name).stem)
        mattes.append(matte)
        say(f"{name}: {verdict_of(matte)} (confidence {matte.confidence:.2f})")
    picture = read_image(source)
    sheet = out / "contact_sheet.png"
    image = contact_sheet(picture, read_mask(MASK, picture.size), mattes)
    with written_aside(sheet) as file:
        image.save(file, "PNG")
    return DemoResult(tuple(mattes), tuple(files), sheet)


def photograph(name: str) -> Path:
    """Path of a photograph that the installed gradio package ships.

    Raises:
        InputError: this version of gradio does not ship it.
    """
    from gradio.media import get_image  # noqa: PLC0415 - heavy, needed only here

    try:
        return Path(get_image(name))
    except ValueError as error:
        raise InputError(
            f"the installed gradio does not ship {name}: install the versions of constraints.txt"
        ) from error
