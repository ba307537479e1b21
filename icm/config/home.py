"""The one folder below which everything lies that the program keeps between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from icm.errors import ConfigError


def cache_root() -> Path:
    """`ICM_HOME` if it is set, else `icm` in the platform's cache folder; may not exist yet.

    Raises:
        ConfigError: the user has no home, and no variable names a folder.
    """
    named = os.environ.get("ICM_HOME", "").strip()
    if named:
        return Path(named).expanduser()
    if sys.platform not in ("win32", "darwin") and os.environ.get("XDG_CACHE_HOME"):
        return Path(os.environ["XDG_CACHE_HOME"]) / "icm"
    try:
        home = Path.home()
    except RuntimeError as error:  # a user that the system does not know, and no HOME
        raise ConfigError(
            "this user has no home folder: set ICM_HOME to a folder for what is kept between runs"
        ) from error
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "icm" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "icm"
    return home / ".cache" / "icm"
