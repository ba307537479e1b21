"""Fenced blocks of a Markdown page."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELL, PYTHON = ("sh", "console"), ("python",)
SHOWN = ("text", "yaml", "json", "csv", "mermaid", "bibtex", "nginx")
NOT_RUN, SERVES = "no-run", "serves"
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```$", re.M | re.S
)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: path below the root.
        line: number of its first line.
        language: first word of the info string; '' where there is none.
        marks: the other words.
        code: what stands in it.
    """

    page: str
    line: int
    language: str
    marks: tuple[str, ...]
    code: str

    @property
    def runs(self) -> bool:
        """Whether it is executed."""
        return self.language in SHELL + PYTHON and NOT_RUN not in self.marks


def pages() -> list[Path]:
    """README, CONTRIBUTING and the pages of the documentation."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks_of(page: Path) -> list[Block]:
    """All fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page.relative_to(ROOT).as_posix(),
            text.count("\n", 0, match.start()) + 1,
            *_info(match["info"]),
            textwrap.dedent(match["code"]),
        )
        for match in _FENCE.finditer(text)
    ]


def _info(text: str) -> tuple[str, tuple[str, ...]]:
    language, *marks = text.split() or [""]
    return language, tuple(marks)
