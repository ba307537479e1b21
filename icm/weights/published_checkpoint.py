"""The published matting checkpoint: read without running anything in it, checked, converted.

The release is a Lightning file, that is a pickle. `torch.load(weights_only=True)` rebuilds plain
tensors and containers from it and refuses everything else, so no code of the file ever runs.
"""

from __future__ import annotations

import json
import pickle
import re
import warnings
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from icm.errors import WeightsError
from icm.images import remove_leftovers, written_aside
from icm.images.signature import file_kind
from icm.printable import visible
from icm.weights.hashes import sha256_of
from icm.weights.tensors import is_plain

PREFIX = "in_context_decoder."
_CALLS = re.compile(r"(?:GLOBAL|global|class|function) ([\w.]+\.\w+)")
_COUNT = "num_batches_tracked"
STATISTICS = ("running_mean", "running_var", _COUNT)


@dataclass(frozen=True)
class Imported:
    """Result of an import.

    Attributes:
        path: the safetensors file.
        tensors: how many tensors it holds.
        parameters: how many learned numbers, running statistics not included.
        sha256: SHA-256 of the safetensors file.
    """

    path: Path
    tensors: int
    parameters: int
    sha256: str


def published_shapes() -> dict[str, tuple[int, ...]]:
    """Names (without the prefix) and shapes of the 89 tensors of the published checkpoint."""
    text = resources.files("icm.weights").joinpath("published_tensors.json").read_text("utf-8")
    return {name: tuple(shape) for name, shape in json.loads(text).items()}


def import_checkpoint(source: Path, target: Path) -> Imported:
    """Converts the published checkpoint to safetensors.

    Args:
        source: the Lightning file (`.ckpt`), or a safetensors file of the same tensors.
        target: the file to write; it appears when it is complete.

    Raises:
        WeightsError: the file is missing, is no checkpoint, holds anything but tensors, or its
            tensors are not those of the published model (each is named).
        OutputError: the target cannot be written.
    """
    tensors = {
        name: value.contiguous() if value.dtype == torch.int64 else value.float().contiguous()
        for name, value in _checked(source).items()
    }
    _write(tensors, target)
    count = sum(v.numel() for k, v in tensors.items() if not k.endswith(STATISTICS))
    return Imported(target, len(tensors), count, sha256_of(target))


def check_head(path: Path) -> None:
    """Checks that a file holds the tensors of the published head.

    Raises:
        WeightsError: it does not; each wrong tensor is named.
    """
    _checked(path)


def _checked(source: Path) -> dict[str, Tensor]:
    tensors = {name.removeprefix(PREFIX): value for name, value in _read_state(source).items()}
    faults = _faults(tensors)
    if faults:
        raise WeightsError(
            f"{source} is not the published matting checkpoint, {len(faults)} tensors are wrong: "
            + "; ".join(faults)
        )
    return tensors


def _read_state(source: Path) -> dict[str, Tensor]:
    kind = file_kind(source)
    if kind is not None and "PyTorch" not in kind:
        raise WeightsError(
            f"{source} is {kind}: expected the checkpoint (.ckpt) that the authors of In-Context "
            "Matting share, or a .safetensors file of its tensors"
        )
    if not source.is_file():
        raise WeightsError(
            f"{source} is not there: give the checkpoint that the authors of In-Context Matting "
            "share from their project page"
        )
    if source.suffix == ".safetensors":
        try:
            tensors: dict[str, Tensor] = load_file(source)
        except (SafetensorError, OSError, KeyError, ValueError) as error:
            raise WeightsError(f"{source} is damaged: get it again ({error})") from error
        return tensors
    try:
        with warnings.catch_warnings():  # torch asks to report files of other kinds to it
            warnings.simplefilter("ignore", UserWarning)
            content = torch.load(source, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        wanted = _CALLS.search(str(error))
        what = f" It wants to call {wanted[1]}." if wanted else ""
        raise WeightsError(
            f"{source} was refused: it holds more than tensors, or is no checkpoint at all. Code "
            f"in it was not run.{what} If it is the authors' file, save its 'state_dict' alone on "
            "a machine where you trust it, and import that"
        ) from error  # torch's own words are advice to run the code all the same
    except Exception as error:  # the reader raises anything on damaged bytes
        raise WeightsError(
            f"{source} cannot be read as a checkpoint: incomplete or damaged, get it again "
            f"({type(error).__name__})"
        ) from error
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not all(
        isinstance(k, str) and isinstance(v, Tensor) for k, v in state.items()
    ):
        raise WeightsError(f"{source} holds no 'state_dict' of tensors: it is another kind of file")
    # A file saved during training may carry the frozen feature extractor; it is not ours to keep.
    return {k: v for k, v in state.items() if not k.startswith("feature_extractor.")}


def _faults(tensors: dict[str, Tensor]) -> list[str]:
    shapes = published_shapes()
    faults = [f"missing {name}" for name in shapes if name not in tensors]
    for name, value in tensors.items():
        expected = shapes.get(name)
        if expected is None:
            faults.append(f"unexpected {visible(name, one_line=True)[:80]}")
        elif tuple(value.shape) != expected:
            faults.append(f"{name} has shape {tuple(value.shape)}, expected {expected}")
        elif not is_plain(value) or (value.dtype == torch.int64) != (name.endswith(_COUNT)):
            faults.append(f"{name} has values of another kind: {value.dtype}, {value.layout}")
        elif not value.isfinite().all():
            faults.append(f"{name} holds values that are not finite")
    return faults


def _write(tensors: dict[str, Tensor], target: Path) -> None:
    metadata = {"format_version": "1", "model": "in-context matting, published head"}
    remove_leftovers(target.parent)
    with written_aside(target) as file:
        file.write(save(tensors, metadata=metadata))
