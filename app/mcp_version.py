"""Whether the optional package `mcp` is here, in a version that the agents' server works with."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from icm import InputError

# 1.29 bounds a request's body and cancels calls whose client has gone; 2 has another interface.
_LEAST, _BELOW = (1, 29), (2, 0)
_REMEDY = "pip install 'in-context-matting[mcp]', or 'mcp>=1.29,<2'"


def check_mcp() -> None:
    """Refuses to start without it.

    Raises:
        InputError: it is missing, or of another version.
    """
    try:
        found = version("mcp")
    except PackageNotFoundError:
        raise InputError(f"--mcp needs the package mcp, which is not here: {_REMEDY}") from None
    major, minor, *_ = (int(part) for part in found.split(".")[:2])
    if not _LEAST <= (major, minor) < _BELOW:
        raise InputError(f"--mcp does not work with mcp {found}: {_REMEDY}")
