"""Every shell and Python block of README and documentation runs as it stands there."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.blocks import NOT_RUN, PYTHON, ROOT, SERVES, SHELL, SHOWN, Block, blocks_of, pages

PORT = 7860  # in the pages; a free one takes its place
NEEDS = r"docker|pip install|make \w|--data DATA|icm bench|git |Dockerfile|\.ci/"
"""What a block may be left out for: other programs, the network, training data, hours."""

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
            if block.language in PYTHON:
                code = block.code.replace(f":{PORT}", f":{port}")
                exec(compile(code, f"{block.page}:{block.line}", "exec"), namespace)
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


def test_every_block_says_what_it_is_and_few_are_left_out() -> None:
    blocks = [block for page in pages() for block in blocks_of(page)]
    places = [(f"{b.page}:{b.line}", b) for b in blocks]
    known = SHELL + PYTHON + SHOWN
    assert [place for place, block in places if block.language not in known] == []
    assert [p for p, b in places if set(b.marks) - {NOT_RUN, SERVES}] == []
    left_out = [(place, block) for place, block in places if NOT_RUN in block.marks]
    assert [place for place, block in left_out if not re.search(NEEDS, block.code)] == []
    assert sum(block.runs for block in blocks) > len(left_out)


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
    """What runs until it is interrupted: started, answered or written, and then interrupted."""
    command = f"exec {block.code.strip()}"
    with subprocess.Popen(
        ["bash", "-euc", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline(), f"{block.page}:{block.line} prints nothing"
            if "icm app" in command:
                _wait_until_healthy(port, process)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            printed = process.stdout.read()
            code = process.wait(60)
    assert code in (0, 130), f"{block.page}:{block.line} ended with {code}\n{printed}"


def _wait_until_healthy(port: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"the page does not answer (exit code {process.poll()})")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
