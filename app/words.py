"""Words for a visitor: choices, and errors without the server's paths."""

from __future__ import annotations

import logging
import re
import tempfile
from pathlib import Path

from icm import Absent, IcmError, InputError

MAYBE = "maybe not in this picture"
ABSENT: dict[Absent, str] = {
    "keep": "Keep its cut-out",
    "empty": "Leave it empty",
    "skip": "Skip the picture",
}
ABOUT_CONFIDENCE = (
    "The percentage beside a result says how likely the object is in the picture, not how good the "
    "cut-out is."
)

logger = logging.getLogger(__name__)
# Folders in front of a file name. Not the slashes of an address, nor of a name's sub-folders.
_FOLDERS = re.compile(
    r"(?:(?<![\w:/.~])~?|\bfile://)/(?:[^\s/'\"]+/)+|(?<!\w)[A-Za-z]:\\(?:[^\s\\'\"]+\\)+"
)
# The same in quotes, where names may have spaces.
_QUOTED = re.compile(r"(?<=')~?/[^'\n]*/(?=[^'/\n]*')|(?<=\")~?/[^\"\n]*/(?=[^\"/\n]*\")")


def absent_of(name: str) -> Absent:
    """What becomes of pictures that the object may be missing from, by its name.

    Raises:
        InputError: there is no such choice.
    """
    for choice in ABSENT:
        if choice == name:
            return choice
    raise InputError(f"'{name[:20]}' is no choice: use {', '.join(ABSENT)}")


def public_message(error: Exception, path: Path | None = None, name: str = "the file") -> str:
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
    """A text in which of every absolute path only the last part is left.

    A space ends a path, unless it stands in quotes or in the name of a folder that is known: the
    temporary one, where all files of the page lie, the user's and the current one.
    """
    for known in (tempfile.gettempdir(), str(Path.home()), str(Path.cwd())):
        text = text.replace(f"{known.rstrip('/')}/", "/_/")
    return _FOLDERS.sub("", _QUOTED.sub("", text))
