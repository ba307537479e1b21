"""Work side by side: same results as one after the other, nothing left behind where it fails."""

from __future__ import annotations

import threading
import time

import pytest
import torch

from icm import beside
from icm.beside import Helpers, begun, mapped
from icm.device import as_here

pytestmark = pytest.mark.timeout(60)


def _here() -> threading.Thread:
    return threading.current_thread()


def _helpers_left() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "icm-help"]


@pytest.mark.parametrize("most", [None, 1])
def test_nothing_begins_without_helpers(most: int | None) -> None:
    """None are lent, or the caller is the only one."""
    with Helpers(most or 1).lent() if most else Helpers(0).lent():
        with begun(_helpers_left) as result:
            assert _helpers_left() == []
            assert result() == []
        with begun(_here) as result:
            assert result() is _here()
        assert list(mapped(lambda _: _here(), "ab")) == [_here(), _here()]
    with begun(_here) as result:
        assert result() is _here()


def test_a_helper_works_while_the_caller_does() -> None:
    met = threading.Barrier(2)
    with Helpers(2).lent(), begun(lambda: met.wait(20)) as result:
        met.wait(20)  # which nobody passes alone
        assert result() in (0, 1)
    assert _helpers_left() == []


def test_pieces_are_done_at_the_same_time_and_come_in_order() -> None:
    met = threading.Barrier(3)

    def piece(number: int) -> int:
        met.wait(20)
        return number

    with Helpers(3).lent():
        assert list(mapped(piece, range(3))) == [0, 1, 2]
        assert list(mapped(lambda number: number, range(100))) == list(range(100))
    assert _helpers_left() == []


def test_no_more_are_at_work_than_there_are() -> None:
    """Two callers on three threads have one helper between them."""
    helpers, lock = Helpers(3), threading.Lock()
    now = most = 0
    met = threading.Barrier(2)

    def piece(number: int) -> int:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.005)
        with lock:
            now -= 1
        return number

    def caller() -> None:
        with helpers.lent():
            met.wait(20)
            assert list(mapped(piece, range(30))) == list(range(30))

    callers = [threading.Thread(target=caller) for _ in range(2)]
    for each in callers:
        each.start()
    for each in callers:
        each.join(30)
    assert most == 3
    with helpers.lent():  # all are free again
        assert len({id(thread) for thread in mapped(lambda _: _slow_here(), range(12))}) == 3


def _slow_here() -> threading.Thread:
    time.sleep(0.02)
    return _here()


def _state() -> tuple[object, ...]:
    return (
        torch.is_inference_mode_enabled(),
        torch.is_grad_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_autocast_dtype("cpu"),
        torch.get_num_threads(),
    )


@pytest.mark.parametrize("inference", [True, False])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, None])
def test_helpers_see_what_the_caller_has_set(
    inference: bool, grad: bool, dtype: torch.dtype | None
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with (
            torch.inference_mode(inference),
            torch.set_grad_enabled(grad),
            torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None),
            Helpers(2, as_here).lent(),
            begun(lambda: (_here(), _state())) as result,
        ):
            thread, found = result()
            assert thread is not _here()
            assert found == _state()
    finally:
        torch.set_num_threads(before)


def test_a_caller_counts_once() -> None:
    helpers = Helpers(2)
    with helpers.lent(), helpers.lent():
        met = threading.Barrier(2)
        assert sorted(mapped(lambda _: met.wait(20), "ab")) == [0, 1]
    assert helpers.taken()
    assert helpers.taken()
    assert not helpers.taken()


@pytest.mark.parametrize(("named", "most"), [("1", 1), ("1000", 8), ("4,2", 8), ("", 8)])
def test_processors_are_those_that_the_process_may_use(
    monkeypatch: pytest.MonkeyPatch, named: str, most: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", named)
    assert beside._processors() == most


def test_helpers_have_no_helpers() -> None:
    def work() -> bool:
        with begun(_here) as inner:
            return inner() is _here()

    with Helpers(8).lent(), begun(work) as result:
        assert result()


@pytest.mark.parametrize("where", ["work", "caller"])
def test_nothing_goes_on_where_something_has_failed(where: str) -> None:
    helpers, going, ended = Helpers(2), threading.Event(), threading.Event()

    def work() -> None:
        going.set()
        if where == "work":
            raise ValueError("no good")
        time.sleep(0.2)
        ended.set()

    with (
        helpers.lent(),
        pytest.raises(ValueError, match="no good"),
        begun(work) as result,
    ):
        assert going.wait(20)
        if where == "caller":
            raise ValueError("no good")
        result()
    assert where == "work" or ended.is_set()
    assert helpers.taken()
    assert helpers.taken()


def test_a_piece_that_fails_ends_the_rest() -> None:
    done: list[int] = []

    def piece(number: int) -> int:
        if number == 3:
            raise ValueError("no good")
        time.sleep(0.01)
        done.append(number)
        return number

    with Helpers(3).lent(), pytest.raises(ValueError, match="no good"):
        list(mapped(piece, range(100)))
    assert len(done) < 20
    assert _helpers_left() == []


def test_an_interrupt_of_the_caller_comes_at_once() -> None:
    """Not when it is the piece's turn, nor behind the error of an earlier one."""
    caller, going = _here(), threading.Event()

    def piece(number: int) -> int:
        if _here() is caller:
            assert going.wait(20)
            raise KeyboardInterrupt
        going.set()
        time.sleep(0.2)
        raise ValueError("no good")

    with Helpers(2).lent(), pytest.raises(KeyboardInterrupt):
        list(mapped(piece, range(10)))
    assert _helpers_left() == []


def test_results_do_not_pile_up() -> None:
    done: list[int] = []
    with Helpers(2).lent():
        results = mapped(done.append, range(1000))
        next(results)
        time.sleep(0.2)
        assert len(done) <= beside._AHEAD
        assert len(list(results)) == 999
    assert sorted(done) == list(range(1000))


def test_the_caller_does_the_work_where_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    helpers = Helpers(2)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    with helpers.lent():
        assert list(mapped(lambda _: _here(), "abc")) == [_here()] * 3
        with begun(_here) as result:
            assert result() is _here()
        assert helpers.taken()
