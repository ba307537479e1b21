"""What a visitor is told of an error: its words, without the server's paths."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from icm import IcmError

logger = logging.getLogger(__name__)
# Folders in front of a file name. Not the slashes of an address, nor of a name's sub-folders.
_FOLDERS = re.compile(r"(?<![\w:/.~])~?/(?:[^\s/'\"]+/)+|(?<!\w)[A-Za-z]:\\(?:[^\s\\'\"]+\\)+")


def told(error: Exception, path: Path | None = None, name: str = "the file") -> str:
    """The text of an error for a visitor.

    Args:
        error: one of ours gives its words; any other goes to the log.
        path: a file of the server that the words may name.
        name: what the visitor calls that file.
    """
    if isinstance(error, IcmError):
        text = str(error)
        return without_folders(text if path is None else text.replace(str(path), name))
    logger.error("a request failed", exc_info=error)
    return "something went wrong on the server; its log has the details"


def without_folders(text: str) -> str:
    """A text in which of every absolute path only the last part is left."""
    return _FOLDERS.sub("", text)
