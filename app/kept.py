"""What a run has found, kept as it was beside the files to look at, so that edits start from it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from icm import InputError, Matte, read_image

BASE, STROKES, EDIT = "base.npz", "strokes.npz", "edit.json"
COLOURS = "base.cutout.png"
EMPTY = "empty"  # there is such a file where nothing is cut out
_LEVELS = 65535


def keep(matte: Matte, folder: Path) -> None:
    """Keeps what a run has found, beside its written results, and forgets earlier edits."""
    for name in (EDIT, STROKES, COLOURS, BASE, EMPTY):
        (folder / name).unlink(missing_ok=True)
    if matte.skipped:
        return
    note_empty(matte, folder)
    save_alpha(folder / BASE, matte)
    try:
        os.link(folder / "full.cutout.png", folder / COLOURS)
    except OSError:  # a file system without links
        shutil.copy(folder / "full.cutout.png", folder / COLOURS)


def note_empty(matte: Matte, folder: Path) -> None:
    """Remembers whether nothing is cut out, so that no blank files are exported."""
    path = folder / EMPTY
    path.unlink(missing_ok=True) if matte.alpha.any() else path.touch()


def kept_matte(picture: Path, name: str, *, confidence: float, present: bool) -> Matte:
    """The matte that a run found, or that strokes have made of it.

    Args:
        picture: the target, in the folder of its results.
        name: `BASE` or `STROKES`.
        confidence: of the result.
        present: of the result.

    Raises:
        InputError: nothing is kept of this result.
    """
    folder = picture.parent
    try:
        with np.load(folder / name) as kept:
            alpha = np.divide(kept["alpha"], _LEVELS, dtype=np.float32)
            guidance = kept["guidance"]
            colours = kept.get("foreground")
        if colours is None:
            known = read_image(folder / COLOURS).rgb
        else:
            known = np.divide(colours, 255, dtype=np.float32)
        target = read_image(picture)
    except (OSError, ValueError, KeyError) as error:
        raise InputError("this result is no longer here: reload the page") from error
    return Matte(target, alpha, guidance, confidence, present, known_foreground=known)


def save_alpha(path: Path, matte: Matte) -> None:
    """Keeps alpha in 16 bits and the guidance; of strokes the colours too."""
    values = {
        "alpha": np.rint(matte.alpha * _LEVELS).astype(np.uint16),
        "guidance": matte.guidance.astype(np.float32),
    }
    if path.name == STROKES:
        values["foreground"] = np.rint(matte.foreground * 255).astype(np.uint8)
    aside = path.with_name(f"aside-{path.name}")
    np.savez(aside, **values)  # type: ignore[arg-type]  # numpy types keywords as its own option
    aside.replace(path)
