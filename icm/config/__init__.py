"""Configuration models, without any tensor library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["Config", "apply_overrides", "load_config", "parse_config"]

if TYPE_CHECKING:
    from icm.config.base import Config, apply_overrides, load_config, parse_config


def __getattr__(name: str) -> Any:
    """Imports them when they are first used: the command line's help need not wait for pydantic."""
    if name not in __all__:
        raise AttributeError(f"module 'icm.config' has no attribute '{name}'")
    from icm.config import base  # noqa: PLC0415 - slow to import

    return getattr(base, name)
