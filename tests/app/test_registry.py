"""Sessions: kept apart, kept over a reload, removed with all their files."""

from __future__ import annotations

import fcntl
import os
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app import leftovers
from app.registry import Registry
from icm import InputError

ANN, BOB = "a" * 32, "b" * 32


def arrived(registry, token, page="", client="here", size=1):
    """A session of which something was kept."""
    with registry.arriving(token, client, size) as session:
        path = session.folder / "background"
        path.write_bytes(bytes(size))
        session.background_path = path
    return registry.find(token, page)


def test_sessions_have_folders_of_their_own(registry) -> None:
    ann, bob = arrived(registry, ANN), arrived(registry, BOB)
    assert ann.folder != bob.folder
    assert registry.get(ANN) is ann


@pytest.mark.parametrize("token", ["", "a", "../" * 10, "A" * 32, "a" * 31 + "/", "a" * 33])
def test_a_secret_is_128_bits_in_hexadecimal(registry, token) -> None:
    with pytest.raises(InputError):
        registry.attach(token, "one")


def test_unknown_sessions_are_told_to_reload(registry) -> None:
    for token in (ANN, "", None):
        with pytest.raises(InputError, match="reload"):
            registry.get(token)


def test_a_reload_keeps_everything_and_a_leave_nothing(registry) -> None:
    ann = arrived(registry, ANN, "one")
    registry.detach("one")
    assert registry.attach(ANN, "two") is ann
    registry._grace = 0.0
    registry.sweep()  # a page is open
    assert registry.get(ANN) is ann
    registry.detach("two")
    time.sleep(0.01)
    registry.sweep()
    assert not ann.folder.exists()
    assert len(registry) == 0
    assert ann.stop.is_set()


def test_an_hour_of_silence_ends_a_visit_but_not_a_run(registry) -> None:
    ann = arrived(registry, ANN, "one")
    ann.seen -= 3700
    ann.progress.state = "working"
    registry.sweep()
    assert registry._sessions
    ann.progress.state = "done"
    registry.sweep()
    assert not registry._sessions
    assert not ann.folder.exists()


def test_files_of_calls_go_after_an_hour(registry) -> None:
    old, new = registry.loose / "old", registry.loose / "new"
    for folder in (old, new):
        folder.mkdir()
    past = time.time() - 3700
    os.utime(old, (past, past))
    registry.sweep()
    assert not old.exists()
    assert new.exists()


def test_closing_removes_the_root(registry) -> None:
    arrived(registry, ANN, "one")
    registry.close()
    assert not registry.root.exists()


def test_a_page_that_was_open_before_the_first_upload_keeps_its_session(registry) -> None:
    """A slow upload, or a slow machine, must not make an open page look closed."""
    registry.attach(ANN, "one")
    registry.attach(BOB, "two")
    registry.detach("two")
    ann, bob = arrived(registry, ANN), arrived(registry, BOB)
    registry._grace = -1.0
    registry.sweep()
    assert registry.get(ANN) is ann
    assert not bob.folder.exists()


def test_a_late_request_of_a_closed_page_does_not_keep_its_session(registry) -> None:
    ann = arrived(registry, ANN, "one")
    registry.detach("one")
    assert registry.find(ANN, "one") is ann
    assert ann.pages == set()


def test_a_session_counts_until_the_files_are_gone(registry, monkeypatch) -> None:
    """Whoever waits for an empty registry may look at the disk at once."""
    ann = arrived(registry, ANN)
    seen: list[int] = []
    remove = shutil.rmtree

    def slow(path, **options):
        seen.append(len(registry))
        assert not ann.folder.exists()  # moved away first: no late write can bring it back
        remove(path, **options)

    monkeypatch.setattr("app.registry.shutil.rmtree", slow)
    registry._grace = -1.0
    registry.sweep()
    assert seen == [1]
    assert len(registry) == 0
    assert [path.name for path in registry.root.iterdir() if path.name.startswith("gone")] == []


def test_what_was_removed_is_not_revived_by_a_late_upload(registry) -> None:
    arrived(registry, ANN)
    registry._grace = -1.0
    registry.sweep()
    with pytest.raises(InputError, match="reload"), registry.arriving(ANN, "here", 1):
        pass
    with pytest.raises(InputError, match="reload"):
        registry.find(ANN)
    assert registry.attach(ANN, "two").photos == []  # reloaded
    arrived(registry, ANN)


class BusyLock:
    """A session's lock that another request holds until it is freed."""

    def __init__(self) -> None:
        self.wanted, self.freed = threading.Event(), threading.Event()

    def __enter__(self) -> None:
        self.wanted.set()
        assert self.freed.wait(20)

    def __exit__(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("busy_at", ["begin", "end"])
def test_an_upload_that_waits_for_its_session_keeps_no_other_waiting(registry, busy_at) -> None:
    ann, bob, busy = arrived(registry, ANN), arrived(registry, BOB), BusyLock()

    def upload() -> None:
        if busy_at == "begin":
            ann.lock = busy
        with registry.arriving(ANN, "here", 1):
            ann.lock = busy

    with ThreadPoolExecutor(2) as others:
        arriving = others.submit(upload)
        try:
            assert busy.wanted.wait(20)
            assert others.submit(registry.attach, BOB, "two").result(5) is bob
        finally:
            busy.freed.set()
        arriving.result(20)


def test_what_a_killed_page_left_is_removed_by_the_next(tmp_path, monkeypatch) -> None:
    """At once, not after a while: a page that is restarted at once must find room."""
    monkeypatch.setattr(leftovers.tempfile, "gettempdir", lambda: str(tmp_path))
    dead, alive = (
        Registry(tmp_path / f"icm-page-{name}", "small", keep=3600, grace=3600)
        for name in ("dead", "alive")
    )
    (dead.root / "photo").write_bytes(b"x")
    dead._closed.set()
    os.close(dead._claim)  # as the kernel does when a process is killed
    young, old = tmp_path / "icm-page-young", tmp_path / "icm-page-old"
    for folder in (young, old):
        folder.mkdir()
    past = time.time() - 700
    os.utime(old, (past, past))
    leftovers.remove_leftovers()
    assert not dead.root.exists()
    assert alive.root.exists()
    assert young.exists()  # another page is about to lock it
    assert not old.exists()
    alive.close()


def test_a_page_that_is_just_locking_its_folder_keeps_it(tmp_path, monkeypatch) -> None:
    """Another one looks for leftovers while the lock file is there, but not yet locked."""
    monkeypatch.setattr(leftovers.tempfile, "gettempdir", lambda: str(tmp_path))
    root = tmp_path / "icm-page-new"
    root.mkdir()
    flock = fcntl.flock

    def late(file: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        leftovers.remove_leftovers()
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", late)
    claim = leftovers.claim(root)
    leftovers.remove_leftovers()
    assert root.is_dir()
    os.close(claim)
    leftovers.remove_leftovers()
    assert not root.exists()
