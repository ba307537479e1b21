"""What a visitor changes on a finished result: strokes and adjustments, without the network.

A run leaves what it found beside the files to look at. An edit is always made from that, so that
undoing is leaving out; only a stroke added to those before starts from what they have made.
"""

from __future__ import annotations

import json
import tempfile
import threading
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from icm import Adjustment, InputError, Matte, Stroke

from .kept import BASE, EDIT, EMPTY, STROKES, kept_matte, note_empty, save_alpha
from .results import write_matte
from .session import Session, Target

MOST_STROKES, MOST_POINTS = 200, 4000  # of one picture, and of one stroke
_AT_ONCE = threading.Semaphore(2)  # a picture of 12 megapixels takes half a gigabyte meanwhile


@dataclass(frozen=True)
class Edit:
    """What is changed on a result.

    Attributes:
        strokes: in the order in which they were drawn.
        adjustment: made after them.
    """

    strokes: tuple[Stroke, ...] = ()
    adjustment: Adjustment = field(default_factory=Adjustment)

    def as_json(self) -> dict[str, Any]:
        """Plain values, as `edit_of` reads them."""
        strokes = [asdict(stroke) for stroke in self.strokes]
        return {"strokes": strokes, "adjustment": self.adjustment.model_dump(mode="json")}


class NotFinishedError(InputError):
    """The result that an edit is for is being made, or was made anew meanwhile."""


def edit_of(values: object) -> Edit:
    """An edit from what a browser sends.

    Raises:
        InputError: it is none, or too large.
    """
    try:
        if not isinstance(values, dict):
            raise TypeError
        strokes = [_stroke(each) for each in values.get("strokes", ())]
        adjustment = Adjustment.model_validate(values.get("adjustment", {}))
    except (ValidationError, KeyError, TypeError, ValueError) as error:
        raise InputError("this change cannot be read: reload the page") from error
    if len(strokes) > MOST_STROKES:
        raise InputError(f"{MOST_STROKES} strokes are the most: undo some of them")
    return Edit(tuple(strokes), adjustment)


def current(folder: Path) -> Edit:
    """The edit that a result shows."""
    try:
        return edit_of(json.loads((folder / EDIT).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return Edit()


def apply(session: Session, key: str, edit: Edit) -> int:
    """Makes a result anew with an edit in the place of the one before.

    Returns:
        The result's version.

    Raises:
        InputError: there is no such result.
        NotFinishedError: it is being made, or was made anew meanwhile.
    """
    with session.lock:
        target = session.target(key)
    with target.editing, _AT_ONCE, _aside(session) as made:
        with session.lock:
            version = _finished_version(session, key)
        _write(edited(target, edit), edit, made)
        with session.lock:
            if _finished_version(session, key) != version:
                raise NotFinishedError("this picture was cut out again meanwhile: change it anew")
            _put_in_place(made, target.path.parent)
            target.doubt = "" if edit.strokes else target.doubt  # somebody has looked at it
            target.corrected = bool(edit.strokes)
            target.version += 1
            session.changed()
            return target.version


def apply_to_all(session: Session, values: Adjustment) -> int:
    """Adjusts every finished result, strokes kept; returns how many.

    Results that are removed or made anew meanwhile are left out.
    """
    objects = values.objects if isinstance(values.objects, str) else "all"  # places are a picture's
    values = values.model_copy(update={"objects": objects})
    changed = 0
    for key in _finished_keys(session):
        try:
            with session.lock:
                strokes = current(session.target(key).path.parent).strokes
            apply(session, key, Edit(strokes, values))
        except NotFinishedError:
            continue
        except (InputError, OSError):
            if key in _finished_keys(session):
                raise
        else:
            changed += 1
    return changed


def edited(target: Target, edit: Edit) -> Matte:
    """A result's matte with the strokes of an edit, not yet adjusted."""
    folder = target.path.parent
    before = current(folder).strokes
    extends = before and edit.strokes[: len(before)] == before and (folder / STROKES).is_file()
    if extends:
        return _kept(target, STROKES).corrected(edit.strokes[len(before) :], earlier=before)
    return _kept(target, BASE).corrected(edit.strokes)


def finished(picture: Path) -> Matte:
    """The matte that a result shows, in full precision.

    Args:
        picture: the target, in the folder of its results.

    Raises:
        InputError: nothing is kept of this result.
    """
    edit = current(picture.parent)
    name = STROKES if edit.strokes else BASE
    with _AT_ONCE:
        matte = kept_matte(picture, name, confidence=1, present=True)
        return matte.adjusted(edit.adjustment)


def _aside(session: Session) -> tempfile.TemporaryDirectory[str]:
    """A folder for files that are moved to a result once they are complete.

    It lies beside the session's folder, so that a late write cannot bring back what was removed.
    """
    return tempfile.TemporaryDirectory(prefix="edit-", dir=session.folder.parent)


def _write(matte: Matte, edit: Edit, made: str) -> None:
    """Writes all files that an edit changes.

    Args:
        matte: of `edited`.
        edit: whose strokes are on it already.
        made: an empty folder.
    """
    folder = Path(made)
    if edit.strokes:
        save_alpha(folder / STROKES, matte)
    matte = matte.adjusted(edit.adjustment)
    write_matte(matte, folder)
    note_empty(matte, folder)
    (folder / EDIT).write_text(json.dumps(edit.as_json()), encoding="utf-8")


def _put_in_place(made: str, folder: Path) -> None:
    """Replaces a result's files by an edit's; quick enough for the session's lock."""
    (folder / EMPTY).unlink(missing_ok=True)
    for path in Path(made).iterdir():
        path.replace(folder / path.name)


def _kept(target: Target, name: str) -> Matte:
    present = target.state != "absent"
    return kept_matte(target.path, name, confidence=target.confidence, present=present)


def _stroke(values: dict[str, Any]) -> Stroke:
    points = tuple((float(x), float(y)) for x, y in values["points"])
    if len(points) > MOST_POINTS:
        raise InputError(f"a stroke has more than {MOST_POINTS} points: draw it in pieces")
    return Stroke(
        points,
        keep=bool(values["keep"]),
        width=float(values["width"]),
        hardness=float(values.get("hardness", 0.8)),
        exact=bool(values.get("exact", False)),
    )


def _finished_keys(session: Session) -> list[str]:
    with session.lock:
        return [target.key for target in session.targets if _is_finished(target)]


def _finished_version(session: Session, key: str) -> int:
    target = session.target(key)
    if not _is_finished(target):
        raise NotFinishedError("this picture is not cut out yet: wait for it")
    return target.version


def _is_finished(target: Target) -> bool:
    return target.results is not None and target.state not in ("waiting", "working")
