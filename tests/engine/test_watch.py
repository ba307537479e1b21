"""Pictures that arrive: given once, when they have stayed the same for a while."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from icm.config.batch import WatchConfig
from icm.engine.watch import Arrivals


class Place:
    """A folder and a clock in the test's hand."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.time = 100.0
        self.find: Callable[[], list[Path]] = lambda: sorted(folder.glob("*.png"))
        self.arrivals = Arrivals(
            lambda _missed: self.find(),
            WatchConfig(settle=3),
            clock=lambda: self.time,
        )

    def write(self, name: str, content: bytes) -> None:
        with (self.folder / name).open("ab") as file:
            file.write(content)

    def look(self, after: float) -> list[str]:
        self.time += after
        return [path.name for path in self.arrivals.look()]


def test_a_file_is_given_once_it_has_settled_and_only_once(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("a.png", b"x")
    assert place.look(0) == []
    assert place.look(2.9) == []
    assert place.look(0.2) == ["a.png"]
    assert place.look(100) == []


def test_a_file_that_grows_waits_until_it_is_complete(tmp_path: Path) -> None:
    place = Place(tmp_path)
    for _ in range(5):
        place.write("a.png", b"x")
        assert place.look(2.5) == []
    assert place.look(3) == ["a.png"]


def test_a_slow_disk_makes_no_file_complete(tmp_path: Path) -> None:
    """A tenth of a second lies between two looks at it; the answer to the second took five."""
    place = Place(tmp_path)

    class Slow(type(tmp_path)):  # type: ignore[misc]  # of this system
        def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
            facts = super().stat(follow_symlinks=follow_symlinks)
            place.time += 5
            return facts

    place.write("a.png", b"x")
    place.find = lambda: [Slow(tmp_path / "a.png")]
    assert place.look(0) == []
    assert place.look(0.1) == []
    assert place.look(0.1) == ["a.png"]  # the look before this one ended five seconds later


def test_a_file_that_changes_afterwards_is_given_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("a.png", b"x")
    place.look(0)
    assert place.look(5) == ["a.png"]
    place.write("a.png", b"y")
    assert place.look(1) == []
    assert place.look(3) == ["a.png"]


def test_another_file_put_in_its_place_is_given_though_size_and_time_are_equal(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.write("a.png", b"x")
    place.look(0)
    assert place.look(5) == ["a.png"]
    status = (tmp_path / "a.png").stat()
    (tmp_path / "new").write_bytes(b"y")
    os.utime(tmp_path / "new", ns=(status.st_atime_ns, status.st_mtime_ns))
    (tmp_path / "new").replace(tmp_path / "a.png")
    place.look(0)
    assert place.look(5) == ["a.png"]


def test_a_file_that_goes_and_comes_back_is_given_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("a.png", b"x")
    place.look(0)
    assert place.look(5) == ["a.png"]
    (tmp_path / "a.png").unlink()
    assert place.look(5) == []
    place.write("a.png", b"x")
    assert place.look(1) == []
    assert place.look(3) == ["a.png"]


def test_a_file_that_vanishes_between_listing_and_looking_is_no_trouble(tmp_path: Path) -> None:
    arrivals = Arrivals(lambda _missed: [tmp_path / "gone.png"], WatchConfig())
    assert arrivals.look() == ()
