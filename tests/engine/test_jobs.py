"""Targets found and listed, and the names of their results."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from icm.config.batch import SearchConfig
from icm.engine.jobs import Group, find_pictures, listed_pictures, make_jobs
from icm.errors import InputError


def _tree(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return root


def _found(
    root: Path, search: dict[str, object] | None = None, skip: Path | None = None
) -> list[str]:
    found = find_pictures(root, SearchConfig.model_validate(search or {}), skip=skip)
    return [path.relative_to(root).as_posix() for path in found]


def test_finds_pictures_below_a_folder_in_order_and_nothing_else(tmp_path: Path) -> None:
    root = _tree(tmp_path, "b/2.JPG", "b/10.png", "a.heic", "a.txt", ".hidden.png", ".dot/x.png")
    os.mkfifo(root / "pipe.png")
    (root / "folder.png").mkdir()
    (root / "broken.png").symlink_to(root / "nothing")
    assert _found(root) == ["a.heic", "b/10.png", "b/2.JPG"]


def test_links_to_folders_are_not_followed_but_links_to_files_are(tmp_path: Path) -> None:
    root = _tree(tmp_path, "a/x.png")
    (root / "a" / "loop").symlink_to(root)
    (root / "y.png").symlink_to(root / "a" / "x.png")
    assert _found(root) == ["a/x.png", "y.png"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ({"patterns": ["*.jpg"]}, ["a/1.jpg", "b/1.jpg", "b/c/1.jpg"]),
        ({"patterns": ["b/*.JPG"]}, ["b/1.jpg", "b/c/1.jpg"]),
        ({"exclude": ["b"]}, ["a/1.jpg", "a/2.png"]),
        ({"exclude": ["b/c/"]}, ["a/1.jpg", "a/2.png", "b/1.jpg"]),
        ({"exclude": ["1.*", "*.gif"]}, ["a/2.png"]),
    ],
)
def test_patterns_and_exclusions(
    tmp_path: Path, search: dict[str, object], expected: list[str]
) -> None:
    root = _tree(tmp_path, "a/1.jpg", "a/2.png", "b/1.jpg", "b/c/1.jpg")
    assert _found(root, search) == expected


def test_results_inside_the_input_folder_are_no_targets(tmp_path: Path) -> None:
    root = _tree(tmp_path, "1.jpg", "out/1.alpha.png")
    assert _found(root, skip=root / "x" / ".." / "out") == ["1.jpg"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere is no folder"):
        _found(tmp_path / "nowhere")


def test_lists_by_line_or_by_nul_without_doubles() -> None:
    assert listed_pictures(b"a.png\r\nb c.png\n\na.png\n") == (Path("a.png"), Path("b c.png"))
    assert listed_pictures(b"a\nb.png\0c.png\0") == (Path("a\nb.png"), Path("c.png"))
    assert listed_pictures(b"") == ()


def _stems(root: Path, names: list[str], known: dict[str, str] | None = None) -> list[str]:
    group = Group("", (), tuple(root / name for name in names))
    taken = {("", source): stem for source, stem in (known or {}).items()}
    return [job.stem for job in make_jobs((group,), root, taken)]


def test_results_mirror_folders_and_clashes_keep_extensions(tmp_path: Path) -> None:
    names = ["a/b.jpg", "a/b.png", "c.png"]
    assert _stems(tmp_path, names) == ["a/b.jpg", "a/b.png", "c"]


def test_a_name_once_given_stays_and_a_newcomer_gets_another(tmp_path: Path) -> None:
    known = {"b.jpg": "b"}
    assert _stems(tmp_path, ["b.jpg", "b.png"], known) == ["b", "b.png"]
    assert _stems(tmp_path, ["b.png"], {**known, "x": "b.png"}) == ["b.png-2"]


def test_groups_have_folders_of_their_own(tmp_path: Path) -> None:
    groups = [Group(name, (), (tmp_path / "a" / "1.png",)) for name in ("cup", "cat")]
    jobs = make_jobs(groups, tmp_path, {})
    assert [job.stem for job in jobs] == ["cup/a/1", "cat/a/1"]
    assert len({job.key for job in jobs}) == 2
    with pytest.raises(InputError, match="two groups are called 'cup'"):
        make_jobs([groups[0], groups[0]], tmp_path, {})


def test_a_target_outside_the_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not lie in"):
        _stems(tmp_path / "in", ["../other/1.png"])


def test_a_name_that_is_no_text_is_spelt_out(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    (job,) = make_jobs((Group("", (), (tmp_path / name,)),), tmp_path, {})
    assert (job.source, job.stem) == (r"caf\xe9.png", r"caf\xe9")
    assert job.path.name == name
