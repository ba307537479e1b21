"""One visitor's session: pictures, references and results; nobody else's are reachable from it."""

from __future__ import annotations

import math
import secrets
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Literal, TypeVar

from icm import Absent, Export, InputError, Reference

from .queue import Ticket

EXPORT = Export(kinds=("alpha", "cutout", "composite"), background=(255, 255, 255))
"""What is downloaded unless something else is chosen; the background is the visitor's own."""

TargetState = Literal["waiting", "working", "done", "absent", "failed"]
RunState = Literal["idle", "queued", "working", "stopping", "done", "stopped", "failed"]


@dataclass
class Photo:
    """A photograph of the object, with or without marks; or a reference file.

    Attributes:
        key: names it on the page.
        name: what the visitor calls it.
        path: the upload.
        size: height and width, upright.
        shown: height and width of the working copy `shown_path` that is painted on.
        shown_path: the working copy.
        mask_path: where the object is; of `size` or of `shown`. None while nothing is marked.
        saved: the content of a reference file; such a one cannot be painted on.
        version: counts the changes of its marks.
        digest: of photo and marks; equal ones give equal references.
    """

    key: str
    name: str
    path: Path
    size: tuple[int, int]
    shown: tuple[int, int]
    shown_path: Path
    mask_path: Path | None = None
    saved: Reference | None = None
    version: int = 0
    digest: str = ""

    @property
    def marked(self) -> bool:
        """Whether it says where the object is."""
        return self.saved is not None or self.mask_path is not None


@dataclass
class Target:
    """A picture to matte.

    Attributes:
        key: names it on the page.
        name: relative path as the visitor has it; sub-folders kept.
        path: the upload.
        size: height and width, upright.
        state: how far it is.
        reason: why it failed, or why there is no cut-out, for the visitor to read.
        editing: held while its result is changed by hand.
        confidence: how likely the object is in the picture, not how good the matte is; below the
            model's threshold the state is 'absent'.
        results: folder of its results, once it is done.
        version: counts its results.
        basis: of the marks and the model that its results come from.
        doubt: why its result should be checked; empty where nothing speaks for that.
        overruled: whether the visitor said that the object is there.
        withheld: whether its matte was left empty or out, since the object may be missing.
        corrected: whether strokes of the visitor are on its result.
        source: key of the photo of the object that it is a copy of, if it is one.
        reference: key of the photo of the object that was made of its result, if one was.
        order: when it was chosen in the browser; infinite for one that belongs where it is.
    """

    key: str
    name: PurePath
    path: Path
    size: tuple[int, int]
    state: TargetState = "waiting"
    reason: str = ""
    editing: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    confidence: float = 0.0
    results: Path | None = None
    version: int = 0
    basis: str = ""
    doubt: str = ""
    overruled: bool = False
    withheld: bool = False
    corrected: bool = False
    source: str = ""
    reference: str = ""
    order: float = math.inf


Item = TypeVar("Item", Photo, Target)


@dataclass
class Progress:
    """Of the session's run: how far it is and how fast.

    Attributes:
        state: what it does now.
        total: pictures of this run.
        done: of them finished or failed.
        started: clock at the first picture.
        finished: clock at the last finished picture.
        message: why the whole run failed.
        ticket: of the device's queue.
    """

    state: RunState = "idle"
    total: int = 0
    done: int = 0
    started: float = 0.0
    finished: float = 0.0
    message: str = ""
    ticket: Ticket[None] | None = None

    @property
    def active(self) -> bool:
        """Whether pictures are being worked on or will be."""
        return self.state in ("queued", "working", "stopping")


@dataclass
class Session:
    """All that one visitor has on the server; `lock` guards every change but that of `seen`.

    Attributes:
        token: the secret by which the visitor's browser is known.
        folder: where the session's files lie.
        model: the model chosen.
        photos: of the object, in order.
        targets: pictures, in order.
        removed: pictures that were removed last, with their places; this can be undone.
        chosen_photo: key of the photo on the easel.
        chosen_target: key of the result looked at.
        background: 'checker', a colour as '#rrggbb', or 'picture'.
        background_path: the uploaded background.
        export: which files are downloaded, and how; its background stands for none.
        absent: what becomes of pictures that the object may be missing from.
        progress: of the run.
        stop: set when the run should end after the current picture.
        pages: open pages of this visitor, by the names that Gradio gives them.
        away: whether the last page closed and none was opened since; the run waits meanwhile.
        left: clock when the last page closed.
        seen: clock of the last sign of life.
        version: counts changes, for pages that follow.
        reference: computed from the marks, with the fingerprint of its model.
        followers: of each open page the one event that follows the run.
        gone: whether the session was removed; nothing may be written any more.
        client: from where the visitor came, for limits.
        stored: bytes of the uploads that are kept or arrive.
        arriving: uploads under way.
    """

    token: str
    folder: Path
    model: str
    photos: list[Photo] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    removed: list[tuple[int, Target]] = field(default_factory=list)
    chosen_photo: str = ""
    chosen_target: str = ""
    background: str = "checker"
    background_path: Path | None = None
    export: Export = EXPORT
    absent: Absent = "keep"
    progress: Progress = field(default_factory=Progress)
    stop: threading.Event = field(default_factory=threading.Event)
    pages: set[str] = field(default_factory=set)
    away: bool = False
    left: float = field(default_factory=time.monotonic)
    seen: float = field(default_factory=time.monotonic)
    version: int = 0
    lock: threading.RLock = field(default_factory=threading.RLock)
    reference: tuple[str, Reference] | None = None
    followers: dict[str, object] = field(default_factory=dict)
    gone: bool = False
    client: str = ""
    stored: int = 0
    arriving: int = 0

    def measure(self) -> None:
        """Counts anew what the uploads take; results are not the visitor's to answer for."""
        with self.lock:
            kept = [photo.path for photo in self.photos]
            kept += [target.path for target in self.targets]
            kept += [target.path for _, target in self.removed]
            kept += [self.background_path] if self.background_path else []
            if self.arriving == 0:
                self.stored = sum(path.stat().st_size for path in kept if path.is_file())

    def changed(self) -> None:
        """Tells pages that follow that there is something new."""
        with self.lock:
            self.version += 1
            self.seen = time.monotonic()

    def photo(self, key: str) -> Photo:
        """The photo of a key; InputError where it is gone."""
        return _of_key(self.photos, key, "photo")

    def target(self, key: str) -> Target:
        """The target of a key; InputError where it is gone."""
        return _of_key(self.targets, key, "picture")

    def new_folder(self, kind: str) -> tuple[str, Path]:
        """A new key and its own empty folder."""
        key = f"{kind}{secrets.token_hex(6)}"
        folder = self.folder / key
        folder.mkdir()
        return key, folder

    def marks_changed(self) -> None:
        """Forgets the computed reference: it is made anew when it is next needed."""
        with self.lock:
            self.reference = None
            self.changed()


def _of_key(items: list[Item], key: str, kind: str) -> Item:
    for item in items:
        if item.key == key:
            return item
    raise InputError(f"this {kind} is no longer here: reload the page")
