"""What a person should know of a result: whether it is up to date, and whether to check it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Literal

import numpy as np

from icm import Absent, Matte, Verdict, verdict_of

from .session import Session, Target

ShownState = Literal[
    "waiting", "working", "done", "check", "absent", "failed", "skipped", "outdated"
]
SOFT = "much of its edge is unclear"
_DOUBTS = {
    Verdict.NEARLY_NOTHING: "nearly nothing was found",
    Verdict.PERHAPS: "the object may not be the right one",
}
_SOFT_SHARE = 0.5  # of what is taken, half-transparent: fur has about a third
_CLEAR = 0.05  # an alpha this close to 0 or 1 is not half-transparent


def basis_of(session: Session) -> str:
    """What results depend on beside the picture: the marks and the model.

    Equal marks give an equal text, so a stroke that is undone leaves results up to date.
    """
    with session.lock:
        marks = [photo.digest for photo in session.photos if photo.marked]
        return hashlib.sha256("\n".join([session.model, *marks]).encode()).hexdigest()


def doubt_of(matte: Matte) -> str:
    """Why a result should be checked; empty where nothing speaks for that."""
    found = verdict_of(matte)
    if found is not Verdict.FOUND:
        return _DOUBTS.get(found, "")
    taken = float((matte.alpha > _CLEAR).sum())
    soft = float(np.logical_and(matte.alpha > _CLEAR, matte.alpha < 1 - _CLEAR).sum())
    return SOFT if soft > _SOFT_SHARE * taken else ""


def policed(matte: Matte, target: Target, absent: Absent) -> Matte:
    """The matte as it is kept: withheld where the object may be missing and that was chosen."""
    if matte.present or target.overruled or absent == "keep":
        return matte
    nothing = np.zeros_like(matte.alpha)
    return replace(matte, alpha=nothing, known_trimap=None, skipped=absent == "skip")


def judge(target: Target, matte: Matte, basis: str) -> None:
    """Keeps what a new matte says of its target."""
    target.confidence = matte.confidence
    target.doubt = doubt_of(matte)
    target.basis = basis
    target.withheld = not matte.present and not matte.alpha.any()
    target.corrected, target.reference = False, ""
    target.reason = "Skipped, as you chose." if matte.skipped else ""
    target.state = "done" if matte.present or target.overruled else "absent"
    target.version += 1


def overrule(session: Session, key: str) -> bool:
    """The visitor says that the object is in the picture.

    Returns:
        Whether its matte was withheld, so that the picture has to be run again.
    """
    with session.lock:
        target = session.target(key)
        target.overruled = True
        if target.state == "absent" and not target.withheld:
            target.state = "done"
        session.changed()
        return target.withheld


def is_settled(session: Session, target: Target) -> bool:
    """Whether its result is the visitor's own work: corrected by strokes, or used as a reference.

    Such a result is not made anew together with the others.
    """
    with session.lock:
        if target.state not in ("done", "absent"):
            return False
        return target.corrected or any(photo.key == target.reference for photo in session.photos)


def shown_state(target: Target, basis: str, *, settled: bool = False) -> ShownState:
    """The state that the page shows.

    Args:
        target: a picture.
        basis: of the session, now.
        settled: as of `is_settled`; such a result is never outdated.
    """
    if target.state in ("done", "absent") and target.basis != basis and not settled:
        return "outdated"
    if target.state == "absent" and target.results is None:
        return "skipped"
    return "check" if target.state == "done" and target.doubt else target.state
