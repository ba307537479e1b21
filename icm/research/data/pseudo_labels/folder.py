"""The folder of pseudo-labels: a mask for each photograph that passes all checks, and its sheets.

Only masks are written, `SOURCE/CATEGORY/NAME.mask.png`; the photographs stay where they are, below
`unlabelled/` of the training pictures. Every category is one row of `rows.jsonl`, and those that
are there are not done again.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.random import Generator
from torch import Tensor

from icm.errors import InputError
from icm.research.data.pictures import held_out, read_cutout, read_image
from icm.research.data.pseudo_labels.cosegmentation import Member, centred, cosegment
from icm.research.data.pseudo_labels.cycle import Marked, passes_cycle
from icm.research.data.pseudo_labels.outline import outlined, plausible
from icm.research.data.pseudo_labels.photograph import Encode, Encoded, Plane, to_grid
from icm.research.data.pseudo_labels.sheet import Verdict, contact_sheet

log = logging.getLogger(__name__)

ROWS = "rows.jsonl"
SHEETS = "sheets"
CLUTTER = frozenset({"BACKGROUND_Google"})  # folders that hold no category
SURROUNDINGS_FROM = 6  # photographs of each category, whose borders show what is around things
BORDER_STEP = 3  # every third token of the border is enough
SURROUNDINGS = 6000  # tokens, at most
LEAST_KEPT = 4  # photographs, below which a category is left out: too few to be sure of any


@dataclass(frozen=True)
class Plan:
    """How much is labelled.

    Attributes:
        photographs: of each category, at most.
        keyed: of these at most so many have a cut-out, whose alpha anchors the others.
        seed: of the sampling.
    """

    photographs: int = 60
    keyed: int = 15
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """What became of a category.

    Attributes:
        category: its folder below `unlabelled/`, as `SOURCE/CATEGORY`.
        photographs: that were looked at.
        keyed: of these, with the alpha of a cut-out.
        kept: masks that were written.
    """

    category: str
    photographs: int
    keyed: int
    kept: int


@dataclass(frozen=True)
class _Photograph:
    path: Path
    image: Plane
    encoded: Encoded
    alpha: Plane | None


def make_pseudo_labels(
    data: Path, out: Path, encode: Encode, plan: Plan | None = None
) -> tuple[Row, ...]:
    """Writes the masks and contact sheets of all categories.

    Originals of held-back cut-outs are not looked at.

    Args:
        data: folder of training pictures with `unlabelled/SOURCE/CATEGORY/`.
        out: folder for the masks; finished categories in it are kept.
        encode: gives the features of a photograph.
        plan: how much is labelled.

    Raises:
        InputError: there are no unlabelled photographs, or one cannot be read.
    """
    plan = plan or Plan()
    chosen = _chosen(data, plan)
    if not chosen:
        raise InputError(f"{data} holds no unlabelled/SOURCE/CATEGORY with photographs")
    out.mkdir(parents=True, exist_ok=True)
    path = out / ROWS
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = {row.category: row for row in (Row(**json.loads(line)) for line in lines)}
    left = [category for category in chosen if category not in rows]
    borders, mean_c = _surroundings(chosen, encode) if left else ({}, torch.zeros(0))
    for category in left:
        around_mc = _other_borders(borders, category, mean_c, plan.seed)
        members = [
            _Photograph(file, image, encode(image), _true_alpha(data, file, image))
            for file, image in ((file, read_image(file)) for file in chosen[category])
        ]
        rows[category] = _label(category, members, around_mc, mean_c, out=out, seed=plan.seed)
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(rows[category])) + "\n")
        log.info("%s: %d of %d", category, rows[category].kept, rows[category].photographs)
    return tuple(rows[category] for category in chosen)


def _chosen(data: Path, plan: Plan) -> dict[str, list[Path]]:
    """Photographs to look at by category, those with cut-outs first."""
    held = {(cutout.parent.name.lower(), cutout.stem) for cutout in held_out(data).cutouts}
    found = {}
    for folder in sorted((data / "unlabelled").glob("*/*/")):
        if folder.name in CLUTTER:
            continue
        files = [
            file
            for file in sorted(folder.iterdir())
            if file.suffix.lower() in {".jpg", ".jpeg", ".png", ".webp"}
            and (folder.name.lower(), file.stem) not in held
        ]
        category = folder.relative_to(data / "unlabelled").as_posix()
        rng = _generator(plan.seed, category)
        keyed = [file for file in files if _cutout_of(data, file) is not None][: plan.keyed]
        rest = [file for file in files if _cutout_of(data, file) is None]
        order = rng.permutation(len(rest))[: max(0, plan.photographs - len(keyed))]
        if keyed or len(order):
            found[category] = [*keyed, *(rest[int(number)] for number in order)]
    return found


def _cutout_of(data: Path, photograph: Path) -> Path | None:
    """The cut-out that was keyed from a photograph."""
    source, category = photograph.parent.parent.name, photograph.parent.name
    for name in dict.fromkeys((category, category.lower())):
        for suffix in (".webp", ".png"):
            path = data / "train" / "cutouts" / source / name / f"{photograph.stem}{suffix}"
            if path.is_file():
                return path
    return None


def _true_alpha(data: Path, file: Path, image: Plane) -> Plane | None:
    """Alpha of the photograph's cut-out, where that has kept its frame."""
    cutout = _cutout_of(data, file)
    if cutout is None:
        return None
    alpha = read_cutout(cutout).alpha
    return alpha if alpha is not None and alpha.shape == image.shape[:2] else None


def _surroundings(
    chosen: dict[str, list[Path]], encode: Encode
) -> tuple[dict[str, Tensor], Tensor]:
    """Border tokens of some photographs of each category, and the mean of all their tokens."""
    borders, means = {}, []
    for category, files in chosen.items():
        tokens = []
        for file in files[-SURROUNDINGS_FROM:]:
            seen = encode(read_image(file))
            means.append(seen.token_nc.mean(dim=0))
            border_hw = torch.ones(seen.grid, dtype=torch.bool)
            border_hw[1:-1, 1:-1] = False
            tokens.append(seen.token_nc[border_hw.flatten()][::BORDER_STEP])
        borders[category] = torch.cat(tokens)
    return borders, torch.stack(means).mean(dim=0)


def _other_borders(borders: dict[str, Tensor], category: str, mean_c: Tensor, seed: int) -> Tensor:
    others = [tokens for name, tokens in borders.items() if name != category]
    if not others:
        return mean_c.new_zeros(0, len(mean_c))
    token_mc = torch.cat(others)
    order = _generator(seed, f"around {category}").permutation(len(token_mc))[:SURROUNDINGS]
    return centred(token_mc[torch.from_numpy(order)], mean_c)


def _label(
    category: str,
    members: Sequence[_Photograph],
    around_mc: Tensor,
    mean_c: Tensor,
    *,
    out: Path,
    seed: int,
) -> Row:
    """Finds, checks and writes the masks of a category."""
    shares = cosegment(
        [
            Member(
                centred(each.encoded.token_nc, mean_c),
                each.encoded.class_kn,
                each.encoded.grid,
                None if each.alpha is None else to_grid(each.alpha, each.encoded.grid),
            )
            for each in members
        ],
        around_mc,
    )
    verdicts = []
    for each, share_n in zip(members, shares, strict=True):
        share = rearrange(share_n, "(h w) -> h w", h=each.encoded.grid[0]).numpy()
        mask = outlined(each.image, share) if each.alpha is None else each.alpha
        if mask is None:
            verdicts.append(Verdict(each.image, np.zeros(each.image.shape[:2], np.uint8), "lost"))
            continue
        sound = each.alpha is not None or plausible(mask, share)
        verdicts.append(Verdict(each.image, mask, "" if sound else "outline"))
    verdicts = _cycled(category, members, verdicts, seed)
    kept = [number for number, verdict in enumerate(verdicts) if verdict.kept]
    if len(kept) >= LEAST_KEPT:
        for number in kept:
            _write(out / category / f"{members[number].path.stem}.mask.png", verdicts[number].mask)
    _write(out / SHEETS / f"{category.replace('/', '_')}.jpg", contact_sheet(verdicts))
    return Row(
        category,
        len(members),
        sum(each.alpha is not None for each in members),
        len(kept) if len(kept) >= LEAST_KEPT else 0,
    )


def _cycled(
    category: str, members: Sequence[_Photograph], verdicts: Sequence[Verdict], seed: int
) -> list[Verdict]:
    """The verdicts, after the cycle check among the photographs that have a mask."""
    marked = [
        Marked(each.encoded.token_nc, to_grid(verdict.mask, each.encoded.grid))
        for each, verdict in zip(members, verdicts, strict=True)
    ]
    rng = _generator(seed, f"cycle {category}")
    result = []
    for number, verdict in enumerate(verdicts):
        confirmed = passes_cycle(number, marked, rng)
        rejected = verdict.rejected or ("" if confirmed else "cycle")
        result.append(Verdict(verdict.image, verdict.mask, rejected))
    return result


def _generator(seed: int, words: str) -> Generator:
    """Random numbers of a category, whichever others there are."""
    return np.random.default_rng([seed, *words.encode()])


def _write(path: Path, pixels: Plane) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if pixels.ndim == 3:
        pixels = np.ascontiguousarray(pixels[..., ::-1])
    if not cv2.imwrite(str(path), pixels):
        raise InputError(f"cannot write {path}")
