"""What the page's events do: values in, values out. Every visitor is known by a secret."""

from __future__ import annotations

import asyncio
import functools
import shutil
from collections.abc import AsyncIterator, Callable
from importlib import resources
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.media import get_image

from icm import IcmError, InputError

from . import runs, uploads
from .desk import Desk
from .models import Choice
from .results import colour_of
from .views import command_line, easel_view, tray_view, viewer_view
from .visitor import Visitor
from .words import absent_of

EXAMPLE = ("cheetah1.jpg", "cli/cheetah1.mask.png")
EXAMPLE_TARGETS = ("lion.jpg", "cheetah.jpg", "tower.jpg")
_TICK = 0.25  # seconds between looks at a run

Values = list[Any]
Given = ParamSpec("Given")
Back = TypeVar("Back")


def refusing(handler: Callable[Given, Back]) -> Callable[Given, Back]:
    """Turns our errors into Gradio's, which the page shows as a message."""

    @functools.wraps(handler)
    def safe(*values: Given.args, **named: Given.kwargs) -> Back:
        try:
            return handler(*values, **named)
        except IcmError as error:
            raise gr.Error(str(error), title="That did not work", print_exception=False) from error

    return safe


class Handlers:
    """The page's handlers.

    Args:
        desk: the running page.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

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
    def on_easel(self, token: str, event: gr.EventData) -> Values:
        """Something was done to the photos of the object."""
        visitor = self._desk.registry.get(token)
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
        if action == "example":
            self._add_example(visitor)
        return self._screen(visitor)

    @refusing
    def on_tray(self, token: str, event: gr.EventData) -> Values:
        """Something was done to the pictures."""
        visitor = self._desk.registry.get(token)
        action, key = _asked(event)
        with visitor.lock:
            if action == "choose":
                visitor.chosen_target = visitor.target(key).key
                visitor.changed()
            elif action == "retry":
                runs.start(visitor, self._desk.device, self._desk.models, [key])
            elif action in ("remove", "clear"):
                _remove_targets(visitor, None if action == "clear" else key)
        return self._screen(visitor)

    @refusing
    def on_viewer(self, token: str, event: gr.EventData) -> Values:
        """Another background was chosen; only composites depend on it."""
        visitor = self._desk.registry.get(token)
        action, _ = _asked(event)
        if action == "background":
            value = str(event._data.get("value", ""))
            if value not in ("checker", "picture"):
                colour_of(value)
            with visitor.lock:
                visitor.background = value
                visitor.changed()
        return self._screen(visitor)

    @refusing
    def start(self, token: str, absent: str = "keep") -> Values:
        """Mattes all pictures that wait."""
        visitor = self._desk.registry.get(token)
        _choose_absent(visitor, absent)
        runs.start(visitor, self._desk.device, self._desk.models)
        return self._screen(visitor)

    @refusing
    def again(self, token: str, absent: str = "keep") -> Values:
        """Mattes every picture anew, for instance with better marks."""
        visitor = self._desk.registry.get(token)
        _choose_absent(visitor, absent)
        keys = [target.key for target in visitor.targets]
        runs.start(visitor, self._desk.device, self._desk.models, keys)
        return self._screen(visitor)

    @refusing
    def stop(self, token: str) -> Values:
        """Ends the run after the current picture."""
        visitor = self._desk.registry.get(token)
        runs.stop(visitor, self._desk.device)
        return self._screen(visitor)

    async def follow(self, token: str, request: gr.Request) -> AsyncIterator[Values]:
        """Shows a run as it goes on, until it ends or a later event of the page follows it."""
        shown: tuple[int, int] | None = None
        me, session = object(), request.session_hash or ""
        while True:
            try:
                visitor = self._desk.registry.get(token)
            except InputError:  # removed meanwhile
                return
            if shown is None:
                visitor.followers[session] = me
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
    def choose_model(self, token: str, name: str) -> Values:
        """Another model was chosen; results so far stay as they are."""
        visitor = self._desk.registry.get(token)
        if name not in self._desk.models.names:
            raise InputError("there is no such model: reload the page")
        with visitor.lock:
            visitor.model = name
            visitor.changed()
        return [self.describe(name), *self._screen(visitor)]

    def describe(self, name: str) -> str:
        """Honest words on a model, as Markdown."""
        try:
            choice = self._desk.models.choice(name)
        except IcmError as error:
            return f"**Not usable:** {error}"
        return _described(choice, self._desk.models.failure)

    def _screen(self, visitor: Visitor) -> Values:
        """Values of easel, tray, viewer, the buttons to start, to do again and to stop, command."""
        with visitor.lock:
            active = visitor.progress.active
            waiting = sum(target.state == "waiting" for target in visitor.targets)
            finished = len(visitor.targets) > 0 and waiting == 0
            many = f" from {waiting} pictures" if waiting > 1 else ""
            return [
                easel_view(visitor),
                tray_view(visitor),
                viewer_view(visitor),
                gr.update(
                    value=f"Cut the object out{many}",
                    interactive=not active,
                    visible=not active and not finished,
                ),
                gr.update(visible=finished and not active),
                gr.update(visible=active, interactive=visitor.progress.state != "stopping"),
                command_line(visitor),
            ]

    def _add_example(self, visitor: Visitor) -> None:
        settings = self._desk.settings
        name, mask = EXAMPLE
        uploads.add_photo(visitor, _copied(Path(get_image(name)), visitor), name, settings)
        source = resources.files("icm").joinpath(mask)
        with resources.as_file(source) as path:
            copy = _copied(path, visitor)
        uploads.set_mask(visitor, visitor.chosen_photo, copy, settings)
        copy.unlink()
        for target in EXAMPLE_TARGETS:
            uploads.add_target(visitor, _copied(Path(get_image(target)), visitor), target, settings)


def _choose_absent(visitor: Visitor, name: str) -> None:
    """Keeps what the next run does with pictures that the object may be missing from."""
    with visitor.lock:
        visitor.absent = absent_of(name)


def _copied(path: Path, visitor: Visitor) -> Path:
    return Path(shutil.copy(path, visitor.folder / f"example-{path.name}"))


def _remove_targets(visitor: Visitor, key: str | None) -> None:
    kept = []
    for target in visitor.targets:
        if (key is not None and target.key != key) or target.state == "working":
            kept.append(target)
        else:
            shutil.rmtree(target.path.parent, ignore_errors=True)
    visitor.targets[:] = kept
    visitor.changed()


def _asked(event: gr.EventData) -> tuple[str, str]:
    """Action and key of a widget's event; what a browser sends is not to be trusted."""
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get("action", "")), str(data.get("key", ""))


def _described(choice: Choice, failure: str) -> str:
    state = "Ready to use." if choice.here else "**Not on this machine yet.**"
    parts = "\n".join(f"- {part}" for part in choice.parts)
    broken = f"\n\n**Loading failed:** {failure}" if failure else ""
    return f"{choice.words} {state}\n\n{parts}{broken}"
