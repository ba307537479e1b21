"""What a manifest's rows may reach, and what of a URI is shown."""

from __future__ import annotations

import pytest

from icm.engine.cluster.access import Access, parse, shown
from icm.errors import InputError


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("s3://photos/lists/a/b.jpg", "a/b.jpg"),
        ("s3://photos/other/b.jpg", "s3/photos/other/b.jpg"),
        ("https://cdn.example.org/2026/b.jpg", "https/cdn.example.org/2026/b.jpg"),
        ("HTTPS://CDN.example.org/2026/b.jpg", "https/cdn.example.org/2026/b.jpg"),
        ("/shared/pictures/b.jpg", "file/shared/pictures/b.jpg"),
        ("file:///shared/pictures/b.jpg", "file/shared/pictures/b.jpg"),
    ],
)
def test_rows_below_the_manifest_or_an_allowed_prefix_have_names(row: str, name: str) -> None:
    access = Access(
        "s3://photos/lists", ["s3://photos", "https://cdn.example.org/2026", "/shared/pictures"]
    )
    assert access.resolve(row)[1] == name


@pytest.mark.parametrize(
    "row",
    [
        "/etc/passwd",
        "file:///etc/passwd",
        "../../secret.jpg",
        "/data/../etc/passwd",
        "s3://photos/b.jpg",
        "s3://lists/b.jpg",
        "https://example.org/b.jpg",
        "http://allowed.example.org/b.jpg",
        "https://allowed.example.org.evil.net/b.jpg",
        "https://allowed.example.org:8443/b.jpg",
        "https://user:word@allowed.example.org/b.jpg",
        "https://allowed.example.org/../b.jpg",
        "https://allowed.example.org/%2e%2e/b.jpg",
        "https://allowed.example.org?x=/b.jpg",
        "zip://b.jpg::file:///etc/archive.zip",
        "simplecache::s3://photos/b.jpg",
        "/data/listsbeside/b.jpg",
        "b\0.jpg",
    ],
)
def test_rows_that_lie_elsewhere_are_refused(row: str) -> None:
    access = Access("/data/lists", ["https://allowed.example.org"])
    with pytest.raises(InputError):
        access.resolve(row)


def test_a_refusal_says_which_option_would_help() -> None:
    with pytest.raises(InputError, match=r"--allow s3://photos"):
        Access("/data").resolve("s3://photos/a/b.jpg")


def test_addresses_that_differ_only_in_their_query_have_different_names() -> None:
    names = {parse(f"https://x.org/get?id={number}").name for number in range(3)}
    assert len(names) == 3
    assert not any("id=" in name for name in names)


def test_neither_signatures_nor_passwords_are_shown() -> None:
    text = shown(
        "404 for 'https://bob:word@x.org/a.jpg?X-Amz-Signature=abc&y=1' and s3://k:s@bucket/a"
    )
    assert "abc" not in text
    assert "word" not in text
    assert "k:s" not in text
    assert "x.org/a.jpg" in text
