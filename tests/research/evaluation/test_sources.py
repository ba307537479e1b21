"""Reading validation groups, benchmarks and held-back composites."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from icm.errors import InputError
from icm.research.data.pictures import held_out, read_cutout, read_image
from icm.research.evaluation import (
    has_trimaps,
    held_out_groups,
    is_benchmark,
    read_benchmark,
    read_validation,
    selected,
)
from icm.research.evaluation.groups import cached
from icm.research.evaluation.held_out import unknown_around
from tests.research.evaluation.conftest import draw, save


def test_validation(validation_folder: Path) -> None:
    data = read_validation(validation_folder)
    assert [(g.set_name, g.name, len(g.members), g.soft) for g in data.groups] == [
        ("fruit", "apples", 3, True),
        ("outdoors", "leafs", 2, False),
        ("outdoors", "skys", 2, False),
    ]
    image, alpha = draw("apple", 19, 27)
    sample = data.groups[0].members[1].read()
    np.testing.assert_array_equal(sample.image, image)
    np.testing.assert_allclose(sample.alpha, alpha / 255, atol=1e-6)
    np.testing.assert_array_equal(sample.mask, alpha > 200)  # its own file, thresholded
    leaf = data.groups[1].members[0].read()
    np.testing.assert_array_equal(leaf.mask, leaf.alpha > 0.5)
    (pair,) = data.absent
    assert (pair.set_name, pair.group, pair.reference.name) == (
        "fruit",
        "apples",
        "val/apple/1.png",
    )
    target = pair.target.read()
    assert target.alpha.sum() == 0
    np.testing.assert_array_equal(target.image, leaf.image)


def test_validation_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_validation(tmp_path)
    for text, fault in (
        ("no json", "no list of groups"),
        ("{}", "groups"),
        ('{"groups": []}', "holds no groups"),
        ('{"groups": [{"name": "g", "members": []}]}', "fewer than two members"),
    ):
        (tmp_path / "groups.json").write_text(text)
        with pytest.raises(InputError, match=fault):
            read_validation(tmp_path)


def test_selected(validation_folder: Path) -> None:
    groups = read_validation(validation_folder).groups
    assert [g.name for g in selected(groups, ("outdoors",))] == ["leafs", "skys"]
    assert [g.name for g in selected(groups, (), 1)] == ["apples", "leafs"]
    assert selected(groups, ("elsewhere",)) == ()


def test_cached_reads_once(validation_folder: Path) -> None:
    group = cached(read_validation(validation_folder).groups[0])
    assert group.members[0].read() is group.members[0].read()
    assert group.members[0].read() is not group.members[1].read()


def benchmark(folder: Path, images: str, alphas: str, trimaps: str | None) -> None:
    for index, kind in enumerate(("apple", "apple", "leaf", "leaf", "leaf", "sky")):
        image, alpha = draw(kind, 18 + index, 20 + 3 * index)
        save(folder / images / f"{kind}_{index}.jpg", image)
        save(folder / alphas / f"{kind}_{index}.png", alpha)
        if trimaps:
            trimap = np.full(alpha.shape, 128, np.uint8)
            trimap[:20] = 0
            save(folder / trimaps / f"{kind}_{index}.png", trimap)


def test_icm57_layout(tmp_path: Path) -> None:
    folder = tmp_path / "ICM57"
    benchmark(folder, "image", "alpha", "trimap")
    entries = {
        path.name: {"dataset_name": "ICM57", "class": path.stem[:-2], "sub_class": None}
        for path in (folder / "image").iterdir()
    }
    (tmp_path / "ICM57.json").write_text(json.dumps(entries))
    assert is_benchmark(folder)
    assert has_trimaps(folder)
    groups = read_benchmark(folder)
    assert [(g.name, len(g.members), g.soft) for g in groups] == [
        ("apple", 2, True),
        ("leaf", 3, True),
    ]  # a class of one picture has no reference
    sample = groups[0].members[0].read()
    assert sample.unknown is not None
    np.testing.assert_array_equal(sample.unknown[:20], False)
    np.testing.assert_array_equal(sample.unknown[20:], True)


def test_other_layouts(tmp_path: Path) -> None:
    aim, ppm = tmp_path / "AIM-500", tmp_path / "PPM-100"
    benchmark(aim, "original", "mask", None)
    benchmark(ppm, "image", "matte", None)
    for folder in (aim, ppm):
        (group,) = read_benchmark(folder)
        assert (group.name, len(group.members)) == (folder.name, 6)
        assert not has_trimaps(folder)
        sample = group.members[0].read()
        np.testing.assert_array_equal(sample.unknown, unknown_around(sample.alpha, 10))
    assert not is_benchmark(tmp_path)


def test_benchmark_refusals(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no benchmark"):
        read_benchmark(tmp_path)
    folder = tmp_path / "B"
    benchmark(folder, "image", "alpha", None)
    classes = folder / "classes.json"
    classes.write_text('{"apple_0.jpg": "apple"}')
    with pytest.raises(InputError, match="does not name the class of apple_1"):
        read_benchmark(folder)
    classes.write_text("[1]")
    with pytest.raises(InputError, match="expected an object"):
        read_benchmark(folder)
    classes.unlink()
    (folder / "alpha" / "sky_5.png").unlink()
    with pytest.raises(InputError, match="has no alpha"):
        read_benchmark(folder)
    for path in (folder / "image").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="no two pictures"):
        read_benchmark(folder)


def test_unknown_band_around_soft_alpha() -> None:
    alpha = np.zeros((30, 40), np.float32)
    alpha[10:20, 10:20] = 1
    alpha[15, 20] = 0.5
    band = unknown_around(alpha, 3)
    assert band[15, 23]
    assert not band[15, 24]
    assert band[10, 7]
    assert not band[10, 6]
    assert band[15, 12]
    assert not band[15, 14]


def test_held_out_composites(cutouts_folder: Path) -> None:
    kept = held_out(cutouts_folder)
    assert [path.stem for path in kept.cutouts] == ["09", "19"]
    groups = held_out_groups(cutouts_folder, seed=5)
    assert [(g.set_name, len(g.members), g.label) for g in groups] == [
        ("caltech101", 2, "alpha"),
        ("grocery", 2, "alpha"),
    ]
    allowed = [read_image(path)[0, 0].astype(float) for path in kept.backgrounds]
    for group, cutout in zip(groups, kept.cutouts, strict=True):
        object_ = read_cutout(cutout)
        colour = object_.image[15, 20].astype(float)
        grounds = []
        for member in group.members:
            sample = member.read()
            ground = sample.image[sample.alpha == 0][0].astype(float)
            grounds.append(ground.tolist())
            assert any((ground == background).all() for background in allowed)
            expected = np.where(sample.alpha[..., None] == 1, sample.image, ground)
            weight = sample.alpha[..., None]
            mixed = weight * expected + (1 - weight) * ground
            solid = (sample.alpha == 0) | (sample.alpha == 1)
            np.testing.assert_allclose(sample.image[solid], mixed[solid], atol=1)
            assert np.abs(sample.image[sample.alpha == 1] - colour).mean() < 25
            assert 0.02 < sample.alpha.mean() < 0.6
            np.testing.assert_array_equal(sample.mask, sample.alpha > 0.5)
            assert sample.unknown is not None
            assert sample.unknown[(sample.alpha > 0) & (sample.alpha < 1)].all()
        assert grounds[0] != grounds[1]
        first, second = (member.read() for member in group.members)
        boxes = [
            sample.alpha[np.ix_(sample.alpha.any(axis=1), sample.alpha.any(axis=0))]
            for sample in (first, second)
        ]
        np.testing.assert_array_equal(boxes[1], boxes[0][:, ::-1])
        assert (boxes[1] != boxes[0]).any()
        np.testing.assert_array_equal(first.image, group.members[0].read().image)
    other = held_out_groups(cutouts_folder, seed=6)[0].members[0].read()
    assert (other.alpha != groups[0].members[0].read().alpha).any()


def test_nothing_held_back(tmp_path: Path, cutouts_folder: Path) -> None:
    shutil.copytree(cutouts_folder / "train" / "cutouts", tmp_path / "train" / "cutouts")
    with pytest.raises(InputError, match="kept from training"):
        held_out_groups(tmp_path)
