"""Strokes and adjustments on finished results: from what the run found, undone by leaving out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import PurePath

import numpy as np
import pytest
from PIL import Image

from app import edits
from app.edits import Edit, apply, apply_to_all, current, edit_of
from app.judgement import judge
from app.kept import BASE, STROKES
from app.removal import remove
from app.results import write_results
from app.session import Target
from icm import Adjustment, InputError
from tests.app.fakes import FakeMatting
from tests.app.pictures import disc, encoded

ERASE = {"points": [[48, 40], [50, 42]], "keep": False, "width": 12, "exact": True}
KEEP = {"points": [[100, 70]], "keep": True, "width": 12, "exact": True}


@pytest.fixture
def finished(session):
    """A session with two finished pictures."""
    for name in ("a.png", "b.png"):
        key, folder = session.new_folder("t")
        path = folder / "picture"
        path.write_bytes(encoded(disc()))
        matte = FakeMatting()(path, None)
        write_results(matte, folder)
        session.targets.append(
            Target(key, PurePath(name), path, matte.picture.size, "done", results=folder)
        )
    return session


def _alpha(target: Target) -> np.ndarray:
    return np.asarray(Image.open(target.path.parent / "full.alpha.png"))


def test_a_stroke_changes_the_result_and_leaving_it_out_brings_it_back(finished) -> None:
    target, other = finished.targets
    before = _alpha(target)
    version = apply(finished, target.key, edit_of({"strokes": [ERASE]}))
    assert version == target.version == 1
    assert before[40, 48] == 255 and _alpha(target)[40, 48] == 0
    assert Image.open(target.path.parent / "cutout.webp").getpixel((48, 40))[3] < 30
    np.testing.assert_array_equal(_alpha(other), before)
    apply(finished, target.key, Edit())
    np.testing.assert_array_equal(_alpha(target), before)


def test_strokes_one_by_one_are_the_strokes_at_once(finished) -> None:
    first, second = finished.targets
    apply(finished, first.key, edit_of({"strokes": [ERASE]}))
    apply(finished, first.key, edit_of({"strokes": [ERASE, KEEP]}))
    apply(finished, second.key, edit_of({"strokes": [ERASE, KEEP]}))
    np.testing.assert_array_equal(_alpha(first), _alpha(second))
    assert current(first.path.parent) == edit_of({"strokes": [ERASE, KEEP]})


def test_an_adjustment_comes_after_the_strokes_and_does_not_add_up(finished) -> None:
    target = finished.targets[0]
    before = int(_alpha(target).astype(int).sum())
    for _ in range(2):
        apply(finished, target.key, edit_of({"adjustment": {"edge_shift": -3}}))
    once = int(_alpha(target).astype(int).sum())
    assert 0.6 * before < once < 0.85 * before
    apply(finished, target.key, Edit())
    assert int(_alpha(target).astype(int).sum()) == before


def test_an_adjustment_for_all_keeps_the_strokes_of_each(finished) -> None:
    first, second = finished.targets
    apply(finished, first.key, edit_of({"strokes": [ERASE]}))
    assert apply_to_all(finished, Adjustment(feather=6)) == 2
    assert _alpha(first)[40, 48] < _alpha(second)[40, 48] == 255
    assert current(first.path.parent).strokes and not current(second.path.parent).strokes
    assert current(second.path.parent).adjustment.feather == 6


@pytest.mark.parametrize("state", ["waiting", "working"])
def test_an_adjustment_for_all_leaves_out_what_is_made_anew(finished, state) -> None:
    first, second = finished.targets
    first.state = state
    assert apply_to_all(finished, Adjustment(feather=6)) == 1
    assert current(first.path.parent) == Edit()
    assert current(second.path.parent).adjustment.feather == 6


def test_an_adjustment_for_all_leaves_out_what_is_removed_meanwhile(finished, monkeypatch) -> None:
    first, second = finished.targets
    edited = edits.edited

    def removing(target, edit):
        remove(finished, second.key)
        return edited(target, edit)

    monkeypatch.setattr(edits, "edited", removing)
    assert apply_to_all(finished, Adjustment(feather=6)) == 1
    assert current(first.path.parent).adjustment.feather == 6
    assert current(second.path.parent) == Edit()


def test_an_adjustment_for_all_does_not_hide_a_fault(finished) -> None:
    (finished.targets[0].path.parent / BASE).unlink()
    with pytest.raises(InputError, match="no longer here"):
        apply_to_all(finished, Adjustment(feather=6))


def test_another_run_forgets_the_edit(finished) -> None:
    target = finished.targets[0]
    apply(finished, target.key, edit_of({"strokes": [ERASE]}))
    write_results(FakeMatting()(target.path, None), target.path.parent)
    assert current(target.path.parent) == Edit()


def test_a_picture_that_is_not_finished_is_refused(finished) -> None:
    target = finished.targets[0]
    target.state = "working"
    with pytest.raises(InputError, match="not cut out yet"):
        apply(finished, target.key, Edit())


def test_an_edit_keeps_nobody_waiting_while_it_is_written(finished, monkeypatch) -> None:
    """Requests of the same visitor take the lock on the event loop, which is everybody's."""
    free: list[bool] = []
    write = edits.write_matte

    def lock_is_free() -> bool:
        if taken := finished.lock.acquire(blocking=False):
            finished.lock.release()
        return taken

    def writing(matte, folder) -> None:
        with ThreadPoolExecutor(1) as another:
            free.append(another.submit(lock_is_free).result())
        write(matte, folder)

    monkeypatch.setattr(edits, "write_matte", writing)
    apply(finished, finished.targets[0].key, edit_of({"strokes": [ERASE]}))
    assert free == [True]


def test_an_edit_that_cannot_be_written_changes_nothing(finished, monkeypatch) -> None:
    """Not even the strokes that the next edit starts from."""
    first, second = finished.targets
    apply(finished, first.key, edit_of({"strokes": [ERASE]}))

    def full(matte, folder) -> None:
        raise OSError("no space left on the device")

    lost, kept = ({**KEEP, "points": [[x, 70], [x + 5, 70]]} for x in (100, 20))
    with monkeypatch.context() as patched:
        patched.setattr(edits, "write_matte", full)
        with pytest.raises(OSError, match="no space left"):
            apply(finished, first.key, edit_of({"strokes": [ERASE, lost]}))
    for target in (first, second):
        apply(finished, target.key, edit_of({"strokes": [ERASE, kept]}))
    np.testing.assert_array_equal(_alpha(first), _alpha(second))


def test_an_edit_does_not_bring_a_removed_session_back(registry, finished, monkeypatch) -> None:
    write = edits.write_matte

    def writing(matte, folder) -> None:
        registry._remove(finished.token, finished)
        write(matte, folder)

    monkeypatch.setattr(edits, "write_matte", writing)
    with pytest.raises(InputError, match="no longer here"):
        apply(finished, finished.targets[0].key, Edit())
    assert not finished.folder.exists()


@pytest.fixture
def overtaken_by_a_run(finished, monkeypatch):
    """While the second picture is edited, a run cuts it out anew: nothing of it is left."""
    second = finished.targets[1]
    edited = edits.edited

    def overtaking(target, edit):
        matte = edited(target, edit)
        if target is second:
            anew = FakeMatting()(target.path, None)
            anew = replace(anew, alpha=np.zeros_like(anew.alpha))
            write_results(anew, target.path.parent)
            judge(target, anew, "new marks")
        return matte

    monkeypatch.setattr(edits, "edited", overtaking)
    return second


def test_an_edit_does_not_overwrite_a_newer_result(finished, overtaken_by_a_run) -> None:
    target = overtaken_by_a_run
    with pytest.raises(InputError, match="cut out again meanwhile"):
        apply(finished, target.key, edit_of({"strokes": [ERASE]}))
    assert not _alpha(target).any()
    assert current(target.path.parent) == Edit()
    assert not (target.path.parent / STROKES).exists()
    assert (target.version, target.corrected) == (1, False)


def test_an_adjustment_for_all_leaves_a_newer_result_as_it_is(finished, overtaken_by_a_run) -> None:
    assert apply_to_all(finished, Adjustment(feather=6)) == 1
    assert not _alpha(overtaken_by_a_run).any()


def test_edits_that_wait_for_one_another_are_all_made(finished) -> None:
    target = finished.targets[0]
    with ThreadPoolExecutor(2) as both:
        with target.editing:
            asked = [both.submit(apply, finished, target.key, Edit()) for _ in range(2)]
            time.sleep(0.2)
        assert sorted(each.result(60) for each in asked) == [1, 2]


@pytest.mark.parametrize(
    "values",
    [
        [],
        {"strokes": [{"points": [], "keep": True, "width": 5}]},
        {"strokes": [{"points": [["x", 1]], "keep": True, "width": 5}]},
        {"strokes": [{"points": [[1, 1]] * 5000, "keep": True, "width": 5}]},
        {"strokes": [KEEP] * 201},
        {"adjustment": {"feather": -1}},
        {"adjustment": {"blur": 1}},
    ],
)
def test_what_a_browser_should_not_send_is_refused(values) -> None:
    with pytest.raises(InputError):
        edit_of(values)
