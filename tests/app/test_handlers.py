"""What a handler gives back says which state it is of."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import SimpleNamespace

import gradio as gr
import pytest

from app import corrections, edits, runs
from app.examples import PHOTO
from app.handlers import Handlers
from app.page_state import PageState
from app.queue import Device
from app.settings import Settings
from app.uploads import add_photo, add_target, set_mask
from app.views import tray_view, viewer_view
from tests.app.fakes import FakeMatting, FakeModels
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import until


@pytest.fixture
def handlers(session):
    """Of a page with one session."""
    device = Device(4)
    registry = SimpleNamespace(find=lambda token, page: session, check_disk=lambda: None)
    yield Handlers(PageState(Settings(), registry, device, FakeModels(FakeMatting())))
    device.close()


@pytest.mark.parametrize("widget", ["easel", "tray"])
def test_a_choice_makes_a_newer_state(handlers, session, tmp_path, widget) -> None:
    """The page drops states that are older than the one it shows."""
    for name in ("a.png", "b.png"):
        path = tmp_path / name
        path.write_bytes(encoded(disc()))
        add = add_photo if widget == "easel" else add_target
        add(session, path, name, Settings())
    items = session.photos if widget == "easel" else session.targets
    act = getattr(handlers, f"on_{widget}")
    request = SimpleNamespace(session_hash="one")
    before = act("", gr.EventData(None, {"action": "refresh"}), request)
    after = act("", gr.EventData(None, {"action": "choose", "key": items[0].key}), request)
    place = 0 if widget == "easel" else 1
    assert after[place]["chosen"] == items[0].key
    assert after[place]["version"] > before[place]["version"]
    assert {view["version"] for view in after[:3]} == {session.version}


def test_what_becomes_of_doubtful_pictures_is_chosen_with_the_run(handlers, session) -> None:
    for name in ("skip", "keep"):
        with pytest.raises(gr.Error, match="first mark the object"):
            handlers.start("", name, SimpleNamespace(session_hash="one"))
        assert session.absent == name
    with pytest.raises(gr.Error, match="'drop' is no choice: use keep, empty, skip"):
        handlers.again("", "drop", SimpleNamespace(session_hash="one"))
    assert session.absent == "keep"


@pytest.fixture
def corrected(handlers, session, tmp_path, monkeypatch):
    """A session with three results: a stroke on the first, the second used as a reference."""
    matting = FakeMatting()
    monkeypatch.setattr(runs, "read_image", matting.read)

    def put(content: bytes):
        path = tmp_path / "in"
        path.write_bytes(content)
        return path

    photo = add_photo(session, put(encoded(disc())), "photo.png", Settings())
    set_mask(session, photo, put(encoded(disc_mask())), Settings())
    for name in ("a.png", "b.png", "c.png"):
        add_target(session, put(encoded(disc())), name, Settings())
    request = SimpleNamespace(session_hash="one")
    handlers.start("", "keep", request)
    until(lambda: not session.progress.active)
    first, second, _ = session.targets
    stroke = {"points": [[48, 40], [50, 42]], "keep": False, "width": 12, "exact": True}
    edits.apply(session, first.key, edits.edit_of({"strokes": [stroke]}))
    registry = SimpleNamespace(loose=tmp_path, arriving=lambda *_: contextlib.nullcontext(session))
    state = PageState(Settings(), registry, None, None)
    corrections._use_as_reference(state, session, "here", second.key)
    return session


def test_what_a_person_has_corrected_stays_when_all_are_cut_out_again(handlers, corrected) -> None:
    request = SimpleNamespace(session_hash="one")
    states = [each["state"] for each in tray_view(corrected)["targets"]]
    assert states == ["done", "done", "outdated"]
    versions = [target.version for target in corrected.targets]
    handlers.again("", "keep", request)
    until(lambda: not corrected.progress.active)
    changed = [new.version - old for new, old in zip(corrected.targets, versions, strict=True)]
    assert changed == [0, 0, 1]
    assert edits.current(corrected.targets[0].path.parent).strokes
    corrected.targets.pop()
    with pytest.raises(gr.Error, match="cut one out again by itself"):
        handlers.again("", "keep", request)


def test_a_corrected_picture_can_be_cut_out_again_by_itself(handlers, corrected) -> None:
    target = corrected.targets[0]
    corrected.chosen_target = target.key
    assert viewer_view(corrected)["result"]["settled"]
    event = gr.EventData(None, {"action": "retry", "key": target.key})
    handlers.on_viewer("", event, SimpleNamespace(session_hash="one"))
    until(lambda: not corrected.progress.active)
    assert not edits.current(target.path.parent).strokes
    assert not viewer_view(corrected)["result"]["settled"]


def test_a_reference_that_was_removed_leaves_its_picture_like_the_others(
    handlers, corrected
) -> None:
    corrected.photos.pop()
    corrected.marks_changed()
    versions = [target.version for target in corrected.targets]
    handlers.again("", "keep", SimpleNamespace(session_hash="one"))
    until(lambda: not corrected.progress.active)
    changed = [new.version - old for new, old in zip(corrected.targets, versions, strict=True)]
    assert changed == [0, 1, 1]


@pytest.mark.usefixtures("overtaken")
def test_the_mask_of_the_example_stays_with_its_photo(registry) -> None:
    device = Device(4)
    handlers = Handlers(PageState(Settings(), registry, device, SimpleNamespace(names=["small"])))
    event = gr.EventData(None, {"action": "example"})
    request = SimpleNamespace(session_hash="one", client=SimpleNamespace(host="::1"))
    handlers.on_easel("1" * 32, event, request)
    photos = registry.get("1" * 32).photos
    assert [(each.name, each.marked) for each in photos] == [(PHOTO, True), ("other.png", False)]
    device.close()


def test_whoever_follows_a_run_leaves_the_event_loop_free(handlers, session) -> None:
    """Another request of the visitor holds the session's lock meanwhile."""
    session.progress.state = "working"
    following = handlers.follow("", SimpleNamespace(session_hash="one"))

    async def step() -> None:
        taken, done = threading.Event(), threading.Event()

        def hold() -> None:
            with session.lock:
                taken.set()
                done.wait(2)

        holder = asyncio.create_task(asyncio.to_thread(hold))
        await asyncio.to_thread(taken.wait)
        shown = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.5)
        early = shown.done()
        done.set()
        await asyncio.gather(holder, shown)
        assert not early, "the loop stood still until the lock was free"
        session.changed()

    async def steps() -> None:
        await step()
        await step()
        await following.aclose()

    asyncio.run(steps())
