"""SHA-256 of files, and the refusal of a file with another content than expected."""

from __future__ import annotations

import hashlib
from pathlib import Path

from icm.config.diffusion import WeightFile
from icm.errors import WeightsError

BLOCK = 1 << 22  # 4 MiB a read: flat memory whatever the file's size


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's content.

    Raises:
        WeightsError: the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError as error:
        raise WeightsError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()


def verify_file(
    path: Path, wanted: WeightFile, *, announced_sha256: str | None = None, remedy: str
) -> bool:
    """Refuses a file with another content than expected.

    Args:
        path: the file.
        wanted: its size and hash as far as the configuration knows them.
        announced_sha256: what its server said, used where the configuration knows no hash.
        remedy: what the user should do, the end of the error's sentence.

    Returns:
        Whether there was a hash to compare with.

    Raises:
        WeightsError: the file is missing, its size or its hash is another one, or it cannot be
            read.
    """
    if not path.is_file():
        raise WeightsError(f"{path} is missing: {remedy}")
    size = path.stat().st_size
    if wanted.bytes is not None and size != wanted.bytes:
        raise WeightsError(f"{path} has {size} bytes, expected {wanted.bytes}: {remedy}")
    expected = wanted.sha256 or announced_sha256
    if expected is None:
        return False
    found = sha256_of(path)
    if found != expected:
        raise WeightsError(
            f"{path} is damaged or another file than it says, SHA-256 is {found}, expected "
            f"{expected}: {remedy}"
        )
    return True
