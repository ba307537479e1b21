"""The folder of training pictures: cut-outs, labelled photographs, scenes, and what is held back.

Every tenth cut-out and every tenth background, by name, is never trained on: edges are measured
on them (`TrainingPictures.held_out`).
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from icm.errors import InputError
from icm.images import scaled_size
from icm.research.data.store import FORMAT, Described, Entry, PictureStore, open_store

Plane = NDArray[np.uint8]

LONGEST = {"cutout": 288, "photo": 448, "background": 320, "unlabelled": 192}
PICTOGRAM_LONGEST = 176
PICTOGRAMS = "noto_emoji"
PSEUDO = "pseudo"  # folder of photographs whose masks are pseudo-labels
MASK_SUFFIX = ".mask.png"
HOLD_BACK_EVERY = 10


@dataclass(frozen=True)
class Picture:
    """A picture with what is known about it; arrays are read-only and share one store.

    Attributes:
        name: path below the data's root, with forward slashes.
        category: kind of thing that it shows; of a background, `scene` (may show people) or `shop`.
        source: collection that it comes from.
        image: uint8 h w 3, RGB. Of a cut-out: its foreground colours.
        alpha: uint8 h w, or None for pictures without labels.
        uncertain: uint8 h w, 255 where `alpha` is a guess (polygon edges, pseudo alpha), or None.
        labels: uint8 h w, garment labels of `ccp_labels.json` (0 = none), or None.
    """

    name: str
    category: str
    source: str
    image: Plane
    alpha: Plane | None = None
    uncertain: Plane | None = None
    labels: Plane | None = None


@dataclass(frozen=True)
class HeldOut:
    """Held-out files, never trained on, to be read at full size for measuring edges."""

    cutouts: tuple[Path, ...]
    backgrounds: tuple[Path, ...]


@dataclass(frozen=True)
class TrainingPictures:
    """Training pictures, decoded and reduced; open with `TrainingPictures.open`."""

    root: Path
    cutouts: tuple[Picture, ...]
    photographs: tuple[Picture, ...]
    backgrounds: tuple[Picture, ...]
    unlabelled: tuple[Picture, ...]

    @classmethod
    def open(
        cls, root: str | Path, cache: str | Path, pseudo_labels: str | Path | None = None
    ) -> TrainingPictures:
        """Opens the folder of training pictures.

        Args:
            root: folder that holds `train/` and, if there are any, `unlabelled/`.
            cache: folder for the decoded pictures; filled at the first call (a minute), shared
                between processes afterwards.
            pseudo_labels: folder of masks of unlabelled photographs, which become photographs of
                the source `PSEUDO`; see `icm.research.data.pseudo_labels`.

        Raises:
            InputError: the folder has no `train/cutouts`, or a picture cannot be read; or there are
                no pseudo-labels, or some of other pictures.
        """
        root = Path(root)
        if not (root / "train" / "cutouts").is_dir():
            raise InputError(f"{root} holds no train/cutouts: not a folder of training pictures")
        files = _trainable_files(root)
        masks = () if pseudo_labels is None else pseudo_labelled(root, pseudo_labels)
        store = open_store(
            Path(cache),
            _fingerprint(root, files, masks),
            lambda: chain(_decode(root, files), _decode_pseudo(root, masks)),
        )
        by_role: dict[str, list[Picture]] = {role: [] for role in LONGEST}
        for entry in store.entries:
            by_role[entry.role].append(_picture(store, entry))
        return cls(
            root=root,
            cutouts=tuple(by_role["cutout"]),
            photographs=tuple(by_role["photo"]),
            backgrounds=tuple(by_role["background"]),
            unlabelled=tuple(by_role["unlabelled"]),
        )

    def held_out(self) -> HeldOut:
        """The cut-outs and backgrounds that are kept for measuring."""
        return held_out(self.root)


def held_out(root: str | Path) -> HeldOut:
    """Every tenth cut-out and every tenth background of the folder, in the order of their names."""
    train = Path(root) / "train"
    return HeldOut(
        cutouts=tuple(_files(train / "cutouts")[HOLD_BACK_EVERY - 1 :: HOLD_BACK_EVERY]),
        backgrounds=tuple(_files(train / "backgrounds")[HOLD_BACK_EVERY - 1 :: HOLD_BACK_EVERY]),
    )


def held_out_for_composites(root: str | Path) -> HeldOut:
    """As `held_out`, where composites can be made of it.

    Raises:
        InputError: there is nothing held back.
    """
    kept = held_out(root)
    if not kept.cutouts or len(kept.backgrounds) < 2:
        raise InputError(f"{root} holds no cut-outs and backgrounds that are kept from training")
    return kept


def pseudo_labelled(root: str | Path, folder: str | Path) -> tuple[tuple[Path, Path], ...]:
    """Unlabelled photographs and their masks; originals of held-back cut-outs are left out.

    Args:
        root: folder of training pictures.
        folder: masks `SOURCE/CATEGORY/NAME.mask.png` of `unlabelled/SOURCE/CATEGORY/NAME.*`.

    Raises:
        InputError: the folder holds no masks, or one of a photograph that is not there.
    """
    root, folder = Path(root), Path(folder)
    masks = sorted(folder.rglob(f"*{MASK_SUFFIX}"))
    if not masks:
        raise InputError(
            f"{folder} holds no pseudo-labels: make them with "
            "python -m icm.research.data.pseudo_labels"
        )
    originals = _originals(held_out(root).cutouts)
    named: dict[Path, dict[str, Path]] = {}
    found = []
    for mask in masks:
        stem = mask.name.removesuffix(MASK_SUFFIX)
        category = root / "unlabelled" / mask.parent.relative_to(folder)
        if category not in named:
            named[category] = {path.stem: path for path in _files(category)}
        photograph = named[category].get(stem)
        if photograph is None:
            raise InputError(f"{mask} is the mask of no photograph in {category}")
        if (photograph.parent.name.lower(), photograph.stem) not in originals:
            found.append((photograph, mask))
    return tuple(found)


def read_cutout(path: Path) -> Picture:
    """Reads an RGBA cut-out at its full size.

    Raises:
        InputError: the file is missing, unreadable or has no alpha.
    """
    pixels = _read(path, cv2.IMREAD_UNCHANGED)
    if pixels.ndim != 3 or pixels.shape[2] != 4:
        raise InputError(f"{path} has no alpha channel: cut-outs are RGBA")
    image = cv2.cvtColor(pixels, cv2.COLOR_BGRA2RGB)
    return Picture(path.name, path.parent.name, path.parent.parent.name, image, pixels[..., 3])


def read_image(path: Path) -> Plane:
    """Reads a picture as uint8 h w 3, RGB, at its full size."""
    return np.asarray(cv2.cvtColor(_read(path, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB), np.uint8)


def _files(folder: Path) -> list[Path]:
    suffixes = {".webp", ".jpg", ".jpeg", ".png"}
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in suffixes)


def _trainable_files(root: Path) -> list[tuple[str, Path]]:
    """Role and path of each picture; originals of held-back cut-outs are left out as well."""
    kept_back = held_out(root)
    excluded = {*kept_back.cutouts, *kept_back.backgrounds}
    originals = _originals(kept_back.cutouts)
    train = root / "train"
    found = [("cutout", path) for path in _files(train / "cutouts")]
    found += [("background", path) for path in _files(train / "backgrounds")]
    found += [
        ("photo", path) for path in _files(train / "photos") if path.suffix in {".jpg", ".jpeg"}
    ]
    found += [
        ("unlabelled", path)
        for path in _files(root / "unlabelled")
        if (path.parent.name.lower(), path.stem) not in originals
    ]
    return [(role, path) for role, path in found if path not in excluded]


def _originals(cutouts: Sequence[Path]) -> set[tuple[str, str]]:
    """Category, in small letters, and name of the photographs that cut-outs were keyed from.

    The folders of photographs are spelt as their source spells them, those of cut-outs are not.
    """
    return {(path.parent.name.lower(), path.stem) for path in cutouts}


def _fingerprint(
    root: Path, files: list[tuple[str, Path]], masks: Sequence[tuple[Path, Path]]
) -> str:
    digest = hashlib.sha256(repr((FORMAT, LONGEST, PICTOGRAM_LONGEST)).encode())
    for role, path in files:
        digest.update(f"{role} {path.relative_to(root)} {path.stat().st_size}\n".encode())
    for photograph, mask in masks:
        name = photograph.relative_to(root)
        digest.update(f"{PSEUDO} {name} {mask.stat().st_size}\n".encode())
    return digest.hexdigest()[:16]


def _categories(root: Path) -> dict[str, tuple[str, str]]:
    """Category and source by path, from `train/index.csv` where there is one."""
    index = root / "train" / "index.csv"
    if not index.is_file():
        return {}
    with index.open(encoding="utf-8", newline="") as file:
        return {row["image"]: (row["category"], row["source"]) for row in csv.DictReader(file)}


def _decode(root: Path, files: list[tuple[str, Path]]) -> Iterator[Described]:
    known = _categories(root)
    for role, path in files:
        name = path.relative_to(root).as_posix()
        category, source = known.get(name, (path.parent.name, path.parent.parent.name))
        if role == "cutout":
            longest = PICTOGRAM_LONGEST if source == PICTOGRAMS else LONGEST[role]
            planes = _cutout_planes(path, longest)
        elif role == "photo":
            planes = _photo_planes(path, LONGEST[role])
        else:
            if role == "background":  # scene_image_0004.jpg, shop_Apple_003.jpg
                category = path.stem.partition("_")[0]
            planes = _reduced(read_image(path), LONGEST[role])
        yield name, category, source, role, planes


def _decode_pseudo(root: Path, masks: Sequence[tuple[Path, Path]]) -> Iterator[Described]:
    for photograph, mask in masks:
        name = photograph.relative_to(root).as_posix()
        planes = _photo_planes(photograph, LONGEST["photo"], mask)
        yield name, photograph.parent.name, PSEUDO, "photo", planes


def _cutout_planes(path: Path, longest: int) -> Plane:
    """Colours and alpha, h w 4, cropped to the object; edge colours continue outwards."""
    cutout = read_cutout(path)
    alpha = cutout.alpha
    if alpha is None or int(alpha.max()) < 128:
        raise InputError(f"{path} is empty: its alpha is nowhere above one half")
    left, top, width, height = cv2.boundingRect((alpha > 8).astype(np.uint8))
    window = np.s_[top : top + height, left : left + width]
    weight = alpha[window].astype(np.float32)[..., None] * np.float32(1 / 255)
    premultiplied = _reduced(np.dstack([cutout.image[window] * weight, weight]), longest)
    spread = cv2.GaussianBlur(premultiplied, (0, 0), 3)
    known = premultiplied[..., 3:]
    ahead = premultiplied[..., :3] / np.maximum(known, 1e-3)
    behind = (spread[..., :3] + 1e-4 * _mean_colour(premultiplied)) / (spread[..., 3:] + 1e-4)
    straight = np.where(known > 0.02, ahead, behind)
    return np.clip(np.dstack([straight, known * 255]) + 0.5, 0, 255).astype(np.uint8)


def _mean_colour(premultiplied_hw4: NDArray[np.float32]) -> NDArray[np.float32]:
    total = premultiplied_hw4.reshape(-1, 4).sum(0, dtype=np.float64)
    return np.asarray(total[:3] / total[3], np.float32)


def _photo_planes(path: Path, longest: int, mask_path: Path | None = None) -> Plane:
    """Colours, alpha, uncertain band and garment labels, h w 6 (labels 0 where there are none)."""
    image = read_image(path)
    mask = _read(mask_path or path.with_suffix(MASK_SUFFIX), cv2.IMREAD_GRAYSCALE)
    if mask.shape != image.shape[:2]:
        raise InputError(
            f"{mask_path or path}: the mask has {mask.shape[1]} x {mask.shape[0]} pixels, its "
            f"photograph {image.shape[1]} x {image.shape[0]}"
        )
    alpha_path, labels_path = path.with_suffix(".alpha.png"), path.with_suffix(".labels.png")
    alpha = _read(alpha_path, cv2.IMREAD_GRAYSCALE) if alpha_path.is_file() else mask
    has_labels = labels_path.is_file()
    labels = _read(labels_path, cv2.IMREAD_GRAYSCALE) if has_labels else np.zeros_like(mask)
    width = max(3, round(0.018 * max(mask.shape))) | 1
    kernel = np.ones((width, width), np.uint8)
    solid = (mask > 127).astype(np.uint8)
    band = (cv2.dilate(solid, kernel) != cv2.erode(solid, kernel)) | (cv2.absdiff(alpha, mask) > 32)
    coloured = _reduced(np.dstack([image, alpha]), longest)
    uncertain = _reduced(np.where(band, 255, 0).astype(np.uint8), longest)
    size = (coloured.shape[1], coloured.shape[0])
    small_labels = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST)
    return np.dstack([coloured, uncertain, small_labels])


def _reduced(pixels: Plane | NDArray[np.float32], longest: int) -> NDArray[Any]:
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    scale = longest / max(height, width)
    size = scaled_size((width, height), scale)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))


def _read(path: Path, flags: int) -> Plane:
    pixels = cv2.imread(str(path), flags)
    if pixels is None:
        raise InputError(f"cannot read the picture {path}")
    return np.asarray(pixels, np.uint8)


def _picture(store: PictureStore, entry: Entry) -> Picture:
    planes = store.planes(entry)
    count = planes.shape[2]
    return Picture(
        name=entry.name,
        category=entry.category,
        source=entry.source,
        image=planes[..., :3],
        alpha=planes[..., 3] if count >= 4 else None,
        uncertain=planes[..., 4] if count == 6 else None,
        labels=planes[..., 5] if count == 6 and planes[..., 5].any() else None,
    )
