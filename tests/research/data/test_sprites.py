"""The stock of objects and the groups of pictures that belong together."""

from __future__ import annotations

import numpy as np
import pytest

from icm.config.data import PairSettings, PairShares
from icm.errors import InputError
from icm.research.data.categories import by_category, garments
from icm.research.data.sprites import SpriteStock, cut_out, mean_colour


@pytest.fixture
def stock(tiny_pictures) -> SpriteStock:
    return SpriteStock(
        tiny_pictures.cutouts, tiny_pictures.photographs, photo_share=0.3, pictogram_share=0.5
    )


def test_photographs_are_cut_out_as_often_as_asked(stock):
    rng = np.random.default_rng(0)
    drawn = [stock.draw(rng) for _ in range(400)]
    assert 0.32 < np.mean([item.from_photo for item in drawn]) < 0.6  # no pictograms: .3 / .65
    assert {item.picture.category for item in drawn} >= {"cup", "panda", "cat", "person"}


def test_barred_categories_are_never_drawn(stock):
    rng = np.random.default_rng(0)
    excluded = frozenset({"cup", "cat", "person", "lamp"})
    assert not {stock.draw(rng, without=excluded).picture.category for _ in range(100)} & excluded


def test_siblings_only_where_members_look_alike(stock):
    rng = np.random.default_rng(0)
    for _ in range(60):
        item = stock.draw(rng)
        other = stock.sibling(item, rng)
        assert other.picture.category == item.picture.category
        if item.picture.category in {"cup", "lamp", "anchor"}:
            assert other is item
    pandas = [stock.sibling(p, rng) for p in _all(stock, "panda", rng)]
    assert len({p.picture.name for p in pandas}) > 1


def test_nearest_in_colour_is_nearer_than_chance(stock):
    rng = np.random.default_rng(0)
    colour = np.array([220, 60, 60], np.float32)
    like = [
        mean_colour(stock.of_like_colour(colour, rng, without=frozenset()).picture)
        for _ in range(20)
    ]
    any_colour = [mean_colour(stock.draw(rng).picture) for _ in range(20)]
    assert np.abs(like - colour).mean() < 0.8 * np.abs(any_colour - colour).mean()


def test_objects_of_photographs_are_eroded_and_soft(stock):
    rng = np.random.default_rng(0)
    item = next(i for i in iter(lambda: stock.draw(rng), None) if i.from_photo)
    sprite = cut_out(item, rng)
    assert item.picture.alpha is not None
    assert not sprite.exact
    assert sprite.alpha.sum() < item.picture.alpha.sum()
    assert ((sprite.alpha > 20) & (sprite.alpha < 235)).mean() > 0.01


def test_garments_join_labels_and_need_two_photographs(tiny_pictures):
    found = {garment.name: garment for garment in garments(tiny_pictures)}
    assert set(found) == {"coat", "skirt"}
    assert found["coat"].values == (1,) and len(found["coat"].members) == 4


def test_groups_are_by_category(tiny_pictures):
    groups = by_category(tiny_pictures.photographs)
    assert list(groups) == ["cat", "person"]
    assert sum(map(len, groups.values())) == len(tiny_pictures.photographs)


def test_broken_label_list_is_named(tiny_pictures, tmp_path):
    (tmp_path / "ccp_labels.json").write_text("[]", encoding="utf-8")
    broken = type(tiny_pictures)(tmp_path, (), tiny_pictures.photographs, (), ())
    with pytest.raises(InputError, match="expected an object with a list 'labels'"):
        garments(broken)


def test_shares_must_leave_something_to_draw():
    nothing = dict.fromkeys(PairShares.model_fields, 0)
    with pytest.raises(ValueError, match="at least one kind"):
        PairSettings.model_validate({"shares": nothing})


def _all(stock: SpriteStock, category: str, rng: np.random.Generator) -> list:
    drawn = (stock.draw(rng) for _ in range(200))
    return [item for item in drawn if item.picture.category == category]
