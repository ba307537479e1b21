"""A removal is undone with everything in its place, until something new arrives."""

from __future__ import annotations

import pytest

from app.removal import forget_removed, remove, restore
from app.settings import Settings
from app.uploads import add_photo, add_photo_as_target, add_target
from tests.app.pictures import disc, encoded


@pytest.fixture
def add(visitor, tmp_path):
    """Uploads a picture of a name, chosen in the browser at a time."""

    def added(name: str, order: float = 0.0):
        path = tmp_path / name
        path.write_bytes(encoded(disc()))
        return visitor.target(add_target(visitor, path, name, Settings(), order))

    return added


def names(visitor) -> list[str]:
    return [target.name.name for target in visitor.targets]


def test_all_and_single_removals_are_undone(visitor, add) -> None:
    for name in ("c.png", "a.png", "b.png"):
        add(name)
    visitor.targets[2].state = "working"
    remove(visitor, None)
    assert names(visitor) == ["b.png"]
    restore(visitor)
    assert names(visitor) == ["c.png", "a.png", "b.png"]
    remove(visitor, visitor.targets[1].key)
    assert names(visitor) == ["c.png", "b.png"]
    restore(visitor)
    assert names(visitor) == ["c.png", "a.png", "b.png"]
    assert all(target.path.is_file() for target in visitor.targets)


def test_removed_files_count_until_they_are_gone(visitor, add) -> None:
    first = add("a.png")
    visitor.measure()
    stored = visitor.stored
    remove(visitor, None)
    visitor.measure()
    assert visitor.stored == stored > 0
    add("b.png")
    assert not first.path.exists()
    restore(visitor)
    assert names(visitor) == ["b.png"]
    remove(visitor, None)
    forget_removed(visitor)
    assert visitor.stored == 0


def test_pictures_keep_the_order_in_which_they_were_chosen(visitor, add) -> None:
    add("first.png")
    for name, order in (("3.png", 3.0), ("1.png", 1.0), ("2.png", 2.0)):
        add(name, order)
    add("last.png")
    assert names(visitor) == ["first.png", "1.png", "2.png", "3.png", "last.png"]


def test_a_photo_of_the_object_becomes_a_target_once(visitor, tmp_path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(encoded(disc()))
    key = add_photo(visitor, path, "photo.png", Settings())
    for _ in range(2):
        add_photo_as_target(visitor, key, Settings())
    assert names(visitor) == ["photo.png"]
    assert visitor.targets[0].path.read_bytes() == visitor.photos[0].path.read_bytes()
