"""A browser that is gone in the middle of a run: no further picture begins, the log is quiet."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from app import runs
from app.session import Session
from tests.app.serving import QUICK, running, until

ROOT = Path(__file__).parents[2]
PICTURES = 12
BROWSER = f"""
import sys
from tests.app.client import Visit
from tests.app.pictures import disc, disc_mask, encoded

someone = Visit(sys.argv[1])
someone.upload("photo", encoded(disc()))
key = someone.call("easel")[0]["photos"][0]["key"]
someone.upload("mask", encoded(disc_mask()), key=key)
for number in range({PICTURES}):
    someone.upload("target", encoded(disc()), f"{{number}}.png")
print(someone.token, flush=True)
someone.call("start")
someone.call("follow")
"""


@pytest.mark.fault
def test_a_browser_that_is_gone_costs_no_further_picture(monkeypatch, capfd) -> None:
    begun: list[Path] = []

    def read(path: Path):
        begun.append(path)
        return real_read(path)

    def write(matte, folder) -> None:  # so the run is in its middle until the browser is gone
        until(lambda: session is not None and session.away, 600)
        real_write(matte, folder)

    session: Session | None = None
    real_read, real_write = runs.read_image, runs.write_results
    monkeypatch.setattr(runs, "read_image", read)
    monkeypatch.setattr(runs, "write_results", write)
    with running(replace(QUICK, grace=600.0)) as page:
        browser = subprocess.Popen(
            [sys.executable, "-c", BROWSER, page.url], stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        try:
            assert browser.stdout is not None
            session = page.state.registry.get(browser.stdout.readline().strip())
            until(lambda: len(begun) > 2, 600)
        finally:
            browser.kill()
            browser.wait(30)
        until(lambda: session.away, 600)
        page.state.device.submit(lambda: None, turn="somebody").future.result(600)
        at_hand = len(begun)
        until(lambda: len(page.state.device) == 1)  # the run alone, which waits
        page.state.device.submit(lambda: None, turn="somebody").future.result(600)
        assert len(begun) == at_hand < PICTURES
        assert session.progress.state == "working"
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err + printed.out
