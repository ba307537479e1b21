"""What is up to date and what is not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from icm.engine import Stop, preview, run_folder
from icm.errors import InputError
from tests.engine.conftest import Followed, Requests
from tests.engine.tiny import hashes, paint


def _run(request_of: Requests, out: Path, **config: object) -> dict[str, str]:
    listener = Followed()
    run_folder(request_of(**config), out, Stop(), listener)
    return listener.states


def _reasons(request_of: Requests, out: Path, **config: object) -> dict[str, str]:
    return {job.source: reason for job, reason in preview(request_of(**config), out)}


def test_a_second_run_does_nothing(request_of: Requests, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert set(_reasons(request_of, out).values()) == {"new"}
    assert not out.exists()
    assert set(_run(request_of, out).values()) == {"done"}
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    assert len(before) == 12
    assert set(_reasons(request_of, out).values()) == {"up to date"}
    assert set(_run(request_of, out).values()) == {"unchanged"}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.png")} == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("content", "changed"),
        ("content, size and time kept", "changed"),
        ("result removed", "results missing"),
        ("result cut short", "results missing"),
    ],
)
def test_only_what_is_missing_or_changed_is_done(
    request_of: Requests, tmp_path: Path, change: str, reason: str
) -> None:
    out, target = tmp_path / "out", request_of.root / "a" / "0.png"
    _run(request_of, out)
    result = out / "a" / "0.alpha.png"
    if change == "content":
        paint(target, seed=77)
    elif change == "result removed":
        result.unlink()
    elif change == "result cut short":
        os.truncate(result, result.stat().st_size - 1)
    else:
        facts, content = target.stat(), bytearray(target.read_bytes())
        content[-1] ^= 1  # the last checksum byte, which Pillow does not mind
        target.write_bytes(content)
        os.utime(target, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    reasons = _reasons(request_of, out)
    assert reasons.pop("a/0.png") == reason
    assert set(reasons.values()) == {"up to date"}
    states = _run(request_of, out)
    assert states.pop("a/0.png") == "done"
    assert set(states.values()) == {"unchanged"}
    assert set(_reasons(request_of, out).values()) == {"up to date"}


def test_a_time_of_change_alone_changes_nothing(request_of: Requests, tmp_path: Path) -> None:
    _run(request_of, tmp_path / "out")
    for path in request_of.root.rglob("*.png"):
        os.utime(path, (1, 1))
    assert set(_run(request_of, tmp_path / "out").values()) == {"unchanged"}


def test_quick_reads_nothing_that_has_kept_size_and_time(
    request_of: Requests, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _run(request_of, tmp_path / "out")
    paint(request_of.root / "a" / "2.png", seed=78)
    real = Path.read_bytes
    read: list[str] = []

    def read_bytes(path: Path) -> bytes:
        read.append(path.name)
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    states = _run(request_of, tmp_path / "out", quick=True)
    assert read == ["2.png"]
    assert [source for source, state in states.items() if state == "done"] == ["a/2.png"]


@pytest.mark.parametrize(
    ("first", "second", "written"),
    [
        ({"kinds": ["alpha"]}, {"kinds": ["alpha", "cutout"]}, {"cutout"}),
        ({"kinds": ["alpha", "cutout"]}, {"kinds": ["alpha"]}, set()),
        ({"kinds": ["alpha"]}, {"kinds": ["alpha"], "bits": 16}, {"alpha"}),
        ({"kinds": ["alpha"]}, {"kinds": ["alpha"], "trim": True}, {"alpha"}),
        ({"kinds": ["alpha"]}, {"kinds": ["alpha"], "adjust": {"feather": 4}}, {"alpha"}),
        (
            {"kinds": ["alpha", "composite"]},
            {"kinds": ["alpha", "composite"], "background": (1, 2, 3)},
            {"composite"},
        ),
        ({"kinds": ["alpha"]}, {"kinds": ["alpha"], "background": (1, 2, 3)}, set()),
    ],
)
def test_other_settings_redo_the_kinds_that_depend_on_them(
    request_of: Requests,
    tmp_path: Path,
    first: dict[str, object],
    second: dict[str, object],
    written: set[str],
) -> None:
    out = tmp_path / "out"
    _run(request_of, out, results=first)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    _run(request_of, out, results=second)
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*.png")}
    changed = {path for path, time in after.items() if before.get(path) != time}
    assert {path.name.split(".")[1] for path in changed} == written
    assert len(changed) == 6 * len(written)
    assert set(_run(request_of, out, results=first | second).values()) == {"unchanged"}


def test_another_export_is_another_setting(
    request_of: Requests, tmp_path: Path, followed: Followed
) -> None:
    """The quality counts only where the format has one."""
    out = tmp_path / "out"
    steps: list[tuple[dict[str, object], str]] = [
        ({}, "new"),
        ({"quality": 70}, "up to date"),
        ({"format": "webp"}, "other settings"),
        ({"format": "webp"}, "up to date"),
        ({"format": "webp", "quality": 70}, "other settings"),
        ({"margin": 4}, "other settings"),
        ({"canvas": (40, 30)}, "other settings"),
        ({"canvas": (40, 30)}, "up to date"),
    ]
    for choices, reason in steps:
        request = request_of(results={"kinds": ("alpha",), **choices})
        assert {said for _, said in preview(request, out)} == {reason}, choices
        run_folder(request, out, Stop(), followed)
    names = {path.suffix for path in out.rglob("*.alpha.*")}
    assert names == {".png", ".webp"}


def test_another_background_picture_of_the_same_name_counts(
    request_of: Requests, tmp_path: Path
) -> None:
    background = paint(tmp_path / "beach.png", seed=5)
    results = {"kinds": ["composite"], "background": str(background)}
    _run(request_of, tmp_path / "out", results=results)
    assert set(_run(request_of, tmp_path / "out", results=results).values()) == {"unchanged"}
    paint(background, seed=6)
    assert set(_run(request_of, tmp_path / "out", results=results).values()) == {"done"}


def test_another_reference_redoes_everything(request_of: Requests, tmp_path: Path) -> None:
    _run(request_of, tmp_path / "out")
    before = hashes(tmp_path / "out")
    paint(Path(request_of.pair[0]), seed=7)
    assert set(_run(request_of, tmp_path / "out").values()) == {"done"}
    assert hashes(tmp_path / "out") != before


def test_failures_are_tried_again(request_of: Requests, tmp_path: Path) -> None:
    bad = request_of.root / "bad.png"
    bad.write_bytes(b"no picture")
    assert _run(request_of, tmp_path / "out")["bad.png"] == "failed"
    assert _reasons(request_of, tmp_path / "out")["bad.png"] == "failed before"
    paint(bad, seed=9)
    assert _run(request_of, tmp_path / "out")["bad.png"] == "done"


def test_a_faulty_call_does_nothing(request_of: Requests, tmp_path: Path) -> None:
    Path(request_of.pair[1]).write_bytes(b"no mask")
    with pytest.raises(InputError):
        _run(request_of, tmp_path / "out")
    assert not (tmp_path / "out").exists()
