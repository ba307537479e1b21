"""Monitor of a run, in the main process: averages weights, validates, writes, saves."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from icm.config.training import TrainingConfig
from icm.matting import Matting
from icm.research.data.pairs import Pair
from icm.research.training.checkpoint import save_weights
from icm.research.training.record import Record
from icm.research.training.sample_sheet import sample_sheet
from icm.research.training.state import BEST, Row, TrainingState

log = logging.getLogger(__name__)
Validate = Callable[[Matting], Row]  # to `iou`, `mse` and other measures
VALIDATION = "validation."  # begins the names of what was measured, in the curve
HIGHER_IS_BETTER = {"iou"}


class Watch:
    """Monitors a run; does nothing in processes that are not the main one.

    Each checkpoint comes with the averaged weights and the curve as a picture; sample pictures
    show the mattes of the averaged weights, and these are what is validated.

    Args:
        state: state of the run; its average and its curve are kept here.
        config: how often what is done.
        out: folder of the run.
        is_main: whether this process is the one that writes.
        matting: the program around the model, see `Stage.matting`.
        samples: pairs to draw.
        validate: measures mattes; the best weights are kept as `best.safetensors`.
    """

    def __init__(
        self,
        state: TrainingState,
        config: TrainingConfig,
        out: Path,
        *,
        is_main: bool,
        matting: Callable[[], Matting] | None = None,
        samples: Sequence[Pair] = (),
        validate: Validate | None = None,
    ) -> None:
        self._state = state
        self._config = config
        self._out = out
        self._matting = matting
        self._samples = samples
        self._validate = validate
        self._begun = time.monotonic() - state.seconds
        self._record = Record(out, config.steps, state.curve) if is_main else None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._record is not None:
            self._record.close()

    def after_step(self, numbers: Row) -> None:
        """Does all that is due after a step; `numbers` are means to write, if there are any."""
        if self._record is None:
            return
        state, config = self._state, self._config
        state.follow(min(config.average, (state.step + 1) / (state.step + 10)))
        if self._due(config.sample_every) and self._samples and self._matting is not None:
            with state.averaged():
                sheet = sample_sheet(self._matting(), self._samples)
            self._record.picture(state.step, sheet)
        if self._due(config.validate_every) and self._validate and self._matting is not None:
            numbers = numbers | self._validated(self._validate, self._matting)
        state.seconds = time.monotonic() - self._begun
        if numbers:
            row = {"step": state.step, "seconds": round(state.seconds, 1), **numbers}
            state.curve.append(row)
            self._record.row(row)
        if self._due(config.save_every):
            state.save(self._out)
            self._record.draw(state.curve)

    def _due(self, every: int) -> bool:
        return self._state.step % every == 0 or self._state.step == self._config.steps

    def _validated(self, validate: Validate, matting: Callable[[], Matting]) -> Row:
        """Measures the averaged weights, and keeps them where they are the best so far."""
        state, by = self._state, self._config.best_by
        with state.averaged():
            found = validate(matting())
        sign = 1 if by in HIGHER_IS_BETTER else -1
        if not state.best or sign * found[by] > sign * state.best[by]:
            state.best = {"step": state.step, **found}
            save_weights(self._out / BEST, state.average)
            log.info("the best weights so far: %s %.4f", by, found[by])
        return {VALIDATION + name: value for name, value in found.items()}
