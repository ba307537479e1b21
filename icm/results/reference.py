"""A marked reference as a value: computed once, used for any number of targets, saved to a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from icm.errors import InputError, OutputError
from icm.images import written_aside
from icm.images.signature import file_kind
from icm.printable import visible
from icm.results.network import Example, Features

FORMAT = 1
_MOST = 10_000  # photographs, or maps of one
SUFFIX = ".icmref"


@dataclass(frozen=True)
class Reference:
    """One or several marked photographs of an object, as a model sees them.

    Attributes:
        examples: features (batch 1, float32, on the CPU) and mask of each photograph, and of the
            zoomed parts of those with a small object.
        thumbnails: uint8 h w 4 of each photograph, small; alpha is the mask.
        model: name of the model that computed them.
        fingerprint: SHA-256 of its configuration and weights; no other model can use it.
    """

    examples: tuple[Example, ...]
    thumbnails: tuple[NDArray[np.uint8], ...]
    model: str
    fingerprint: str

    def __add__(self, other: Reference) -> Reference:
        """Joins references of the same model into one of several photographs."""
        if not isinstance(other, Reference):
            return NotImplemented
        check_model(other, self.model, self.fingerprint)
        return Reference(
            self.examples + other.examples,
            self.thumbnails + other.thumbnails,
            self.model,
            self.fingerprint,
        )

    def save(self, path: str | Path) -> Path:
        """Writes the reference as `.icmref` (safetensors); the suffix is added where it is missing.

        Raises:
            OutputError: the file cannot be written; nothing is left behind.
        """
        path = Path(path)
        if not path.name or path.is_dir():
            raise OutputError(f"'{path}' is a folder: name the reference's file, as cat{SUFFIX}")
        if path.suffix != SUFFIX:
            path = path.with_name(path.name + SUFFIX)
        tensors: dict[str, Tensor] = {}
        for index, thumbnail in enumerate(self.thumbnails):
            tensors[f"{index}.thumbnail"] = torch.from_numpy(thumbnail)
        for index, example in enumerate(self.examples):
            tensors[f"{index}.image"] = example.features.image_b3hw
            tensors[f"{index}.mask"] = example.mask_b1hw
            for level, map_bchw in enumerate(example.features.maps):
                tensors[f"{index}.map.{level}"] = map_bchw
        header: dict[str, object] = {
            "format_version": FORMAT,
            "model": self.model,
            "fingerprint": self.fingerprint,
            "references": len(self.examples),
            "photographs": len(self.thumbnails),
            "maps": len(self.examples[0].features.maps),
        }
        contiguous = {name: value.contiguous() for name, value in tensors.items()}
        header["sha256"] = _checksum(header, contiguous)
        with written_aside(path) as file:
            file.write(save(contiguous, metadata={"icmref": json.dumps(header)}))
        return path

    @classmethod
    def load(cls, path: str | Path) -> Reference:
        """Reads a reference that `save` wrote.

        Raises:
            InputError: the file is missing, damaged, no reference, or of a newer format.
        """
        path = Path(path)
        if not _is_file(path):
            raise InputError(f"there is no reference file {path}: make one with 'icm reference'")
        try:
            with safe_open(path, "pt") as file:
                header = json.loads((file.metadata() or {})["icmref"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (SafetensorError, KeyError, ValueError, OSError, RecursionError) as error:
            kind = file_kind(path)
            found = "" if kind is None else f" but {kind}"
            raise InputError(
                f"{path} is damaged or no reference file{found}: make it again with 'icm reference'"
            ) from error
        if not isinstance(header, dict):
            raise InputError(f"{path} is damaged: make it again with 'icm reference'")
        if header.get("format_version") != FORMAT:
            raise InputError(
                f"{path} has reference format {header.get('format_version')}, this version reads "
                f"{FORMAT}: make it again with 'icm reference'"
            )
        # Files of the first versions have no checksum.
        if "sha256" in header and header["sha256"] != _checksum(header, tensors):
            raise InputError(f"{path} is damaged: make it again with 'icm reference'")
        return _assembled(header, tensors, path)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name or a folder that cannot be looked at
        return False


def check_model(reference: Reference, model: str, fingerprint: str) -> None:
    """Raises an InputError that names both models unless the reference is of this model."""
    if not isinstance(reference, Reference):
        raise InputError(
            "the reference is no Reference: make one with matting.reference, or Reference.load"
        )
    if reference.fingerprint == fingerprint:
        return
    raise InputError(
        f"the reference was made by the model '{reference.model}' ({reference.fingerprint[:12]}), "
        f"but the model in use is '{model}' ({fingerprint[:12]}): other weights, "
        "input or seed; make it again with this model"
    )


def _checksum(header: Mapping[str, object], tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the rest of the header and of all tensors, their names, types and shapes."""
    rest = {key: value for key, value in header.items() if key != "sha256"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.contiguous().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _assembled(
    header: Mapping[str, object], tensors: Mapping[str, Tensor], path: Path
) -> Reference:
    try:
        count, levels, photographs = (
            _whole(header[key]) for key in ("references", "maps", "photographs")
        )
        examples = tuple(_example(tensors, index, levels) for index in range(count))
        thumbnails = tuple(_thumbnail(tensors, index) for index in range(photographs))
        if len({_channels(example) for example in examples}) != 1:
            raise ValueError("examples of different models")
        return Reference(
            examples, thumbnails, _printed(header["model"]), _printed(header["fingerprint"])
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"{path} is damaged: make it again with 'icm reference'") from error


def _example(tensors: Mapping[str, Tensor], index: int, levels: int) -> Example:
    image_b3hw, mask_b1hw = tensors[f"{index}.image"], tensors[f"{index}.mask"]
    maps = tuple(tensors[f"{index}.map.{level}"] for level in range(levels))
    for value in (image_b3hw, mask_b1hw, *maps):
        plain = value.dtype == torch.float32 and value.ndim == 4 and value.shape[0] == 1
        if not plain or not value.numel() or not value.isfinite().all():
            raise ValueError("no map of one picture")
    if image_b3hw.shape[1] != 3 or mask_b1hw.shape[1] != 1:
        raise ValueError("other channels than a picture and a mask have")
    if (
        image_b3hw.shape[2:] != mask_b1hw.shape[2:]
        or not 0 <= mask_b1hw.min() <= mask_b1hw.max() <= 1
    ):
        raise ValueError("no mask of this picture")
    return Example(Features(image_b3hw, maps), mask_b1hw)


def _thumbnail(tensors: Mapping[str, Tensor], index: int) -> NDArray[np.uint8]:
    value = tensors[f"{index}.thumbnail"]
    if value.dtype != torch.uint8 or value.ndim != 3 or value.shape[2] != 4 or not value.numel():
        raise ValueError("no picture with alpha")
    thumbnail: NDArray[np.uint8] = value.numpy()
    return thumbnail


def _channels(example: Example) -> tuple[int, ...]:
    return tuple(map_bchw.shape[1] for map_bchw in example.features.maps)


def _whole(value: object) -> int:
    if type(value) is not int or not 0 < value <= _MOST:
        raise ValueError("no sensible number")
    return value


def _printed(value: object) -> str:
    if not isinstance(value, str) or visible(value, one_line=True) != value:
        raise ValueError("no name")
    return value
