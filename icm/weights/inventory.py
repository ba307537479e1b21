"""Inventory of weights: which a model needs, where they are, their licence, how to get them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from icm.config.diffusion import DiffusionBackboneConfig
from icm.config.locate import bundled_weights
from icm.config.model import JointBackboneConfig, JointNetworkConfig, ModelConfig
from icm.errors import WeightsError
from icm.weights import encoder
from icm.weights.hashes import sha256_of, verify_file
from icm.weights.hub import find_snapshot, verify_snapshot
from icm.weights.published_checkpoint import check_head

PUBLISHED_LICENCE = "as its authors say where they share it"
OWN_LICENCE = "see weights/README.md"


@dataclass(frozen=True)
class Entry:
    """One set of weights of a model.

    Attributes:
        model: name of the model.
        role: what it is.
        licence: name, and address where there is one.
        size: in words.
        place: where it lies on this machine; None where it does not.
        remedy: how to get it.
    """

    model: str
    role: str
    licence: str
    size: str
    place: Path | None
    remedy: str


def inventory(config: ModelConfig) -> list[Entry]:
    """All weights of a model; looks on this machine only."""
    entries = []
    backbone = config.backbone
    if isinstance(backbone, DiffusionBackboneConfig) and backbone.source != "random":
        entries.append(_backbone_entry(config.name, backbone))
    if isinstance(backbone, JointBackboneConfig):
        entries.append(_encoder_entry(config.name))
    if config.weights is not None:
        path = bundled_weights(config.weights)
        published = config.network.kind == "published"
        entries.append(
            Entry(
                model=config.name,
                role=_role(config),
                licence=PUBLISHED_LICENCE if published else OWN_LICENCE,
                size=_size(path) if path.is_file() else "84 MB" if published else "small",
                place=path if path.is_file() else None,
                remedy="icm weights import icm.ckpt" if published else "install the package again",
            )
        )
    if isinstance(config.network, JointNetworkConfig) and config.network.encoder_weights:
        path = bundled_weights(config.network.encoder_weights)
        entries.append(
            Entry(
                model=config.name,
                role="encoder branch",
                licence=OWN_LICENCE,
                size=_size(path) if path.is_file() else "small",
                place=path if path.is_file() else None,
                remedy="install the package again",
            )
        )
    return entries


def verify(config: ModelConfig) -> list[str]:
    """Checks all weights of a model.

    Returns:
        One line for each thing checked.

    Raises:
        WeightsError: something is missing or damaged; the message says what to do.
    """
    lines = []
    backbone = config.backbone
    if isinstance(backbone, JointBackboneConfig):
        lines.append(f"{encoder.verify_encoder()}: intact")
    for entry in inventory(config):
        if entry.place is None:
            raise WeightsError(
                f"the {entry.role} of model '{entry.model}' is not here: {entry.remedy}"
            )
    if isinstance(backbone, DiffusionBackboneConfig) and backbone.source != "random":
        lines += _verify_backbone(backbone)
    if config.weights is not None:
        path = bundled_weights(config.weights)
        if config.network.kind == "published" and config.name == "sd21":
            check_head(path)
            lines.append(f"{path}: the 89 tensors of the published head")
        else:
            lines.append(f"{path}: SHA-256 {sha256_of(path)}")
    if isinstance(config.network, JointNetworkConfig) and config.network.encoder_weights:
        path = bundled_weights(config.network.encoder_weights)
        lines.append(f"{path}: SHA-256 {sha256_of(path)}")
    return lines


def _role(config: ModelConfig) -> str:
    """What the weights of `config.weights` are."""
    if config.network.kind == "published":
        return "matting head"
    return "diffusion branch" if config.network.kind == "joint" else "whole model"


def _encoder_entry(model: str) -> Entry:
    """The pretrained encoder, wherever its package keeps it; its content is not looked at."""
    try:
        path: Path | None = encoder.encoder_path()
    except WeightsError:
        path = None
    there = path is not None and path.is_file()
    return Entry(
        model=model,
        role="pretrained encoder EfficientNet-Lite2",
        licence=encoder.LICENCE,
        size=_size(path) if path is not None and there else "24 MB",
        place=path if there else None,
        remedy=encoder.REMEDY,
    )


def _backbone_entry(model: str, backbone: DiffusionBackboneConfig) -> Entry:
    hub = backbone.hub
    if backbone.source == "hub":
        place = find_snapshot(hub)
        remedy = "icm weights fetch"
        size = f"{hub.gigabytes:.1f} GB"
    else:
        path = Path(backbone.source).expanduser()
        place = path if path.exists() else None
        remedy = f"nothing is at {path}: mend backbone.source"
        size = _size(path) if path.is_file() else "a folder"
    return Entry(
        model=model,
        role="Stable Diffusion",
        licence=f"{hub.licence}, {hub.licence_url}",
        size=size,
        place=place,
        remedy=remedy,
    )


def _verify_backbone(backbone: DiffusionBackboneConfig) -> list[str]:
    if backbone.source == "hub":
        folder = find_snapshot(backbone.hub)
        if folder is None:
            raise WeightsError("the Stable Diffusion weights are not here: icm weights fetch")
        unhashed = {file.path for file in verify_snapshot(folder, backbone.hub)}
        wanted = (*backbone.hub.files, *backbone.hub.text_files)
        return [
            f"{folder / file.path}: "
            + ("present, no hash is known" if folder / file.path in unhashed else "intact")
            for file in wanted
        ]
    path = Path(backbone.source).expanduser()
    known = {file.path: file for file in backbone.single_files}.get(path.name)
    if path.is_file() and known is not None:
        verify_file(path, known, remedy="get the file again")
        return [f"{path}: intact"]
    files = [path] if path.is_file() else sorted(path.rglob("*.safetensors"))
    return [f"{file}: SHA-256 {sha256_of(file)}, no hash is known" for file in files]


def _size(path: Path) -> str:
    megabytes = path.stat().st_size / 1e6
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"
