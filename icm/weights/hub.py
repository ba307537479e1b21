"""Weights from a model hub: mirrors in order, hashes checked, offline mode respected.

The hub's own client does the transfer (it resumes after a drop, renames into place when complete,
and shares its cache with other programs); this module decides where to look, checks what came, and
says in words what to do when nothing came.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
from huggingface_hub import errors

from icm.config.diffusion import HubMirror, HubWeights, WeightFile
from icm.errors import WeightsError
from icm.weights.hashes import verify_file

log = logging.getLogger(__name__)

SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class HubFile:
    """A file of a hub snapshot that lies on this machine.

    Attributes:
        path: where it lies.
        wanted: what the configuration says of it.
        announced_sha256: hash that the hub announced when it was fetched; None for small files,
            which the hub does not hash so.
    """

    path: Path
    wanted: WeightFile
    announced_sha256: str | None


def find_snapshot(weights: HubWeights) -> Path | None:
    """Folder of the first mirror whose files all lie in the hub's cache; never uses the network."""
    for mirror in weights.mirrors:
        try:
            return _snapshot(mirror, weights, local_only=True)
        except errors.LocalEntryNotFoundError:
            continue
    return None


def fetch_snapshot(weights: HubWeights) -> Path:
    """Folder with all files: from the cache, else from the first mirror that delivers them intact.

    Raises:
        WeightsError: no mirror delivered; the message says why for each, and what to do.
    """
    found = find_snapshot(weights)
    if found is not None:
        return found
    if huggingface_hub.is_offline_mode():
        raise WeightsError(
            "the Stable Diffusion weights are not in the cache and offline mode is on: unset "
            f"HF_HUB_OFFLINE and run 'icm weights fetch' once, or {_by_hand(weights)}"
        )
    log.info(
        "fetching %.1f GB of Stable Diffusion weights; their licence is %s (%s)",
        weights.gigabytes,
        weights.licence,
        weights.licence_url,
    )
    failures = []
    for mirror in weights.mirrors:
        try:
            return _snapshot(mirror, weights, local_only=False)
        except WeightsError as error:
            failures.append(f"{mirror.repository}: {error}")
        except Exception as error:
            reason = _reason(error, mirror, weights)
            if reason is None:
                raise
            failures.append(f"{mirror.repository}: {reason}")
        log.warning("mirror failed: %s", failures[-1])
    raise WeightsError(
        f"no mirror delivered the Stable Diffusion weights ({'; '.join(failures)}). Run "
        f"'icm weights fetch' again to go on, or {_by_hand(weights)}"
    )


def snapshot_files(folder: Path, weights: HubWeights) -> list[HubFile]:
    """The wanted files of a snapshot folder, with the hashes that the hub announced."""
    return [_hub_file(folder / file.path, file) for file in _all_files(weights)]


def verify_snapshot(folder: Path, weights: HubWeights) -> list[HubFile]:
    """Checks all files of a snapshot against their configured or announced hashes.

    Returns:
        The files for which there is no hash to compare with.

    Raises:
        WeightsError: a file is missing, or its size or hash differs.
    """
    return [file for file in snapshot_files(folder, weights) if not _verify(file)]


def _verify(file: HubFile) -> bool:
    return verify_file(
        file.path,
        file.wanted,
        announced_sha256=file.announced_sha256,
        remedy="delete it if it is there, and run 'icm weights fetch'",
    )


def _snapshot(mirror: HubMirror, weights: HubWeights, *, local_only: bool) -> Path:
    folder = Path()
    for wanted in _all_files(weights):
        before = None if local_only else _cached(mirror, wanted)
        path = Path(
            huggingface_hub.hf_hub_download(
                mirror.repository,
                wanted.path,
                revision=mirror.revision,
                local_files_only=local_only,
            )
        )
        folder = path.parents[len(Path(wanted.path).parts) - 1]
        if not local_only and (before is None or before != path):
            _check_fresh(_hub_file(path, wanted))
    return folder


def _check_fresh(file: HubFile) -> None:
    """Verifies a file that was just fetched; one that fails does not stay."""
    try:
        _verify(file)
    except WeightsError:
        blob = Path(os.path.realpath(file.path))
        file.path.unlink(missing_ok=True)
        blob.unlink(missing_ok=True)
        raise


def _cached(mirror: HubMirror, wanted: WeightFile) -> Path | None:
    try:
        return Path(
            huggingface_hub.hf_hub_download(
                mirror.repository, wanted.path, revision=mirror.revision, local_files_only=True
            )
        )
    except errors.LocalEntryNotFoundError:
        return None


def _hub_file(path: Path, wanted: WeightFile) -> HubFile:
    # The hub's cache names large files by the SHA-256 that the server announced.
    blob = Path(os.path.realpath(path)).name
    return HubFile(path, wanted, blob if SHA256.fullmatch(blob) else None)


def _all_files(weights: HubWeights) -> Iterable[WeightFile]:
    return (*weights.files, *weights.text_files)


def _reason(error: Exception, mirror: HubMirror, weights: HubWeights) -> str | None:
    """Message for a failure of the hub's client, with what to do; None if it is a bug."""
    meanings: tuple[tuple[type[Exception], str], ...] = (
        (
            errors.GatedRepoError,
            f"accept the licence {weights.licence} on the repository's page, then log in with "
            "'hf auth login'",
        ),
        (
            errors.RepositoryNotFoundError,
            "the repository is not there, or it is private: log in with 'hf auth login'",
        ),
        (errors.RevisionNotFoundError, f"it has no revision '{mirror.revision}'"),
        (errors.RemoteEntryNotFoundError, f"a file is missing there: {_one_line(error)}"),
        (errors.HfHubHTTPError, f"the server refused: {_one_line(error)}"),
        (
            errors.LocalEntryNotFoundError,
            "the server cannot be reached: check connection, proxy and firewall",
        ),
        (OSError, f"the transfer failed: {_one_line(error)}"),
    )
    for kind, meaning in meanings:
        if isinstance(error, kind):
            return meaning
    # The HTTP library's own errors; its name differs between versions of the hub's client.
    if type(error).__module__.startswith(("httpx", "requests")):
        return f"the transfer broke off: {_one_line(error)}"
    return None


def _by_hand(weights: HubWeights) -> str:
    return (
        "get the files from elsewhere and name their place with '--backbone PATH' (a folder in the "
        "diffusers layout with unet/, vae/ and scheduler/, or a single .safetensors file; licence "
        f"{weights.licence}: {weights.licence_url})"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
