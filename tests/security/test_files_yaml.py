"""Configurations that were made to break something: refused in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from icm.cli import main
from icm.config import apply_overrides, load_config
from icm.config.model import ModelConfig
from icm.errors import ConfigError

LAUGHS = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
)

HOSTILE = {
    "deep list": "name: " + "[" * 50_000,
    "deep closed list": "name: " + "[" * 400 + "]" * 400,
    "deep mapping": "{a: " * 5_000,
    "refers to itself": "name: &self [*self]",
    "refers to itself as a mapping": "&top\nname: *top\n",
    "a thousand million laughs": LAUGHS,
    "no date": "name: 2024-99-99",
    "no number": "seed: 0b",
    "a list as a key": "? [a, b]\n: c",
    "a number as a key": "1: 2",
    "a class": "name: !!python/object/apply:os.mkdir [owned]",
    "a long number": "seed: " + "9" * 5_000,
    "lone half of a character": 'weights: "\\ud800"',
    "a zero byte": 'weights: "\\0"',
    "control characters": 'name: "\\e[2J"\nnonsense: 1',
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.yaml"
    path.write_text(HOSTILE[name])
    words = ["matte", "a.png", "--reference", "b.png", "-o", "out", "--model", str(path)]
    assert main(words) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("icm matte: ") and len(printed) < 2_000
    assert "\x1b" not in printed
    assert not (tmp_path / "owned").exists() and not (tmp_path / "out").exists()


@pytest.mark.parametrize("value", ["[" * 50_000, "&a [*a]", "2024-99-99", "{? [a] : b}"])
def test_a_hostile_override(value: str) -> None:
    with pytest.raises(ConfigError):
        apply_overrides({"name": "x"}, [f"input.size={value}"])


def test_a_key_of_great_depth() -> None:
    with pytest.raises(ConfigError, match="nested"):
        apply_overrides({}, [".".join("a" * 5_000) + "=1"])


def test_something_else_than_a_file(tmp_path: Path) -> None:
    for name, target in (("endless.yaml", "/dev/zero"), ("folder.yaml", tmp_path)):
        (tmp_path / name).symlink_to(target)
        with pytest.raises(ConfigError, match=name):
            load_config(ModelConfig, tmp_path / name)
