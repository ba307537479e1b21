"""What the page is started with: command-line options, each also an environment variable."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from pathlib import Path

from icm import InputError

MEGABYTE = 1_000_000
_YES = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class Settings:
    """How the page runs.

    Attributes:
        host: address to listen on; loopback unless asked otherwise.
        port: to listen on.
        model: preselected model, loaded at the start: 'small', 'sd21' or a configuration file.
        device: 'auto', 'cpu', 'cuda' or 'cuda:N'.
        checkpoint: weights to use instead of the configured ones.
        backbone: Stable Diffusion weights to use: a local folder or single file.
        overrides: `key=value` strings that replace values of the configuration.
        accounts: (user, password) pairs; none leaves the page open.
        root_path: path under which a proxy publishes the page.
        max_upload: bytes of one uploaded file.
        max_pixels: pixels of one uploaded picture.
        max_pictures: target pictures that one visitor may keep at a time.
        queue: runs that may wait for the device.
        mcp: whether the endpoints are offered as MCP tools.
        keep: seconds after which what a visitor left behind is removed.
        grace: seconds that a visitor may be away, as in a reload, before all is removed.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    model: str = "small"
    device: str = "auto"
    checkpoint: str | None = None
    backbone: str | None = None
    overrides: tuple[str, ...] = ()
    accounts: tuple[tuple[str, str], ...] = ()
    root_path: str = ""
    max_upload: int = 50 * MEGABYTE
    max_pixels: int = 50 * MEGABYTE
    max_pictures: int = 200
    queue: int = 16
    mcp: bool = False
    keep: float = 3600.0
    grace: float = 60.0


def add_options(parser: ArgumentParser) -> None:
    """Adds the page's options; defaults come from the environment where it names them.

    To be called after the options of the model, whose defaults it sets too.
    """
    page = parser.add_argument_group("page", "each also as the environment variable in brackets")
    page.add_argument("--host", default=_environment("HOST", "127.0.0.1"), help="[ICM_HOST]")
    page.add_argument("--port", type=int, default=_environment("PORT", "7860"), help="[ICM_PORT]")
    page.add_argument(
        "--auth-file",
        metavar="FILE",
        default=_environment("AUTH_FILE"),
        help="a line 'user:password' for each who may enter [ICM_AUTH_FILE; or ICM_AUTH holds "
        "'user:password' itself]",
    )
    page.add_argument(
        "--root-path",
        metavar="PATH",
        default=_environment("ROOT_PATH", ""),
        help="path under which a proxy publishes the page, as /mattes [ICM_ROOT_PATH]",
    )
    page.add_argument(
        "--max-upload",
        type=_positive,
        metavar="MB",
        default=_environment("MAX_UPLOAD", "50"),
        help="megabytes of one uploaded file (default: 50) [ICM_MAX_UPLOAD]",
    )
    page.add_argument(
        "--max-megapixels",
        type=_positive,
        metavar="MP",
        default=_environment("MAX_MEGAPIXELS", "50"),
        help="of one uploaded picture (default: 50) [ICM_MAX_MEGAPIXELS]",
    )
    page.add_argument(
        "--queue",
        type=int,
        metavar="N",
        default=_environment("QUEUE", "16"),
        help="runs that may wait for the device (default: 16) [ICM_QUEUE]",
    )
    page.add_argument(
        "--mcp",
        action="store_true",
        default=(_environment("MCP", "") or "").lower() in _YES,
        help="offer the endpoints as MCP tools too; needs the package 'mcp' [ICM_MCP]",
    )
    parser.set_defaults(model=_environment("MODEL", "small"), device=_environment("DEVICE", "auto"))


def add_model_options(parser: ArgumentParser) -> None:
    """Adds the choice of the model, for starts without the command `icm`."""
    model = parser.add_argument_group("model")
    model.add_argument("--model", default="small", metavar="NAME|FILE.yaml")
    model.add_argument("--device", default="auto", metavar="auto|cpu|cuda")
    model.add_argument("--checkpoint", metavar="FILE", help="weights of the network to use instead")
    model.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")


def settings_of(arguments: Namespace) -> Settings:
    """Settings from parsed options.

    Raises:
        InputError: the accounts cannot be read.
    """
    overrides = list(arguments.overrides)
    seed = getattr(arguments, "seed", None)
    overrides += [] if seed is None else [f"seed={seed}"]
    return Settings(
        host=arguments.host,
        port=arguments.port,
        model=arguments.model,
        device=arguments.device,
        checkpoint=arguments.checkpoint,
        backbone=getattr(arguments, "backbone", None),
        overrides=tuple(overrides),
        accounts=_accounts(arguments.auth_file, os.environ.get("ICM_AUTH")),
        root_path=_root_path(arguments.root_path),
        max_upload=round(arguments.max_upload * MEGABYTE),
        max_pixels=round(arguments.max_megapixels * MEGABYTE),
        queue=arguments.queue,
        mcp=arguments.mcp,
    )


def _environment(name: str, default: str | None = None) -> str | None:
    return os.environ.get(f"ICM_{name}") or default


def _positive(text: str) -> float:
    value = float(text)
    if not value > 0:
        raise ValueError(f"{text} is not above 0")
    return value


def _root_path(text: str) -> str:
    path = text.strip("/")
    return f"/{path}" if path else ""


def _accounts(path: str | None, inline: str | None) -> tuple[tuple[str, str], ...]:
    lines = [inline] if inline else []
    if path is not None:
        try:
            lines += Path(path).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the accounts in {path}: {error}") from error
        if not any(line.strip() for line in lines):
            raise InputError(f"{path} names nobody: write a line 'user:password' for each")
    accounts = []
    for number, line in enumerate((line.strip() for line in lines), 1):
        if not line or line.startswith("#"):
            continue
        user, colon, password = line.partition(":")
        if not (user and colon and password):
            raise InputError(f"account {number} is not of the form 'user:password'")
        accounts.append((user, password))
    return tuple(accounts)
