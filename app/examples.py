"""The example of the page: a marked photo and pictures, rendered by this project."""

from __future__ import annotations

from pathlib import Path

PHOTO = "toy.jpg"
MASK = "toy_mask.png"
TARGETS = (
    "photos/table.jpg",
    "photos/shelf.jpg",
    "photos/garden/bench.jpg",
    "photos/garden/path.jpg",
)
_HERE = Path(__file__).resolve()
_PLACES = (_HERE.with_name("examples"), _HERE.parents[1] / "docs" / "examples")


def example(name: str) -> Path:
    """The file of an example picture, of an installed package or of a checkout."""
    return next((place / name for place in _PLACES if place.is_dir()), _PLACES[0] / name)
