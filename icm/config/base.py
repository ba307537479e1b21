"""Strict YAML configuration: frozen models, misspelt keys named, values set from the command line.

Every knob of the program is a field of some `Config`. A file or an override that names an unknown
key is an error that lists the valid ones, so that a typing error never silently does nothing.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from icm.errors import ConfigError

Width = Annotated[int, Field(ge=1, le=4096)]  # channels; above lie only slips of the finger


class Config(BaseModel):
    """Base of all configuration models: immutable, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


C = TypeVar("C", bound=Config)

_DEEPEST = 32  # keys below keys; the largest configuration has 5
_SHOWN = 200  # characters of a value in a message
_MOST = 10_000  # values; aliases count each time, as some lines of them make thousands of millions


def load_config(kind: type[C], path: str | Path, overrides: Sequence[str] = ()) -> C:
    """Reads a YAML file into a configuration model.

    Args:
        kind: the configuration model to build.
        path: the YAML file.
        overrides: `key.sub=value` strings that replace values of the file; values are YAML.

    Raises:
        ConfigError: the file is missing or no YAML, a key is unknown, or a value does not fit.
    """
    return parse_config(kind, read_values(path, overrides), source=str(path))


def read_values(path: str | Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Plain values of a YAML file, with overrides applied; raises as `load_config`."""
    path = Path(path)
    try:
        if path.exists() and not path.is_file():  # a device may never end
            raise ConfigError(f"cannot read the configuration {path}: it is no regular file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a text file, so not a configuration") from error
    values = _plain_values(text, str(path))
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: expected keys and values, found {type(values).__name__}")
    return apply_overrides(values, overrides)


def parse_config(kind: type[C], values: Mapping[str, Any], *, source: str) -> C:
    """Builds a configuration model from plain values; `source` names them in errors."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{source}: {explain(error, kind)}") from error


def apply_overrides(values: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Returns `values` with `a.b=value` overrides applied; the argument is left as it is.

    A whole number between dots picks a list's item: `decoder.stages.0.kernel=5`.
    """
    result: dict[str, Any] = _copy(values)
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"'{override}' is no key=value: write for example seed=3")
        shown = override if len(override) <= _SHOWN else f"{override[:_SHOWN]}..."
        path = key.strip().split(".")
        if len(path) > _DEEPEST:
            raise ConfigError(f"'{shown}' is nested too deeply")
        _assign(result, path, _plain_values(text, f"'{shown}'"), shown)
    return result


def explain(error: ValidationError, kind: type[BaseModel]) -> str:
    """One line per fault: the wrong key, the value found and what would be valid."""
    lines = []
    for item in error.errors():
        path = [str(part) for part in item["loc"]]
        if item["type"] == "extra_forbidden":
            lines.append(_unknown_key(path, kind))
        elif item["type"] == "missing":
            lines.append(f"'{'.'.join(path)}' is missing")
        else:
            message = item["msg"].removeprefix("Value error, ")
            found = repr(item["input"])
            found = found if len(found) <= _SHOWN else f"{found[:_SHOWN]}..."
            lines.append(f"'{'.'.join(path)}' is {found}: {message}")
    return "; ".join(dict.fromkeys(lines))


def _unknown_key(path: list[str], kind: type[BaseModel]) -> str:
    owner = _model_at(kind, path[:-1])
    valid = sorted(owner.model_fields) if owner else []
    near = difflib.get_close_matches(path[-1], valid, n=1)
    hint = f", did you mean '{near[0]}'?" if near else ""
    listing = f" (valid: {', '.join(valid)})" if valid else ""
    return f"unknown key '{'.'.join(path)}'{hint}{listing}"


def _model_at(kind: type[BaseModel], path: list[str]) -> type[BaseModel] | None:
    """The model that owns the key at `path`; tags of unions in the path name their member."""
    candidates: list[type[BaseModel]] = [kind]
    for part in path:
        following: list[type[BaseModel]] = []
        for owner in candidates:
            field = owner.model_fields.get(part)
            if field is not None:
                following += _models_in(field.annotation)
            elif _has_tag(owner, part) or part.isdigit():
                following.append(owner)
        candidates = following or candidates
    return candidates[0] if candidates else None


def _has_tag(owner: type[BaseModel], tag: str) -> bool:
    field = owner.model_fields.get("kind")
    return field is not None and tag in getattr(field.annotation, "__args__", ())


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    found: list[type[BaseModel]] = []
    for part in getattr(annotation, "__args__", ()):
        found += _models_in(part)
    return found


def _plain_values(text: str, source: str) -> Any:
    """What a YAML text holds; its size and depth are bounded, so that the rest may recurse."""
    try:
        values = yaml.safe_load(text)
    except RecursionError as error:
        raise ConfigError(f"{source} is nested too deeply") from error
    except Exception as error:  # PyYAML's constructors raise anything on odd values
        raise ConfigError(f"{source} is not valid YAML: {_one_line(error)[:_SHOWN]}") from error
    count, level = 0, [values]
    for _ in range(_DEEPEST):
        count += len(level)
        if count > _MOST:
            raise ConfigError(f"{source} holds more than {_MOST} values")
        level = [inner for value in level for inner in _inside(value)]
        if not level:
            return values
    raise ConfigError(f"{source} is nested too deeply, or refers to itself")


def _inside(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(item) for item in value]
    return value


def _assign(values: dict[str, Any], path: list[str], value: Any, override: str) -> None:
    node: Any = values
    for part in path[:-1]:
        node = _step(node, part, override)
    if isinstance(node, dict):
        node[path[-1]] = value
    elif isinstance(node, list) and path[-1].isdigit() and int(path[-1]) < len(node):
        node[int(path[-1])] = value
    else:
        raise ConfigError(f"'{override}': '{path[-1]}' has no place there")


def _step(node: Any, part: str, override: str) -> Any:
    if isinstance(node, dict):
        if node.get(part) is None:
            node[part] = {}
        return node[part]
    if isinstance(node, list) and part.isdigit() and int(part) < len(node):
        return node[int(part)]
    raise ConfigError(f"'{override}': '{part}' has no place there")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
