"""The forking server, and what undisturbed runs give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.tiny import hashes
from tests.faults.runs import Runs, Server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.fault)
            item.add_marker(pytest.mark.xdist_group("faults"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def runs(server: Server, tmp_path: Path) -> Runs:
    return Runs(server, tmp_path)


class Undisturbed:
    """Targets, and what a run over them gives that nothing befalls."""

    def __init__(self, runs: Runs, count: int) -> None:
        self.runs = runs
        self.targets = runs.targets("in", count)
        out = runs.folder / "undisturbed"
        assert runs.run(self.targets, out) == 0, runs.printed(out)
        self.expected = hashes(out)
        assert len(self.expected) == 2 * count


@pytest.fixture(scope="session")
def sixty(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(Runs(server, tmp_path_factory.mktemp("sixty")), 60)


@pytest.fixture(scope="session")
def eight(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Undisturbed:
    return Undisturbed(Runs(server, tmp_path_factory.mktemp("eight")), 8)
