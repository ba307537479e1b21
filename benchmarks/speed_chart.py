"""Draws `docs/speed.svg`: processor seconds of `benchmarks/speed_steps.json`, before and after.

    python benchmarks/speed_chart.py [MEASUREMENT.json]

A file that `benchmarks/small_speed.py` has written serves as well.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FOLDER = Path(__file__).resolve().parent
COLOURS = ("#9aa5b1", "#2f6f9f", "#2a8f5b")
LEFT, BAR, GAP, WIDTH = 250, 18, 16, 420


def main() -> None:
    """Reads the measurement and writes the picture."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER / "speed_steps.json"
    found = json.loads(source.read_text(encoding="utf-8"))
    picture = chart(groups_of(found))
    (FOLDER.parent / "docs" / "speed.svg").write_text(picture, encoding="utf-8")


def groups_of(found: dict[str, Any]) -> dict[str, dict[str, dict[str, float]]]:
    """Spread of processor seconds by what was measured, then by checkout."""
    groups: dict[str, dict[str, dict[str, float]]] = dict(found.get("processor seconds", {}))
    for tree, targets in found.get("a megapixel", {}).items():
        for target, stages in targets.items():
            for stage, times in stages.items():
                name = f"{target}: {stage}"
                groups.setdefault(name, {})[tree] = times["processor seconds"]
    for tree, times in found.get("first matte of a process", {}).items():
        groups.setdefault("first matte of a process", {})[tree] = times["processor seconds"]
    return groups


def chart(groups: dict[str, dict[str, dict[str, float]]]) -> str:
    """Horizontal bars of medians, with lines from the least to the most."""
    most = max(spread["most"] for bars in groups.values() for spread in bars.values())
    parts, top = [], 34
    for title, bars in groups.items():
        middle = top + len(bars) * BAR / 2 + 4
        parts.append(
            f'<text x="{LEFT - 10}" y="{middle:.0f}" text-anchor="end">{escape(title)}</text>'
        )
        for colour, (tree, spread) in zip(COLOURS, bars.items(), strict=False):
            parts += _bar(colour, tree, spread, top, WIDTH / most)
            top += BAR
        top += GAP
    size = f'width="{LEFT + WIDTH + 130}" height="{top}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">'
    )
    title = f'<text x="{LEFT}" y="20">processor seconds: median, least and most</text>'
    return "\n".join(
        [head, '<rect width="100%" height="100%" fill="white"/>', title, *parts, "</svg>\n"]
    )


def _bar(colour: str, tree: str, spread: dict[str, float], top: float, scale: float) -> list[str]:
    length, middle = spread["median"] * scale, top + BAR / 2
    first, last = (LEFT + spread[end] * scale for end in ("least", "most"))
    return [
        f'<rect x="{LEFT}" y="{top}" width="{length:.1f}" height="{BAR - 3}" fill="{colour}"/>',
        f'<line x1="{first:.1f}" x2="{last:.1f}" y1="{middle}" y2="{middle}" stroke="black"/>',
        f'<text x="{max(LEFT + length, last) + 6:.1f}" y="{top + BAR - 5}">'
        f"{spread['median']:.2f} {escape(tree)}</text>",
    ]


if __name__ == "__main__":
    main()
