"""Pairs: what every kind promises to the one who trains on it."""

from __future__ import annotations

import numpy as np
import pytest

from icm.config.data import PairSettings, PairShares
from icm.errors import ConfigError, InputError
from icm.research.data.pairs import PairSource
from icm.research.data.pictures import PICTOGRAMS, TrainingPictures, held_out

KINDS = tuple(PairShares.model_fields)
SIZE = 64


def only(kind: str, **others: float) -> PairSettings:
    shares = PairShares(**{name: float(name == kind) for name in KINDS})
    return PairSettings(size=SIZE, shares=shares, **others)


def draw(pictures: TrainingPictures, settings: PairSettings, count: int, seed: int = 0):
    source, rng = PairSource(pictures, settings), np.random.default_rng(seed)
    return [source.draw(rng) for _ in range(count)]


@pytest.fixture(scope="module", params=KINDS)
def kind_pairs(request, tiny_pictures):
    return request.param, draw(tiny_pictures, only(request.param, absent=0.3), 16)


def test_layout(kind_pairs):
    kind, pairs = kind_pairs
    for pair in pairs:
        assert pair.kind == kind
        for image in (pair.reference_image, pair.target_image):
            assert image.shape == (SIZE, SIZE, 3) and image.dtype == np.uint8
        for plane in (pair.reference_alpha, pair.target_alpha, pair.target_weight):
            assert plane.shape == (SIZE, SIZE) and plane.dtype == np.uint8


def test_references_and_present_targets_can_be_seen(kind_pairs):
    _, pairs = kind_pairs
    for pair in pairs:
        assert pair.reference_alpha.mean() / 255 >= 0.005
        assert (pair.reference_alpha > 127).mean() > 0.005
        if pair.present and pair.labelled:
            assert pair.target_alpha.mean() / 255 >= 0.01
            assert (pair.target_alpha > 127).any()


def test_absent_means_nothing_to_find_and_full_weight(kind_pairs):
    _, pairs = kind_pairs
    absent = [pair for pair in pairs if not pair.present]
    assert absent and len(absent) < len(pairs)
    for pair in absent:
        assert not pair.target_alpha.any()
        assert (pair.target_weight == 255).all()
        assert pair.edges_exact
        assert pair.target_image.std() > 3


def test_unmarked_targets_say_nothing_about_alpha(kind_pairs):
    kind, pairs = kind_pairs
    unmarked = [pair for pair in pairs if not pair.labelled]
    assert bool(unmarked) == (kind == "likeness")
    for pair in unmarked:
        assert pair.present and not pair.edges_exact
        assert not pair.target_weight.any()
        assert pair.excluded & pair.target_shows


def test_what_pictures_show_fits_what_they_must_not_show(kind_pairs):
    kind, pairs = kind_pairs
    for pair in pairs:
        if pair.present and kind != "procedural":
            assert not pair.excluded or pair.excluded & pair.target_shows
        if not pair.present:
            assert not pair.excluded & pair.target_shows
        assert not pair.excluded or pair.excluded & pair.reference_shows


def test_only_true_alpha_claims_exact_edges(kind_pairs):
    kind, pairs = kind_pairs
    present = [pair for pair in pairs if pair.present]
    if kind == "procedural":
        assert all(pair.edges_exact for pair in present)
    if kind in {"natural", "garment", "region"}:
        assert not any(pair.edges_exact for pair in present)
    assert all((pair.target_weight == 255).all() for pair in present if pair.edges_exact)


@pytest.mark.parametrize("kind", ["natural", "garment"])
def test_guessed_edges_weigh_little_and_certain_places_fully(tiny_pictures, kind):
    settings = only(kind, absent=0, uncertain_weight=0.25, difficulty=0)
    for pair in draw(tiny_pictures, settings, 12):
        weight = pair.target_weight
        assert weight.min() >= 63
        assert (weight < 100).mean() > 0.01
        assert (weight == 255).mean() > 0.4


def test_same_generator_same_pair(tiny_pictures):
    first, again = (draw(tiny_pictures, PairSettings(size=SIZE), 10, seed=5) for _ in range(2))
    other = draw(tiny_pictures, PairSettings(size=SIZE), 10, seed=6)
    for one, two in zip(first, again, strict=True):
        assert (one.kind, one.present) == (two.kind, two.present)
        np.testing.assert_array_equal(one.reference_image, two.reference_image)
        np.testing.assert_array_equal(one.target_image, two.target_image)
        np.testing.assert_array_equal(one.target_alpha, two.target_alpha)
    different = zip(first, other, strict=True)
    assert any((one.target_image != two.target_image).any() for one, two in different)


def test_reference_and_target_differ(tiny_pictures):
    for pair in draw(tiny_pictures, PairSettings(size=SIZE), 12):
        gap = np.abs(pair.reference_image.astype(int) - pair.target_image).mean()
        assert gap > 2


def test_shares_are_kept(tiny_pictures):
    settings = PairSettings(
        size=32,
        absent=0.25,
        shares=PairShares(
            composite=1, garment=3, procedural=0, natural=0, region=0, video=0, likeness=0
        ),
    )
    pairs = draw(tiny_pictures, settings, 160)
    assert {pair.kind for pair in pairs} == {"composite", "garment"}
    assert 0.62 < np.mean([pair.kind == "garment" for pair in pairs]) < 0.88
    assert 0.14 < np.mean([not pair.present for pair in pairs]) < 0.38


def test_kinds_without_pictures_are_never_drawn(tiny_pictures):
    bare = TrainingPictures(tiny_pictures.root, tiny_pictures.cutouts, (), (), ())
    kinds = {pair.kind for pair in draw(bare, PairSettings(size=32), 30)}
    assert kinds == {"composite", "procedural", "video"}
    with pytest.raises(ConfigError, match="no pictures for the kinds of pairs"):
        PairSource(bare, only("natural"))


def test_single_category_has_no_distractors(tiny_pictures):
    cups = tuple(p for p in tiny_pictures.cutouts if p.category == "cup")
    source = PairSource(
        TrainingPictures(tiny_pictures.root, cups, (), tiny_pictures.backgrounds, ()),
        only("composite", distractors_easy=6, distractors_hard=6),
    )
    with pytest.raises(InputError, match="another kind than cup"):
        for _ in range(20):
            source.draw(np.random.default_rng(0))


def test_no_cutouts_at_all(tiny_pictures):
    empty = TrainingPictures(tiny_pictures.root, (), (), tiny_pictures.backgrounds, ())
    with pytest.raises(InputError, match="no cut-outs"):
        PairSource(empty, PairSettings())


def test_real_pictures_make_pairs_of_all_kinds(shared_data, tmp_path):
    root = tmp_path / "data"
    kept_back = {*held_out(shared_data).cutouts, *held_out(shared_data).backgrounds}
    cutouts = sorted((shared_data / "train/cutouts").rglob("*.webp"))
    photographs = [
        *sorted((shared_data / "train/photos/feralcat").glob("000*")),
        *sorted((shared_data / "train/photos/ccp").glob("001*")),
    ]
    chosen = [p for p in [*cutouts[::60], *photographs] if p not in kept_back]
    chosen += sorted((shared_data / "train/backgrounds").glob("*.jpg"))[::30]
    for category in {p.parent.name for p in chosen if p.parent.parent.name == "caltech101"}:
        chosen += sorted((shared_data / "unlabelled/caltech101" / category).iterdir())[:5]
    for path in [*chosen, shared_data / "train/index.csv", shared_data / "ccp_labels.json"]:
        copy = root / path.relative_to(shared_data)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    pictures = TrainingPictures.open(root, tmp_path / "cache")
    assert any(p.source == PICTOGRAMS for p in pictures.cutouts)
    assert {p.category for p in pictures.photographs} == {"cat", "person"}
    pairs = [p for kind in KINDS for p in draw(pictures, only(kind, difficulty=1.0), 8)]
    known = [pair for pair in pairs if pair.present and pair.labelled]
    covered = [pair.target_alpha.mean() / 255 for pair in known]
    assert 0.08 < np.mean(covered) < 0.5
