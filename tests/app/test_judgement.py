"""Which results are outdated or to be checked, and what a visitor's word changes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath

import numpy as np
import pytest

from app.judgement import (
    SOFT,
    basis_of,
    doubt_of,
    judge,
    overrule,
    policed,
    shown_state,
)
from app.session import Target
from app.settings import Settings
from app.uploads import add_photo, set_painting
from tests.app.fakes import FakeMatting
from tests.app.pictures import disc, encoded


def matte_of(tmp_path, tail: bytes = b""):
    path = tmp_path / "picture.png"
    path.write_bytes(encoded(disc()) + tail)
    return FakeMatting()(path, None)


def a_target() -> Target:
    return Target("t1", PurePath("a.png"), Path("a"), (90, 120))


def painted(session, tmp_path, columns: int) -> None:
    stroke = np.zeros((90, 120, 4), np.uint8)
    stroke[:, :columns, 3] = 255
    path = tmp_path / "painting.png"
    path.write_bytes(encoded(stroke))
    set_painting(session, session.photos[0].key, path)


def test_an_undone_stroke_leaves_results_up_to_date(session, tmp_path) -> None:
    upload = tmp_path / "photo.png"
    upload.write_bytes(encoded(disc()))
    add_photo(session, upload, "photo.png", Settings())
    painted(session, tmp_path, 30)
    before = basis_of(session)
    target = a_target()
    judge(target, matte_of(tmp_path), before)
    assert shown_state(target, basis_of(session)) == "done"
    painted(session, tmp_path, 60)
    assert shown_state(target, basis_of(session)) == "outdated"
    painted(session, tmp_path, 30)
    assert shown_state(target, basis_of(session)) == "done"
    session.model = "sd21"
    assert shown_state(target, basis_of(session)) == "outdated"


def test_low_confidence_and_a_wide_edge_are_to_be_checked(tmp_path) -> None:
    matte = matte_of(tmp_path)
    assert doubt_of(matte) == ""
    assert doubt_of(replace(matte, confidence=0.4)) == "the object may not be the right one"
    assert doubt_of(replace(matte, alpha=matte.alpha * 0.5)) == SOFT
    assert doubt_of(replace(matte, alpha=matte.alpha * 0.4)) == "nearly nothing was found"
    target = a_target()
    judge(target, replace(matte, confidence=0.4), "b")
    assert target.state == "done"
    assert shown_state(target, "b") == "check"


@pytest.mark.parametrize("absent", ["empty", "skip"])
def test_a_withheld_matte_is_run_again_when_the_visitor_overrules(
    session, tmp_path, absent
) -> None:
    matte = matte_of(tmp_path, b"doubtful")
    target = a_target()
    session.targets.append(target)
    kept = policed(matte, target, absent)
    assert not kept.alpha.any()
    assert kept.skipped == (absent == "skip")
    judge(target, kept, "b")
    assert target.withheld
    assert overrule(session, target.key)
    assert policed(matte, target, absent) is matte
    judge(target, matte, "b")
    assert shown_state(target, "b") == "done"


def test_a_kept_matte_needs_no_second_run(session, tmp_path) -> None:
    matte = matte_of(tmp_path, b"doubtful")
    target = a_target()
    session.targets.append(target)
    target.results = tmp_path
    judge(target, policed(matte, target, "keep"), "b")
    assert shown_state(target, "b") == "absent"
    assert not overrule(session, target.key)
    assert shown_state(target, "b") == "done"
