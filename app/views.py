"""What the widgets of the page are shown: plain values for JSON, made from a session."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from .edits import current
from .exports import choices, command_words
from .judgement import basis_of, is_settled, shown_state
from .results import KINDS, LOOKS
from .session import Photo, Progress, Session, Target

View = dict[str, Any]


def easel_view(session: Session) -> View:
    """Photos of the object and the one to paint on."""
    with session.lock:
        return {
            "version": session.version,
            "photos": [_photo_view(session, photo) for photo in session.photos],
            "chosen": session.chosen_photo,
            "example": not session.photos,
            "ignored": _ignored(session),
        }


def tray_view(session: Session) -> View:
    """Pictures in the order of their upload with their states, and how the run goes."""
    with session.lock:
        basis = basis_of(session)
        used = {key for target in session.targets for key in (target.source, target.reference)}
        return {
            "version": session.version,
            "targets": [_target_view(session, target, basis) for target in session.targets],
            "chosen": session.chosen_target,
            "progress": progress_view(session.progress),
            "failures": _failures(session.targets),
            "removed": len(session.removed),
            "marked": [
                {"key": photo.key, "name": photo.name}
                for photo in session.photos
                if photo.mask_path is not None and photo.saved is None and photo.key not in used
            ],
            "ignored": _ignored(session),
        }


def viewer_view(session: Session) -> View:
    """The result that is looked at."""
    with session.lock:
        finished = [target for target in session.targets if target.results is not None]
        chosen = next((t for t in finished if t.key == session.chosen_target), None)
        chosen = chosen or next(iter(finished), None)
        picture = session.background_path
        return {
            "version": session.version,
            "result": None if chosen is None else _result_view(session, chosen),
            "keys": [target.key for target in finished],
            "active": session.progress.active,
            "background": session.background,
            "picture": None
            if picture is None
            else _url(session, picture.parent.name, "shown.webp"),
            "done": len(finished),
            "export": choices(session.export),
            "zip": f"icm/{session.token}/results.zip",
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


def command_line(session: Session) -> str:
    """The command that does the same to a folder of pictures."""
    with session.lock:
        painted = [photo for photo in session.photos if photo.marked and photo.saved is None]
        saved = [photo.name for photo in session.photos if photo.saved is not None]
        model = session.model
        absent = session.absent
        files = command_words(session.export, session.background)
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


def _photo_view(session: Session, photo: Photo) -> View:
    mask = None
    if photo.mask_path is not None:
        mask = f"{_url(session, photo.key, 'mask.png')}?v={photo.version}"
    return {
        "key": photo.key,
        "name": photo.name,
        "url": _url(session, photo.key, "shown.png"),
        "height": photo.shown[0],
        "width": photo.shown[1],
        "mask": mask,
        "version": photo.version,
        "marked": photo.marked,
        "saved": photo.saved is not None,
    }


def _ignored(session: Session) -> list[str]:
    """Names of photos that nothing is marked on, beside others that are marked."""
    if not any(photo.marked for photo in session.photos):
        return []
    return [photo.name for photo in session.photos if not photo.marked]


def _failures(targets: Sequence[Target]) -> str:
    """One line on all pictures that failed."""
    names = [target.name.name for target in targets if target.state == "failed"]
    if not names:
        return ""
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    pictures = "1 picture" if len(names) == 1 else f"{len(names)} pictures"
    return f"{pictures} failed: {', '.join(names[:2])}{more}. Each card says why."


def _target_view(session: Session, target: Target, basis: str) -> View:
    ready = target.results is not None
    card = f"{_url(session, target.key, 'card.webp')}?v={target.version}"
    return {
        "key": target.key,
        "name": target.name.as_posix(),
        "state": shown_state(target, basis, settled=is_settled(session, target)),
        "reason": target.reason or (target.doubt and f"Check it: {target.doubt}."),
        "ready": ready,
        "thumbnail": _url(session, target.key, "thumbnail.webp"),
        "card": card if ready and target.state != "absent" else None,
    }


def _result_view(session: Session, target: Target) -> View:
    def look(name: str) -> str:
        return f"{_url(session, target.key, name)}?v={target.version}"

    settled = is_settled(session, target)
    return {
        "key": target.key,
        "name": target.name.as_posix(),
        "height": target.size[0],
        "width": target.size[1],
        "version": target.version,
        "state": shown_state(target, basis_of(session), settled=settled),
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
        "downloads": {kind: _url(session, target.key, f"download/{kind}") for kind in KINDS},
    }


def _url(session: Session, key: str, name: str) -> str:
    """Relative to the page's root; the widgets put the root before it."""
    return f"icm/{session.token}/{key}/{name}"
