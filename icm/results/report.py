"""What became of each target, for a person: self-contained HTML, and the same as CSV."""

from __future__ import annotations

import base64
import csv
import html
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.errors import IcmError
from icm.images import Picture, resize, scaled_size

NOTHING = "nothing written"
PICTURED = 300  # targets shown with pictures; some 15 kB each
_SIDE = 200
_GREYS = (0.62, 0.82)
_SQUARE = 10
_COLUMNS = ("picture", "object", "how likely the object is in the picture", "note")

_STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;
color:#222;background:#fafafa}
pre{white-space:pre-wrap}pre:empty{display:none}h2{margin-top:2.5rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(25rem,1fr));gap:1rem}
figure{margin:0;padding:.6rem;background:#fff;border:1px solid #ddd;border-left:4px solid #9c9}
figure.failed{border-left-color:#c33}figure.absent,figure.check{border-left-color:#e90}
figcaption{overflow-wrap:anywhere;margin-bottom:.4rem}img{margin-right:.4rem;vertical-align:top}
small{color:#666;display:block}li{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1a1a1a}
figure{background:#222;border-color:#444}small{color:#aaa}}
"""


@dataclass(frozen=True)
class Reported:
    """What became of a target.

    Attributes:
        name: what a person knows it by.
        state: 'absent' where the object may be missing, 'check' where the result should be checked.
        found: the state in words.
        confidence: how likely the object is in the picture; None of a failure.
        note: why it failed, or what else is to be said.
        pictures: gives (picture, what it is), each shown small, over a checkerboard where it has
            alpha; an `IcmError` is told in their place.
    """

    name: str
    state: Literal["failed", "absent", "check", "done"]
    found: str
    confidence: float | None = None
    note: str = ""
    pictures: Callable[[], Sequence[tuple[Picture, str]]] = tuple

    @property
    def line(self) -> str:
        """The state, for people."""
        if self.state == "failed":
            return f"failed: {self.note}"
        parts = ("" if self.state == "done" else self.found, self.note)
        said = "".join(f"{part}, " for part in parts if part)
        return f"{said}confidence {self.confidence or 0:.2f}"


def report_files(
    about: str, rows: Sequence[Reported], *, pictured: int = PICTURED
) -> tuple[tuple[str, Iterator[str]], ...]:
    """Both forms of a report, each as the ending of its file and its parts; as `html_report`."""
    return (
        (".html", html_report(about, rows, pictured=pictured)),
        (".csv", iter((csv_report(rows),))),
    )


def html_report(about: str, rows: Sequence[Reported], *, pictured: int) -> Iterator[str]:
    """Parts of a page that loads nothing from elsewhere.

    Args:
        about: the run, as lines of text; may be empty.
        rows: in order, what needs a look first.
        pictured: how many are shown with pictures; the rest are only named.
    """
    shown, rest = rows[:pictured], rows[pictured:]
    yield _head(about, rows)
    yield from map(_figure, shown)
    yield "</div>\n"
    if rest:
        yield f"<h2>{len(rest)} more</h2>\n<ul>\n"
        for row in rest:
            yield f"<li>{html.escape(row.name)}: {html.escape(row.line)}</li>\n"
        yield "</ul>\n"
    yield "</body></html>\n"


def csv_report(rows: Sequence[Reported]) -> str:
    """The same as a table, with a line of names."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for row in rows:
        likely = "" if row.confidence is None else f"{row.confidence:.4f}"
        writer.writerow((row.name, row.found, likely, row.note))
    return text.getvalue()


def _head(about: str, rows: Sequence[Reported]) -> str:
    failed = sum(row.state == "failed" for row in rows)
    doubtful = sum(row.state == "absent" for row in rows)
    unsure = sum(row.state == "check" for row in rows)
    check = f" ({unsure} of them to be checked)" if unsure else ""
    skipped = sum(row.note.startswith(NOTHING) for row in rows)
    unwritten = f" (nothing was written for {skipped} of them)" if skipped else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Matting report</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Matting report</h1>\n"
        f"<pre>{html.escape(about)}</pre>\n"
        f"<p>{len(rows)} targets: {failed} failed, {doubtful} may lack the object{unwritten}, "
        f"{len(rows) - failed - doubtful} show it{check}. Confidence says how likely the object is "
        "in the picture, not how good the matte is; what needs a look comes first.</p>\n"
        '<div class="grid">\n'
    )


def _figure(row: Reported) -> str:
    try:
        pictures = "".join(_image(picture, name) for picture, name in row.pictures())
    except IcmError as error:
        pictures = html.escape(str(error))
    return (
        f'<figure class="{row.state}"><figcaption>{html.escape(row.name)}'
        f"<small>{html.escape(row.line)}</small></figcaption>{pictures}</figure>\n"
    )


def _small(picture: Picture) -> NDArray[np.float32]:
    scale = min(1.0, _SIDE / max(picture.size))
    size = scaled_size(picture.size, scale)
    if picture.alpha is None:
        return picture.at(size)
    rows, columns = (np.arange(side) // _SQUARE for side in size)
    checker = np.array(_GREYS, np.float32)[(rows[:, np.newaxis] + columns) % 2][..., np.newaxis]
    weight = resize(picture.alpha, size)[..., np.newaxis]
    colours = resize(picture.rgb * picture.alpha[..., np.newaxis], size)
    over: NDArray[np.float32] = colours + checker * (1 - weight)
    return over


def _image(picture: Picture, name: str) -> str:
    encoded = io.BytesIO()
    levels = np.rint(np.clip(_small(picture), 0, 1) * 255).astype(np.uint8)
    Image.fromarray(levels).save(encoded, "JPEG", quality=85)
    data = base64.b64encode(encoded.getvalue()).decode()
    return f'<img alt="{name}" src="data:image/jpeg;base64,{data}">'
