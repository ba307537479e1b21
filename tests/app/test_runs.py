"""Runs: failures stay alone, stop keeps what is done, nothing of the server leaks."""

from __future__ import annotations

import shutil
from pathlib import PurePath
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from PIL import Image

from app import runs, uploads
from app.queue import Device
from app.registry import Registry
from app.session import Progress, Session, Target
from app.views import tray_view, viewer_view
from icm import InputError
from tests.app.fakes import FakeMatting, FakeModels
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import until


@pytest.fixture
def device():
    made = Device(length=4)
    yield made
    made.close()


@pytest.fixture
def matting(monkeypatch):
    made = FakeMatting()
    monkeypatch.setattr(runs, "read_image", made.read)
    return made


@pytest.fixture
def ready(session, settings):
    """A session with a marked photo and three pictures."""

    def put(content):
        path = session.folder / "in"
        path.write_bytes(content)
        return path

    uploads.add_photo(session, put(encoded(disc())), "photo.png", settings)
    uploads.set_mask(session, session.photos[0].key, put(encoded(disc_mask())), settings)
    for number in range(3):
        uploads.add_target(session, put(encoded(disc())), f"{number}.png", settings)
    return session


def states(session):
    return [target.state for target in session.targets]


def finished(session) -> bool:
    return not session.progress.active


def test_a_run_mattes_what_waits_and_the_next_only_what_is_new(ready, device, matting) -> None:
    runs.start(ready, device, FakeModels(matting))
    until(lambda: finished(ready))
    assert states(ready) == ["done"] * 3
    assert ready.chosen_target == ready.targets[0].key
    assert all((t.results / "full.alpha.png").is_file() for t in ready.targets)
    with pytest.raises(InputError, match="no picture waits"):
        runs.start(ready, device, FakeModels(matting))
    assert matting.references == 1


def test_the_first_picture_is_looked_at_though_the_second_is_done_before_it(
    ready, device, matting, monkeypatch
) -> None:
    first, second, _ = ready.targets
    finish = matting.finish

    def in_another_order(picture, computed, absent=None):
        if picture.name == str(first.path):
            until(lambda: second.results is not None)
        return finish(picture, computed, absent)

    monkeypatch.setattr(matting, "finish", in_another_order)
    runs.start(ready, device, FakeModels(matting))
    until(lambda: finished(ready))
    assert ready.chosen_target == first.key


@pytest.mark.parametrize(
    ("tail", "reason"), [(b"fails", "1.png is no good"), (b"breaks", "something went wrong")]
)
def test_a_failure_stays_alone_and_can_be_tried_again(ready, device, matting, tail, reason) -> None:
    path = ready.targets[1].path
    intact = path.read_bytes()
    path.write_bytes(intact + tail)
    runs.start(ready, device, FakeModels(matting))
    until(lambda: finished(ready))
    assert states(ready) == ["done", "failed", "done"]
    assert reason in ready.targets[1].reason
    assert str(ready.folder) not in ready.targets[1].reason
    assert "secret" not in ready.targets[1].reason
    path.write_bytes(intact)
    runs.start(ready, device, FakeModels(matting), [ready.targets[1].key])
    until(lambda: finished(ready))
    assert states(ready) == ["done"] * 3
    assert len(matting.seen) == 4
    assert matting.references == 1


class Watched:
    """Notes what is changed by a thread that does not hold the lock."""

    unguarded: ClassVar[list[str]] = []
    lock: ClassVar[Any] = None

    def __setattr__(self, name: str, value: object) -> None:
        if not self.lock._is_owned():  # as `threading.Condition` asks
            self.unguarded.append(name)
        super().__setattr__(name, value)


class WatchedTarget(Watched, Target):
    pass


class WatchedProgress(Watched, Progress):
    pass


def test_a_run_changes_nothing_without_the_lock(ready, device, matting, monkeypatch) -> None:
    monkeypatch.setattr(Watched, "unguarded", [])
    monkeypatch.setattr(Watched, "lock", ready.lock)
    monkeypatch.setattr(runs, "Progress", WatchedProgress)
    for target in ready.targets:
        target.__class__ = WatchedTarget
    path = ready.targets[1].path
    path.write_bytes(path.read_bytes() + b"fails")
    runs.start(ready, device, FakeModels(matting))
    until(lambda: finished(ready))
    assert states(ready) == ["done", "failed", "done"]
    ready.reference = None
    monkeypatch.setattr(matting, "reference", lambda pairs: 1 / 0)
    runs.start(ready, device, FakeModels(matting), [ready.targets[0].key])
    until(lambda: finished(ready))
    assert ready.progress.state == "failed"
    assert Watched.unguarded == []


def test_stop_ends_after_the_current_picture(ready, device, matting) -> None:
    matting.before.clear()
    runs.start(ready, device, FakeModels(matting))
    until(lambda: "working" in states(ready))
    runs.stop(ready, device)
    assert ready.progress.state == "stopping"
    matting.before.set()
    until(lambda: finished(ready))
    assert ready.progress.state == "stopped"
    assert states(ready) == ["done", "waiting", "waiting"]


@pytest.mark.usefixtures("no_threads_for_runs")
def test_a_run_that_cannot_be_begun_ends_with_words(ready, device, matting) -> None:
    runs.start(ready, device, FakeModels(matting))
    assert device.submit(lambda: 3).future.result(10) == 3
    assert ready.progress.state == "failed"
    assert "something went wrong" in ready.progress.message
    assert states(ready) == ["waiting"] * 3


def test_a_waiting_run_stops_at_once(ready, device, matting, gate) -> None:
    device.submit(gate.wait)
    runs.start(ready, device, FakeModels(matting))
    assert ready.progress.ticket.place == 1
    runs.stop(ready, device)
    assert ready.progress.state == "stopped"
    gate.set()
    assert device.submit(lambda: 3).future.result(10) == 3
    assert matting.seen == []


def test_what_is_removed_while_it_is_worked_on_leaves_nothing(ready, device, matting) -> None:
    matting.before.clear()
    runs.start(ready, device, FakeModels(matting))
    until(lambda: "working" in states(ready))
    ready.gone = True
    ready.targets.clear()
    shutil.rmtree(ready.folder)
    matting.before.set()
    until(lambda: finished(ready))
    assert not ready.folder.exists()


def test_new_marks_make_a_new_reference(ready, device, matting) -> None:
    first = runs.reference_of(ready, matting)
    assert runs.reference_of(ready, matting) is first
    ready.marks_changed()
    assert runs.reference_of(ready, matting) is not first


def test_a_saved_reference_of_another_model_says_what_to_do(ready, matting) -> None:
    saved = SimpleNamespace(fingerprint="0" * 64, model="large")
    ready.photos[0].saved = saved
    with pytest.raises(InputError, match=r"made by the model 'large'.*: remove it, or"):
        runs.reference_of(ready, matting)


def test_nothing_runs_without_marks_or_twice_at_a_time(ready, device, matting) -> None:
    matting.before.clear()
    runs.start(ready, device, FakeModels(matting))
    with pytest.raises(InputError, match="a run is on"):
        runs.start(ready, device, FakeModels(matting))
    matting.before.set()
    until(lambda: finished(ready))
    ready.photos[0].mask_path = None
    with pytest.raises(InputError, match="first mark the object"):
        runs.start(ready, device, FakeModels(matting), [ready.targets[0].key])
    assert ready.targets[0].name == PurePath("0.png")


@pytest.fixture
def doubtful(ready):
    """As `ready`, the last picture maybe without the object."""
    path = ready.targets[2].path
    path.write_bytes(path.read_bytes() + b"doubtful")
    return ready


def test_a_doubtful_picture_is_shown_with_its_matte_in_its_place(doubtful, device, matting) -> None:
    runs.start(doubtful, device, FakeModels(matting))
    until(lambda: finished(doubtful))
    assert states(doubtful) == ["done", "done", "absent"]
    folder = doubtful.targets[2].results
    assert Image.open(folder / "full.alpha.png").getextrema() == (0, 255)
    cards = tray_view(doubtful)["targets"]
    assert [view["name"] for view in cards] == ["0.png", "1.png", "2.png"]
    assert [view["state"] for view in cards] == ["done", "done", "absent"]
    assert [view["card"] is None for view in cards] == [False, False, True]  # the picture itself
    doubtful.chosen_target = doubtful.targets[2].key
    shown = viewer_view(doubtful)["result"]
    assert (shown["name"], shown["present"], shown["confidence"]) == ("2.png", False, 0.1)


def test_a_doubtful_picture_is_emptied_or_skipped_where_chosen(doubtful, device, matting) -> None:
    keys = [target.key for target in doubtful.targets]
    last = doubtful.targets[2]
    runs.start(doubtful, device, FakeModels(matting))
    until(lambda: finished(doubtful))
    doubtful.absent = "empty"
    runs.start(doubtful, device, FakeModels(matting), keys)
    until(lambda: finished(doubtful))
    assert Image.open(last.results / "full.alpha.png").getextrema() == (0, 0)
    doubtful.absent = "skip"
    runs.start(doubtful, device, FakeModels(matting), keys)
    until(lambda: finished(doubtful))
    assert states(doubtful) == ["done", "done", "absent"]
    assert (last.results, last.reason) == (None, "Skipped, as you chose.")
    kept = sorted(path.name for path in last.path.parent.iterdir())
    assert kept == sorted([last.path.name, "thumbnail.webp"])
    assert doubtful.targets[0].results is not None
    doubtful.absent = "keep"
    runs.start(doubtful, device, FakeModels(matting), [last.key])
    until(lambda: finished(doubtful))
    assert last.results is not None
    assert last.reason == ""


@pytest.fixture
def second(tmp_path, settings):
    """Another visitor, from the same address, with three pictures of their own."""
    folder = tmp_path / "second"
    folder.mkdir()
    someone = Session("1" * 32, folder, "small")
    for kind in ("photo", *["target"] * 3):
        path = folder / "in"
        path.write_bytes(encoded(disc()))
        getattr(uploads, f"add_{kind}")(someone, path, f"{kind}.png", settings)
    path.write_bytes(encoded(disc_mask()))
    uploads.set_mask(someone, someone.photos[0].key, path, settings)
    return someone


def test_sessions_take_turns_picture_by_picture(ready, second, device, matting, settings) -> None:
    for number in range(3, 39):
        path = ready.folder / "in"
        path.write_bytes(encoded(disc()))
        uploads.add_target(ready, path, f"{number}.png", settings)
    matting.before.clear()
    runs.start(ready, device, FakeModels(matting))
    until(lambda: "working" in states(ready))
    runs.start(second, device, FakeModels(matting))
    matting.before.set()
    until(lambda: finished(second))
    until(lambda: finished(ready))
    assert states(second) == ["done"] * 3
    assert states(ready) == ["done"] * 39
    of_second = [place for place, path in enumerate(matting.seen) if second.folder in path.parents]
    assert of_second[-1] < 12  # not behind the other one's 39


def test_who_leaves_costs_no_more_than_the_picture_at_work(ready, device, matting, caplog) -> None:
    """The run waits, and goes on where the page comes back, as after a reload."""
    matting.before.clear()
    runs.start(ready, device, FakeModels(matting))
    until(lambda: "working" in states(ready))
    ready.away = True
    matting.before.set()
    until(lambda: states(ready) == ["done", "waiting", "waiting"])
    assert device.submit(lambda: 3, turn="somebody else").future.result(10) == 3
    assert len(matting.seen) == 1
    ready.away = False
    until(lambda: finished(ready))
    assert states(ready) == ["done"] * 3
    assert caplog.records == []


def test_a_session_that_is_removed_during_a_run_leaves_no_traceback(
    tmp_path, settings, device, matting, caplog
) -> None:
    registry = Registry(tmp_path / "page", "small", keep=100, grace=100)
    token = "2" * 32
    gone = tmp_path / "in"
    for kind in ("photo", *["target"] * 3):
        gone.write_bytes(encoded(disc()))
        with registry.arriving(token, "", 1) as someone:
            getattr(uploads, f"add_{kind}")(someone, gone, f"{kind}.png", settings)
    gone.write_bytes(encoded(disc_mask()))
    uploads.set_mask(someone, someone.photos[0].key, gone, settings)
    matting.before.clear()
    runs.start(someone, device, FakeModels(matting))
    until(lambda: "working" in states(someone))
    registry.close()
    matting.before.set()
    until(lambda: finished(someone))
    until(lambda: len(device) == 0)
    assert len(matting.seen) == 1
    assert not someone.folder.exists()
    assert [record.getMessage() for record in caplog.records] == []
