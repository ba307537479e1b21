"""The image's documented builds: torch from its own index, all else from the ordinary one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import venv
from argparse import ArgumentParser
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from app.settings import add_options
from tests.container.indexes import Package, served

ROOT = Path(__file__).resolve().parents[2]


def _instructions() -> list[str]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    return [line for line in re.sub(r"\\\n\s*", "", text).splitlines() if line.strip()]


def _pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = (line.split("==") for line in lines if "==" in line)
    return {canonicalize_name(name): version for name, version in pairs}


def _installing() -> list[str]:
    """Commands of the layer of dependencies, without the one that replaces pip itself."""
    instructions = _instructions()
    first = instructions.index("FROM python AS dependencies")
    last = next(n for n in range(first + 1, len(instructions)) if instructions[n][:4] == "FROM")
    commands = [line[4:] for line in instructions[first:last] if line.startswith("RUN ")]
    return [line for line in commands if "pip install" in line and " pip==" not in line]


def _requires(name: str) -> tuple[str, ...]:
    return tuple(metadata.requires(name) or ())


def _ordinary(torch: str) -> dict[str, Package]:
    """As PyPI: all pins, and what else they need, each with its real dependencies."""
    packages = {name: Package(version, _requires(name)) for name, version in _pins().items()}
    packages["torch"] = Package(torch, (*_requires("torch"), "nvidia-everything==13"))
    packages["nvidia-everything"] = Package("13")
    for package in tuple(packages.values()):
        for each in map(Requirement, package.requires):
            marked = each.marker is None or each.marker.evaluate({"extra": ""})
            name = canonicalize_name(each.name)
            if marked and name not in packages:
                packages[name] = Package(metadata.version(name), _requires(name))
    return packages


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("flavour", "extras"), [("cpu", "heic"), ("cu130", "heic"), ("cpu", "heic,ray")]
)
def test_the_documented_build_resolves_where_torchs_index_has_little_else(
    tmp_path: Path, flavour: str, extras: str
) -> None:
    """PyTorch's index has torch, and of what torch needs a few other versions than are pinned."""
    torch = _pins()["torch"]
    cuda = () if flavour == "cpu" else ("nvidia-some==1",)
    few = {
        "torch": Package(f"{torch}+{flavour}", (*_requires("torch"), *cuda)),
        "filelock": Package("3.13.1"),
        "jinja2": Package("3.1.4"),
        "numpy": Package("1.26.3"),
    }
    ordinary = {**_ordinary(torch), "nvidia-some": Package("1")}
    for name in ("constraints.txt", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    commands = _installing()
    assert len(commands) == 2
    with served({"torch": few, "simple": ordinary}) as indexes:
        variables = {
            "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(tmp_path),
            "TORCH_INDEX": f"{indexes.url}/torch",
            "TORCH": "torch",
            "EXTRAS": extras,
            "PIP_INDEX_URL": f"{indexes.url}/simple",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_CACHE_DIR": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }
        for command in (*commands, "pip check"):
            ran = subprocess.run(
                ["sh", "-ec", command],
                cwd=tmp_path,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        assert {name for index, name in indexes.taken if index == "torch"} == {"torch"}
        assert ("simple", "torch") not in indexes.taken
    listed = subprocess.run(
        [environment / "bin" / "python", "-m", "pip", "list", "--format=json"],
        capture_output=True,
        check=True,
    )
    found = {canonicalize_name(each["name"]): each["version"] for each in json.loads(listed.stdout)}
    assert found["torch"] == f"{torch}+{flavour}"
    assert ("nvidia-some" in found) == bool(cuda)
    assert "nvidia-everything" not in found
    pins = _pins()
    assert {n: v for n, v in found.items() if n in pins and n != "torch"}.items() <= pins.items()
    assert {"gradio", "diffusers", "pillow-heif"} <= set(found)
    assert ({"ray", "pyarrow", "s3fs"} <= set(found)) == ("ray" in extras)


def test_what_the_image_is_built_with_is_pinned() -> None:
    instructions = _instructions()
    (base,) = (line for line in instructions if line.startswith("ARG BASE="))
    assert re.fullmatch(r"ARG BASE=python:3\.12\.\d+-slim-bookworm@sha256:[0-9a-f]{64}", base)
    assert any(
        re.fullmatch(r"RUN python -m pip install pip==[\d.]+", line) for line in instructions
    )
    for line in instructions:
        if "pip wheel" in line:
            assert "--no-build-isolation" in line  # or it would fetch the newest build tools
        elif "pip install" in line and " pip==" not in line and "--no-index" not in line:
            assert "constraints.txt" in line
    backend = "hatchling"
    assert any(f"--constraint constraints.txt {backend}" in line for line in instructions)
    assert backend in _pins()


@pytest.mark.parametrize("service", ["cpu", "gpu", "ray-head", "ray-worker"])
def test_compose_bounds_memory_and_the_temporary_file_system(service: str) -> None:
    values = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    settings = values["services"][service]
    (temporary,) = settings["tmpfs"]
    assert re.match(r"/tmp:.*size=\$\{ICM_TMP:-\d+[mg]\}", temporary)
    assert re.fullmatch(r"\$\{ICM_MEMORY:-\d+g\}", settings["mem_limit"])
    assert settings["memswap_limit"] == settings["mem_limit"]
    assert settings["pids_limit"] > 0
    assert settings["read_only"] and settings["cap_drop"] == ["ALL"]


@pytest.mark.parametrize("service", ["cpu", "gpu"])
def test_compose_passes_the_page_s_variables_on(service: str) -> None:
    """All that the page's options name, but where it listens: that is the image's."""
    values = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    passed = values["services"][service]["environment"]
    named = {"ICM_MODEL", "ICM_DEVICE", *re.findall(r"ICM_[A-Z_]+", _page_options())}
    assert {"ICM_AUTH", "ICM_AUTH_FILE", "ICM_ALLOW_HOST", "ICM_PROXY"} < named
    assert sorted(passed) == sorted(named - {"ICM_HOST", "ICM_PORT"})


def _page_options() -> str:
    parser = ArgumentParser()
    add_options(parser)
    return "".join(parser.format_help().split())  # names may be broken at the ends of lines


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml", "README.md", "docs/container.md"])
def test_documented_commands_publish_to_loopback_and_write_as_the_caller(file: str) -> None:
    text = re.sub(r"\\\n\s*", "", (ROOT / file).read_text(encoding="utf-8"))
    for command in re.findall(r"^(?:# *)?(docker run .*)", text, flags=re.MULTILINE):
        assert all(port.startswith("127.0.0.1:") for port in re.findall(r" -p (\S+)", command))
        if ":/data" in command:
            assert '--user "$(id -u):$(id -g)"' in command


def test_the_documents_name_the_same_index() -> None:
    """One flavour of CUDA, and one that has wheels of the pinned torch."""
    named = {
        found
        for file in ("Dockerfile", "compose.yaml", "docs/container.md", "README.md")
        for found in re.findall(r"whl/(cu\d+)", (ROOT / file).read_text(encoding="utf-8"))
    }
    assert named == {"cu130"}
