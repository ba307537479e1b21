"""Progress: rate and time left, on a terminal and in a log."""

import io

from icm.cli.progress import Progress


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


def advance(progress, clock, seconds, times=1):
    for _ in range(times):
        clock.now += seconds
        progress.advance("cat.jpg")


def test_a_log_gets_plain_lines_now_and_then():
    log, clock = io.StringIO(), Clock()
    with Progress(100, stream=log, clock=clock) as progress:
        advance(progress, clock, 0.5, 100)
    lines = log.getvalue().splitlines()
    assert lines[0] == "20/100  2.0/s  0:40 left"
    assert lines[-1] == "100/100  2.0/s"
    assert len(lines) == 5
    assert "\r" not in log.getvalue()


def test_slow_work_is_told_in_seconds_each():
    log, clock = io.StringIO(), Clock()
    with Progress(2000, stream=log, clock=clock) as progress:
        advance(progress, clock, 12.5)
    assert log.getvalue() == "1/2000  12.5 s each  6:56:28 left\n"


def test_the_rate_is_that_of_late():
    log, clock = io.StringIO(), Clock()
    with Progress(1000, stream=log, clock=clock) as progress:
        advance(progress, clock, 60)
        advance(progress, clock, 1, 40)
    assert log.getvalue().splitlines()[-1].startswith("41/1000  1.0/s  15:59")


def test_a_terminal_has_one_live_line():
    terminal, clock = Terminal(), Clock()
    with Progress(4, stream=terminal, clock=clock) as progress:
        advance(progress, clock, 0.5, 2)
        progress.note("dog.jpg is empty")
        advance(progress, clock, 0.5, 2)
    text = terminal.getvalue()
    assert "2/4  2.0/s  0:01 left  cat.jpg" in text
    assert "\r\x1b[Kdog.jpg is empty\n" in text
    assert text.count("\n") == 2
    assert text.endswith("\n")


def test_quick_work_does_not_flood_a_terminal():
    terminal, clock = Terminal(), Clock()
    with Progress(1000, stream=terminal, clock=clock) as progress:
        advance(progress, clock, 0.001, 1000)
    assert terminal.getvalue().count("\r") <= 12


def test_stopped_half_way_the_count_is_told():
    log, clock = io.StringIO(), Clock()
    try:
        with Progress(10, stream=log, clock=clock) as progress:
            advance(progress, clock, 1, 3)
            raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert log.getvalue() == "3/10  1.0/s  0:07 left\n"


def test_an_unknown_total():
    log, clock = io.StringIO(), Clock()
    with Progress(None, stream=log, clock=clock) as progress:
        advance(progress, clock, 1, 3)
    assert log.getvalue() == "3  1.0/s\n"


def test_nothing_to_do_says_nothing():
    log = io.StringIO()
    with Progress(0, stream=log):
        pass
    assert log.getvalue() == ""


def test_what_failed_tells_no_rate():
    log, clock = io.StringIO(), Clock()
    with Progress(2, stream=log, clock=clock) as progress:
        clock.now += 11
        progress.advance("gone.jpg", failed=True)
        clock.now += 11
        progress.advance("lost.jpg", failed=True)
    assert log.getvalue() == "1/2\n2/2\n"
