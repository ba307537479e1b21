"""Names and messages fit for files of text and for terminals, whatever bytes they hold."""

from __future__ import annotations

import re
from pathlib import PurePath

_LIKE_AN_ESCAPE = re.compile(r"\\x[0-9a-f]{2}")
# Control characters, marks that turn the direction of writing, line separators, lone surrogates.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str, *, one_line: bool = False) -> str:
    r"""The text with what a terminal would obey spelt out, as `\x1b`.

    Args:
        text: that holds names of files, or what other programs said.
        one_line: spell out line feeds too.
    """
    if one_line:
        text = text.replace("\n", r"\n")
    return _UNSEEN.sub(lambda found: _escape(found[0]), text)


def path_text(path: PurePath) -> str:
    """The path as text, with `/`; bytes that are no UTF-8 are spelt out.

    Different paths have different texts: a name that looks like one spelt out has its backslashes
    doubled.
    """
    return "/".join(_name_text(part) for part in path.as_posix().split("/"))


def _name_text(name: str) -> str:
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # no name of a file, as a lone surrogate from JSON
        raw = name.encode("utf-8", "surrogatepass")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.replace(b"\\", rb"\\").decode("utf-8", "backslashreplace")
    return text.replace("\\", r"\\") if _LIKE_AN_ESCAPE.search(text) else text


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
