"""Options, environment variables and accounts."""

from __future__ import annotations

import os
from argparse import ArgumentParser

import pytest

from app.settings import add_model_options, add_options, settings_of
from icm import InputError

NAMES = ("HOST", "PORT", "AUTH", "AUTH_FILE", "ROOT_PATH", "MAX_UPLOAD", "MAX_MEGAPIXELS", "QUEUE")


@pytest.fixture(autouse=True)
def _clean(monkeypatch):
    for name in (*NAMES, "MCP", "ALLOW_FOLDER", "MODEL", "DEVICE"):
        monkeypatch.delenv(f"ICM_{name}", raising=False)


def parsed(*words):
    parser = ArgumentParser()
    add_model_options(parser)
    add_options(parser)
    return settings_of(parser.parse_args(words))


def test_defaults_stay_on_this_machine() -> None:
    settings = parsed()
    assert (settings.host, settings.port) == ("127.0.0.1", 7860)
    assert settings.accounts == ()
    assert not settings.mcp


def test_environment_is_read_and_options_come_before_it(monkeypatch) -> None:
    values = {
        "HOST": "0.0.0.0",
        "PORT": "8080",
        "ROOT_PATH": "mattes/",
        "MAX_UPLOAD": "7.5",
        "MAX_MEGAPIXELS": "12",
        "QUEUE": "3",
        "MCP": "true",
        "MODEL": "sd21",
        "DEVICE": "cpu",
        "AUTH": "ann:secret:with:colons",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"ICM_{name}", value)
    settings = parsed("--port", "9090", "--model", "small")
    assert (settings.host, settings.port, settings.root_path) == ("0.0.0.0", 9090, "/mattes")
    assert (settings.max_upload, settings.max_pixels) == (7_500_000, 12_000_000)
    assert (settings.queue, settings.mcp) == (3, True)
    assert (settings.model, settings.device) == ("small", "cpu")
    assert settings.accounts == (("ann", "secret:with:colons"),)


def test_accounts_come_from_a_file(tmp_path) -> None:
    path = tmp_path / "accounts"
    path.write_text("# staff\nann:one\n\nbob:two words\n")
    assert parsed("--auth-file", str(path)).accounts == (("ann", "one"), ("bob", "two words"))


@pytest.mark.parametrize("content", ["", "\n \n", "ann", "ann:", ":secret"])
def test_an_unusable_accounts_file_never_opens_the_page(tmp_path, content) -> None:
    path = tmp_path / "accounts"
    path.write_text(content)
    with pytest.raises(InputError):
        parsed("--auth-file", str(path))


def test_a_missing_accounts_file_is_an_error() -> None:
    with pytest.raises(InputError, match="cannot read the accounts"):
        parsed("--auth-file", "/nowhere/accounts")


def test_no_option_takes_a_password() -> None:
    with pytest.raises(InputError, match="cannot read the accounts in ann:secret"):
        parsed("--auth", "ann:secret")  # short for --auth-file


@pytest.mark.parametrize("value", ["0", "-1", "nan"])
def test_limits_are_above_zero(value) -> None:
    with pytest.raises(SystemExit):
        parsed("--max-upload", value)


def test_folders_for_agents_are_there_and_are_for_agents(tmp_path, monkeypatch) -> None:
    other = tmp_path / "a, b"
    other.mkdir()
    assert parsed("--mcp").folders == ()
    both = parsed("--mcp", "--allow-folder", str(tmp_path), "--allow-folder", str(other))
    assert both.folders == (tmp_path, other)
    with pytest.raises(InputError, match="no such folder"):
        parsed("--mcp", "--allow-folder", str(tmp_path / "missing"))
    with pytest.raises(InputError, match="needs --mcp"):
        parsed("--allow-folder", str(tmp_path))
    monkeypatch.setenv("ICM_ALLOW_FOLDER", os.pathsep.join([str(tmp_path), str(other)]))
    assert parsed().folders == (tmp_path, other)
