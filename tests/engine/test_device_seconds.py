"""Seconds of the device: each pass at work has an equal share, and together they are the time."""

from __future__ import annotations

from icm.engine.pictures import _Clock


def test_passes_side_by_side_share_the_time() -> None:
    now = 100.0
    clock = _Clock(lambda: now)  # not the process's clock: event loops of other threads read it
    first = clock.changed(1)
    now += 2  # alone
    second = clock.changed(1)
    now += 4  # two
    spent = [clock.changed(-1) - first]
    now += 1  # alone
    spent.append(clock.changed(-1) - second)
    now += 50  # nothing
    third = clock.changed(1)
    now += 3
    spent.append(clock.changed(-1) - third)
    assert spent == [4, 3, 3]
    assert clock.busy == sum(spent) == 10
