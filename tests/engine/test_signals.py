"""Signals ask to stop; a second one insists."""

from __future__ import annotations

import os
import signal
import time

import pytest

from icm.engine.signals import Stop, interrupted_by_termination, stops_on_signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_asks_and_the_second_insists(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stops_on_signals(stop):
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert stop.asked
        os.kill(os.getpid(), number)
        time.sleep(0.01)
    assert signal.getsignal(number) is before


def test_waiting_ends_when_asked() -> None:
    stop = Stop()
    with stops_on_signals(stop):
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        before = signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
        try:
            stop.wait(60)  # the suite's own limit would end it
        finally:
            signal.signal(signal.SIGALRM, before)
    assert stop.asked


def test_before_a_run_begins_a_termination_interrupts_like_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), interrupted_by_termination():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_second_signal_is_remembered_as_insisting() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt), stops_on_signals(stop):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
        assert (stop.asked, stop.insisted) == (True, False)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.01)
    assert stop.insisted
