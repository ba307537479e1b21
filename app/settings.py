"""What the page is started with: command-line options, each also an environment variable."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from icm import InputError

MEGABYTE = 1_000_000
GIGABYTE = 1_000_000_000
MEGAPIXEL = 1_000_000
_LAST_PORT = 65_535
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
        max_pictures: target pictures that one visitor may keep at a time, or one call may bring.
        max_photos: reference photos that one visitor may keep at a time.
        max_sessions: visitors with pictures at a time.
        client_sessions: of them from one client (an address, or an IPv6 network of 64 bits).
        max_storage: bytes of uploads that are kept at a time.
        client_storage: of them from one client.
        queue: runs that may wait for the device.
        client_queue: runs of one client that may wait or work at a time.
        login_attempts: wrong passwords of one client in a minute.
        allow_hosts: names under which the page answers, beside loopback ones and `host`.
        allow_origins: other sites whose scripts may use the page, as 'https://example.org'.
        proxies: addresses or networks of proxies, whose X-Forwarded headers are believed.
        require_model: whether to end where the model cannot be loaded.
        stall: seconds after which a model that has not answered counts as broken.
        mcp: whether agents may use the page by MCP (docs/agents.md).
        folders: whose files agents may name by path; none unless asked for.
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
    max_pixels: int = 50 * MEGAPIXEL
    max_pictures: int = 200
    max_photos: int = 20
    max_sessions: int = 500
    client_sessions: int = 20
    max_storage: int = 20 * GIGABYTE
    client_storage: int = 4 * GIGABYTE
    queue: int = 16
    client_queue: int = 4
    login_attempts: int = 10
    allow_hosts: tuple[str, ...] = ()
    allow_origins: tuple[str, ...] = ()
    proxies: tuple[str, ...] = ()
    require_model: bool = False
    stall: float = 900.0
    mcp: bool = False
    folders: tuple[Path, ...] = ()
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
        "--require-model",
        action="store_true",
        default=(_environment("REQUIRE_MODEL", "") or "").lower() in _YES,
        help="end with code 1 where the model cannot be loaded [ICM_REQUIRE_MODEL]",
    )
    page.add_argument(
        "--stall-after",
        type=_positive,
        metavar="S",
        default=_environment("STALL_AFTER", "900"),
        help="seconds after which a model that does not answer is called broken (default: 900) "
        "[ICM_STALL_AFTER]",
    )
    page.add_argument(
        "--mcp",
        action="store_true",
        default=(_environment("MCP", "") or "").lower() in _YES,
        help="offer tools to agents by MCP, at /mcp; needs the package 'mcp' [ICM_MCP]",
    )
    _add_access(parser)
    _add_limits(parser)
    parser.set_defaults(model=_environment("MODEL", "small"), device=_environment("DEVICE", "auto"))


def _add_access(parser: ArgumentParser) -> None:
    access = parser.add_argument_group("who may use the page (docs/security.md)")
    for option, metavar, text in (
        ("host", "NAME", "answer under this name too, beside localhost; '*' under any"),
        ("origin", "URL", "let scripts of this site use the page, as https://example.org"),
    ):
        access.add_argument(
            f"--allow-{option}",
            dest=f"allow_{option}s",
            action="append",
            metavar=metavar,
            help=f"{text}; may be repeated [ICM_ALLOW_{option.upper()}, with commas]",
        )
    access.add_argument(
        "--allow-folder",
        dest="folders",
        action="append",
        metavar="DIR",
        help="let agents name files below this folder by their path; may be repeated "
        f"[ICM_ALLOW_FOLDER, with '{os.pathsep}']",
    )
    access.add_argument(
        "--proxy",
        dest="proxies",
        action="append",
        metavar="ADDRESS",
        help="believe the X-Forwarded headers of this proxy, an address or a network; may be "
        "repeated [ICM_PROXY, with commas]",
    )


def _add_limits(parser: ArgumentParser) -> None:
    limits = parser.add_argument_group("limits")
    for option, kind, default, metavar, text in (
        ("queue", _count, "16", "N", "runs that may wait for the device"),
        ("client-queue", _count, "4", "N", "runs of one client that may wait or work"),
        ("max-pictures", _count, "200", "N", "pictures of one visitor, or of one /batch"),
        ("max-photos", _count, "20", "N", "reference photos of one visitor"),
        ("max-sessions", _count, "500", "N", "visitors with pictures at a time"),
        ("client-sessions", _count, "20", "N", "of them from one address"),
        ("max-storage", _positive, "20", "GB", "uploads kept at a time"),
        ("client-storage", _positive, "4", "GB", "of them from one address"),
        ("login-attempts", _count, "10", "N", "wrong passwords of one address in a minute"),
    ):
        name = option.upper().replace("-", "_")
        limits.add_argument(
            f"--{option}",
            type=kind,
            metavar=metavar,
            default=_environment(name, default),
            help=f"{text} (default: {default}) [ICM_{name}]",
        )


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
        InputError: the accounts cannot be read, or an address is none.
    """
    if not 0 <= arguments.port <= _LAST_PORT:
        raise InputError(f"there is no port {arguments.port}: choose one of 1 to {_LAST_PORT}")
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
        max_pixels=round(arguments.max_megapixels * MEGAPIXEL),
        max_pictures=arguments.max_pictures,
        max_photos=arguments.max_photos,
        max_sessions=arguments.max_sessions,
        client_sessions=arguments.client_sessions,
        max_storage=round(arguments.max_storage * GIGABYTE),
        client_storage=round(arguments.client_storage * GIGABYTE),
        queue=arguments.queue,
        client_queue=arguments.client_queue,
        login_attempts=arguments.login_attempts,
        allow_hosts=_listed(arguments.allow_hosts, "ALLOW_HOST"),
        allow_origins=tuple(
            _origin(text) for text in _listed(arguments.allow_origins, "ALLOW_ORIGIN")
        ),
        proxies=tuple(_network(text) for text in _listed(arguments.proxies, "PROXY")),
        require_model=arguments.require_model,
        stall=arguments.stall_after,
        mcp=arguments.mcp,
        folders=_folders(arguments.folders, arguments.mcp),
    )


def _environment(name: str, default: str | None = None) -> str | None:
    return os.environ.get(f"ICM_{name}") or default


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(f"{text} is not above 0")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(f"{text} is not above 0")
    return value


def _listed(given: list[str] | None, variable: str) -> tuple[str, ...]:
    words = given if given is not None else [_environment(variable, "") or ""]
    return tuple(part.strip() for word in words for part in word.split(",") if part.strip())


def _folders(given: list[str] | None, mcp: bool) -> tuple[Path, ...]:
    words = given
    if words is None:
        words = [each for each in os.environ.get("ICM_ALLOW_FOLDER", "").split(os.pathsep) if each]
    elif not mcp:
        raise InputError("--allow-folder is for agents: it needs --mcp")
    for word in words:
        if not Path(word).is_dir():
            raise InputError(f"--allow-folder {word}: there is no such folder")
    return tuple(Path(word).absolute() for word in words)


def _origin(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise InputError(f"'{text}' is no site: write it as https://example.org")
    return f"{parts.scheme}://{parts.netloc}".lower()


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise InputError(f"--proxy {text}: {error}; give an address or a network") from error


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
