"""What the widgets of the page are shown: plain values for JSON, made from a visitor's state."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from .edits import current
from .exports import choices, command_words
from .judgement import basis_of, is_settled, shown_state
from .results import KINDS, LOOKS
from .visitor import Photo, Progress, Target, Visitor

View = dict[str, Any]


def easel_view(visitor: Visitor) -> View:
    """Photos of the object and the one to paint on."""
    with visitor.lock:
        return {
            "version": visitor.version,
            "photos": [_photo_view(visitor, photo) for photo in visitor.photos],
            "chosen": visitor.chosen_photo,
            "example": not visitor.photos,
            "ignored": _ignored(visitor),
        }


def tray_view(visitor: Visitor) -> View:
    """Pictures in the order of their upload with their states, and how the run goes."""
    with visitor.lock:
        basis = basis_of(visitor)
        used = {key for target in visitor.targets for key in (target.source, target.reference)}
        return {
            "version": visitor.version,
            "targets": [_target_view(visitor, target, basis) for target in visitor.targets],
            "chosen": visitor.chosen_target,
            "progress": progress_view(visitor.progress),
            "failures": _failures(visitor.targets),
            "removed": len(visitor.removed),
            "marked": [
                {"key": photo.key, "name": photo.name}
                for photo in visitor.photos
                if photo.mask_path is not None and photo.saved is None and photo.key not in used
            ],
            "ignored": _ignored(visitor),
        }


def viewer_view(visitor: Visitor) -> View:
    """The result that is looked at."""
    with visitor.lock:
        finished = [target for target in visitor.targets if target.results is not None]
        chosen = next((t for t in finished if t.key == visitor.chosen_target), None)
        chosen = chosen or next(iter(finished), None)
        picture = visitor.background_path
        return {
            "version": visitor.version,
            "result": None if chosen is None else _result_view(visitor, chosen),
            "keys": [target.key for target in finished],
            "active": visitor.progress.active,
            "background": visitor.background,
            "picture": None
            if picture is None
            else _url(visitor, picture.parent.name, "shown.webp"),
            "done": len(finished),
            "export": choices(visitor.export),
            "zip": f"icm/{visitor.token}/results.zip",
        }


def doubtful_first(targets: Sequence[Target]) -> list[Target]:
    """May lack the object, to be checked, the rest; within each the least likely first."""

    def urgency(target: Target) -> tuple[bool, bool, float]:
        return target.state != "absent", not target.doubt, target.confidence

    return sorted(targets, key=urgency)


def progress_view(progress: Progress) -> View:
    """How far a run is, with a sentence for people."""
    return {
        "active": progress.active,
        "state": progress.state,
        "total": progress.total,
        "done": progress.done,
        "text": _sentence(progress),
        "message": progress.message,
    }


def command_line(visitor: Visitor) -> str:
    """The command that does the same to a folder of pictures."""
    with visitor.lock:
        painted = [photo for photo in visitor.photos if photo.marked and photo.saved is None]
        saved = [photo.name for photo in visitor.photos if photo.saved is not None]
        model = visitor.model
        absent = visitor.absent
        files = command_words(visitor.export, visitor.background)
    names = [*saved, *(["object.icmref"] if painted else [])] or ["object.icmref"]
    words = ["icm", "batch", "my_pictures"]
    for name in names:
        words += ["--reference", name]
    words += [] if model == "small" else ["--model", model]
    words += [] if absent == "keep" else ["--absent", absent]
    words += files
    return shlex.join([*words, "-o", "my_mattes"])


def _sentence(progress: Progress) -> str:
    done, total = progress.done, progress.total
    if progress.state == "queued":
        return _queued(progress)
    if progress.state == "working" and progress.started == 0:
        return "Getting the model and your reference ready …"
    taken = _duration(progress.finished - progress.started)
    sentences = {
        "working": f"{done} of {total} done{_pace(progress)}",
        "stopping": f"Stopping after this picture. {done} of {total} done.",
        "stopped": f"Stopped: {done} of {total} done, the rest still waits.",
        "done": f"All {total} done in {taken}." if total > 1 else "Done.",
    }
    return sentences.get(progress.state, "")


def _queued(progress: Progress) -> str:
    place = progress.ticket.place if progress.ticket else 0
    if place == 0:
        return "Starting …"
    return f"Waiting for the device: {place} {'run is' if place == 1 else 'runs are'} before you."


def _pace(progress: Progress) -> str:
    if progress.done == 0:
        return ""
    each = (progress.finished - progress.started) / progress.done
    left = each * (progress.total - progress.done)
    return f" · {each:.1f} s a picture · about {_duration(left)} left"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(max(1, round(seconds)), 60)
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def _photo_view(visitor: Visitor, photo: Photo) -> View:
    mask = None
    if photo.mask_path is not None:
        mask = f"{_url(visitor, photo.key, 'mask.png')}?v={photo.version}"
    return {
        "key": photo.key,
        "name": photo.name,
        "url": _url(visitor, photo.key, "shown.png"),
        "height": photo.shown[0],
        "width": photo.shown[1],
        "mask": mask,
        "version": photo.version,
        "marked": photo.marked,
        "saved": photo.saved is not None,
    }


def _ignored(visitor: Visitor) -> list[str]:
    """Names of photos that nothing is marked on, beside others that are marked."""
    if not any(photo.marked for photo in visitor.photos):
        return []
    return [photo.name for photo in visitor.photos if not photo.marked]


def _failures(targets: Sequence[Target]) -> str:
    """One line on all pictures that failed."""
    names = [target.name.name for target in targets if target.state == "failed"]
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    pictures = "1 picture" if len(names) == 1 else f"{len(names)} pictures"
    return f"{pictures} failed: {', '.join(names[:2])}{more}. Each card says why."


def _target_view(visitor: Visitor, target: Target, basis: str) -> View:
    ready = target.results is not None
    card = f"{_url(visitor, target.key, 'card.webp')}?v={target.version}"
    return {
        "key": target.key,
        "name": target.name.as_posix(),
        "state": shown_state(target, basis, settled=is_settled(visitor, target)),
        "reason": target.reason or (target.doubt and f"Check it: {target.doubt}."),
        "ready": ready,
        "thumbnail": _url(visitor, target.key, "thumbnail.webp"),
        "card": card if ready and target.state != "absent" else None,
    }


def _result_view(visitor: Visitor, target: Target) -> View:
    def look(name: str) -> str:
        return f"{_url(visitor, target.key, name)}?v={target.version}"

    settled = is_settled(visitor, target)
    return {
        "key": target.key,
        "name": target.name.as_posix(),
        "height": target.size[0],
        "width": target.size[1],
        "version": target.version,
        "state": shown_state(target, basis_of(visitor), settled=settled),
        "settled": settled,
        "present": target.state != "absent",
        "overruled": target.overruled,
        "doubt": target.doubt,
        "confidence": target.confidence,
        "edit": current(target.path.parent).as_json(),
        "look": {kind: look(f"{kind}.webp") for kind in LOOKS},
        "full": {
            "before": look("full.before.jpg"),
            "cutout": look("full.cutout.png"),
            "alpha": look("full.alpha.png"),
        },
        "downloads": {kind: _url(visitor, target.key, f"download/{kind}") for kind in KINDS},
    }


def _url(visitor: Visitor, key: str, name: str) -> str:
    """Relative to the page's root; the widgets put the root before it."""
    return f"icm/{visitor.token}/{key}/{name}"
