"""What a visitor is told of an error: its words, without the server's paths."""

from __future__ import annotations

import logging
from pathlib import Path

from icm import IcmError

logger = logging.getLogger(__name__)


def told(error: Exception, path: Path | None = None, name: str = "the file") -> str:
    """The text of an error for a visitor.

    Args:
        error: one of ours gives its words; any other goes to the log.
        path: a file of the server that the words may name.
        name: what the visitor calls that file.
    """
    if isinstance(error, IcmError):
        text = str(error)
        return text if path is None else text.replace(str(path), name)
    logger.error("a request failed", exc_info=error)
    return "something went wrong on the server; its log has the details"
