"""Targets on the disk: the same names as one machine gives, whatever the order and the number."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from icm.engine import Group, make_jobs
from icm.engine.cluster import catalogue
from icm.engine.cluster.catalogue import Catalogue
from icm.engine.cluster.manifest import Target
from icm.engine.cluster.rows import Row, row_of
from icm.engine.ledger import Entry

NAMES = st.lists(
    st.builds(
        lambda folder, name, ending: f"{folder}{name}{ending}",
        st.sampled_from(["", "d/", "b.png/", "d/b.alpha.png/", "é/"]),
        st.sampled_from(["b", "b-2", "b.jpg", "c", "x" * 250]),
        st.sampled_from(["", ".jpg", ".png", ".JPG", ".alpha.png"]),
    ),
    unique=True,
    max_size=25,
)


def _stems(names: list[str], known: dict[str, str], group: str = "") -> dict[str, str]:
    base = Catalogue()
    base.add_targets(Target(group, name, f"s3://x/{name}") for name in names)
    base.add_rows(_row(group, source, stem).values() for source, stem in known.items())
    stems = {item.job.source: item.job.stem for item in base.items()}
    base.close()
    return stems


def _row(group: str, source: str, stem: str, **values: object) -> Row:
    fields = {"group": group, "source": source, "stem": stem, "state": "done"}
    return Row(Entry.model_validate({**fields, "run": "r", "at": "t", **values}), source, "1")


@settings(deadline=None, max_examples=60)
@given(NAMES, st.integers(1, 4))
def test_results_are_called_as_on_one_machine(names: list[str], chunk: int) -> None:
    top = Path("/in")
    jobs = make_jobs((Group("", (), tuple(top / name for name in names)),), top, {})
    before = catalogue._CHUNK
    catalogue._CHUNK = chunk
    try:
        assert _stems(names, {}) == {job.source: job.stem for job in jobs}
    finally:
        catalogue._CHUNK = before


def test_a_target_keeps_the_name_that_an_earlier_run_gave_it() -> None:
    assert _stems(["a/b.png"], {}) == {"a/b.png": "a/b"}
    found = _stems(["a/b.jpg", "a/b.png"], {"a/b.png": "a/b"})
    assert found == {"a/b.jpg": "a/b.jpg", "a/b.png": "a/b"}
    found = _stems(["b.jpg", "b.png"], {"b.png": "g/b"}, "g")
    assert found == {"b.jpg": "g/b.jpg", "b.png": "g/b"}


def test_the_last_row_of_a_target_counts() -> None:
    base = Catalogue()
    base.add_targets([Target("", "a.png", "s3://x/a.png")])
    rows = [_row("", "a.png", "a", state="failed", error="no"), _row("", "a.png", "a")]
    base.add_rows(row.values() for row in rows)
    (item,) = base.items()
    assert item.before is not None
    assert item.before.row.entry == rows[1].entry


def test_a_row_keeps_all_of_its_entry_and_older_ones_lack_the_highest_alpha() -> None:
    row = _row("", "a.png", "a", present=True, confidence=0.9, highest=0.3)
    values = row.values()
    assert row_of(values).entry == row.entry
    del values["highest"]
    assert row_of(values).entry == row.entry.model_copy(update={"highest": None})


def test_a_target_given_twice_is_done_once_and_two_of_one_name_are_an_error() -> None:
    base = Catalogue()
    twice = Target("", "k", "s3://x/a.png", keyed=True)
    count = base.add_targets([twice, Target("", "l", "s3://x/b.png", keyed=True), twice])
    assert count == 2
    assert [item.error for item in base.items()] == ["", ""]

    base = Catalogue()
    base.add_targets([twice, Target("", "k", "s3://x/other.png", keyed=True)])
    (item,) = base.items()
    assert "another target" in item.error


@pytest.mark.parametrize("number", [1, 511, 512, 513, 2500])
def test_every_target_comes_once(number: int) -> None:
    base = Catalogue()
    names = [f"{index % 7}/{index:05}.jpg" for index in range(number)]
    assert base.add_targets(Target("", name, f"s3://x/{name}") for name in names) == number
    assert sorted(item.job.source for item in base.items()) == sorted(names)
