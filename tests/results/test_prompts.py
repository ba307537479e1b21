"""Points and scribbles drawn at the network's size, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest

from icm.errors import InputError
from icm.results import Points, Scribbles, parse_box, seeds_of


def test_points_lie_where_they_were_put_whatever_the_scale() -> None:
    for picture, size in (
        ((100, 200), (100, 200)),
        ((1000, 2000), (100, 200)),
        ((10, 20), (100, 200)),
    ):
        scale = picture[0] / 100
        seeds = seeds_of(Points(((150.5 * scale, 20.5 * scale),)), picture, size)
        rows, columns = np.nonzero(seeds.inside)
        assert (rows.mean(), columns.mean()) == (20, 150)
        assert not seeds.outside.any()


def test_corners_are_inside_of_the_picture() -> None:
    seeds = seeds_of(Points(((0, 0), (199, 99.9))), (100, 200), (32, 64))
    assert seeds.inside[0, 0]
    assert seeds.inside[31, 63]


@pytest.mark.parametrize("point", [(-1, 5), (200, 5), (5, 100), (5, -0.1), (math.nan, 5)])
def test_points_beside_the_picture_are_refused(point: tuple[float, float]) -> None:
    for marks in (Points((point,)), Points(((5, 5),), (point,))):
        with pytest.raises(InputError, match="outside of the picture of 200 x 100"):
            seeds_of(marks, (100, 200), (32, 64))


def test_no_inside_point_is_refused() -> None:
    with pytest.raises(InputError, match="at least one inside point"):
        seeds_of(Points((), ((3, 3),)), (100, 200), (32, 64))


def test_a_place_cannot_be_both() -> None:
    with pytest.raises(InputError, match="move one of the two"):
        seeds_of(Points(((5, 5),), ((5, 5),)), (100, 200), (32, 64))
    seeds = seeds_of(Points(((5, 5), (90, 90)), ((5, 5),)), (100, 200), (100, 200))
    assert seeds.inside[90, 90]
    assert not (seeds.inside & seeds.outside).any()
    assert not seeds.inside[5, 5]


def test_a_thin_scribble_survives_shrinking() -> None:
    stroke = np.zeros((1000, 2000), np.uint8)
    stroke[500, 100:1900] = 255
    beside = np.zeros((1000, 2000), np.uint8)
    beside[100, 200] = 255
    seeds = seeds_of(Scribbles(stroke, beside), (1000, 2000), (32, 64))
    assert seeds.inside[16, 4:60].all()
    assert seeds.inside.sum() < 70
    assert np.argwhere(seeds.outside).tolist() == [[3, 6]]


def test_scribbles_of_another_size_or_without_a_stroke_are_refused() -> None:
    with pytest.raises(InputError, match="save the mask at the reference's size"):
        seeds_of(Scribbles(np.ones((9, 9), np.uint8)), (100, 200), (32, 64))
    with pytest.raises(InputError, match="marks nothing"):
        seeds_of(Scribbles(np.zeros((100, 200), np.uint8)), (100, 200), (32, 64))


def test_a_box_is_drawn_at_the_networks_size() -> None:
    seeds = seeds_of(Points(box=(10, 20, 50, 40)), (80, 100), (40, 50))
    assert seeds.box is not None
    rows, columns = np.nonzero(seeds.box)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (10, 19, 5, 24)
    assert not seeds.inside.any()


@pytest.mark.parametrize(
    "box",
    [(10, 20, 10, 40), (50, 20, 10, 40), (-1, 0, 5, 5), (0, 0, 101, 5), (0, 0, float("nan"), 5)],
)
def test_a_box_that_holds_nothing_or_leaves_the_picture_is_refused(box) -> None:
    with pytest.raises(InputError, match="does not fit the picture of 100 x 80 pixels"):
        seeds_of(Points(box=box), (80, 100), (40, 50))


def test_no_inside_point_in_the_box_is_refused() -> None:
    with pytest.raises(InputError, match="no inside point lies in the box"):
        seeds_of(Points(((80, 70),), box=(10, 20, 50, 40)), (80, 100), (40, 50))


def test_a_box_is_read_from_text() -> None:
    assert parse_box("40,30,300,260.5") == (40, 30, 300, 260.5)
    for text in ("", "1,2,3", "a,b,c,d", "1,2,3,4,5"):
        with pytest.raises(InputError, match="left,top,right,bottom"):
            parse_box(text)
