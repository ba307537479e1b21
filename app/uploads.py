"""What comes in: uploads are limited, checked and made visible; each error says what to do."""

from __future__ import annotations

import hashlib
import math
import secrets
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from icm import InputError, Picture, Reference, image_size, read_image, read_mask

from .removal import forget_removed
from .session import Photo, Session, Target
from .settings import MEGAPIXEL, Settings

EASEL_PIXELS = 1_000_000  # of the working copy that is painted on: a mask needs no more
EASEL_SIDE = 3000  # a browser's canvas is sure to hold this
THUMBNAIL = 240
_DECODERS = threading.Semaphore(2)  # a decoded photograph takes a quarter of a gigabyte
_ILLEGAL = dict.fromkeys([*range(32), 127, *map(ord, '<>:"|?*\\/')], "_")


def add_photo(session: Session, upload: Path, name: str, settings: Settings) -> str:
    """Puts an uploaded photograph of the object on the easel; its own alpha marks the object."""
    _check_room(len(session.photos), settings.max_photos, "photos of the object")
    picture = decoded(upload, settings)
    key, folder = session.new_folder("r")
    path = upload.rename(folder / "photo")
    shown = easel_size(picture.size)
    shown_path = folder / "shown.png"
    _picture_as_bytes(picture, shown).save(shown_path)
    photo = Photo(key, _base(name), path, picture.size, shown, shown_path)
    if picture.alpha is not None and 0 < (picture.alpha >= 0.5).mean() < 1:
        photo.mask_path = folder / "mask.png"
        save_mask(picture.alpha, photo.mask_path)
        photo.digest = _digest(photo)
    _place(session, photo, settings)
    return key


def add_reference_file(session: Session, upload: Path, name: str, settings: Settings) -> str:
    """Adds a reference that was downloaded before."""
    _check_room(len(session.photos), settings.max_photos, "photos of the object")
    saved = Reference.load(upload)
    key, folder = session.new_folder("r")
    path = upload.rename(folder / "reference.icmref")
    thumbnail = saved.thumbnails[0]
    shown_path, mask_path = folder / "shown.png", folder / "mask.png"
    Image.fromarray(thumbnail[..., :3]).save(shown_path)
    save_mask(np.divide(thumbnail[..., 3], 255, dtype=np.float32), mask_path)
    size = thumbnail.shape[0], thumbnail.shape[1]
    photo = Photo(key, _base(name), path, size, size, shown_path, mask_path, saved)
    photo.digest = _digest(photo)
    _place(session, photo, settings)
    return key


def set_mask(session: Session, key: str, upload: Path, settings: Settings) -> None:
    """Marks the object of a photo by an uploaded mask or cut-out of the same size."""
    photo = session.photo(key)
    if photo.saved is not None:
        raise InputError("a saved reference holds its marks already")
    check_size(upload, settings)
    with _DECODERS:
        mask = read_mask(upload, photo.size)
    _mark(session, photo, mask)


def set_painting(session: Session, key: str, upload: Path) -> None:
    """Marks the object by what was painted on the working copy; an empty painting unmarks it."""
    photo = session.photo(key)
    if photo.saved is not None:
        raise InputError("a saved reference cannot be painted on")
    with Image.open(upload, formats=("PNG",)) as image:
        if image.size != photo.shown[::-1] or image.mode != "RGBA":
            raise InputError("the painting does not fit its photo: reload the page")
        painted = np.divide(np.asarray(image)[..., 3], 255, dtype=np.float32)
    _mark(session, photo, painted if (painted >= 0.5).any() else None)


def add_target(
    session: Session,
    upload: Path,
    name: str,
    settings: Settings,
    order: float = 0.0,
    *,
    source: str = "",
) -> str:
    """Adds a picture to matte; those that were removed before are gone for good.

    Args:
        session: whose picture it becomes.
        upload: the file; it is moved.
        name: what the visitor calls it.
        settings: the limits.
        order: places it among those that were sent at once; 0 for the end.
        source: key of the photo of the object that it is a copy of; such a one is added once.

    Returns:
        The picture's key; that of the copy which is here already, if there is one.
    """
    _check_room(len(session.targets), settings.max_pictures, "pictures")
    picture = decoded(upload, settings)
    key, folder = session.new_folder("t")
    path = upload.rename(folder / "picture")
    _picture_as_bytes(picture, fitted(picture.size, THUMBNAIL)).save(folder / "thumbnail.webp")
    with session.lock:
        if (copy := _copy_of(source, session)) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            return copy.key
        _check_room(len(session.targets), settings.max_pictures, "pictures", folder)
        forget_removed(session)
        order = order or math.inf
        target = Target(key, safe_name(name), path, picture.size, source=source, order=order)
        session.targets.insert(_place_of(target, session.targets), target)
        session.changed()
    return key


def _place_of(target: Target, among: Sequence[Target]) -> int:
    """Before the pictures at the end that were chosen after it, though they came before it."""
    place = len(among)
    while place and target.order < among[place - 1].order < math.inf:
        place -= 1
    return place


def add_photo_as_target(session: Session, key: str, settings: Settings) -> None:
    """Offers a photo of the object to be cut out itself."""
    photo = session.photo(key)
    if photo.saved is not None:
        raise InputError("a saved reference holds no photograph: add the photograph itself")
    with session.lock:
        if _copy_of(key, session) is not None:
            return
    copy = Path(shutil.copy(photo.path, session.folder / f"copy-{secrets.token_hex(8)}"))
    try:
        add_target(session, copy, photo.name, settings, source=key)
    finally:
        copy.unlink(missing_ok=True)
    session.measure()


def _copy_of(source: str, session: Session) -> Target | None:
    """The picture that is a copy of a photo of the object."""
    return next((each for each in session.targets if source and each.source == source), None)


def set_background(session: Session, upload: Path, settings: Settings) -> None:
    """Takes an uploaded picture as the background of composites."""
    picture = decoded(upload, settings)
    _, folder = session.new_folder("b")
    path = upload.rename(folder / "picture")
    shown = fitted(picture.size, 2000)
    _picture_as_bytes(picture, shown).save(folder / "shown.webp", quality=85)
    with session.lock:
        before = session.background_path
        session.background, session.background_path = "picture", path
        session.changed()
    if before is not None:
        shutil.rmtree(before.parent, ignore_errors=True)


def decoded(path: Path, settings: Settings) -> Picture:
    """Decodes a picture that is not above the limit of pixels."""
    check_size(path, settings)
    with _DECODERS:
        return read_image(path)


def check_size(path: Path, settings: Settings) -> None:
    """Refuses too many pixels by the file's header alone.

    Raises:
        InputError: it is too large, or no picture.
    """
    height, width = image_size(path)
    if width * height > settings.max_pixels:
        raise InputError(
            f"the picture has more than {settings.max_pixels / MEGAPIXEL:g} megapixels: "
            "make it smaller, or use the command line"
        )


def safe_name(name: str) -> PurePath:
    """A visitor's relative path without anything that leaves its folder or breaks a disk."""
    parts = [
        part.translate(_ILLEGAL).strip(" .")[:120]
        for part in PurePosixPath(name.replace("\\", "/")).parts
    ]
    kept = [part for part in parts if part][-8:]
    return PurePath(*kept) if kept else PurePath("picture")


def easel_size(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the working copy of a photo."""
    scale = min(1.0, (EASEL_PIXELS / (size[0] * size[1])) ** 0.5, EASEL_SIDE / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def fitted(size: tuple[int, int], longest: int) -> tuple[int, int]:
    """A size of the same proportions whose longer side is at most so long."""
    scale = min(1.0, longest / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def save_mask(mask: NDArray[np.float32], path: Path) -> None:
    """Writes a mask in [0, 1] as a grey PNG."""
    Image.fromarray(np.rint(mask * 255).astype(np.uint8)).save(path)


def mask_at(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A stored mask as grey h w at another size."""
    with Image.open(path) as image:
        resized = image.convert("L").resize(size[::-1], Image.Resampling.BILINEAR)
    return np.asarray(resized)


def _mark(session: Session, photo: Photo, mask: NDArray[np.float32] | None) -> None:
    if mask is not None:
        path = photo.path.with_name("mask.png")
        save_mask(mask, path)
    with session.lock:
        photo.mask_path = None if mask is None else path
        photo.digest = _digest(photo)
        photo.version += 1
        session.marks_changed()


def _digest(photo: Photo) -> str:
    """Of photo and marks; the key stands for the photo, which never changes."""
    if photo.mask_path is None:
        return ""
    return photo.key + hashlib.sha256(photo.mask_path.read_bytes()).hexdigest()


def _place(session: Session, photo: Photo, settings: Settings) -> None:
    with session.lock:
        folder = photo.path.parent
        _check_room(len(session.photos), settings.max_photos, "photos of the object", folder)
        session.photos.append(photo)
        session.chosen_photo = photo.key
        session.marks_changed()


def _picture_as_bytes(picture: Picture, size: tuple[int, int]) -> Image.Image:
    return Image.fromarray(np.rint(picture.at(size) * 255).astype(np.uint8))


def _check_room(here: int, most: int, what: str, folder: Path | None = None) -> None:
    """Refuses one more than there may be; nothing of it stays in its folder."""
    if here >= most:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise InputError(
            f"{most} {what} are here already: remove some first, or use the command line for "
            "large folders"
        )


def _base(name: str) -> str:
    return safe_name(name).name
