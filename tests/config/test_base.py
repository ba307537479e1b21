"""Strict configuration: misspelt keys are named, overrides reach every corner."""

from __future__ import annotations

from pathlib import Path

import pytest

from icm.config import Config, apply_overrides, load_config, parse_config
from icm.config.locate import TEST_MODELS, bundle_root, bundled_config, model_names
from icm.config.model import ModelConfig
from icm.config.training import load_training
from icm.errors import ConfigError


class Inner(Config):
    kernel: int = 3


class Outer(Config):
    name: str
    inner: Inner = Inner()
    stages: tuple[Inner, ...] = ()


def write(folder: Path, text: str) -> Path:
    path = folder / "some.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_reads_values_and_defaults(tmp_path: Path) -> None:
    outer = load_config(Outer, write(tmp_path, "name: a\ninner: {kernel: 5}"))
    assert (outer.name, outer.inner.kernel, outer.stages) == ("a", 5, ())


def test_a_misspelt_key_is_named_with_the_nearest_valid_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown key 'inner\.kernal', did you mean 'kernel'"):
        load_config(Outer, write(tmp_path, "name: a\ninner: {kernal: 5}"))


def test_a_misspelt_key_of_a_bundled_model_lists_the_keys_of_its_own_part() -> None:
    values = {
        "name": "x",
        "backbone": {"kind": "small", "chanels": [1, 2, 3]},
        "network": {"kind": "small"},
    }
    with pytest.raises(ConfigError, match=r"chanels'.*'channels'.*head_width"):
        parse_config(ModelConfig, values, source="test")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'name' is missing"),
        ("- 1", "expected keys and values"),
        ("name: [", "not valid YAML"),
        ("name: a\ninner: {kernel: wide}", r"'inner\.kernel' is 'wide'"),
    ],
)
def test_wrong_files_say_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(Outer, write(tmp_path, text))


def test_a_missing_file_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load_config(Outer, tmp_path / "none.yaml")


def test_overrides_reach_nested_values_and_list_items_and_leave_the_original() -> None:
    values = {"name": "a", "inner": {"kernel": 3}, "stages": [{"kernel": 1}, {"kernel": 2}]}
    changed = apply_overrides(values, ["inner.kernel=7", "stages.1.kernel=9", "name=b"])
    outer = parse_config(Outer, changed, source="test")
    assert (outer.name, outer.inner.kernel, outer.stages[1].kernel) == ("b", 7, 9)
    assert values == {
        "name": "a",
        "inner": {"kernel": 3},
        "stages": [{"kernel": 1}, {"kernel": 2}],
    }


@pytest.mark.parametrize("override", ["kernel", "=3", "stages.5.kernel=1", "name.deep=1"])
def test_overrides_that_reach_nothing_are_errors(override: str) -> None:
    values = {"name": "a", "stages": [{"kernel": 1}]}
    with pytest.raises(ConfigError):
        apply_overrides(values, [override])


def test_configurations_are_immutable() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Inner().kernel = 5  # type: ignore[misc]  # that is the point


def test_every_bundled_configuration_is_valid() -> None:
    models = [*model_names(), *TEST_MODELS]
    assert {"small", "sd21", "training_free", "tiny"} <= set(models)
    files = [path.stem for path in (bundle_root() / "configs").glob("*.yaml")]
    assert set(models) < set(files)
    for name in files:
        path = bundled_config(name)
        load_config(ModelConfig, path) if name in models else load_training(path)


def test_an_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"unknown model 'big'.*small"):
        bundled_config("big")


def test_a_model_for_tests_can_be_named_but_is_not_offered() -> None:
    assert bundled_config("tiny").is_file()
    assert not {"tiny"} & set(model_names())
    with pytest.raises(ConfigError) as caught:
        bundled_config("big")
    assert "tiny" not in str(caught.value)


def test_bundled_files_lie_below_one_root() -> None:
    assert (bundle_root() / "configs" / "small.yaml").is_file()
