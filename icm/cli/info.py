"""`icm info`: versions, devices, models and caches, as a bug report needs them."""

from __future__ import annotations

import argparse
import os
import platform
import sys
from pathlib import Path
from typing import Any

from icm.version import __version__

_PACKAGES = (
    "torch",
    "diffusers",
    "transformers",
    "numpy",
    "opencv-python-headless",
    "Pillow",
    "pillow-heif",
    "PyMatting",
    "gradio",
    "openvino",
    "ray",
)
_MIB = 2**20


def add_parser(subparsers: Any) -> None:
    """Adds the verb to the command line."""
    subparsers.add_parser(
        "info",
        help="versions, devices, models and caches: what a bug report needs",
        description="Prints versions, devices, models and caches: what a bug report needs.",
    )


def run(arguments: argparse.Namespace) -> int:
    """Prints the report; always 0."""
    for title, rows in (
        ("versions", _versions()),
        ("devices", _devices()),
        ("models", _models()),
        ("caches", _caches()),
    ):
        print(title)
        for name, value in rows:
            print(f"  {name:<24} {value}")
    return 0


def _versions() -> list[tuple[str, str]]:
    rows = [
        ("icm", __version__),
        ("python", f"{platform.python_version()} ({sys.executable})"),
        ("system", platform.platform()),
    ]
    return rows + [(package, _version(package)) for package in _PACKAGES]


def _version(package: str) -> str:
    from importlib import metadata  # noqa: PLC0415 - the other verbs' help shall not wait for it

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _devices() -> list[tuple[str, str]]:
    import torch  # noqa: PLC0415 - the other verbs' help shall not wait for it

    rows = [("cpu", f"{os.cpu_count()} processors, {torch.get_num_threads()} threads used")]
    if not torch.cuda.is_available():
        return [*rows, ("cuda", "none that torch can use")]
    for index in range(torch.cuda.device_count()):
        device = torch.cuda.get_device_properties(index)
        rows.append((f"cuda:{index}", f"{device.name}, {device.total_memory // _MIB} MiB"))
    return rows


def _models() -> list[tuple[str, str]]:
    from icm.config.locate import bundle_root, model_names  # noqa: PLC0415 - as above

    root = bundle_root()
    rows = [("configurations", f"{', '.join(model_names()) or 'none'} ({root / 'configs'})")]
    weights = root / "weights"
    rows.append(("pretrained encoder", _encoder()))
    return rows + [
        (str(file.relative_to(weights)), f"{file.stat().st_size / _MIB:.1f} MiB")
        for file in sorted(weights.rglob("*.safetensors"))
    ]


def _encoder() -> str:
    """Where the encoder's weights lie, or why they cannot be used."""
    from icm.errors import WeightsError  # noqa: PLC0415 - as above
    from icm.weights.encoder import LICENCE, VERSION, verify_encoder  # noqa: PLC0415 - as above

    try:
        path = verify_encoder()
    except WeightsError as error:
        return str(error)
    return f"EfficientNet-Lite2 {VERSION}, {LICENCE}, intact ({path})"


def _caches() -> list[tuple[str, str]]:
    from icm.config.home import cache_root  # noqa: PLC0415 - as above

    hub = os.environ.get("HF_HUB_CACHE") or Path(
        os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface", "hub"
    )
    return [
        ("icm (ICM_HOME)", _described(cache_root())),
        ("hub (HF_HOME)", _described(Path(hub))),
        ("HF_HUB_OFFLINE", os.environ.get("HF_HUB_OFFLINE", "not set")),
    ]


def _described(folder: Path) -> str:
    if not folder.is_dir():
        return f"{folder} (not there yet)"
    size = sum(
        file.stat().st_size
        for file in folder.rglob("*")
        if file.is_file() and not file.is_symlink()
    )
    return f"{folder} ({size / _MIB:.1f} MiB)"
