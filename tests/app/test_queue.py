"""The queue of the device: order, bound, places, withdrawal."""

from __future__ import annotations

import pytest

from app.queue import Device
from icm import InputError


@pytest.fixture
def device():
    made = Device(length=3)
    yield made
    made.close()


def test_jobs_run_one_after_the_other_in_order(device, gate) -> None:
    seen: list[int] = []
    tickets = [device.submit(gate.wait)]
    tickets += [device.submit(lambda n=number: seen.append(n)) for number in range(3)]
    assert [ticket.place for ticket in tickets] == [0, 1, 2, 3]
    gate.set()
    for ticket in tickets:
        ticket.future.result(10)
    assert seen == [0, 1, 2]


def test_a_full_queue_refuses_in_words(device, gate) -> None:
    tickets = [device.submit(gate.wait) for _ in range(4)]
    with pytest.raises(InputError, match="4 runs are waiting"):
        device.submit(gate.wait)
    gate.set()
    for ticket in tickets:
        ticket.future.result(10)
    assert device.submit(lambda: 5).future.result(10) == 5


def test_a_failing_job_does_not_stop_the_next(device) -> None:
    broken = device.submit(lambda: 1 / 0)
    assert device.submit(lambda: 7).future.result(10) == 7
    assert isinstance(broken.future.exception(), ZeroDivisionError)


def test_a_withdrawn_job_never_runs_and_frees_its_place(device, gate) -> None:
    seen: list[str] = []
    at_work = device.submit(gate.wait)
    away = device.submit(lambda: seen.append("away"))
    behind = device.submit(lambda: seen.append("behind"))
    assert device.withdraw(away)
    assert behind.place == 1
    gate.set()
    behind.future.result(10)
    assert seen == ["behind"]
    assert at_work.future.result(10)
    assert not device.withdraw(behind)


@pytest.mark.usefixtures("no_threads_for_runs")
def test_a_run_without_a_thread_fails_and_frees_its_place(device) -> None:
    run = device.run(lambda: None, lambda made, ticket: None)
    assert device.submit(lambda: 7).future.result(10) == 7
    assert run.future.done()
    assert "new thread" in str(run.future.exception())
    assert len(device) == 0
