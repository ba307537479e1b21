"""What the page's events do: values in, values out. Every visitor is known by a secret."""

from __future__ import annotations

import asyncio
import functools
import secrets
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr

from icm import IcmError, InputError

from . import removal, runs, uploads
from .clients import client_of
from .desk import Desk
from .examples import MASK, PHOTO, TARGETS, example
from .judgement import is_settled, overrule
from .models import Choice
from .results import colour_of
from .views import command_line, easel_view, tray_view, viewer_view
from .visitor import Visitor
from .words import absent_of, told

_TICK = 0.25  # seconds between looks at a run
_FOLLOWERS = 3  # open pages of one visitor that follow a run; each keeps one of Gradio's workers

Values = list[Any]
Given = ParamSpec("Given")
Back = TypeVar("Back")


def refusing(handler: Callable[Given, Back]) -> Callable[Given, Back]:
    """Turns errors into Gradio's, which the page shows as a message without the server's paths."""

    @functools.wraps(handler)
    def safe(*values: Given.args, **named: Given.kwargs) -> Back:
        try:
            return handler(*values, **named)
        except gr.Error:
            raise
        except Exception as error:
            raise gr.Error(told(error), title="That did not work", print_exception=False) from error

    return safe


class Handlers:
    """The page's handlers.

    Args:
        desk: the running page.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._boot = secrets.token_hex(8)  # a page that knows another has outlived a restart

    @refusing
    def attach(self, token: str, request: gr.Request) -> Values:
        """A page was opened or reloaded: gives it its visitor's state."""
        visitor = self._desk.registry.attach(token, request.session_hash or "")
        choice, absent = gr.update(value=visitor.model), gr.update(value=visitor.absent)
        words = self.describe(visitor.model)
        return [visitor.token, choice, absent, words, *self._screen(visitor)]

    def detach(self, request: gr.Request) -> None:
        """A page was closed."""
        self._desk.registry.detach(request.session_hash or "")

    @refusing
    def on_easel(self, token: str, event: gr.EventData, request: gr.Request) -> Values:
        """Something was done to the photos of the object."""
        visitor = self._visitor(token, request)
        action, key = _asked(event)
        with visitor.lock:
            if action == "choose":
                visitor.chosen_photo = visitor.photo(key).key
                visitor.changed()
            elif action == "remove":
                photo = visitor.photo(key)
                visitor.photos.remove(photo)
                shutil.rmtree(photo.path.parent, ignore_errors=True)
                if visitor.chosen_photo == key:
                    visitor.chosen_photo = visitor.photos[-1].key if visitor.photos else ""
                visitor.marks_changed()
                visitor.measure()
        if action == "example":
            visitor = self._with_example(token, event, request)
        return self._screen(visitor)

    @refusing
    def on_tray(self, token: str, event: gr.EventData, request: gr.Request) -> Values:
        """Something was done to the pictures."""
        visitor = self._visitor(token, request)
        action, key = _asked(event)
        with visitor.lock:
            if action == "choose":
                visitor.chosen_target = visitor.target(key).key
                visitor.changed()
            elif action == "retry":
                self._run(visitor, [key])
            elif action == "overrule":
                self._overrule(visitor, key)
            elif action in ("remove", "clear"):
                removal.remove(visitor, None if action == "clear" else key)
            elif action == "restore":
                removal.restore(visitor)
        if action == "add_photo":  # takes seconds: not under the lock
            uploads.add_photo_as_target(visitor, key, self._desk.settings)
        return self._screen(visitor)

    @refusing
    def on_viewer(self, token: str, event: gr.EventData, request: gr.Request) -> Values:
        """Another result is looked at or judged, or another background was chosen."""
        visitor = self._visitor(token, request)
        action, key = _asked(event)
        if action == "choose":
            with visitor.lock:
                visitor.chosen_target = visitor.target(key).key
                visitor.changed()
        elif action == "overrule":
            self._overrule(visitor, key)
        elif action == "retry":
            self._run(visitor, [key])
        if action == "background":
            value = str(event._data.get("value", ""))
            if value not in ("checker", "picture"):
                colour_of(value)
            with visitor.lock:
                visitor.background = value
                visitor.changed()
        return self._screen(visitor)

    @refusing
    def start(self, token: str, absent: str, request: gr.Request) -> Values:
        """Mattes all pictures that wait."""
        visitor = self._visitor(token, request)
        _choose_absent(visitor, absent)
        self._run(visitor)
        return self._screen(visitor)

    @refusing
    def again(self, token: str, absent: str, request: gr.Request) -> Values:
        """Mattes every picture anew that was not corrected, for instance with better marks."""
        visitor = self._visitor(token, request)
        _choose_absent(visitor, absent)
        with visitor.lock:
            keys = [each.key for each in visitor.targets if not is_settled(visitor, each)]
        if visitor.targets and not keys:
            raise InputError(
                "every picture was corrected or used as a reference, and stays as it is: cut one "
                "out again by itself"
            )
        self._run(visitor, keys)
        return self._screen(visitor)

    @refusing
    def stop(self, token: str, request: gr.Request) -> Values:
        """Ends the run after the current picture."""
        visitor = self._visitor(token, request)
        runs.stop(visitor, self._desk.device)
        return self._screen(visitor)

    async def follow(self, token: str, request: gr.Request) -> AsyncIterator[Values]:
        """Shows a run as it goes on, until it ends or a later event of the page follows it."""
        shown: tuple[int, int] | None = None
        me, session = object(), request.session_hash or ""
        while True:
            try:
                visitor = self._visitor(token, request)
            except InputError:  # removed meanwhile
                return
            if shown is None:
                with visitor.lock:
                    visitor.followers.pop(session, None)
                    visitor.followers[session] = me
                    while len(visitor.followers) > _FOLLOWERS:  # the oldest gives way
                        visitor.followers.pop(next(iter(visitor.followers)))
            elif visitor.followers.get(session) is not me:
                return
            progress = visitor.progress
            active = progress.active
            now = visitor.version, progress.ticket.place if progress.ticket else 0
            if now != shown:
                shown = now
                yield self._screen(visitor)
            if not active:
                return
            await asyncio.sleep(_TICK)

    @refusing
    def choose_model(self, token: str, name: str, request: gr.Request) -> Values:
        """Another model was chosen; one that is not installed is only described."""
        visitor, models = self._visitor(token, request), self._desk.models
        if name not in models.names:
            raise InputError("there is no such model: reload the page")
        if models.choice(name).here:
            with visitor.lock:
                visitor.model = name
                visitor.changed()
            words = self.describe(name)
        else:
            stays = models.title(visitor.model)
            words = f"**{stays} stays in use.** {models.title(name)}: {self.describe(name)}"
        return [gr.update(value=visitor.model), words, *self._screen(visitor)]

    def describe(self, name: str) -> str:
        """Honest words on a model, as Markdown."""
        try:
            choice = self._desk.models.choice(name)
        except IcmError as error:
            return f"**Not usable:** {told(error)}"
        return _described(choice, self._desk.models.failure)

    def _visitor(self, token: str, request: gr.Request) -> Visitor:
        return self._desk.registry.find(token, request.session_hash or "")

    def _overrule(self, visitor: Visitor, key: str) -> None:
        if overrule(visitor, key):
            self._run(visitor, [key])

    def _run(self, visitor: Visitor, keys: list[str] | None = None) -> None:
        desk = self._desk
        runs.start(visitor, desk.device, desk.models, keys, desk.registry.check_disk)

    def _screen(self, visitor: Visitor) -> Values:
        """Values of easel, tray, viewer, the buttons to start, to do again and to stop, command."""
        with visitor.lock:
            active = visitor.progress.active
            waiting = sum(target.state == "waiting" for target in visitor.targets)
            finished = len(visitor.targets) > 0 and waiting == 0
            many = f" from {waiting} pictures" if waiting > 1 else ""
            boot = {"boot": self._boot}
            return [
                easel_view(visitor) | boot,
                tray_view(visitor) | boot,
                viewer_view(visitor) | boot,
                gr.update(
                    value=f"Cut the object out{many}",
                    interactive=not active,
                    visible=not active and not finished,
                ),
                gr.update(visible=finished and not active),
                gr.update(visible=active, interactive=visitor.progress.state != "stopping"),
                command_line(visitor),
            ]

    def _with_example(self, token: str, event: gr.EventData, request: gr.Request) -> Visitor:
        """The visitor with the example's photo, marks and pictures."""
        settings, registry = self._desk.settings, self._desk.registry
        photo = example(PHOTO)
        model = str(event._data.get("model", ""))
        model = model if model in self._desk.models.names else ""
        with registry.arriving(token, client_of(request), photo.stat().st_size, model) as visitor:
            uploads.add_photo(visitor, _copied(photo, visitor), PHOTO, settings)
            copy = _copied(example(MASK), visitor)
            uploads.set_mask(visitor, visitor.chosen_photo, copy, settings)
            copy.unlink()
            for target in TARGETS:
                copy = _copied(example(target), visitor)
                uploads.add_target(visitor, copy, Path(target).name, settings)
        return self._visitor(token, request)


def _choose_absent(visitor: Visitor, name: str) -> None:
    """Keeps what the next run does with pictures that the object may be missing from."""
    with visitor.lock:
        visitor.absent = absent_of(name)


def _copied(path: Path, visitor: Visitor) -> Path:
    return Path(shutil.copy(path, visitor.folder / f"example-{path.name}"))


def _asked(event: gr.EventData) -> tuple[str, str]:
    """Action and key of a widget's event; what a browser sends is not to be trusted."""
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get("action", "")), str(data.get("key", ""))


def _described(choice: Choice, failure: str) -> str:
    state = "Ready to use." if choice.here else "**Not installed on this server.**"
    parts = "\n".join(f"- {part}" for part in choice.parts)
    broken = f"\n\n**Loading failed:** {failure}" if failure else ""
    return f"{choice.words} {state}\n\n{parts}{broken}"
