"""Edges: what is held back, what is measured, and the comparison with the guided filter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from icm.errors import InputError
from icm.finishing import full_resolution_alpha
from icm.images import Picture, resize
from icm.research.data.pictures import held_out
from icm.research.evaluation import Plan, overview, run
from icm.research.evaluation.edges import (
    LONGEST,
    MADE_UP,
    REFERENCE,
    RELATIVE,
    edge_groups,
    edge_measures,
    oracle_scores,
)
from icm.research.evaluation.groups import Group, Sample, selected
from tests.research.evaluation.fakes import Red
from tests.research.evaluation.test_verb import QUICK, call


@pytest.fixture(scope="module")
def few(cutouts_folder: Path) -> tuple[Group, ...]:
    return selected(edge_groups(cutouts_folder), ("cut-outs", "lattice"), 1)


def test_only_what_was_held_back_is_measured_on(cutouts_folder: Path) -> None:
    groups = edge_groups(cutouts_folder)
    kept = held_out(cutouts_folder)
    names = [group.name for group in groups]
    assert len(set(names)) == len(names)
    cutouts = [name for name in names if "/" in name]
    assert [name.rpartition("/")[2] for name in cutouts] == [path.stem for path in kept.cutouts]
    grounds = {path.stem for path in kept.backgrounds}
    for group in groups:
        assert {member.name.rpartition(" ")[2] for member in group.members} <= grounds
    assert sum(group.set_name == "hair" for group in groups) == MADE_UP


def test_pictures_are_large_and_alpha_is_exact(few: tuple[Group, ...]) -> None:
    for group in few:
        samples = [member.read() for member in group.members]
        for sample in samples:
            assert max(sample.image.shape) == LONGEST
            assert sample.alpha.max() > 0.9
            assert sample.unknown is not None
            soft = (sample.alpha > 0) & (sample.alpha < 1)
            assert sample.unknown[soft].all()
            assert not sample.unknown.all()
        again = group.members[1].read()
        np.testing.assert_array_equal(again.image, samples[1].image)
        assert (samples[0].alpha != samples[1].alpha).any()


def test_the_cut_out_is_laid_over_the_background(few: tuple[Group, ...]) -> None:
    """Where alpha is 0 the plain background of the test is seen, noise aside."""
    sample = few[0].members[0].read()
    outside = sample.image[sample.alpha == 0].astype(float)
    inside = sample.image[sample.alpha == 1].astype(float)
    assert outside.std(0).max() < 5
    assert np.abs(inside.mean(0) - outside.mean(0)).max() > 20


def test_errors_count_the_unknown_band_alone() -> None:
    alpha = np.zeros((20, 20), np.float32)
    unknown = np.zeros((20, 20), bool)
    unknown[5:10] = True
    sample = Sample(np.zeros((20, 20, 3), np.uint8), alpha, alpha > 0, unknown)
    wrong = alpha + np.float32(0.5)
    found = edge_measures(wrong, sample)
    assert found["unknown.sad"] == pytest.approx(0.5 * 100 / 1000)
    assert found["unknown.mse"] == pytest.approx(0.25)
    assert found["unknown.grad"] == pytest.approx(0, abs=1e-9)
    assert edge_measures(np.where(unknown, 0, 1).astype(np.float32), sample)["unknown.sad"] == 0


def test_finishing_alone_is_compared_with_the_guided_filter(few: tuple[Group, ...]) -> None:
    methods = {
        REFERENCE: lambda alpha, picture: full_resolution_alpha(alpha, picture.rgb),
        "cubic": lambda alpha, picture: resize(alpha, picture.size),
        "empty": lambda alpha, picture: np.zeros(picture.size, np.float32),
    }

    def small(picture: Picture) -> tuple[int, int]:
        return picture.size[0] // 8, picture.size[1] // 8

    found: dict[str, list[dict[str, float]]] = {}
    for name, score in oracle_scores(methods, small, few):
        found.setdefault(name, []).append(score.measures)
    assert {len(scores) for scores in found.values()} == {2 * len(few)}
    assert all(measures[RELATIVE] == 1 for measures in found[REFERENCE])
    for empty, guided in zip(found["empty"], found[REFERENCE], strict=True):
        assert empty[RELATIVE] == pytest.approx(empty["unknown.sad"] / guided["unknown.sad"])
        assert empty[RELATIVE] > 2

    plan = Plan(edges=few, finished=few, finishing=methods, size_of=small)
    parts, scores = run(plan, [Red()], lambda name: None)
    assert [part.name for part in parts] == ["finishing", "edges"]
    worst = max(score.measures[RELATIVE] for score in scores["finishing", "cubic"])
    assert parts[0].worst["cubic"][RELATIVE] == worst
    lines = [row[:2] for row in overview(parts[0]).rows]
    assert ("cubic", "worst pair") in lines
    assert parts[1].worst == {}


def test_nothing_held_back_is_said(tmp_path: Path) -> None:
    (tmp_path / "train" / "cutouts").mkdir(parents=True)
    with pytest.raises(InputError, match="kept from training"):
        edge_groups(tmp_path)


def test_the_verb_measures_edges(
    tmp_path: Path,
    validation_folder: Path,
    cutouts_folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    data = ("--data", validation_folder, "--cutouts", cutouts_folder)
    words = (*data, "--model", "tiny", *QUICK)
    chosen = ("--parts", "edges", "--edge-sets", "cut-outs", "--max-groups", 1)
    rows = ("--rows", "model,guided,colour")
    assert call(*words, *chosen, *rows, "-o", tmp_path) == 0
    report = json.loads((tmp_path / "report.json").read_text())
    found = {part["name"]: list(part["rows"]) for part in report["parts"]}
    assert found == {
        "finishing": ["tiny", REFERENCE, "cubic"],
        "edges": ["tiny", "tiny, guided finishing", "colour model"],
    }
    assert "SAD / guided" in capsys.readouterr().out
    chosen = ("--parts", "finishing", *chosen[2:])
    assert call(*words, *chosen, *rows, "-o", tmp_path / "alone") == 0
    alone = json.loads((tmp_path / "alone" / "report.json").read_text())
    assert [part["name"] for part in alone["parts"]] == ["finishing"]
    assert alone["parts"][0]["rows"] == report["parts"][0]["rows"]
