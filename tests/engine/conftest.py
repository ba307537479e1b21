"""The tiny model, loaded once, and its reference."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

import icm
from icm.cli.reference_options import reference_of
from icm.config.batch import BatchConfig
from icm.engine import Group, Request, find_pictures
from icm.matting import Matting
from tests.engine.tiny import paint, paint_reference, write_config


@pytest.fixture(scope="session")
def matting(tmp_path_factory: pytest.TempPathFactory) -> Matting:
    return icm.load(str(write_config(tmp_path_factory.mktemp("model"))), device="cpu")


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    """Six pictures in two folders."""
    for number in range(6):
        paint(tmp_path / "in" / "ab"[number % 2] / f"{number}.png", seed=number)
    return tmp_path / "in"


class Requests:
    """Makes requests over one input folder with one reference."""

    def __init__(self, matting: Matting, root: Path) -> None:
        self.matting = matting
        self.root = root
        reference, mask = paint_reference(root.parent)
        self.pair = (str(reference), str(mask))

    def __call__(self, **config: object) -> Request:
        settings = BatchConfig.model_validate(config)
        group = Group("", (self.pair,), find_pictures(self.root, settings.search))
        return self.of((group,), settings)

    def of(self, groups: tuple[Group, ...], config: BatchConfig | None = None) -> Request:
        make = partial(reference_of, self.matting)
        return Request(self.matting, make, self.root, groups, config or BatchConfig())


@pytest.fixture
def request_of(matting: Matting, targets: Path) -> Requests:
    return Requests(matting, targets)


class Followed:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.total: int | None = -1
        self.states: dict[str, str] = {}
        self.order: list[str] = []

    def begin(self, total: int | None) -> None:
        self.total = total

    def advance(self, outcome: object) -> None:
        job = outcome.job  # type: ignore[attr-defined]  # an Outcome; kept loose for fakes
        self.states[f"{job.group}:{job.source}" if job.group else job.source] = outcome.state  # type: ignore[attr-defined]  # as above
        self.order.append(job.source)


@pytest.fixture
def followed() -> Followed:
    return Followed()


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a power cut would leave cannot be tested here, and a busy disk makes syncing slow."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
