"""A page for a person who reviews a run: self-contained HTML, what needs a look first."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm.engine.jobs import Job
from icm.engine.ledger import Entry
from icm.engine.summary import Summary
from icm.errors import IcmError
from icm.images import Picture, read_image, resize, written_aside

PICTURED = 300  # targets shown with pictures; some 15 kB each
_SIDE = 200
_GREYS = (0.62, 0.82)
_SQUARE = 10

_STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem;
color:#222;background:#fafafa}
pre{white-space:pre-wrap}h2{margin-top:2.5rem}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(25rem,1fr));gap:1rem}
figure{margin:0;padding:.6rem;background:#fff;border:1px solid #ddd;border-left:4px solid #9c9}
figure.failed{border-left-color:#c33}figure.absent{border-left-color:#e90}
figcaption{overflow-wrap:anywhere;margin-bottom:.4rem}img{margin-right:.4rem;vertical-align:top}
small{color:#666;display:block}li{overflow-wrap:anywhere}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1a1a1a}
figure{background:#222;border-color:#444}small{color:#aaa}}
"""


def write_report(
    path: Path, jobs: Iterable[tuple[Job, Entry]], folder: Path, summary: Summary
) -> None:
    """Writes the page: failures, then where the object may be missing, then the rest.

    Within each, the targets are ordered by how likely the object is there, the least likely first.

    Args:
        path: the HTML file.
        jobs: of the run, each with its last entry.
        folder: of the results.
        summary: of the run.

    Raises:
        OutputError: the file cannot be written.
    """
    ordered = sorted(jobs, key=urgency)
    shown, rest = ordered[:PICTURED], ordered[PICTURED:]
    with written_aside(path) as file:
        file.write(_head(summary, ordered).encode())
        for job, entry in shown:
            file.write(_figure(job, entry, folder).encode())
        file.write(b"</div>\n")
        if rest:
            file.write(f"<h2>{len(rest)} more</h2>\n<ul>\n".encode())
            for job, entry in rest:
                file.write(f"<li>{_title(job)}: {_state(entry)}</li>\n".encode())
            file.write(b"</ul>\n")
        file.write(b"</body></html>\n")


def urgency(item: tuple[Job, Entry]) -> tuple[int, float, str]:
    """Sorts failures first, then where the object may be missing, then the rest."""
    job, entry = item
    if entry.state == "failed":
        return 0, 0.0, job.stem
    return (2 if entry.present else 1), entry.confidence or 0.0, job.stem


def _head(summary: Summary, ordered: Sequence[tuple[Job, Entry]]) -> str:
    failed = sum(entry.state == "failed" for _, entry in ordered)
    doubtful = sum(entry.present is False for _, entry in ordered)
    skipped = sum(entry.state == "skipped" for _, entry in ordered)
    unwritten = f" (nothing was written for {skipped} of them)" if skipped else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><title>Matting report</title>'
        f"<style>{_STYLE}</style></head><body>\n<h1>Matting report</h1>\n"
        f"<pre>{html.escape(summary.text())}</pre>\n"
        f"<p>{len(ordered)} targets: {failed} failed, {doubtful} may lack the object{unwritten}, "
        f"{len(ordered) - failed - doubtful} show it. Confidence says how likely the object is in "
        "the picture, not how good the matte is; the lowest come first.</p>\n"
        '<div class="grid">\n'
    )


def _figure(job: Job, entry: Entry, folder: Path) -> str:
    kind = "failed" if entry.state == "failed" else "done" if entry.present else "absent"
    pictures = "" if entry.state == "failed" else _pictures(job, entry, folder)
    return (
        f'<figure class="{kind}"><figcaption>{_title(job)}<small>{_state(entry)}</small>'
        f"</figcaption>{pictures}</figure>\n"
    )


def _title(job: Job) -> str:
    return html.escape(f"{job.group}: {job.source}" if job.group else job.source)


def _state(entry: Entry) -> str:
    if entry.state == "failed":
        return html.escape(f"failed: {entry.error}")
    found = "" if entry.present else "maybe not in this picture, "
    written = "nothing written, " if entry.state == "skipped" else ""
    return f"{found}{written}confidence {entry.confidence or 0:.2f}"


def _pictures(job: Job, entry: Entry, folder: Path) -> str:
    """The target and what was made of it, as far as they are still there."""
    try:
        target = read_image(job.path)
        shown = [_image(target.at(_small(target.size)), "target")]
        if entry.outputs:
            shown.append(_image(_result(entry, folder, target), "matte"))
    except IcmError as error:
        return html.escape(str(error))
    return "".join(shown)


def _result(entry: Entry, folder: Path, target: Picture) -> NDArray[np.float32]:
    """The object over a checkerboard; else a result as it is."""
    files = {kind: folder / record.file for kind, record in entry.outputs.items()}
    if "cutout" in files:
        cutout = read_image(files["cutout"])
        return _over_checker(cutout.rgb, cutout.alpha)
    if "alpha" in files and entry.box is None:
        return _over_checker(target.rgb, read_image(files["alpha"]).rgb[..., 0])
    picture = read_image(next(iter(files.values())))
    return picture.at(_small(picture.size))


def _over_checker(
    rgb: NDArray[np.float32], alpha: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    size = _small((rgb.shape[0], rgb.shape[1]))
    if alpha is None:
        return resize(rgb, size)
    rows, columns = (np.arange(side) // _SQUARE for side in size)
    checker = np.array(_GREYS, np.float32)[(rows[:, np.newaxis] + columns) % 2][..., np.newaxis]
    weight = resize(alpha, size)[..., np.newaxis]
    over: NDArray[np.float32] = resize(rgb * alpha[..., np.newaxis], size) + checker * (1 - weight)
    return over


def _small(size: tuple[int, int]) -> tuple[int, int]:
    scale = min(1.0, _SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _image(colours: NDArray[np.float32], name: str) -> str:
    encoded = io.BytesIO()
    levels = np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(levels).save(encoded, "JPEG", quality=85)
    data = base64.b64encode(encoded.getvalue()).decode()
    return f'<img alt="{name}" src="data:image/jpeg;base64,{data}">'
