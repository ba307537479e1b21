"""File names that are long, hostile or no text: every target has its own results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from icm.engine import read_entries
from tests.engine.tiny import hashes, paint
from tests.faults.runs import Runs


def test_names_as_long_as_the_system_allows(runs: Runs) -> None:
    targets = runs.targets("in", 1)
    for end in ("a", "b"):
        paint(targets / f"{'n' * 250}{end}.png", seed=ord(end))
    paint(targets / f"{'ü' * 125}.png", seed=3)
    out = runs.folder / "out"
    assert runs.run(targets, out, "--save", "alpha,cutout,composite") == 0, runs.printed(out)
    assert len(hashes(out)) == 12
    assert runs.run(targets, out, "--save", "alpha,cutout,composite") == 0
    assert "4 up to date" in runs.printed(out)


def test_a_folder_called_like_a_result(runs: Runs) -> None:
    targets = runs.folder / "in"
    paint(targets / "b.jpg", seed=1)
    paint(targets / "b.alpha.png" / "c.jpg", seed=2)
    out = runs.folder / "out"
    assert runs.run(targets, out) == 0, runs.printed(out)
    assert set(hashes(out)) == {
        *(f"b.jpg.{kind}.png" for kind in ("alpha", "cutout")),
        *(f"b.alpha.png/c.{kind}.png" for kind in ("alpha", "cutout")),
    }


def test_names_of_bytes_have_results_and_a_line_in_the_ledger_each(runs: Runs) -> None:
    targets = runs.folder / "in"
    targets.mkdir()
    names = [b"\xff.png", rb"\xff.png", rb"\\xff.png", b"\\\xff.png", rb"plain\one.png"]
    picture = paint(runs.folder / "picture.png").read_bytes()
    for number, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(targets) + b"/" + name)).write_bytes(picture)
        del number
    out = runs.folder / "out"
    assert runs.run(targets, out) == 0, runs.printed(out)
    assert len(read_entries(out)) == len(names)
    assert len(hashes(out)) == 2 * len(names)
    assert ("", r"plain\one.png") in read_entries(out)
    assert runs.run(targets, out) == 0
    assert f"{len(names)} up to date" in runs.printed(out)


HOSTILE = "a\x1b]0;owned\x07\x1b[2J\rb\u202egnp.jpg"


@pytest.mark.parametrize("words", [(), ("--dry-run",)])
def test_control_characters_of_names_do_not_reach_the_terminal(
    runs: Runs, words: tuple[str, ...]
) -> None:
    targets = runs.targets("in", 1)
    (targets / HOSTILE).write_bytes(b"no picture")
    (targets / "new\nline.jpg").write_bytes(b"no picture")
    out = runs.folder / "out"
    assert runs.run(targets, out, *words) == (0 if words else 1)
    printed = runs.log(out).read_bytes().decode()
    assert not {"\x1b", "\x07", "\u202e"} & set(printed)
    assert "\nline.jpg" not in printed
    assert r"\x1b[2J" in printed


def test_an_input_folder_whose_name_is_no_text(runs: Runs) -> None:
    folder = runs.targets("plain", 1)
    targets = Path(os.fsdecode(os.fsencode(runs.folder) + b"/in\xff\x1b"))
    folder.rename(targets)
    out = runs.folder / "out"
    assert runs.run(targets, out) == 0, runs.printed(out)
    assert runs.run(targets / "none", out) == 2
    assert "Traceback" not in runs.printed(out) and "\x1b" not in runs.printed(out)
