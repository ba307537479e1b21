"""The arrows between packages hold, no imports run in a circle, and no package is a single file."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("icm", "app")
ROOMS = 13  # at the top of `icm`: as many as a newcomer can keep in mind


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def copied(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package)
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize(
    ("file", "imported", "arrow"),
    [
        ("icm/functional/pooling.py", "icm.engine", "icm.functional.pooling -> icm.engine"),
        ("icm/engine/flow.py", "icm.matting", "icm.engine.flow -> icm.matting"),
        ("icm/finishing/trimap.py", "icm.models", "icm.finishing.trimap -> icm.models"),
        ("icm/matting.py", "icm.research.data", "icm.matting -> icm.research.data"),
        (
            "icm/research/data/views.py",
            "icm.research.training.loop",
            "icm.research.data.views -> icm.research.training.loop",
        ),
        (
            "icm/models/small/guidance.py",
            "icm.models.published",
            "icm.models.small.guidance -> icm.models.published",
        ),
        ("app/__init__.py", "icm.models", "app -> icm.models"),
        ("app/__init__.py", "icm.config", "app -> icm.config"),
        ("app/judgement.py", "icm.results.verdict", "app.judgement -> icm.results.verdict"),
        ("app/uploads.py", "icm.images", "app.uploads -> icm.images"),
    ],
)
def test_a_planted_import_against_the_arrows_is_caught(
    tmp_path: Path, file: str, imported: str, arrow: str
) -> None:
    tree = copied(tmp_path)
    planted = tree / file
    planted.write_text(planted.read_text() + f"\nimport {imported}\n")
    broken = lint(tree)
    assert broken.returncode != 0
    assert arrow in broken.stdout


def test_the_arrows_hold() -> None:
    clean = lint(ROOT)
    assert clean.returncode == 0, clean.stdout


def modules(root: Path) -> dict[str, Path]:
    """Files by the dotted name of their module."""
    found = {}
    for package in PACKAGES:
        for file in (root / package).rglob("*.py"):
            parts = file.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return found


def imports(root: Path) -> dict[str, set[str]]:
    """Modules of ours that each module imports: anywhere in it, for type checking as well."""
    files = modules(root)
    graph: dict[str, set[str]] = {}
    for name, file in files.items():
        package = name if file.name == "__init__.py" else name.rpartition(".")[0]
        graph[name] = set()
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                parents = package.split(".")
                above = parents[: len(parents) - node.level + 1] if node.level else []
                source = ".".join([*above, *filter(None, [node.module])])
                found = {f"{source}.{alias.name}" for alias in node.names}
                found = {each if each in files else source for each in found}
            else:
                continue
            graph[name] |= (found & files.keys()) - {name}
    return graph


def cycle(root: Path) -> list[str]:
    try:
        TopologicalSorter(imports(root)).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def lone_packages(root: Path) -> list[str]:
    """Packages with fewer than two modules or packages below them."""
    inits = [file for package in PACKAGES for file in root.glob(f"{package}/**/__init__.py")]
    return [
        folder.relative_to(root).as_posix()
        for folder in (file.parent for file in inits)
        if len([*folder.glob("*.py"), *folder.glob("*/__init__.py")]) < 3
    ]


def test_no_imports_run_in_a_circle() -> None:
    assert cycle(ROOT) == []


def test_a_planted_circle_is_found_even_for_type_checking(tmp_path: Path) -> None:
    tree = copied(tmp_path)
    planted = tree / "icm" / "engine" / "contract.py"
    text = "\nif TYPE_CHECKING:\n    from icm.engine.passes import Passes\n"
    planted.write_text(planted.read_text() + text)
    assert set(cycle(tree)) == {"icm.engine.contract", "icm.engine.passes"}


def test_every_package_has_at_least_two_modules(tmp_path: Path) -> None:
    assert lone_packages(ROOT) == []
    planted = copied(tmp_path) / "icm" / "lonely"
    planted.mkdir()
    for name in ("__init__.py", "module.py"):
        (planted / name).touch()
    assert lone_packages(tmp_path) == ["icm/lonely"]


def test_the_rooms_can_be_counted() -> None:
    rooms = [path for path in (ROOT / "icm").iterdir() if (path / "__init__.py").is_file()]
    assert len(rooms) <= ROOMS
