"""Every shell and Python block of README and documentation runs as it stands there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from icm.engine import LEDGER
from tests.docs.blocks import NOT_RUN, PYTHON, ROOT, SERVES, SHELL, SHOWN, Block, blocks_of, pages

pytestmark = pytest.mark.xdist_group("docs")  # one resident process is enough

PORT = 7860  # in the pages; a free one takes its place
NEEDS = r"docker|pip install|make \w|\bDATA\b|--proxy|icm bench|git |Dockerfile|\.ci/|--engine ray"
"""What a block may be left out for: other programs, the network, clusters, training data, hours."""

MADE = {
    "README.md": ("out/table.alpha.png", "out/shelf.cutout.png", "table_on_white.png"),
    "docs/tutorial.md": ("toy.icmref", "out/table.composite.png", "review.html", "moved.png"),
    "docs/batch.md": ("mattes/table.alpha.png", "mattes.zip", "review.html", "mattes/cup"),
    "docs/api.md": ("out/table.trimap.png", "toy.icmref"),
}
"""Files that must lie in the folder afterwards."""

PAGES = [page for page in pages() if any(block.runs for block in blocks_of(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
@pytest.mark.usefixtures("small_is_tiny")
def test_the_blocks_of_a_page_run(
    page: Path, reader_folder: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = _free_port()
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("ICM_PORT", str(port))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name in ("NO_PROXY", "no_proxy"):  # a reader's proxy does not stand before this machine
        monkeypatch.setenv(name, "127.0.0.1,localhost")
    if page.name == "batch.md":  # it speaks of a saved reference without making it
        _shell(
            Block(
                "",
                0,
                "sh",
                (),
                "icm reference --reference cup.jpg --mask cup_mask.png -o cup.icmref",
            )
        )
    namespace: dict[str, object] = {"__name__": "__main__"}
    with contextlib.ExitStack() as servers:
        for block in blocks_of(page):
            if not block.runs:
                continue
            block = replace(block, code=block.code.replace(f":{PORT}", f":{port}"))  # noqa: PLW2901
            if block.language in PYTHON:
                _python(block, namespace)
            elif SERVES in block.marks:
                servers.enter_context(_serving(block, port))
            else:
                _shell(block)
    name = page.relative_to(ROOT).as_posix()
    assert [file for file in MADE.get(name, ()) if not (reader_folder / file).exists()] == []


def test_a_wrong_command_is_seen(
    reader_folder: Path, commands: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{commands}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(AssertionError, match=r"page\.md:3"):
        _shell(
            Block(
                "page.md", 3, "sh", (), "icm matte nothing.jpg --reference toy.jpg -o out\ntrue\n"
            )
        )


def test_a_python_block_may_run_an_event_loop_where_one_is_running_already() -> None:
    """Browser tests leave one in the main thread of their worker."""
    block = Block("page.md", 3, "python", (), "import asyncio\nasyncio.run(asyncio.sleep(0))\n")

    async def beside_a_loop() -> None:
        _python(block, {})

    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, beside_a_loop()).result()


def test_every_block_says_what_it_is_and_few_are_left_out() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    places = [(f"{b.page}:{b.line}", b) for b in blocks]
    known = SHELL + PYTHON + SHOWN
    assert [place for place, block in places if block.language not in known] == []
    assert [p for p, b in places if set(b.marks) - {NOT_RUN, SERVES}] == []
    left_out = [(place, block) for place, block in places if NOT_RUN in block.marks]
    assert [place for place, block in left_out if not re.search(NEEDS, block.code)] == []
    assert sum(block.runs for block in blocks) > len(left_out)


def _python(block: Block, namespace: dict[str, object]) -> None:
    """Runs a block as a script would, in a thread that has no event loop yet."""
    code = compile(block.code, f"{block.page}:{block.line}", "exec")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(exec, code, namespace).result()


def _shell(block: Block) -> None:
    """Runs a block as a script that ends at the first failure; of a console only the commands."""
    code = block.code
    if block.language == "console":
        code = "".join(line[2:] for line in code.splitlines(keepends=True) if line.startswith("$ "))
    ran = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", code],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"{block.page}:{block.line}\n{code}\n{ran.stdout}\n{ran.stderr}"


@contextlib.contextmanager
def _serving(block: Block, port: int) -> Iterator[None]:
    """What runs until it is interrupted: started, seen at work, and then interrupted."""
    command = block.code.strip()
    at_work = _healthy(port) if command.startswith("icm app") else _ledger_grows()
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            ["bash", "-euc", f"exec {command}"],
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            while process.poll() is None and not at_work():
                time.sleep(0.1)
            assert process.poll() is None, f"{block.page}:{block.line} has ended by itself"
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(120)
            printed.seek(0)
            print(printed.read())
    assert code in (0, 130, 143), f"{block.page}:{block.line} ended with {code}"


def _healthy(port: int) -> Callable[[], bool]:
    def check() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
        except httpx.TransportError:
            return False

    return check


def _ledger_grows() -> Callable[[], bool]:
    ledger = Path("mattes") / LEDGER
    before = ledger.stat().st_size if ledger.is_file() else 0
    return lambda: ledger.is_file() and ledger.stat().st_size > before


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
