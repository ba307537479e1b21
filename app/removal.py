"""Removal of pictures, which can be undone until the next removal or upload."""

from __future__ import annotations

import shutil

from .visitor import Visitor


def remove(visitor: Visitor, key: str | None) -> None:
    """Removes one picture, or all; those that are worked on stay.

    Args:
        visitor: whose pictures they are.
        key: of one picture; None for all.
    """
    with visitor.lock:
        forget_removed(visitor)
        kept = []
        for place, target in enumerate(visitor.targets):
            if (key is not None and target.key != key) or target.state == "working":
                kept.append(target)
            else:
                visitor.removed.append((place, target))
        visitor.targets[:] = kept
        visitor.changed()


def restore(visitor: Visitor) -> None:
    """Puts the pictures that were removed last back in their places."""
    with visitor.lock:
        for place, target in visitor.removed:
            visitor.targets.insert(place, target)
        visitor.removed.clear()
        visitor.changed()


def forget_removed(visitor: Visitor) -> None:
    """Deletes the files of removed pictures."""
    with visitor.lock:
        for _, target in visitor.removed:
            shutil.rmtree(target.path.parent, ignore_errors=True)
        visitor.removed.clear()
        visitor.measure()
