"""What a handler gives back says which state it is of."""

from __future__ import annotations

from types import SimpleNamespace

import gradio as gr
import pytest

from app.examples import PHOTO
from app.handlers import Handlers
from app.page_state import PageState
from app.queue import Device
from app.settings import Settings
from app.uploads import add_photo, add_target
from tests.app.fakes import FakeMatting, FakeModels
from tests.app.pictures import disc, encoded


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
