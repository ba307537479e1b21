"""What the page's events do: values in, values out. Every session is known by a secret."""

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
from .examples import MASK, PHOTO, TARGETS, example
from .judgement import is_settled, overrule
from .models import Choice
from .page_state import PageState
from .results import colour_of
from .session import Session
from .views import command_line, easel_view, tray_view, viewer_view
from .words import absent_of, public_message

_TICK = 0.25  # seconds between looks at a run
_FOLLOWERS = 3  # open pages of one session that follow a run; each keeps one of Gradio's workers

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
            raise gr.Error(
                public_message(error), title="That did not work", print_exception=False
            ) from error

    return safe


class Handlers:
    """The page's handlers.

    Args:
        state: of the running page.
    """

    def __init__(self, state: PageState) -> None:
        self._state = state
        self._boot = secrets.token_hex(8)  # a page that knows another has outlived a restart

    @refusing
    def attach(self, token: str, request: gr.Request) -> Values:
        """A page was opened or reloaded: gives it its session's state."""
        session = self._state.registry.attach(token, request.session_hash or "")
        choice, absent = gr.update(value=session.model), gr.update(value=session.absent)
        words = self.describe(session.model)
        return [session.token, choice, absent, words, *self._screen(session)]

    def detach(self, request: gr.Request) -> None:
        """A page was closed."""
        self._state.registry.detach(request.session_hash or "")

    @refusing
    def on_easel(self, token: str, event: gr.EventData, request: gr.Request) -> Values:
        """Something was done to the photos of the object."""
        session = self._session(token, request)
        action, key = _asked(event)
        with session.lock:
            if action == "choose":
                session.chosen_photo = session.photo(key).key
                session.changed()
            elif action == "remove":
                photo = session.photo(key)
                session.photos.remove(photo)
                shutil.rmtree(photo.path.parent, ignore_errors=True)
                if session.chosen_photo == key:
                    session.chosen_photo = session.photos[-1].key if session.photos else ""
                session.marks_changed()
                session.measure()
        if action == "example":
            session = self._with_example(token, event, request)
        return self._screen(session)

    @refusing
    def on_tray(self, token: str, event: gr.EventData, request: gr.Request) -> Values:
        """Something was done to the pictures."""
        session = self._session(token, request)
        action, key = _asked(event)
        with session.lock:
            if action == "choose":
                session.chosen_target = session.target(key).key
                session.changed()
            elif action == "retry":
                self._run(session, [key])
            elif action == "overrule":
                self._overrule(session, key)
            elif action in ("remove", "clear"):
                removal.remove(session, None if action == "clear" else key)
            elif action == "restore":
                removal.restore(session)
        if action == "add_photo":  # takes seconds: not under the lock
            uploads.add_photo_as_target(session, key, self._state.settings)
        return self._screen(session)

    @refusing
    def on_viewer(self, token: str, event: gr.EventData, request: gr.Request) -> Values:
        """Another result is looked at or judged, or another background was chosen."""
        session = self._session(token, request)
        action, key = _asked(event)
        if action == "choose":
            with session.lock:
                session.chosen_target = session.target(key).key
                session.changed()
        elif action == "overrule":
            self._overrule(session, key)
        elif action == "retry":
            self._run(session, [key])
        if action == "background":
            value = str(event._data.get("value", ""))
            if value not in ("checker", "picture"):
                colour_of(value)
            with session.lock:
                session.background = value
                session.changed()
        return self._screen(session)

    @refusing
    def start(self, token: str, absent: str, request: gr.Request) -> Values:
        """Mattes all pictures that wait."""
        session = self._session(token, request)
        _choose_absent(session, absent)
        self._run(session)
        return self._screen(session)

    @refusing
    def again(self, token: str, absent: str, request: gr.Request) -> Values:
        """Mattes every picture anew that was not corrected, for instance with better marks."""
        session = self._session(token, request)
        _choose_absent(session, absent)
        with session.lock:
            keys = [each.key for each in session.targets if not is_settled(session, each)]
        if session.targets and not keys:
            raise InputError(
                "every picture was corrected or used as a reference, and stays as it is: cut one "
                "out again by itself"
            )
        self._run(session, keys)
        return self._screen(session)

    @refusing
    def stop(self, token: str, request: gr.Request) -> Values:
        """Ends the run after the current picture."""
        session = self._session(token, request)
        runs.stop(session, self._state.device)
        return self._screen(session)

    async def follow(self, token: str, request: gr.Request) -> AsyncIterator[Values]:
        """Shows a run as it goes on, until it ends or a later event of the page follows it.

        Gradio iterates it on the event loop, which a session's lock must not keep waiting.
        """
        shown: tuple[int, int] | None = None
        me, page = object(), request.session_hash or ""
        while True:
            try:
                session = self._session(token, request)
            except InputError:  # removed meanwhile
                return
            if shown is None:
                await asyncio.to_thread(_begin_to_follow, session, page, me)
            elif session.followers.get(page) is not me:
                return
            progress = session.progress
            active = progress.active
            now = session.version, progress.ticket.place if progress.ticket else 0
            if now != shown:
                shown = now
                yield await asyncio.to_thread(self._screen, session)
            if not active:
                return
            await asyncio.sleep(_TICK)

    @refusing
    def choose_model(self, token: str, name: str, request: gr.Request) -> Values:
        """Another model was chosen; one that is not installed is only described."""
        session, models = self._session(token, request), self._state.models
        if name not in models.names:
            raise InputError("there is no such model: reload the page")
        if models.choice(name).here:
            with session.lock:
                session.model = name
                session.changed()
            words = self.describe(name)
        else:
            stays = models.title(session.model)
            words = f"**{stays} stays in use.** {models.title(name)}: {self.describe(name)}"
        return [gr.update(value=session.model), words, *self._screen(session)]

    def describe(self, name: str) -> str:
        """Honest words on a model, as Markdown."""
        try:
            choice = self._state.models.choice(name)
        except IcmError as error:
            return f"**Not usable:** {public_message(error)}"
        return _described(choice, self._state.models.failure)

    def _session(self, token: str, request: gr.Request) -> Session:
        return self._state.registry.find(token, request.session_hash or "")

    def _overrule(self, session: Session, key: str) -> None:
        if overrule(session, key):
            self._run(session, [key])

    def _run(self, session: Session, keys: list[str] | None = None) -> None:
        state = self._state
        runs.start(session, state.device, state.models, keys, state.registry.check_disk)

    def _screen(self, session: Session) -> Values:
        """Values of easel, tray, viewer, the buttons to start, to do again and to stop, command."""
        with session.lock:
            active = session.progress.active
            waiting = sum(target.state == "waiting" for target in session.targets)
            finished = len(session.targets) > 0 and waiting == 0
            many = f" from {waiting} pictures" if waiting > 1 else ""
            boot = {"boot": self._boot}
            return [
                easel_view(session) | boot,
                tray_view(session) | boot,
                viewer_view(session) | boot,
                gr.update(
                    value=f"Cut the object out{many}",
                    interactive=not active,
                    visible=not active and not finished,
                ),
                gr.update(visible=finished and not active),
                gr.update(visible=active, interactive=session.progress.state != "stopping"),
                command_line(session),
            ]

    def _with_example(self, token: str, event: gr.EventData, request: gr.Request) -> Session:
        """The session with the example's photo, marks and pictures."""
        settings, registry = self._state.settings, self._state.registry
        photo = example(PHOTO)
        model = str(event._data.get("model", ""))
        model = model if model in self._state.models.names else ""
        with registry.arriving(token, client_of(request), photo.stat().st_size, model) as session:
            key = uploads.add_photo(session, _copied(photo, session), PHOTO, settings)
            copy = _copied(example(MASK), session)
            uploads.set_mask(session, key, copy, settings)
            copy.unlink()
            for target in TARGETS:
                copy = _copied(example(target), session)
                uploads.add_target(session, copy, Path(target).name, settings)
        return self._session(token, request)


def _begin_to_follow(session: Session, page: str, event: object) -> None:
    """Makes an event the only one of its page that follows the run."""
    with session.lock:
        session.followers.pop(page, None)
        session.followers[page] = event
        while len(session.followers) > _FOLLOWERS:  # the oldest gives way
            session.followers.pop(next(iter(session.followers)))


def _choose_absent(session: Session, name: str) -> None:
    """Keeps what the next run does with pictures that the object may be missing from."""
    with session.lock:
        session.absent = absent_of(name)


def _copied(path: Path, session: Session) -> Path:
    return Path(shutil.copy(path, session.folder / f"example-{path.name}"))


def _asked(event: gr.EventData) -> tuple[str, str]:
    """Action and key of a widget's event; what a browser sends is not to be trusted."""
    data = event._data if isinstance(event._data, dict) else {}
    return str(data.get("action", "")), str(data.get("key", ""))


def _described(choice: Choice, failure: str) -> str:
    state = "Ready to use." if choice.here else "**Not installed on this server.**"
    parts = "\n".join(f"- {part}" for part in choice.parts)
    broken = f"\n\n**Loading failed:** {failure}" if failure else ""
    return f"{choice.words} {state}\n\n{parts}{broken}"
