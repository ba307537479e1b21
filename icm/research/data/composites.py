"""Pairs that are composed: one object on two scenes, with other objects in both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from icm.config.data import PairSettings
from icm.research.data import augment
from icm.research.data.compositing import Sprite
from icm.research.data.drafts import Draft
from icm.research.data.pictures import Picture, TrainingPictures
from icm.research.data.procedural import MadeUpObject, draw_object
from icm.research.data.scenes import (
    Placed,
    Scene,
    bent,
    between,
    compose,
    draw_distractor_pose,
    draw_pose,
    moved,
    recoloured,
    settle,
)
from icm.research.data.sprites import SpriteStock, Stocked, cut_out, mean_colour
from icm.research.data.views import View

Plane = NDArray[np.uint8]

PLAIN_GROUND = 0.06
GROUND_SHARES = (0.35, 0.45, 0.2)  # backgrounds, unlabelled, photographs (what they show distracts)

# Pictures of these categories show what a photograph of the key may be taken for.
BIG_CATS = frozenset({"wild_cat", "cougar_body", "cougar_face", "Leopards"})
CONFUSABLE = {
    "person": frozenset({"person", "Faces", "Faces_easy", "BACKGROUND_Google", "scene"}),
    "cat": BIG_CATS | {"cat"},
    **{name: BIG_CATS | {"cat"} for name in BIG_CATS},
    **{
        name: frozenset(alike)
        for alike in (
            ("motorbikes", "Motorbikes"),
            ("crocodile", "crocodile_head"),
            ("ketch", "schooner", "ferry"),
            ("stegosaurus", "brontosaurus"),
            ("Faces_easy", "person", "Faces", "BACKGROUND_Google", "scene"),
            ("butterfly", "mayfly", "dragonfly"),
        )
        for name in alike
        if name not in ("person", "Faces", "BACKGROUND_Google", "scene")
    },
    "water_lilly": frozenset({"lotus", "water_lilly"}),
    "ibis": frozenset({"flamingo", "flamingo_head", "ibis"}),
    "flamingo_head": frozenset({"flamingo", "flamingo_head", "ibis"}),
    "flamingo": frozenset({"flamingo", "flamingo_head", "ibis"}),
    "lotus": frozenset({"lotus", "water_lilly"}),
    "chair": frozenset({"chair", "windsor_chair"}),
    "windsor_chair": frozenset({"chair", "windsor_chair"}),
    "lobster": frozenset({"lobster", "crayfish"}),
    "crayfish": frozenset({"lobster", "crayfish"}),
}


@dataclass(frozen=True)
class Cast:
    """The object of a pair, as it looks in the reference and in the target.

    Attributes:
        reference: as seen in the reference.
        target: as seen in the target: the same, or of the same kind.
        excluded: categories that must appear in neither picture beside it.
        colour: its mean colour, 3, in [0, 255].
        made_up_company: share of made-up objects beside it, so that being made up tells nothing.
    """

    reference: Sprite
    target: Sprite
    excluded: frozenset[str]
    colour: NDArray[np.float32]
    made_up_company: float = 0.12


class CompositeMaker:
    """Composes pairs from cut-outs, made-up objects and scenes.

    Args:
        pictures: pictures that may be trained on.
        settings: sizes, shares and difficulty.
    """

    def __init__(self, pictures: TrainingPictures, settings: PairSettings) -> None:
        self._settings = settings
        shares = zip(
            (pictures.backgrounds, pictures.unlabelled, pictures.photographs),
            GROUND_SHARES,
            strict=True,
        )
        grounds = [(members, share) for members, share in shares if members]
        self._grounds = [members for members, _ in grounds]
        weights = np.array([share for _, share in grounds])
        self._ground_shares = weights / max(weights.sum(), 1e-9)
        self._skins = pictures.unlabelled or pictures.backgrounds
        self.stock = SpriteStock(
            pictures.cutouts,
            pictures.photographs,
            photo_share=settings.photo_cutouts,
            pictogram_share=settings.pictograms,
        )

    def composite(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """A cut-out, or two that look alike, on two scenes."""
        return self._two_scenes(self._cast(rng, difficulty), rng, difficulty, present)

    def procedural(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """A made-up object in two poses, on two scenes."""
        return self._two_scenes(self._made_up_cast(rng), rng, difficulty, present)

    def of_category(
        self, category: str, rng: Generator, difficulty: float
    ) -> tuple[View, frozenset[str]]:
        """A cut-out of a category on a scene, and what a picture without it must not show."""
        members = self.stock.members(category)
        chosen = Stocked(members[int(rng.integers(len(members)))], from_photo=False)
        sprite, excluded = cut_out(chosen, rng), CONFUSABLE.get(category, frozenset({category}))
        cast = Cast(sprite, sprite, excluded, mean_colour(chosen.picture))
        scene = self._scene(cast, sprite, rng, difficulty)
        strength = between(0.2, 0.7, difficulty)
        return compose(scene, rng, colour_strength=strength, damage=difficulty), excluded

    def video(self, rng: Generator, difficulty: float, present: bool) -> Draft:
        """One scene at two moments; in an absent pair the object has left it."""
        cast = self._made_up_cast(rng) if rng.random() < 0.25 else self._cast(rng, difficulty)
        scene = self._scene(cast, cast.reference, rng, difficulty)
        later = replace(
            scene,
            background=_shaken(scene.background, rng),
            behind=tuple(moved(other, rng, 0.6) for other in scene.behind),
            before=tuple(moved(other, rng, 0.6) for other in scene.before),
            item=moved(scene.item, rng, 1.0) if present and scene.item else None,
        )
        mild = 0.5 * difficulty
        return Draft(
            compose(scene, rng, colour_strength=0.3, damage=mild),
            compose(later, rng, colour_strength=0.3 * difficulty, damage=difficulty),
            exact=cast.target.exact,
            excluded=cast.excluded,
        )

    def crowd(
        self,
        count: int,
        excluded: frozenset[str],
        rng: Generator,
        difficulty: float,
        *,
        made_up: float = 0.12,
    ) -> list[Placed]:
        """Other objects of none of the excluded categories; a share of them is made up."""
        sprites = [
            self._object(rng).view(rng)
            if rng.random() < made_up
            else cut_out(self.stock.draw(rng, without=excluded), rng)
            for _ in range(count)
        ]
        return [self._posed(sprite, rng, difficulty) for sprite in sprites]

    def empty_view(self, excluded: frozenset[str], rng: Generator, difficulty: float) -> View:
        """A scene with one to three salient objects, none of a excluded category."""
        count = int(rng.integers(1, 4))
        others = tuple(self.crowd(count, excluded, rng, difficulty))
        background, ground = self._background(excluded, rng)
        scene = Scene(background, others, None, (), ground)
        strength = between(0.2, 0.7, difficulty)
        return compose(scene, rng, colour_strength=strength, damage=difficulty)

    def _cast(self, rng: Generator, difficulty: float) -> Cast:
        chosen = self.stock.draw(rng)
        other = chosen
        if rng.random() < self._settings.sibling:
            other = self.stock.sibling(chosen, rng)
        reference = cut_out(chosen, rng)
        target = reference if other is chosen else cut_out(other, rng)
        if rng.random() < between(0.15, 0.45, difficulty):
            target = bent(target, rng, difficulty)
        category = chosen.picture.category
        return Cast(
            reference,
            target,
            CONFUSABLE.get(category, frozenset({category})),
            mean_colour(chosen.picture),
        )

    def _made_up_cast(self, rng: Generator) -> Cast:
        made = self._object(rng)
        reference, target = made.view(rng), made.view(rng)
        colour = mean_colour(Picture("", "", "", reference.image, reference.alpha))
        return Cast(reference, target, frozenset(), colour, made_up_company=0.45)

    def _object(self, rng: Generator) -> MadeUpObject:
        skins = self._skins
        skin = skins[int(rng.integers(len(skins)))].image if skins else None
        return draw_object(rng, size=self._settings.size, skin=skin)

    def _two_scenes(self, cast: Cast, rng: Generator, difficulty: float, present: bool) -> Draft:
        first = self._scene(cast, cast.reference, rng, difficulty)
        second = self._scene(cast, cast.target, rng, difficulty)
        if rng.random() < 0.35:  # the same company in both: only the mask tells who is meant
            others = [Placed(p.sprite, draw_distractor_pose(rng, difficulty)) for p in first.behind]
            second = replace(second, behind=tuple(others))
        if not present:
            behind = second.behind or tuple(self.crowd(1, cast.excluded, rng, difficulty))
            second = replace(second, behind=behind, item=None)
        strength = between(0.2, 0.7, difficulty)
        return Draft(
            compose(first, rng, colour_strength=strength, damage=difficulty),
            compose(second, rng, colour_strength=strength, damage=difficulty),
            exact=cast.target.exact,
            excluded=cast.excluded,
        )

    def _scene(self, cast: Cast, sprite: Sprite, rng: Generator, difficulty: float) -> Scene:
        settings = self._settings
        most = between(settings.distractors_easy, settings.distractors_hard, difficulty)
        count = int(rng.integers(0, int(np.floor(most + rng.random())) + 1))
        company = cast.made_up_company
        others = self.crowd(count, cast.excluded, rng, difficulty, made_up=company)
        if others and rng.random() < between(0.15, 0.5, difficulty):
            twin = self.stock.of_like_colour(cast.colour, rng, without=cast.excluded)
            others[0] = self._posed(cut_out(twin, rng), rng, difficulty)
        behind_count = int(rng.binomial(count, 0.65))
        lit = recoloured(sprite, rng, between(0.25, 0.75, difficulty))
        pose = settle(lit, draw_pose(rng, difficulty), settings.size, settings.least_area * 1.5)
        background, ground = self._background(cast.excluded, rng)
        return Scene(
            background,
            tuple(others[:behind_count]),
            Placed(lit, pose),
            tuple(others[behind_count:]),
            ground,
        )

    def _posed(self, sprite: Sprite, rng: Generator, difficulty: float) -> Placed:
        return Placed(recoloured(sprite, rng, 0.5), draw_distractor_pose(rng, difficulty))

    def _background(self, excluded: frozenset[str], rng: Generator) -> tuple[Plane, str]:
        """A background and its category, which is not excluded; a plain one has none."""
        size = self._settings.size
        if not self._grounds or rng.random() < PLAIN_GROUND:
            return _plain(rng, size), ""
        pictures = self._grounds[int(rng.choice(len(self._grounds), p=self._ground_shares))]
        for _ in range(20):
            picture = pictures[int(rng.integers(len(pictures)))]
            if picture.category not in excluded:
                scene = augment.crop_scene(picture.image, rng, size)
                return augment.jitter_colours(scene, rng, 0.4), picture.category
        return _plain(rng, size), ""


def _plain(rng: Generator, size: int) -> Plane:
    """Studio ground: one colour, shaded smoothly."""
    colour = rng.uniform(10, 245, 3)
    shade = augment.smooth_field(rng, (size, size), 2)[..., None] * rng.uniform(0, 25)
    return np.asarray(np.clip(colour + shade, 0, 255), np.uint8)


def _shaken(background: Plane, rng: Generator) -> Plane:
    """The background as a camera sees it a moment later."""
    size = background.shape[0]
    matrix = cv2.getRotationMatrix2D(
        (size / 2, size / 2), float(rng.uniform(-3, 3)), float(rng.uniform(1.0, 1.12))
    )
    matrix[:, 2] += rng.uniform(-0.05, 0.05, 2) * size
    return np.asarray(
        cv2.warpAffine(background, matrix, (size, size), borderMode=cv2.BORDER_REFLECT_101)
    )
