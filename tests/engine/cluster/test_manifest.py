"""Manifests of three formats, and folders of a store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from icm.config.batch import SearchConfig
from icm.engine.cluster import Access, Place, Target, folder_targets, manifest_targets
from icm.errors import InputError
from tests.engine.cluster.conftest import Buckets

pytest.importorskip("fsspec", reason="the extra [ray] is not installed")
pyarrow = pytest.importorskip("pyarrow", reason="the extra [ray] is not installed")

ROWS = [
    {"uri": "a/1.jpg", "group": "cups", "key": "one"},
    {"uri": "b/2.jpg", "group": "toys", "key": "two/2"},
]


def _write(path: Path, rows: list[dict[str, str]]) -> Path:
    if path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    elif path.suffix == ".csv":
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines))
    else:
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist(rows), path)
    return path


def _read(path: Path) -> list[Target]:
    return list(manifest_targets(Place(str(path)), Access(str(path.parent))))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_rows_name_targets_groups_and_results(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path / f"m.{suffix}", ROWS)
    assert _read(path) == [
        Target("cups", "one", f"{tmp_path}/a/1.jpg", keyed=True),
        Target("toys", "two/2", f"{tmp_path}/b/2.jpg", keyed=True),
    ]


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl"])
def test_groups_and_keys_may_be_left_out(tmp_path: Path, suffix: str) -> None:
    path = _write(tmp_path / f"m.{suffix}", [{"uri": row["uri"], "more": "x"} for row in ROWS])
    assert [(target.group, target.name, target.keyed) for target in _read(path)] == [
        ("", "a/1.jpg", False),
        ("", "b/2.jpg", False),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"uri": "", "group": "g", "key": "k"},
        {"uri": "a.jpg", "group": "", "key": "k"},
        {"uri": "a.jpg", "group": "a/b", "key": "k"},
        {"uri": "a.jpg", "group": "g", "key": ""},
        {"uri": "a.jpg", "group": "g", "key": "../k"},
        {"uri": "a.jpg", "group": "g", "key": "/k"},
        {"uri": "a.jpg", "group": "g", "key": "a//k"},
        {"uri": "a.jpg", "group": "g", "key": "k" * 901},
        {"uri": "/etc/passwd", "group": "g", "key": "k"},
    ],
)
def test_a_bad_row_is_an_error_of_its_own(tmp_path: Path, bad: dict[str, str]) -> None:
    targets = _read(_write(tmp_path / "m.jsonl", [bad, ROWS[0]]))
    assert targets[0].error
    assert targets[0].name == "row 1"
    assert targets[1].error == ""


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("m.csv", b"url\na.jpg\n", "no column 'uri'"),
        ("m.csv", b"uri\n" + b"a" * 70_000, "more than 65536"),
        ("m.parquet", b"PAR1 nothing", "cannot read the manifest"),
        ("m.csv", b"uri\n\xff\xfe.jpg\n", "cannot read the manifest"),
    ],
)
def test_what_is_no_manifest_is_refused(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        _read(tmp_path / name)


def test_a_folder_of_a_store_is_listed_as_one_of_a_disk(tmp_path: Path, bucket: Buckets) -> None:
    names = ["a/1.jpg", "a/.hidden/2.jpg", "b/3.PNG", "b/drafts/4.jpg", "out/5.jpg", "note.txt"]
    store = bucket.new()
    for name in names:
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
        bucket.put(store, f"in/{name}", b"x")
    search = SearchConfig(exclude=("drafts",))
    found = [
        {
            target.name
            for target in folder_targets(
                Place(root), search, skip=Place(f"{root}/out"), missed=lambda *what: None
            )
        }
        for root in (str(tmp_path / "in"), f"s3://{store}/in")
    ]
    assert found == [{"a/1.jpg", "b/3.PNG"}] * 2


def test_a_store_is_listed_page_by_page(bucket: Buckets, monkeypatch: pytest.MonkeyPatch) -> None:
    store = bucket.new()
    for number in range(7):
        bucket.put(store, f"{number}.jpg", b"x")
    root = Place(f"s3://{store}")
    real = root.file_system.call_s3
    asked = []

    def small_pages(method: str, **values: object) -> object:
        asked.append(method)
        return real(method, **values, MaxKeys=3)

    monkeypatch.setattr(root.file_system, "call_s3", small_pages)
    found = folder_targets(root, SearchConfig(), skip=Place("/out"), missed=lambda *what: None)
    assert [target.name for target in found] == [f"{number}.jpg" for number in range(7)]
    assert len(asked) == 3
