"""What measures must be measured too."""

from __future__ import annotations

import platform

import pytest
import torch

from icm.research.bench import stages
from icm.research.bench.stages import PeakMemory, Stages, count_flops, machine, medians


def test_medians_are_of_runs_not_of_stages():
    assert medians({"a": [1.0, 9.0, 2.0], "b": [1.0, 1.0, 5.0]}) == {
        "a": 2.0,
        "b": 1.0,
        "total": 7.0,
    }


def test_a_stage_adds_up_within_a_run(monkeypatch):
    clock = iter([0.0, 1.0, 10.0, 12.0, 20.0, 25.0])
    monkeypatch.setattr(stages.time, "perf_counter", lambda: next(clock))
    measured = Stages()
    for _ in range(2):
        with measured.time("unet"):
            pass
    measured.end_run()
    with measured.time("unet"):
        pass
    measured.end_run()
    assert measured.wall == {"unet": [3.0, 5.0]}


def test_peak_memory_sees_what_was_there_for_a_while():
    import time

    with PeakMemory(torch.device("cpu")) as before:
        time.sleep(0.05)
    with PeakMemory(torch.device("cpu")) as peak:
        block = torch.ones(64 * 2**20)  # 256 MiB
        time.sleep(0.1)
        del block
    assert 0.2 < peak.gibibytes - before.gibibytes < 0.5


def test_operations_of_a_product():
    a, b = torch.zeros(3, 5), torch.zeros(5, 7)
    assert count_flops(lambda: a @ b) == 2 * 3 * 5 * 7


def test_the_machine_is_described_without_its_name():
    described = machine(torch.device("cpu"))
    assert described["torch"] == torch.__version__
    assert described["cores"]
    assert platform.node() not in [str(value) for value in described.values()]


@pytest.mark.parametrize("name", ["processor", "threads", "date"])
def test_what_a_reader_needs_is_there(name):
    assert machine(torch.device("cpu"))[name]
