"""Files that cannot be used are named; the others are done as ever."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icm.engine import read_entries
from tests.engine.tiny import hashes, paint
from tests.faults.runs import Runs


def _png_of(width: int, height: int, rows: int | None = None) -> bytes:
    """A picture of one bit a pixel, all black: a few kilobytes whatever its size.

    With `rows` it holds only so many of those that its header promises.
    """
    content = zlib.compress(bytes((width + 7) // 8 + 1) * (height if rows is None else rows))

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + checksum

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([1, 0, 0, 0, 0])
    start = b"\x89PNG\r\n\x1a\n"
    return start + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def _spoil(folder: Path) -> dict[str, str]:
    """Adds files of each bad kind; for each a part of the reason that must be given."""
    whole = paint(folder / "truncated.jpg", seed=1, size=(300, 400)).read_bytes()
    (folder / "truncated.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "page.png").write_text("<!doctype html><title>404</title>")
    (folder / "noise.jpg").write_bytes(b"\xff\xd8\xff" + np.random.default_rng(0).bytes(5000))
    (folder / "vast.png").write_bytes(_png_of(10_001, 10_000, rows=1))
    (folder / "bomb.png").write_bytes(_png_of(100_000, 100_000, rows=1))
    content = bytearray(paint(folder / "flipped.png", seed=2).read_bytes())
    content[len(content) // 2] ^= 0xFF
    (folder / "flipped.png").write_bytes(content)
    return {
        "truncated.jpg": "damaged",
        "empty.png": "empty",
        "page.png": "not a picture",
        "noise.jpg": "picture",
        "vast.png": "100 megapixels",
        "bomb.png": "100 megapixels",
        "flipped.png": "damaged",
    }


def test_each_is_named_with_its_reason_and_the_rest_is_done(runs: Runs) -> None:
    targets = runs.targets("in", 4)
    assert runs.run(targets, runs.folder / "clean") == 0
    reasons = _spoil(targets)
    out = runs.folder / "out"
    assert runs.run(targets, out) == 1
    printed = runs.printed(out)
    entries = read_entries(out)
    for name, reason in reasons.items():
        assert f"failed: {name}: " in printed
        assert entries["", name].state == "failed"
        assert reason in (entries["", name].error or "")
    assert "4 done in" in printed and f"{len(reasons)} failed" in printed
    assert hashes(out) == hashes(runs.folder / "clean")


def test_what_cannot_be_opened_or_never_ends_is_named(runs: Runs) -> None:
    targets = runs.targets("in", 2)
    os.mkfifo(targets / "pipe.png")
    (targets / "broken.png").symlink_to("nowhere")
    (targets / "endless.png").symlink_to("/dev/zero")
    (targets / "folder.png").mkdir()
    bad = ["pipe.png", "broken.png", "endless.png", "folder.png", "none.png"]
    listed = runs.folder / "list"
    listed.write_text("\n".join(str(targets / name) for name in ["0/0.png", *bad, "1/1.png"]))
    out = runs.folder / "out"
    assert runs.run(targets, out, "--list", str(listed)) == 1
    entries = read_entries(out)
    assert {name for (_, name), entry in entries.items() if entry.state == "failed"} == set(bad)
    assert len(hashes(out)) == 4


def test_a_file_without_permission_is_named(runs: Runs) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read every file")
    targets = runs.targets("in", 2)
    (targets / "0" / "0.png").chmod(0)
    out = runs.folder / "out"
    assert runs.run(targets, out) == 1
    assert "0/0.png: cannot read it: Permission denied" in runs.printed(out)
    assert len(hashes(out)) == 2


def test_a_file_that_vanishes_is_named(runs: Runs) -> None:
    targets = runs.targets("in", 6)
    out = runs.folder / "out"
    assert runs.run(targets, out, vanishing=str(targets / "2" / "5.png")) == 1
    assert "failed: 2/5.png: cannot read it: No such file" in runs.printed(out)
    assert len(hashes(out)) == 10


def test_a_picture_of_just_a_hundred_megapixels_is_done(runs: Runs) -> None:
    targets = runs.folder / "in"
    targets.mkdir()
    (targets / "large.png").write_bytes(_png_of(50_000, 2_000))
    out = runs.folder / "out"
    assert runs.run(targets, out, "--save", "alpha") == 0, runs.printed(out)
    width, height = struct.unpack(">II", (out / "large.alpha.png").read_bytes()[16:24])
    assert (width, height) == (50_000, 2_000)


def test_a_warning_names_its_file(runs: Runs) -> None:
    """Of a colour profile that is damaged, where the picture itself is not."""
    targets = runs.targets("in", 1)
    with Image.open(paint(targets / "profile.png")) as picture:
        picture.save(targets / "profile.png", icc_profile=b"no profile at all")
    out = runs.folder / "out"
    assert runs.run(targets, out) == 0, runs.printed(out)
    assert "icm: profile.png: its colour profile is damaged" in runs.printed(out)
