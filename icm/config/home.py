"""The one folder below which everything lies that the program keeps between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_root() -> Path:
    """`ICM_HOME` if it is set, else `icm` in the platform's cache folder; may not exist yet."""
    named = os.environ.get("ICM_HOME", "").strip()
    if named:
        return Path(named).expanduser()
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "icm" / "cache"
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "icm"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "icm"
