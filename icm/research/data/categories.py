"""Categories of pictures: cut-outs that look alike, photographs of a kind, garments."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from icm.errors import InputError
from icm.research.data.pictures import Picture, TrainingPictures

# Categories of cut-outs in which one member is a fair reference for another.
LOOK_ALIKE = frozenset(
    {
        *("airplanes", "motorbikes", "strawberry", "sunflower", "starfish", "soccer_ball"),
        *("pizza", "scorpion", "crab", "crayfish", "lobster", "dragonfly"),
        *("butterfly", "trilobite", "cougar_face", "cougar_body", "panda", "stapler"),
        *("watch", "revolver", "wrench", "scissors", "lotus", "wheelchair"),
        *("windsor_chair", "umbrella", "inline_skate", "laptop", "grand_piano", "electric_guitar"),
        *("mandolin", "saxophone", "euphonium", "nautilus", "hedgehog", "rooster"),
        *("stegosaurus", "sea_horse", "tick", "ant", "bonsai", "ewer"),
        *("barrel", "okapi", "dolphin", "hawksbill", "flamingo", "camera"),
        *("headphone", "cat", "person"),
    }
)

# Labels that annotators use for the same thing, joined; the others stand alone.
GARMENTS: Mapping[str, tuple[str, ...]] = {
    "bag": ("bag", "purse", "wallet"),
    "shoes": (
        *("shoes", "boots", "flats", "heels", "loafers", "pumps"),
        *("sandals", "sneakers", "wedges", "clogs"),
    ),
    "trousers": ("pants", "jeans", "leggings"),
    "coat": ("coat", "jacket", "blazer", "cape"),
    "jumper": ("sweater", "jumper", "cardigan", "sweatshirt", "hoodie"),
    "shirt": ("shirt", "blouse", "t-shirt", "top", "bodysuit", "vest"),
    "stockings": ("stockings", "tights"),
    **{name: (name,) for name in ("dress", "skirt", "hair", "hat", "scarf", "shorts", "suit")},
}
LEAST_GARMENT = 0.01


@dataclass(frozen=True)
class Garment:
    """A garment, bag or hair, and the photographs that show it.

    Attributes:
        name: what it is.
        values: its labels in `Picture.labels`.
        members: photographs in which it covers at least one hundredth.
    """

    name: str
    values: tuple[int, ...]
    members: tuple[Picture, ...]


def by_category(pictures: tuple[Picture, ...]) -> dict[str, tuple[Picture, ...]]:
    """Pictures by category, in the order of names."""
    found: dict[str, list[Picture]] = defaultdict(list)
    for picture in pictures:
        found[picture.category].append(picture)
    return {category: tuple(members) for category, members in sorted(found.items())}


def garments(pictures: TrainingPictures) -> tuple[Garment, ...]:
    """Garments that at least two photographs show; none where `ccp_labels.json` is missing.

    Raises:
        InputError: `ccp_labels.json` is no list of label names.
    """
    path = pictures.root / "ccp_labels.json"
    labelled = [picture for picture in pictures.photographs if picture.labels is not None]
    if not path.is_file() or not labelled:
        return ()
    try:
        names = list(json.loads(path.read_text(encoding="utf-8"))["labels"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path}: expected an object with a list 'labels'") from error
    shares = [_label_shares(picture) for picture in labelled]
    result = []
    for garment, members in GARMENTS.items():
        values = tuple(names.index(member) for member in members if member in names)
        showing = tuple(
            picture
            for picture, share in zip(labelled, shares, strict=True)
            if sum(share[value] for value in values) > LEAST_GARMENT
        )
        if len(showing) >= 2:
            result.append(Garment(garment, values, showing))
    return tuple(result)


def _label_shares(picture: Picture) -> list[float]:
    """Share of the picture that each label covers, 256 numbers."""
    if picture.labels is None:
        return [0.0] * 256
    coarse = picture.labels[::2, ::2]
    return [float(count) / coarse.size for count in np.bincount(coarse.ravel(), minlength=256)]
