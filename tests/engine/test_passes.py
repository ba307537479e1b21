"""Passes halve where the memory does not suffice."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from icm.engine.passes import Passes, fitting
from icm.errors import DeviceError, DeviceMemoryError


class Device:
    """A model whose device holds so many pictures, and no more."""

    def __init__(self, holds: int, kind: str = "cuda", batch: int = 8) -> None:
        self.device = SimpleNamespace(type=kind)
        self.config = SimpleNamespace(batch=batch)
        self.holds = holds
        self.sizes: list[int] = []

    def predict(self, pictures: Sequence[Any], reference: Any) -> list[Any]:
        self.sizes.append(len(pictures))
        if len(pictures) > self.holds:
            raise DeviceMemoryError("too little memory for this")
        return [f"{reference} {picture}" for picture in pictures]


def _of(device: Any, most: int | None = None) -> Any:
    """Passes, untyped: the device and the pictures are stand-ins."""
    return Passes(device, most)


def _passes(device: Device, most: int, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Passes on a pretended GPU whose free memory says that `most` pictures would fit."""
    cuda = torch.cuda
    monkeypatch.setattr(cuda, "reset_peak_memory_stats", lambda device: None)
    monkeypatch.setattr(cuda, "memory_allocated", lambda device: 100)
    monkeypatch.setattr(cuda, "max_memory_allocated", lambda device: 1100)
    monkeypatch.setattr(cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(cuda, "mem_get_info", lambda device: (most * 1250, 10**9))
    return _of(device)


def test_the_first_picture_tells_how_many_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(holds=100)
    passes = _passes(device, 5, monkeypatch)
    assert passes.most == 1
    assert passes.predict(list("ab"), "r") == ["r a", "r b"]
    assert passes.most == 5
    passes.predict(list("abcdefghijkl"), "r")
    assert device.sizes == [1, 1, 5, 5, 2]


def test_passes_are_halved_until_they_fit_and_stay_so(monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device(holds=2)
    passes = _passes(device, 8, monkeypatch)
    passes.predict(["a"], "r")
    assert passes.predict(list("abcdefgh"), "r") == [f"r {each}" for each in "abcdefgh"]
    assert device.sizes == [1, 8, 4, 2, 2, 2, 2]
    assert passes.most == 2


def test_a_picture_that_does_not_fit_alone_is_a_named_failure() -> None:
    passes = _of(Device(holds=0, kind="cpu"))
    with pytest.raises(DeviceError, match="too little memory"):
        passes.predict(["a"], "r")


def test_a_cpu_takes_one_at_a_time() -> None:
    device = Device(holds=100, kind="cpu")
    passes = _of(device, most=16)
    passes.predict(list("abc"), "r")
    assert device.sizes == [1, 1, 1]


@pytest.mark.parametrize(
    ("each", "free", "most", "expected"),
    [(10, 100, 8, 8), (10, 100, 20, 8), (10, 12, 8, 1), (10, 0, 8, 1), (0, 100, 8, 8)],
)
def test_fitting(each: int, free: int, most: int, expected: int) -> None:
    assert fitting(each, free, most) == expected
