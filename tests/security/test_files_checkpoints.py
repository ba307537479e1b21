"""Checkpoints and weights that were made to break something: refused in words, nothing is run."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from icm.errors import WeightsError
from icm.research.training.checkpoint import load_checkpoint
from icm.weights.published_checkpoint import PREFIX, import_checkpoint, published_shapes
from icm.weights.tensors import read_tensors


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.place),)


def _state() -> dict[str, Tensor]:
    return {
        PREFIX + name: torch.zeros(
            shape, dtype=torch.int64 if name.endswith("tracked") else torch.float32
        )
        for name, shape in published_shapes().items()
    }


def _import(folder: Path, content: object) -> None:
    torch.save(content, folder / "icm.ckpt")
    import_checkpoint(folder / "icm.ckpt", folder / "out.safetensors")


@pytest.mark.parametrize("legacy", [False, True])
def test_code_is_not_run_and_torchs_advice_to_run_it_is_not_passed_on(
    tmp_path: Path, legacy: bool
) -> None:
    attack = {"state_dict": {**_state(), "x": Attack(tmp_path / "owned")}}
    path = tmp_path / "icm.ckpt"
    torch.save(attack, path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(WeightsError) as refusal:
        import_checkpoint(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "owned").exists()
    message = str(refusal.value)
    assert "was refused" in message and "Code in it was not run" in message
    assert "mkdir" in message  # what it wanted to call
    for advice in ("weights_only", "safe_globals", "WeightsUnpickler", "arbitrary code"):
        assert advice not in message


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "icm.ckpt"
    path.write_bytes(pickle.dumps(Attack(tmp_path / "owned")))
    with pytest.raises(WeightsError) as refusal:
        import_checkpoint(path, tmp_path / "out.safetensors")
    assert not (tmp_path / "owned").exists()
    assert "weights_only" not in str(refusal.value)


def _deep(depth: int) -> object:
    content: object = []
    for _ in range(depth):
        content = [content]
    return content


FIRST = PREFIX + next(iter(published_shapes()))

ODD: dict[str, Callable[[], object]] = {
    "a list": lambda: [1, 2],
    "nothing": lambda: None,
    "a tensor": lambda: torch.zeros(3),
    "nested state": lambda: {"state_dict": {"state_dict": _state()}},
    "numbers as names": lambda: {"state_dict": dict(enumerate(_state().values()))},
    "sparse": lambda: {"state_dict": {**_state(), FIRST: torch.zeros(3, 3).to_sparse()}},
    "complex": lambda: {"state_dict": {**_state(), FIRST: _state()[FIRST].to(torch.complex64)}},
    "on no device": lambda: {"state_dict": {**_state(), FIRST: _state()[FIRST].to("meta")}},
    "float8": lambda: {"state_dict": {**_state(), FIRST: _state()[FIRST].to(torch.float8_e4m3fn)}},
    "quantised": lambda: {
        "state_dict": {
            **_state(),
            FIRST: torch.quantize_per_tensor(_state()[FIRST], 0.1, 0, torch.qint8),
        }
    },
    "0-d": lambda: {"state_dict": {**_state(), FIRST: torch.tensor(1.0)}},
    "whole numbers": lambda: {"state_dict": {**_state(), FIRST: _state()[FIRST].to(torch.int32)}},
    "control characters": lambda: {"state_dict": {**_state(), "\x1b[2J": torch.zeros(1)}},
}


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ODD)
def test_odd_contents(tmp_path: Path, name: str) -> None:
    with pytest.raises(WeightsError, match=r"icm\.ckpt"):
        _import(tmp_path, ODD[name]())
    assert not (tmp_path / "out.safetensors").exists()


def test_a_pickle_of_great_depth(tmp_path: Path) -> None:
    path = tmp_path / "icm.ckpt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + b"]" * 100_000 + b"a" * 99_999 + b".")
        archive.writestr("archive/version", b"3\n")
        archive.writestr("archive/byteorder", b"little")
    with pytest.raises(WeightsError, match=r"icm\.ckpt"):
        import_checkpoint(path, tmp_path / "out.safetensors")


@pytest.mark.parametrize("seed", range(20))
def test_bytes_that_were_changed_at_random(tmp_path: Path, seed: int) -> None:
    """In the pickle: whatever it then says, the refusal is one of words."""
    path = tmp_path / "icm.ckpt"
    torch.save({"state_dict": {"x": torch.zeros(4)}}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    draw = torch.Generator().manual_seed(seed)
    (name,) = (each for each in members if each.endswith("data.pkl"))
    content = bytearray(members[name])
    for _ in range(5):
        place = int(torch.randint(2, len(content), (1,), generator=draw))
        content[place] = int(torch.randint(256, (1,), generator=draw))
    with zipfile.ZipFile(path, "w") as archive:
        for each, value in {**members, name: bytes(content)}.items():
            archive.writestr(each, value)
    with pytest.raises(WeightsError, match=r"icm\.ckpt"):
        import_checkpoint(path, tmp_path / "out.safetensors")


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2, dtype=torch.complex64), torch.tensor([float("nan")])],
    ids=["complex", "nan"],
)
def test_odd_tensors_of_a_models_weights(tmp_path: Path, tensor: Tensor) -> None:
    path = tmp_path / "weights.safetensors"
    save_file({"x": tensor}, path)
    with pytest.raises(WeightsError, match=r"weights\.safetensors"):
        read_tensors(str(path), "small", "")


def test_weights_without_a_single_byte_of_order(tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    for content in (b"\xff" * 64, b"\x00" * 64, (10**9).to_bytes(8, "little") + b"{" * 100):
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=r"weights\.safetensors"):
            read_tensors(str(path), "small", "")


@pytest.mark.parametrize("content", ["attack", "list"])
def test_a_training_state_is_refused_in_the_same_way(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.pt"
    torch.save(Attack(tmp_path / "owned") if content == "attack" else [1], path)
    with pytest.raises(WeightsError, match=r"state\.pt") as refusal:
        load_checkpoint(path)
    assert not (tmp_path / "owned").exists()
    assert "weights_only" not in str(refusal.value)
