"""What newcomers, package indexes and the forge read: links, versions, workflows."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest
import yaml

from icm import __version__
from tests.docs.blocks import NOT_RUN, blocks_of, pages

ROOT = Path(__file__).resolve().parents[1]
PROSE = [*pages(), ROOT / "CODE_OF_CONDUCT.md", ROOT / "CHANGELOG.md", ROOT / "weights/README.md"]
GITHUB = ROOT / ".github"
COMMAND = re.compile(r"\bmake ([a-z-]+)")


def test_links_lead_to_files_that_are_there() -> None:
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PROSE
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]
    assert broken == []


def test_every_place_states_the_same_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert f"\n## [{__version__}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_make_targets_that_are_named_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    texts = [block.code for page in pages() for block in blocks_of(page) if NOT_RUN in block.marks]
    texts += [path.read_text() for path in GITHUB.rglob("*.yml")]
    named = {name for text in texts for name in COMMAND.findall(text)}
    assert {"setup", "lint", "test", "docs"} <= named
    assert named - set(targets) == set()


def test_every_package_of_the_extras_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*chain(project["dependencies"], *project["optional-dependencies"].values())]
    names = {_normal(re.split(r"[\[<>=! ]", text)[0]) for text in wanted}
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert names - {_normal(line.split("==")[0]) for line in lines if "==" in line} == set()


@pytest.mark.parametrize("path", sorted(GITHUB.rglob("*.yml")), ids=lambda path: path.name)
def test_files_for_the_forge_are_yaml(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    if path.parent.name == "workflows":
        assert content["permissions"] == {"contents": "read"}
        assert all("timeout-minutes" in job for job in content["jobs"].values())
        assert set(content["jobs"]) == {"lint", "tests", "wheel", "docs", "container"}
        assert content["jobs"]["tests"]["strategy"]["matrix"]["python"] == ["3.11", "3.12"]


def test_hooks_run_the_linters_of_make() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = " ".join(hook["entry"] for hook in hooks)
    recipe = re.search(r"^lint:.*?\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe is not None
    tools = {line.split("$(BIN)/")[1].split()[0] for line in recipe[1].splitlines()}
    assert tools == set(re.findall(r"\.venv/bin/([a-z-]+)", entries))


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
