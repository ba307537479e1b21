"""Work side by side: same results as one after the other, nothing left behind where it fails."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from icm.functional import beside
from icm.functional.beside import begun, helped, mapped

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def _three_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPoolExecutor(3)
    monkeypatch.setattr(beside, "_helpers", lambda: pool)


def test_nothing_begins_without_helpers() -> None:
    done = []
    with begun(lambda: done.append(threading.current_thread())):
        pass
    assert done == []
    with begun(threading.current_thread) as result:
        assert result() is threading.current_thread()
    assert list(mapped(lambda _: threading.current_thread(), "ab")) == [
        threading.current_thread(),
        threading.current_thread(),
    ]


def test_a_helper_works_while_the_caller_does() -> None:
    met = threading.Barrier(2)
    with helped(True), begun(lambda: met.wait(20)) as result:
        met.wait(20)  # which nobody passes alone
        assert result() in (0, 1)


def test_pieces_are_done_at_the_same_time_and_come_in_order() -> None:
    met = threading.Barrier(3)

    def piece(number: int) -> int:
        met.wait(20)
        return number

    with helped(True):
        assert list(mapped(piece, range(3))) == [0, 1, 2]


def test_the_caller_does_what_no_helper_has_begun() -> None:
    here, gate = threading.current_thread(), threading.Event()
    busy = [beside._helpers().submit(gate.wait, 20) for _ in range(3)]
    with helped(True):
        with begun(threading.current_thread) as result:
            assert result() is here
        assert list(mapped(lambda _: threading.current_thread(), "ab")) == [here, here]
    gate.set()
    assert all(each.result(20) for each in busy)


def test_helpers_see_what_the_caller_has_set() -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.is_inference_mode_enabled(),
            torch.is_grad_enabled(),
            torch.is_autocast_enabled("cpu"),
            torch.get_autocast_dtype("cpu"),
            torch.get_num_threads(),
        )

    for grad in (True, False):
        with helped(True), torch.set_grad_enabled(grad), torch.autocast("cpu", torch.float16):
            here = state()
            assert list(mapped(lambda _: state(), range(6))) == [here] * 6
    with helped(True), torch.inference_mode(), begun(state) as result:
        assert result() == state()


def test_helpers_have_no_helpers() -> None:
    """A helper that waited for another might wait for itself."""
    going = threading.Event()

    def work() -> tuple[threading.Thread, threading.Thread]:
        going.set()
        with begun(threading.current_thread) as inner:
            return inner(), threading.current_thread()

    with helped(True), begun(work) as result:
        assert going.wait(20)
        first, second = result()
    assert first is second is not threading.current_thread()


@pytest.mark.parametrize("where", ["work", "caller"])
def test_nothing_goes_on_where_something_has_failed(where: str) -> None:
    going, ended = threading.Event(), threading.Event()

    def work() -> None:
        going.set()
        if where == "work":
            raise ValueError("no good")
        threading.Event().wait(0.2)
        ended.set()

    with (
        helped(True),
        pytest.raises(ValueError, match="no good"),
        begun(work) as result,
    ):
        assert going.wait(20)
        if where == "caller":
            raise ValueError("no good")
        result()
    assert where == "work" or ended.is_set()


def test_a_piece_that_fails_ends_the_rest() -> None:
    def piece(number: int) -> int:
        if number == 1:
            raise ValueError("no good")
        return number

    with helped(True):
        results = mapped(piece, range(40))
        assert next(results) == 0
        with pytest.raises(ValueError, match="no good"):
            list(results)
