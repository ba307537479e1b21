"""What agents can do: each tool's arguments, what it does, and its result in words and pictures."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from icm import InputError, Points, over, read_image

from .calls import SUFFIX, Caller, Calls, Made, Shown
from .handles import Handles
from .page_state import PageState
from .words import absent_of

_PREVIEW = 512  # longer side of a picture that an agent looks at
_SMALL = 256  # of each in a batch
_SHOWN = 16  # pictures of a batch that are shown

FILE = (
    "A file: its address on this server (as the tools and the upload give it), a data URI "
    "(data:image/png;base64,...), or a path below a folder that the server allows."
)
_MARKED = "A reference that the tool 'reference' made, or a photo of the object. " + FILE
_MASK = (
    "Of a photo: a picture of its size, white on the object. Not needed where points mark the "
    "object, or where the photo is a cut-out with transparency. A file, as the photo."
)
_INSIDE = "Of a photo, instead of a mask: pixels [x, y] on the object, from the upper left corner."
_OUTSIDE = "With inside: pixels [x, y] that do not belong to the object."
_MODEL = "Name of a model; empty takes the server's own."
_ABSENT = "Where the object is maybe not in the picture: keep the matte, make it empty, or skip it."

Point = Annotated[list[float], Field(min_length=2, max_length=2)]
Dots = Annotated[list[Point], Field(default_factory=list, max_length=1000)]


class Given(BaseModel):
    """Arguments of a tool; one that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ToLearn(Given):
    """Arguments of 'reference'."""

    photo: str = Field(description=f"A photo of the object. {FILE}")
    mask: str = Field("", description=_MASK)
    inside: Dots = Field(description=_INSIDE)
    outside: Dots = Field(description=_OUTSIDE)
    model: str = Field("", description=_MODEL)


class ToMatte(Given):
    """Arguments of 'matte'."""

    target: str = Field(description=f"The picture to cut the object out of. {FILE}")
    reference: str = Field(description=_MARKED)
    mask: str = Field("", description=_MASK)
    inside: Dots = Field(description=_INSIDE)
    outside: Dots = Field(description=_OUTSIDE)
    model: str = Field("", description=_MODEL)
    absent: Literal["keep", "empty", "skip"] = Field("keep", description=_ABSENT)


class ToBatch(Given):
    """Arguments of 'batch'."""

    targets: list[str] = Field(description=f"The pictures. Each is: {FILE}")
    reference: str = Field(description=_MARKED)
    mask: str = Field("", description=_MASK)
    inside: Dots = Field(description=_INSIDE)
    outside: Dots = Field(description=_OUTSIDE)
    model: str = Field("", description=_MODEL)
    absent: Literal["keep", "empty", "skip"] = Field("keep", description=_ABSENT)


@dataclass(frozen=True)
class Asked:
    """One call of a tool.

    Attributes:
        caller: who waits for it.
        base: address of the server, as the caller knows it.
        scratch: a folder for copies of what the caller names, which ends with the call.
    """

    caller: Caller
    base: str
    scratch: Path


@dataclass(frozen=True)
class Answer:
    """Result of a tool.

    Attributes:
        values: what it found, and addresses of files.
        previews: small JPEG pictures.
        files: addresses with their names and kinds.
    """

    values: dict[str, Any]
    previews: tuple[bytes, ...]
    files: tuple[tuple[str, str, str], ...]

    @property
    def text(self) -> str:
        """The values, to read."""
        return json.dumps(self.values, ensure_ascii=False, indent=1)


@dataclass(frozen=True)
class Tool:
    """A tool as agents see it.

    Attributes:
        words: what it does, and what it gives.
        arguments: that it takes.
        run: does it.
    """

    words: str
    arguments: type[Given]
    run: Callable[[Any, Asked], Answer]


class Tools:
    """The tools of a running page.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._calls = Calls(state)
        self.handles = Handles(state)
        self.by_name = {
            "reference": Tool(
                "Learns an object from one photo in which it is marked. Gives the address of a "
                "reference, which 'matte' and 'batch' take for as many pictures as you like.",
                ToLearn,
                self._reference,
            ),
            "matte": Tool(
                "Finds a reference's object in a picture and cuts it out with soft edges. Gives "
                "addresses of the alpha matte and of the cut-out (PNG with transparency), a small "
                "preview of the cut-out on a checkerboard, whether the object is likely to be in "
                "the picture at all (present), and how likely (confidence).",
                ToMatte,
                self._matte,
            ),
            "batch": Tool(
                "Cuts a reference's object out of many pictures; one that fails is named and does "
                "not stop the rest. Gives for each what 'matte' gives.",
                ToBatch,
                self._batch,
            ),
        }

    def _reference(self, given: ToLearn, asked: Asked) -> Answer:
        shown = self._shown(given.photo, given, asked)
        if shown.source.suffix == SUFFIX:
            raise InputError("this is a reference already: give it to 'matte' or 'batch'")
        path, made = self._calls.reference(shown, given.model, asked.caller)
        address = self.handles.address(path, asked.base)
        marked = Image.fromarray(made.thumbnails[0])
        return Answer(
            {"reference": address, "model": made.model},
            (_preview(marked, _PREVIEW),),
            ((address, path.name, "application/octet-stream"),),
        )

    def _matte(self, given: ToMatte, asked: Asked) -> Answer:
        made = self._calls.matte(
            self._file(given.target, asked),
            self._shown(given.reference, given, asked),
            absent_of(given.absent),
            given.model,
            asked.caller,
        )
        return self._answer(self._values(made, asked.base), [made], asked.base, _PREVIEW)

    def _batch(self, given: ToBatch, asked: Asked) -> Answer:
        results = self._calls.batch(
            [self._file(target, asked) for target in given.targets],
            self._shown(given.reference, given, asked),
            absent_of(given.absent),
            given.model,
            asked.caller,
        )
        values = {"results": [self._values(made, asked.base) for made in results]}
        return self._answer(values, results, asked.base, _SMALL)

    def _file(self, given: str, asked: Asked) -> Path:
        return self.handles.file(given, asked.scratch)

    def _shown(self, source: str, given: ToLearn | ToMatte | ToBatch, asked: Asked) -> Shown:
        path = self._file(source, asked)
        if given.mask and given.inside:
            raise InputError("give a mask or points, not both")
        if given.mask:
            return Shown(path, self._file(given.mask, asked))
        if not given.inside and not given.outside:
            return Shown(path)
        inside, outside = (tuple((x, y) for x, y in dots) for dots in (given.inside, given.outside))
        return Shown(path, Points(inside=inside, outside=outside))

    def _values(self, made: Made, base: str) -> dict[str, Any]:
        names = zip(("alpha", "cutout"), made.files, strict=False)
        addresses = {name: self.handles.address(path, base) for name, path in names}
        return {"name": made.name, **addresses, **made.report}

    def _answer(self, values: dict[str, Any], results: list[Made], base: str, side: int) -> Answer:
        done = [made.files for made in results if made.files]
        files = [path for each in done for path in each]
        return Answer(
            values,
            tuple(_preview(Image.open(cutout), side) for _, cutout in done[:_SHOWN]),
            tuple((self.handles.address(path, base), path.name, "image/png") for path in files),
        )


def base64_of(content: bytes) -> str:
    """Bytes as text."""
    return base64.b64encode(content).decode("ascii")


def _preview(cutout: Image.Image, side: int) -> bytes:
    """A cut-out on a checkerboard, small, as JPEG."""
    small = cutout.convert("RGBA")
    small.thumbnail((side, side))
    buffer = io.BytesIO()
    over(read_image(small), "checker").convert("RGB").save(buffer, "JPEG", quality=85)
    return buffer.getvalue()
