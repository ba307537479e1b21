"""What is evaluated on: groups of pictures that show the same thing, with their true alpha."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from icm.images import read_image
from icm.research.evaluation.predictor import Marked, Pixels, Plane

Label = Literal["mask", "pseudo_alpha", "alpha"]
THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture with its truth.

    Attributes:
        image: uint8 h w 3, RGB.
        alpha: true alpha, float32 h w in [0, 1].
        mask: bool h w, what is marked when the picture is a reference.
        unknown: bool h w, the unknown band; None where the set has none.
    """

    image: Pixels
    alpha: Plane
    mask: NDArray[np.bool_]
    unknown: NDArray[np.bool_] | None = None

    @property
    def marked(self) -> Marked:
        """The picture as a reference."""
        return Marked(self.image, self.mask)


@dataclass(frozen=True)
class Member:
    """A picture of a group; `read` gives its pixels when they are needed."""

    name: str
    read: Callable[[], Sample]


@dataclass(frozen=True)
class Group:
    """Pictures of one object, or of one kind.

    Attributes:
        name: unique within its set.
        kind: what it shows; a wrong reference shows another kind.
        set_name: of the set that it belongs to.
        label: how good the truth is: masks, alpha guessed from masks, or alpha.
        members: at least two.
    """

    name: str
    kind: str
    set_name: str
    label: Label
    members: tuple[Member, ...]

    @property
    def soft(self) -> bool:
        """Whether the truth has soft edges."""
        return self.label != "mask"


@dataclass(frozen=True)
class AbsentPair:
    """A reference, and a target that does not contain its object."""

    set_name: str
    group: str
    reference: Member
    target: Member


def selected(
    groups: Sequence[Group], sets: Sequence[str] = (), most: int | None = None
) -> tuple[Group, ...]:
    """Groups of the named sets (none named: of all), at most so many of each set."""
    kept: list[Group] = []
    for group in groups:
        before = sum(other.set_name == group.set_name for other in kept)
        if (not sets or group.set_name in sets) and (most is None or before < most):
            kept.append(group)
    return tuple(kept)


def wrong_reference(
    groups: Sequence[Group], group: Group, index: int, seed: int
) -> tuple[Group, Member] | None:
    """Draws a picture of another kind in the place of a group's own reference; None: no other.

    Args:
        groups: to draw from; `group` is one of them.
        group: whose targets are matted.
        index: of the reference whose place it takes; each gets a draw of its own.
        seed: of the draw.
    """
    others = [other for other in groups if other.kind != group.kind]
    if not others:
        return None
    names = [(other.set_name, other.name) for other in groups]
    position = names.index((group.set_name, group.name))
    generator = np.random.default_rng([seed, position, index])
    other = others[int(generator.integers(len(others)))]
    return other, other.members[int(generator.integers(len(other.members)))]


def read_pixels(path: Path) -> Pixels:
    """A photograph as uint8 h w 3, upright."""
    return np.rint(read_image(path).rgb * 255).astype(np.uint8)


def read_plane(path: Path) -> Plane:
    """A grey map as float32 h w in [0, 1]; of colours the brightest channel, of RGBA the alpha."""
    picture = read_image(path)
    plane = picture.alpha if picture.alpha is not None else picture.rgb.max(axis=2)
    return np.asarray(plane, np.float32)


def cached(group: Group) -> Group:
    """The same group, each member read at most once for as long as the group is held."""
    members = []
    for member in group.members:
        kept: list[Sample] = []

        def read(member: Member = member, kept: list[Sample] = kept) -> Sample:
            if not kept:
                kept.append(member.read())
            return kept[0]

        members.append(Member(member.name, read))
    return replace(group, members=tuple(members))
