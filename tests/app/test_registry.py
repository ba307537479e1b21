"""Visitors: kept apart, kept over a reload, removed with all their files."""

from __future__ import annotations

import os
import time

import pytest

from app import desk
from app.registry import Registry
from icm import InputError

ANN, BOB = "a" * 32, "b" * 32


@pytest.fixture
def registry(tmp_path):
    made = Registry(tmp_path / "root", "small", keep=3600, grace=3600)
    yield made
    made.close()


def test_visitors_have_folders_of_their_own(registry) -> None:
    ann, bob = registry.attach(ANN, "one"), registry.attach(BOB, "two")
    assert ann.folder != bob.folder
    assert registry.get(ANN) is ann


@pytest.mark.parametrize("token", ["", "a", "../" * 10, "A" * 32, "a" * 31 + "/", "a" * 33])
def test_a_secret_is_128_bits_in_hexadecimal(registry, token) -> None:
    with pytest.raises(InputError):
        registry.attach(token, "one")


def test_unknown_visitors_are_told_to_reload(registry) -> None:
    for token in (ANN, "", None):
        with pytest.raises(InputError, match="reload"):
            registry.get(token)


def test_a_reload_keeps_everything_and_a_leave_nothing(registry) -> None:
    ann = registry.attach(ANN, "one")
    (ann.folder / "photo").write_bytes(b"x")
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
    ann = registry.attach(ANN, "one")
    ann.seen -= 3700
    ann.progress.state = "working"
    registry.sweep()
    assert registry._visitors
    ann.progress.state = "done"
    registry.sweep()
    assert not registry._visitors
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
    registry.attach(ANN, "one")
    registry.close()
    assert not registry.root.exists()


def test_what_a_killed_page_left_is_removed_by_the_next(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(desk.tempfile, "gettempdir", lambda: str(tmp_path))
    dead, alive = (
        tmp_path / "icm-page-dead",
        Registry(tmp_path / "icm-page-alive", "small", keep=3600, grace=3600),
    )
    dead.mkdir()
    past = time.time() - 700
    for path in (dead, alive.root):
        os.utime(path, (past, past))
    alive.sweep()
    desk._remove_stale()
    assert not dead.exists()
    assert alive.root.exists()
    alive.close()
