"""Reference files that were made or damaged to break something: refused in words."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from icm.errors import InputError
from icm.results import Reference
from tests.results.test_reference import made

Header = dict[str, object]
Tensors = dict[str, Tensor]


def _parts(path: Path) -> tuple[Header, Tensors]:
    with safe_open(path, "pt") as file:
        header = json.loads(file.metadata()["icmref"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    return header, tensors


def _rewritten(folder: Path, change: Callable[[Header, Tensors], None]) -> Path:
    """A reference file with a change, and with no checksum that would betray it."""
    path = (made() + made(seed=1)).save(folder / "cat.icmref")
    header, tensors = _parts(path)
    header.pop("sha256", None)
    change(header, tensors)
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, {"icmref": json.dumps(header)})
    return path


TENSORS: dict[str, Callable[[Tensors], None]] = {
    "0-d mask": lambda t: t.update({"0.mask": torch.tensor(1.0)}),
    "0-d thumbnail": lambda t: t.update({"0.thumbnail": torch.tensor(1, dtype=torch.uint8)}),
    "bf16 thumbnail": lambda t: t.update({"0.thumbnail": t["0.thumbnail"].bfloat16()}),
    "bf16 map": lambda t: t.update({"0.map.0": t["0.map.0"].bfloat16()}),
    "whole numbers": lambda t: t.update({"0.map.0": t["0.map.0"].to(torch.int64)}),
    "no size": lambda t: t.update({"0.map.0": t["0.map.0"][:, :, :0]}),
    "two in a batch": lambda t: t.update({"0.image": t["0.image"].repeat(2, 1, 1, 1)}),
    "four channels": lambda t: t.update({"0.image": t["0.image"][:, [0, 1, 2, 0]]}),
    "mask of another size": lambda t: t.update({"1.mask": t["1.mask"][..., :-1]}),
    "other channels": lambda t: t.update({"1.map.0": t["1.map.0"][:, :2]}),
    "not a number": lambda t: t.update({"0.map.1": t["0.map.1"] * float("nan")}),
    "infinite": lambda t: t.update({"0.image": t["0.image"] / 0}),
    "mask above 1": lambda t: t.update({"0.mask": t["0.mask"] + 1}),
}


@pytest.mark.parametrize("name", TENSORS)
def test_odd_tensors(tmp_path: Path, name: str) -> None:
    path = _rewritten(tmp_path, lambda header, tensors: TENSORS[name](tensors))
    with pytest.raises(InputError, match=r"cat\.icmref is damaged"):
        Reference.load(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"references": "many"},
        {"references": -1},
        {"references": 10**30},
        {"maps": 0},
        {"maps": [1]},
        {"photographs": None},
        {"model": ["small"]},
        {"model": "small\x1b[2J"},
        {"fingerprint": {"a": 1}},
        {"sha256": 5},
        {"sha256": "0" * 64},
    ],
)
def test_odd_headers(tmp_path: Path, changes: Header) -> None:
    path = _rewritten(tmp_path, lambda header, tensors: header.update(changes))
    with pytest.raises(InputError, match=r"cat\.icmref is damaged"):
        Reference.load(path)


def test_a_header_of_great_depth(tmp_path: Path) -> None:
    path = tmp_path / "deep.icmref"
    save_file({"x": torch.zeros(1)}, path, {"icmref": "[" * 100_000})
    with pytest.raises(InputError, match="damaged or no reference"):
        Reference.load(path)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7, 0.9, 0.999])
def test_a_flipped_bit_anywhere_in_the_tensors_is_found(tmp_path: Path, share: float) -> None:
    path = made().save(tmp_path / "cat.icmref")
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        Reference.load(path)


def test_another_fingerprint_in_the_header_is_found(tmp_path: Path) -> None:
    """So a reference of another model cannot pass for one of this model by an edited header."""
    path = made().save(tmp_path / "cat.icmref")
    path.write_bytes(path.read_bytes().replace(b"f" * 64, b"e" * 64))
    with pytest.raises(InputError, match="damaged"):
        Reference.load(path)


def test_a_file_of_an_older_version_without_a_checksum_is_read(tmp_path: Path) -> None:
    path = _rewritten(tmp_path, lambda header, tensors: None)
    assert len(Reference.load(path).examples) == 2
