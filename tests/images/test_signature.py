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
    path.write_bytes(b"\x40\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"')  # safetensors
    assert file_kind(path) is None
