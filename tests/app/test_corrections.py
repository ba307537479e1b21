"""A corrected result that becomes a reference."""

from __future__ import annotations

from pathlib import PurePath

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

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


@pytest.mark.usefixtures("overtaken")
def test_the_alpha_of_a_result_marks_its_own_picture(registry, cut_out) -> None:
    app = FastAPI()
    add_corrections(app, PageState(Settings(), registry, None, None))
    path = f"/icm/{cut_out.token}/{cut_out.targets[0].key}/reference"
    answer = TestClient(app).post(path)
    assert answer.json() == {"photo": "a.png"}
    photos = [(photo.name, photo.marked) for photo in cut_out.photos]
    assert photos == [("a.png", True), ("other.png", False)]
