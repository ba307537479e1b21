"""Files as a visitor wants them: the options of `icm batch`, and what they make of a result."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from icm import Export, InputError, export

from . import edits
from .page_state import PageState
from .results import KINDS, colour_of
from .session import EXPORT, Session

NO_BACKGROUND = "checker"
MEDIA = {"png": "image/png", "webp": "image/webp", "jpeg": "image/jpeg"}
_LARGEST = 10_000  # bytes of a request
_CHOICES = {"kinds", "format", "quality", "bits", "trim", "margin", "canvas"}


def add_exports(app: FastAPI, state: PageState) -> None:
    """Adds `/icm/TOKEN/export`, which takes what files are to be like."""

    @app.post("/icm/{token}/export")
    async def choose(request: Request, token: str) -> JSONResponse:
        content = await request.body()
        if len(content) > _LARGEST:
            raise InputError("this is too long: reload the page")
        wanted = export_of(content)
        session = state.registry.get(token)
        return JSONResponse({"version": await asyncio.to_thread(_keep, session, wanted)})


def export_of(content: bytes) -> Export:
    """What a browser asks for, as JSON.

    Raises:
        InputError: it is none, or a format cannot hold it.
    """
    try:
        values = json.loads(content)
        if not isinstance(values, dict) or not values.keys() <= _CHOICES:
            raise TypeError
        wanted = Export.model_validate({**values, "background": EXPORT.background})
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (TypeError, ValueError) as error:
        raise InputError("these choices cannot be read: reload the page") from error
    if unknown := set(wanted.kinds) - set(KINDS):
        raise InputError(f"'{min(unknown)[:20]}' is no file: choose of {', '.join(KINDS)}")
    return wanted


def choices(wanted: Export) -> dict[str, Any]:
    """Plain values, as `export_of` reads them."""
    return wanted.model_dump(mode="json", include=_CHOICES)


def command_words(wanted: Export, background: str) -> list[str]:
    """Options of `icm batch` that give the same files."""
    behind = background != NO_BACKGROUND or wanted.format == "jpeg"
    kinds = tuple(kind for kind in wanted.kinds if kind != "composite" or behind)
    words = [] if kinds in ((), ("alpha", "cutout")) else ["--save", ",".join(kinds)]
    if behind and "composite" in kinds:
        colour = "#ffffff" if background == NO_BACKGROUND else background
        words += ["--background", "background.jpg" if background == "picture" else colour]
    values = wanted.model_dump(
        include=_CHOICES - {"kinds", "canvas", "trim"}, exclude_defaults=True
    )
    for name, value in values.items():
        words += [f"--{name}", str(value)]
    words += ["--trim"] if wanted.trim and not wanted.margin else []
    return words + ([f"--canvas={wanted.canvas[0]}x{wanted.canvas[1]}"] if wanted.canvas else [])


def wanted_of(session: Session) -> Export:
    """What is downloaded: on the chosen background, and no composite where there is none.

    A JPEG has always a background: white, where none was chosen.

    Raises:
        InputError: nothing is left, or the background picture is missing.
    """
    with session.lock:
        wanted, name, picture = session.export, session.background, session.background_path
    background: str | tuple[int, int, int] = EXPORT.background
    kinds = wanted.kinds
    if name == "picture":
        if picture is None:
            raise InputError("choose a background picture first")
        background = str(picture)
    elif name != NO_BACKGROUND:
        background = colour_of(name)
    elif wanted.format != "jpeg":
        kinds = tuple(kind for kind in kinds if kind != "composite")
    if not kinds:
        raise InputError("no background was chosen for the composites: choose one, or other files")
    return wanted.model_copy(update={"kinds": kinds, "background": background})


def contents(
    picture: Path, wanted: Export, kinds: tuple[str, ...] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Kind and content of each file of a result, one in memory at a time.

    Args:
        picture: the target, in the folder of its results.
        wanted: of `wanted_of`.
        kinds: those of `wanted` that are asked for; None for all.

    Raises:
        InputError: the result is no longer there, or cannot be written so.
        OSError: likewise.
    """
    asked = wanted.kinds if kinds is None else kinds
    plain = wanted.bits == 8 and wanted.format == "png" and not wanted.framed
    made = tuple(kind for kind in asked if not plain or kind == "composite")
    with tempfile.TemporaryDirectory(dir=picture.parent) as folder:
        paths = dict[str, Path]()
        if made:
            exported = export(edits.finished(picture), folder, "made", wanted, made)
            paths = dict(zip(made, exported.paths, strict=True))
        for kind in asked:
            path = paths.get(kind, picture.parent / f"full.{kind}.png")
            yield kind, path.read_bytes()


def _keep(session: Session, wanted: Export) -> int:
    """Remembers what is wanted; returns the version of the page's state that shows it."""
    with session.lock:
        session.export = wanted
        session.changed()
        return session.version
