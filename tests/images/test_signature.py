"""What a file is, whatever its name says."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from icm.images.signature import file_kind


@pytest.mark.parametrize(
    ("format_", "kind"),
    [
        ("JPEG", "a JPEG picture"),
        ("PNG", "a PNG picture"),
        ("GIF", "a GIF picture"),
        ("BMP", "a BMP picture"),
        ("TIFF", "a TIFF picture"),
        ("WEBP", "a WebP picture"),
    ],
)
def test_pictures_are_told_by_their_content(tmp_path: Path, format_: str, kind: str) -> None:
    path = tmp_path / "model.safetensors"
    Image.new("RGB", (4, 4)).save(path, format_)
    assert file_kind(path) == kind


def test_other_things(tmp_path: Path) -> None:
    path = tmp_path / "thing"
    assert file_kind(path) is None
    assert file_kind(tmp_path) == "a folder"
    path.touch()
    assert file_kind(path) == "an empty file"
    path.write_text("<!DOCTYPE html><title>404</title>", encoding="utf-8")
    assert file_kind(path) == "a web page"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"")
    assert file_kind(path) == "a PyTorch checkpoint or another zip archive"


@pytest.mark.parametrize("size", [b"\x40", b"BM", b"<", b"\xff\xd8\xff"])
def test_safetensors_are_nothing_else_whatever_their_size(tmp_path: Path, size: bytes) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(size.ljust(8, b"\0") + b'{"a":{"dtype":"F32"')
    assert file_kind(path) is None
