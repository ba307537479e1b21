"""A corrected result that becomes a reference."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import uploads
from app.corrections import add_corrections
from app.page_state import PageState
from app.results import write_results
from app.session import Target
from app.settings import Settings
from tests.app.fakes import FakeMatting
from tests.app.pictures import disc, encoded


@pytest.fixture
def cut_out(registry):
    """A session with a finished picture."""
    with registry.arriving("1" * 32, "", 1) as someone:
        key, folder = someone.new_folder("t")
        path = folder / "picture"
        path.write_bytes(encoded(disc()))
        write_results(FakeMatting()(path, None), folder)
        name, size = PurePath("a.png"), (90, 120)
        someone.targets.append(Target(key, name, path, size, "done", results=folder))
    return someone


def used_as_reference(registry, session) -> dict[str, str]:
    """What the page is answered once the session's only picture has become a reference."""
    app = FastAPI()
    add_corrections(app, PageState(Settings(), registry, None, None))
    path = f"/icm/{session.token}/{session.targets[0].key}/reference"
    return TestClient(app).post(path).json()


@pytest.mark.usefixtures("overtaken")
def test_the_alpha_of_a_result_marks_its_own_picture(registry, cut_out) -> None:
    assert used_as_reference(registry, cut_out) == {"photo": "a.png"}
    photos = [(photo.name, photo.marked) for photo in cut_out.photos]
    assert photos == [("a.png", True), ("other.png", False)]


def test_pages_that_follow_see_that_a_result_became_a_reference(
    registry, cut_out, monkeypatch
) -> None:
    """Each asks again only where the session's version differs from that of the state it shows."""
    marked: list[int] = []
    set_mask = uploads.set_mask

    def marking(session, key, upload, settings) -> None:
        set_mask(session, key, upload, settings)
        marked.append(session.version)

    monkeypatch.setattr(uploads, "set_mask", marking)
    used_as_reference(registry, cut_out)
    assert cut_out.targets[0].reference == cut_out.photos[0].key
    assert cut_out.version > marked[0]
