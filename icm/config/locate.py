"""Location of bundled configurations and weights: in a checkout, or inside an installed wheel."""

from __future__ import annotations

from pathlib import Path

from icm.config.home import cache_root
from icm.errors import ConfigError

TRAINING = ("train_", "ablation")  # beginnings of the names of stages of training
TEST_MODELS = ("tiny",)  # random weights, for tests: can be named, but are never offered
PACKAGE = Path(__file__).resolve().parents[1]


def bundle_root() -> Path:
    """Folder that holds `configs/` and `weights/`."""
    installed = PACKAGE / "_bundled"
    return installed if installed.is_dir() else PACKAGE.parent


def page_package() -> str:
    """Import name of the web page: the folder `app/` of a checkout, `icm_app` in a wheel."""
    return "icm_app" if bundle_root() != PACKAGE.parent else "app"


def model_names() -> list[str]:
    """Names of the bundled models to offer, sorted: no stages of training, none for tests."""
    names = sorted(path.stem for path in (bundle_root() / "configs").glob("*.yaml"))
    return [name for name in names if not name.startswith(TRAINING) and name not in TEST_MODELS]


def bundled_config(name: str) -> Path:
    """Path of a configuration, given by bundled name or by the path of a YAML file.

    Raises:
        ConfigError: there is none of that name; the message lists those that are there.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return path
    bundled = bundle_root() / "configs" / f"{name}.yaml"
    if bundled.is_file():
        return bundled
    raise ConfigError(
        f"unknown model '{name}': use one of {', '.join(model_names())}, or a .yaml file"
    )


def bundled_weights(name: str) -> Path:
    """Path of a weights file: as given if absolute or there, else bundled, else imported.

    Imported weights (`icm weights import`) lie in `weights/` below the cache root.
    """
    path = Path(name).expanduser()
    bundled = bundle_root() / "weights" / path
    if path.is_absolute() or path.is_file():
        return path
    return bundled if bundled.is_file() else cache_root() / "weights" / path
