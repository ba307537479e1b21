"""Removal of pictures, which can be undone until the next removal or upload."""

from __future__ import annotations

import shutil

from .session import Session


def remove(session: Session, key: str | None) -> None:
    """Removes one picture, or all; those that are worked on stay.

    Args:
        session: whose pictures they are.
        key: of one picture; None for all.
    """
    with session.lock:
        forget_removed(session)
        kept = []
        for place, target in enumerate(session.targets):
            if (key is not None and target.key != key) or target.state == "working":
                kept.append(target)
            else:
                session.removed.append((place, target))
        session.targets[:] = kept
        session.changed()


def restore(session: Session) -> None:
    """Puts the pictures that were removed last back in their places."""
    with session.lock:
        for place, target in session.removed:
            session.targets.insert(place, target)
        session.removed.clear()
        session.changed()


def forget_removed(session: Session) -> None:
    """Deletes the files of removed pictures."""
    with session.lock:
        for _, target in session.removed:
            shutil.rmtree(target.path.parent, ignore_errors=True)
        session.removed.clear()
        session.measure()
