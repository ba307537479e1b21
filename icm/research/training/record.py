"""Record of a run: curve as JSON lines and PNG, sample pictures, TensorBoard files.

TensorBoard's are written where the package is (`pip install "in-context-matting[train]"`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from icm.images import write_png
from icm.research.training.curve import draw_curves
from icm.research.training.sample_sheet import Sheet
from icm.research.training.state import Row

log = logging.getLogger(__name__)
CURVE = "curve.jsonl"
TIMES = ("step", "seconds")


class Record:
    """The files of one run.

    Args:
        out: folder of the run; made if missing.
        steps: that are planned.
        curve: rows before a resume; whatever an interrupted run had written after them goes.
    """

    def __init__(self, out: Path, steps: int, curve: Sequence[Row]) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self._out = out
        self._steps = steps
        text = "".join(json.dumps(row) + "\n" for row in curve)
        (out / CURVE).write_text(text, encoding="utf-8")
        begun = int(curve[-1]["step"]) if curve else 0
        self._tensorboard = _tensorboard(out / "tensorboard", begun)

    def row(self, row: Row) -> None:
        """Adds a row to the curve, and says it with the time that is left."""
        with (self._out / CURVE).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        numbers = {name: value for name, value in row.items() if name not in TIMES}
        step = int(row["step"])
        left = row["seconds"] / step * (self._steps - step)
        words = " ".join(f"{name} {value:.3f}" for name, value in numbers.items())
        log.info("step %d/%d %s, %s left", step, self._steps, words, _duration(left))
        if self._tensorboard is not None:
            for name, value in numbers.items():
                self._tensorboard.add_scalar(name.replace(".", "/"), value, step)

    def picture(self, step: int, sheet: Sheet) -> None:
        """Writes a sheet of sample pictures."""
        folder = self._out / "samples"
        folder.mkdir(exist_ok=True)
        write_png(folder / f"step_{step:06}.png", sheet / 255)
        if self._tensorboard is not None:
            self._tensorboard.add_image("samples", sheet, step, dataformats="HWC")

    def draw(self, curve: Sequence[Row]) -> None:
        """Draws the curve so far as a picture."""
        if curve:
            write_png(self._out / "curve.png", draw_curves(curve, self._steps) / 255)

    def close(self) -> None:
        """Writes what is still held back."""
        if self._tensorboard is not None:
            self._tensorboard.close()


def _tensorboard(folder: Path, begun: int) -> Any:
    """A writer of TensorBoard's event files, or None where the package is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - optional, and slow
    except ImportError:
        log.info('no TensorBoard files: pip install "in-context-matting[train]" adds them')
        return None
    return SummaryWriter(str(folder), purge_step=begun + 1 if begun else None)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"
