"""Kinds of results; here, so that the command line's help need not wait for torch."""

from typing import Literal, get_args

SAVE_KINDS = ("alpha", "cutout", "trimap", "guidance", "composite")

Absent = Literal["keep", "empty", "skip"]
"""What becomes of a picture that the object may be missing from: see `FinishConfig.absent`."""
ABSENT: tuple[Absent, ...] = get_args(Absent)
