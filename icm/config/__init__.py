"""Configuration models, without any tensor library."""

from icm.config.base import Config, apply_overrides, load_config, parse_config

__all__ = ["Config", "apply_overrides", "load_config", "parse_config"]
