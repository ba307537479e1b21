"""Several processes: started and ended as one, following the losses of one alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from icm.errors import ConfigError
from icm.research.training.distributed import choose_context
from icm.research.training.processes import run_together
from tests.research.training.shared_line import train_line

ROOT = Path(__file__).resolve().parents[3]
TELL = """
import json, os, pathlib, sys
rank = os.environ["RANK"]
pathlib.Path(sys.argv[1], rank).write_text(json.dumps(dict(os.environ)))
print("process", rank)
"""
FAIL_OR_WAIT = """
import os, sys, time
if os.environ["RANK"] == "1":
    print("no room")
    sys.exit(7)
time.sleep(600)
"""

BOTH_FAIL = """
import os, sys, time
if os.environ["RANK"] == "1":
    sys.exit(7)
time.sleep(0.5)
print("wrong folder", file=sys.stderr)
sys.exit(2)
"""


def test_processes_know_their_places(tmp_path: Path) -> None:
    assert run_together([sys.executable, "-c", TELL, str(tmp_path)], 3, tmp_path / "out") == 0
    told = [json.loads((tmp_path / str(rank)).read_text()) for rank in range(3)]
    assert {each["WORLD_SIZE"] for each in told} == {"3"}
    assert [each["LOCAL_RANK"] for each in told] == ["0", "1", "2"]
    assert len({each["MASTER_PORT"] for each in told}) == 1
    assert (tmp_path / "out" / "process_2.log").read_text() == "process 2\n"


def test_one_that_fails_ends_all(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_together([sys.executable, "-c", FAIL_OR_WAIT], 2, tmp_path) == 7
    assert "process 1 failed" in capfd.readouterr().err
    assert (tmp_path / "process_1.log").read_text() == "no room\n"


def test_what_the_first_one_says_is_enough(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_together([sys.executable, "-c", BOTH_FAIL], 2, tmp_path) == 2
    assert capfd.readouterr().err == "wrong folder\n"


def test_ending_the_command_ends_its_processes(tmp_path: Path) -> None:
    wait = "import os, sys, time; print(os.getpid(), flush=True); time.sleep(600)"
    start = (
        "import sys, pathlib; from icm.research.training.processes import run_together; "
        f"run_together([sys.executable, '-c', {wait!r}], 2, pathlib.Path({str(tmp_path)!r}))"
    )
    log = tmp_path / "process_1.log"
    with subprocess.Popen([sys.executable, "-c", start], cwd=ROOT, stdout=subprocess.PIPE) as main:
        assert main.stdout is not None
        first = int(main.stdout.readline())
        while not log.is_file() or not log.read_text().endswith("\n"):
            time.sleep(0.05)
        main.send_signal(signal.SIGTERM)
        assert main.wait(60) == 128 + signal.SIGTERM
    for process in (first, int(log.read_text())):
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)


def test_two_processes_follow_the_losses_of_one(tmp_path: Path) -> None:
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    train_line(alone)
    command = [sys.executable, "-m", "tests.research.training.shared_line", str(shared)]
    assert run_together(command, 2, shared) == 0, (shared / "process_1.log").read_text()
    curves = [
        [json.loads(row) for row in (out / "curve.jsonl").read_text().splitlines()]
        for out in (alone, shared)
    ]
    assert [row["step"] for row in curves[1]] == [3, 6, 9]
    errors = [[row["error"] for row in curve] for curve in curves]
    assert errors[1] == pytest.approx(errors[0], rel=1e-5)
    one, two = (load_file(out / "weights.safetensors") for out in (alone, shared))
    assert all(torch.allclose(one[name], two[name], rtol=1e-2) for name in one)


def test_places_that_do_not_work_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"fp16.*GPU"):
        choose_context("cpu", "fp16")
    alone = choose_context("cpu", "bf16")
    assert (alone.rank, alone.world, alone.is_main, alone.share_of(7)) == (0, 1, True, 7)
    with alone.autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.bfloat16
    with choose_context("cpu", "no").autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
