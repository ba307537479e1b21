"""Point 6: `icm app` says what is wrong, does not say it is well when it is not, and ends well."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from app.health import Health
from app.models import Models
from icm import InputError
from icm.cli import main
from tests.app.client import Visit
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import QUICK, running, until

ROOT = Path(__file__).parents[2]
FAST = ("--set", "weights=null", "--set", "input.size=64", "--device", "cpu")


def environment(folder: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("ICM_")}
    return {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder), "HF_HUB_OFFLINE": "1"}


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "icm", "app", "--port", "0", *words]


@contextmanager
def started(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A page in a process of its own, and its address."""
    process = subprocess.Popen(
        command(*words),
        stdout=subprocess.PIPE,
        stderr=(folder / "log").open("w"),
        text=True,
        env=environment(folder),
        cwd=ROOT,
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, (line, (folder / "log").read_text())
        yield process, found[0]
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)


def healthz(url: str) -> dict:
    return httpx.get(f"{url}/healthz").json()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("--set", "foo=1"), "foo"),
        (("--model", "nope"), "nope"),
        (("--port", "70000"), "70000"),
        (("--queue", "0"), "--queue"),
        (("--allow-origin", "example"), "example"),
        (("--proxy", "somewhere"), "somewhere"),
    ],
)
def test_wrong_arguments_end_before_serving(words, named, capsys, monkeypatch) -> None:
    monkeypatch.setattr("app.server.open_state", lambda _: pytest.fail("was about to serve"))
    assert main(["app", "--port", "0", *FAST, *words]) == 2
    said = capsys.readouterr()
    assert named in said.err
    assert "http://" not in said.out


def test_a_used_port_is_said_before_anything_is_loaded(capsys, monkeypatch) -> None:
    monkeypatch.setattr("app.server.open_state", lambda _: pytest.fail("was about to load"))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["app", *FAST, "--port", port]) == 2
    assert f"port {port}: in use already" in capsys.readouterr().err


def test_a_model_that_cannot_be_loaded_is_in_the_log_and_in_health(tmp_path, caplog) -> None:
    missing = tmp_path / "folder" / "missing.safetensors"
    with running(replace(QUICK, overrides=(f"weights={missing}",)), wait=False) as page:
        until(lambda: healthz(page.url)["status"] == "failed")
        said = healthz(page.url)
        assert "weights" in said["reason"]
        assert str(tmp_path) not in str(said)
    assert "the model 'small' cannot be used" in caplog.text


@pytest.mark.fault
def test_the_end_is_clean_while_work_is_on(tmp_path) -> None:
    with started(tmp_path, "--set", "weights=null", "--device", "cpu") as (process, url):
        until(lambda: healthz(url)["status"] == "ready")
        someone = Visit(url)
        cutout = encoded(disc())
        for kind in ("photo", *["target"] * 10):
            assert someone.upload(kind, cutout).status_code == 200
        easel = someone.call("easel")[0]
        key = easel["photos"][0]["key"]
        someone.upload("mask", encoded(disc_mask()), key=key)
        someone.call("start")
        until(lambda: someone.call("tray")[1]["progress"]["state"] == "working")
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        code = process.wait(60)
        taken = time.monotonic() - began
        log = (tmp_path / "log").read_text()
        assert code == 0, log
        assert "terminate called" not in log
        assert "Traceback" not in log
        assert list(tmp_path.glob("icm-page-*")) == []
        assert taken < 30  # five seconds are promised; a busy machine is no failure
        someone.leave()


@pytest.mark.fault
def test_the_next_page_cleans_up_and_ends_without_its_required_model(tmp_path) -> None:
    with started(tmp_path, *FAST) as (process, _):
        (left,) = tmp_path.glob("icm-page-*")
        process.kill()
        process.wait(30)
    assert left.is_dir()
    missing = ("--set", f"weights={tmp_path / 'missing.safetensors'}")
    with started(tmp_path, *FAST[2:], *missing, "--require-model") as (process, _):
        assert process.wait(60) == 1
        assert "cannot be used" in (tmp_path / "log").read_text()
    assert list(tmp_path.glob("icm-page-*")) == []


def test_a_model_that_stops_answering_is_not_ready(gate) -> None:
    with running(replace(QUICK, stall=0.2)) as page:
        health = page.state.models.health

        def stuck() -> None:
            with health.watch():
                gate.wait(60)

        ticket = page.state.device.submit(stuck)
        until(lambda: healthz(page.url)["status"] == "stalled")
        assert httpx.get(f"{page.url}/healthz").status_code == 503
        gate.set()
        ticket.future.result(30)
        assert healthz(page.url)["status"] == "ready"


def test_a_model_that_fails_again_and_again_is_not_ready_until_it_works(monkeypatch) -> None:
    with running(QUICK) as page:
        health = page.state.models.health
        broken = True
        probe = Models.probe

        def looked(models: Models) -> None:
            if not broken:
                probe(models)

        monkeypatch.setattr(Models, "probe", looked)
        for _ in range(3):
            assert healthz(page.url)["status"] == "ready"
            with pytest.raises(RuntimeError), health.watch():
                raise RuntimeError("CUDA error in /srv/secret/place")
        answer = httpx.get(f"{page.url}/healthz")
        assert answer.status_code == 503
        assert answer.json()["status"] == "failing"
        assert "RuntimeError" in answer.json()["reason"]
        assert "secret" not in answer.text
        broken = False
        until(lambda: healthz(page.url)["status"] == "ready")


def test_a_refused_picture_is_an_answer() -> None:
    health = Health(stall=60)
    health.loaded()
    for _ in range(5):
        with pytest.raises(InputError), health.watch():
            raise InputError("no picture")
    assert health.state == "ready"


def test_names_of_configurations_do_not_show_their_folder(tmp_path) -> None:
    path = tmp_path / "mine.yaml"
    shutil.copy(ROOT / "configs" / "small.yaml", path)
    models = Models(replace(QUICK, model=str(path)))
    assert models.preselected == "mine.yaml"
    assert str(tmp_path) not in str(models.choice("mine.yaml"))
    models.check()
