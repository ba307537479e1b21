"""Every command of docs/batch.md runs as it stands there."""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from icm.cli import main
from tests.engine.tiny import paint, paint_reference, write_config

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "batch.md"


def _commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    return [re.sub(r"\s+# .*", "", line) for line in lines]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the document's commands name, and the tiny model."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("a/1.jpg", "b.jpg", "c.png", "drafts/d.jpg")):
        paint(tmp_path / "photos" / name, seed=number)
    reference, mask = paint_reference(tmp_path)
    reference.rename(tmp_path / "cup.jpg")
    mask.rename(tmp_path / "cup_mask.png")
    paint(tmp_path / "photos" / "cup.jpg", seed=1000)
    (tmp_path / "photos" / "cup_mask.png").write_bytes((tmp_path / "cup_mask.png").read_bytes())
    (tmp_path / "groups.csv").write_text(
        "group,reference,mask,target\ncup,cup.jpg,cup_mask.png,a\ncup,,,b.jpg\n"
    )
    write_config(tmp_path)
    made = ["reference", "--reference", "cup.jpg", "--mask", "cup_mask.png", "-o", "cup.icmref"]
    assert main([*made, "--model", "tiny.yaml"]) == 0
    return tmp_path


def _run(command: str, given: bytes, monkeypatch: pytest.MonkeyPatch) -> int:
    words = shlex.split(command)
    assert words[0] == "icm"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given)))
    if "--watch" in words:
        threading.Timer(5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    return main([*words[1:], "--model", "tiny.yaml"])


@pytest.mark.parametrize("command", _commands())
def test_the_documents_commands(
    command: str,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    before, after = b"", None
    own = command
    if " | icm" in command:
        left, own = command.split(" | ")
        before = subprocess.run(shlex.split(left), capture_output=True, check=True).stdout
        assert before
    elif " | " in command:
        own, after = command.split(" | ")
    assert _run(own, before, monkeypatch) == 0
    printed = capfdbinary.readouterr().out
    if after is not None:
        listed = subprocess.run(
            shlex.split(after), input=printed, capture_output=True, check=True
        ).stdout
        assert b"a/1.alpha.png" in listed
    elif "--dry-run" in own:
        assert b"a/1.jpg -> a/1: new" in printed
    elif own.endswith(".zip"):
        assert (place / "mattes.zip").is_file()
    else:
        folder = place / "mattes" / "cup" if "--groups" in own else place / "mattes"
        assert (folder / "a" / "1.alpha.png").is_file()
    assert (place / "review.html").is_file() == ("--report" in own)


def test_there_are_commands() -> None:
    assert len(_commands()) == 10
