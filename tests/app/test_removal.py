"""A removal is undone with everything in its place, until something new arrives."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import uploads
from app.removal import forget_removed, remove, restore
from app.settings import Settings
from app.uploads import add_photo, add_photo_as_target, add_target
from tests.app.pictures import disc, encoded


@pytest.fixture
def add(session, tmp_path):
    """Uploads a picture of a name, chosen in the browser at a time."""

    def added(name: str, order: float = 0.0):
        path = tmp_path / name
        path.write_bytes(encoded(disc()))
        return session.target(add_target(session, path, name, Settings(), order))

    return added


def names(session) -> list[str]:
    return [target.name.name for target in session.targets]


def test_all_and_single_removals_are_undone(session, add) -> None:
    for name in ("c.png", "a.png", "b.png"):
        add(name)
    session.targets[2].state = "working"
    remove(session, None)
    assert names(session) == ["b.png"]
    restore(session)
    assert names(session) == ["c.png", "a.png", "b.png"]
    remove(session, session.targets[1].key)
    assert names(session) == ["c.png", "b.png"]
    restore(session)
    assert names(session) == ["c.png", "a.png", "b.png"]
    assert all(target.path.is_file() for target in session.targets)


def test_removed_files_count_until_they_are_gone(session, add) -> None:
    first = add("a.png")
    session.measure()
    stored = session.stored
    remove(session, None)
    session.measure()
    assert session.stored == stored > 0
    add("b.png")
    assert not first.path.exists()
    restore(session)
    assert names(session) == ["b.png"]
    remove(session, None)
    forget_removed(session)
    assert session.stored == 0


def test_pictures_keep_the_order_in_which_they_were_chosen(session, add) -> None:
    add("first.png")
    for name, order in (("3.png", 3.0), ("1.png", 1.0), ("2.png", 2.0)):
        add(name, order)
    add("last.png")
    assert names(session) == ["first.png", "1.png", "2.png", "3.png", "last.png"]


def test_a_photo_of_the_object_becomes_a_target_once(session, tmp_path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(disc()))
    key = add_photo(session, path, "photo.png", Settings())
    for _ in range(2):
        add_photo_as_target(session, key, Settings())
    assert names(session) == ["photo.png"]
    assert session.targets[0].path.read_bytes() == session.photos[0].path.read_bytes()


def test_a_photo_that_is_asked_for_twice_at_once_becomes_one_target(
    session, tmp_path, monkeypatch
) -> None:
    """Both find at first that it is no target yet, as after a double click."""
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(disc()))
    key = add_photo(session, path, "photo.png", Settings())
    both, decoded = threading.Barrier(2, timeout=20), uploads.decoded

    def decoding(path, settings):
        picture = decoded(path, settings)
        both.wait()
        return picture

    monkeypatch.setattr(uploads, "decoded", decoding)
    with ThreadPoolExecutor(2) as clicks:
        for done in [clicks.submit(add_photo_as_target, session, key, Settings()) for _ in "ab"]:
            done.result(20)
    [target] = session.targets
    assert target.source == key
    folders = {session.photos[0].path.parent, target.path.parent}
    assert set(session.folder.iterdir()) == folders
