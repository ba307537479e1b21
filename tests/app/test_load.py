"""Twenty visitors with five pictures each, at once: none lost, none mixed up, nothing left."""

from __future__ import annotations

import gc
import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.app.client import Visit
from tests.app.pictures import disc, disc_mask, encoded
from tests.app.serving import QUICK, running, until

VISITORS, PICTURES = 20, 5


def colour(session: int, picture: int) -> tuple[int, int, int]:
    """A visitor's and picture's own mark."""
    return 60 + 9 * session, 60 + 30 * picture, 128


@pytest.fixture
def crowded() -> Iterator:
    # Random weights leave every pixel partly there, so that its colours can be looked at.
    weights = "weights=null", "network.encoder_weights=null", "finish.solve_edges=0"
    overrides = (*weights, *QUICK.overrides[-2:])
    settings = replace(QUICK, overrides=overrides, queue=VISITORS, grace=1.0)
    with running(replace(settings, proxies=("127.0.0.1",))) as page:
        yield page


def visit_once(page, number: int) -> None:
    """One visitor's whole visit; what comes back carries the visitor's marks."""
    someone = Visit(page.url, f"192.0.2.{number + 1}")  # one address has fewer uploads at a time
    someone.upload("photo", encoded(disc()))
    key = page.state.registry.get(someone.token).photos[0].key
    someone.upload("mask", encoded(disc_mask()), key=key)
    for picture in range(PICTURES):
        plain = np.full((40 + number, 40 + picture, 3), colour(number, picture), np.uint8)
        someone.upload("target", encoded(plain), f"{number}-{picture}.png")
    someone.call("start")
    someone.call("follow")
    answer = someone.get("results.zip")
    assert answer.status_code == 200, answer.text
    archive = zipfile.ZipFile(io.BytesIO(answer.content))
    report = archive.read("report.csv").decode()
    assert "report.html" in archive.namelist()
    for picture in range(PICTURES):
        assert f"{number}-{picture}.png" in report
        if f"{number}-{picture}.cutout.png" not in archive.namelist():
            continue  # nothing was found of the object: it is in the report alone
        cutout = Image.open(archive.open(f"{number}-{picture}.cutout.png"))
        assert cutout.size == (40 + picture, 40 + number)  # no other picture has this size
        pixels = np.asarray(cutout).reshape(-1, 4)
        solid = pixels[pixels[:, 3] == 255]  # where nothing was found there are no colours
        if len(solid):
            found = solid[:, :3].mean(axis=0)
            assert np.abs(found - colour(number, picture)).max() < 3
    someone.leave()
    page.state.registry.detach(someone.gradio.session_hash)


def resident() -> float:
    """Megabytes of memory that this process holds."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


@pytest.mark.skipif(not Path("/proc/self/statm").is_file(), reason="reads memory from /proc")
def test_many_visitors_at_once(crowded) -> None:
    levels = []
    for _ in range(2):
        with ThreadPoolExecutor(VISITORS) as crowd:
            list(crowd.map(lambda number: visit_once(crowded, number), range(VISITORS)))
        until(lambda: len(crowded.state.registry) == 0)
        left = {path.name for path in crowded.state.registry.root.iterdir()}
        assert left == {".lock", "api", "gradio"}
        levels.append(resident())
    assert levels[1] < levels[0] * 1.1
