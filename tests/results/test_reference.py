"""References as files: what comes back, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from icm.errors import InputError
from icm.results import Example, Features, Reference
from icm.results.reference import check_model


def made(fingerprint: str = "f" * 64, seed: int = 0) -> Reference:
    generator = torch.Generator().manual_seed(seed)
    maps = tuple(torch.rand(1, 4, side, side, generator=generator) for side in (4, 8))
    features = Features(torch.rand(1, 3, 32, 48, generator=generator), maps)
    mask = torch.rand(1, 1, 32, 48, generator=generator)
    thumbnail = np.full((8, 12, 4), 7, np.uint8)
    return Reference((Example(features, mask),), (thumbnail,), "small", fingerprint)


def test_a_saved_reference_comes_back_whole(tmp_path: Path) -> None:
    original = made() + made(seed=1)
    path = original.save(tmp_path / "cat")
    assert path.name == "cat.icmref"
    loaded = Reference.load(path)
    assert (loaded.model, loaded.fingerprint) == ("small", "f" * 64)
    for mine, theirs in zip(loaded.examples, original.examples, strict=True):
        assert torch.equal(mine.features.image_b3hw, theirs.features.image_b3hw)
        assert torch.equal(mine.mask_b1hw, theirs.mask_b1hw)
        for one, other in zip(mine.features.maps, theirs.features.maps, strict=True):
            assert torch.equal(one, other)
    assert np.array_equal(loaded.thumbnails[0], original.thumbnails[0])


def test_another_models_reference_is_refused_and_both_are_named() -> None:
    with pytest.raises(InputError, match=r"'small' \(ffffffffffff\).*'large' \(aaaaaaaaaaaa\)"):
        check_model(made(), "large", "a" * 64)


def test_references_of_different_models_do_not_join() -> None:
    with pytest.raises(InputError, match="made by the model"):
        made() + made("a" * 64)


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="icm reference"):
        Reference.load(tmp_path / "none.icmref")


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_damaged_file_is_a_clear_error(tmp_path: Path, keep: int) -> None:
    path = made().save(tmp_path / "cat.icmref")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match="damaged or no reference"):
        Reference.load(path)


def test_other_safetensors_are_no_reference(tmp_path: Path) -> None:
    path = tmp_path / "other.icmref"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(InputError, match="no reference file"):
        Reference.load(path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = made().save(tmp_path / "cat.icmref")
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["icmref"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    header["format_version"] = 99
    save_file(tensors, path, metadata={"icmref": json.dumps(header)})
    with pytest.raises(InputError, match="format 99, this version reads 1"):
        Reference.load(path)


def test_a_header_that_names_tensors_that_are_not_there_is_damage(tmp_path: Path) -> None:
    path = made().save(tmp_path / "cat.icmref")
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["icmref"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    header["references"] = 2
    save_file(tensors, path, metadata={"icmref": json.dumps(header)})
    with pytest.raises(InputError, match="damaged"):
        Reference.load(path)
