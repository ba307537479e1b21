"""The three stages: order, bounds, overlap, ends."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from icm.engine.flow import Final, Flow, Stages


@dataclass
class Work:
    """Stages over numbers that record what happens; weight and pass are chosen by the test."""

    weights: int = 1
    most: int = 3
    inside: int = 0
    peak: int = 0
    passes: list[list[int]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, job: int) -> int | Final[str]:
        return Final(f"skip {job}") if job % 7 == 6 else job

    def weight(self, loaded: int) -> int:
        return self.weights

    def predict(self, group: Sequence[int]) -> list[int | Final[str]]:
        self.passes.append(list(group))
        with self.lock:
            self.inside += len(group)
            self.peak = max(self.peak, self.inside)
        return [Final(f"bad {each}") if each % 10 == 5 else each for each in group]

    def write(self, predicted: int) -> str:
        with self.lock:
            self.inside -= 1
        return f"done {predicted}"

    def flow(self, *, bound: int = 100, ahead: int = 4) -> Flow[int, int, int, str]:
        stages = Stages(
            read=self.read,
            weight=self.weight,
            same_pass=lambda a, b: a // 20 == b // 20,
            most=lambda: self.most,
            predict=self.predict,
            write=self.write,
        )
        return Flow(stages, readers=2, writers=3, ahead=ahead, bound=bound)


def _expected(number: int) -> str:
    return f"skip {number}" if number % 7 == 6 else _worked(number)


def _worked(number: int) -> str:
    return f"bad {number}" if number % 10 == 5 else f"done {number}"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("bound", [1, 2, 5, 1000])
@pytest.mark.parametrize("ahead", [1, 8])
@pytest.mark.parametrize("weights", [0, 1, 3, 50])
def test_every_item_comes_out_in_order_whatever_the_bounds(
    bound: int, ahead: int, weights: int
) -> None:
    work = Work(weights=weights)
    flow = work.flow(bound=bound, ahead=ahead)
    assert list(flow.run(range(100), lambda: False)) == [_expected(n) for n in range(100)]
    assert all(1 <= len(group) <= 3 for group in work.passes)
    assert all(len({each // 20 for each in group}) == 1 for group in work.passes)


def test_no_more_is_read_than_fits() -> None:
    """Readers go on while the device is held up, but only as far as the bound and `ahead` let."""
    work = Work(weights=10, most=1)
    go_on, reached = threading.Event(), threading.Event()
    admitted: list[int] = []

    def read(job: int) -> int | Final[str]:
        admitted.append(job)
        if len(admitted) == 4:  # two inside, and each reader with one in its hand
            reached.set()
        return job

    def predict(group: Sequence[int]) -> list[int | Final[str]]:
        assert reached.wait(20)
        assert not go_on.wait(0.2)  # time in which a flow without bound would read on
        assert len(admitted) <= 4 + len(work.passes)
        work.passes.append(list(group))
        return list(group)

    work.read, work.predict = read, predict  # type: ignore[method-assign]  # instrumented
    results = []
    for result in work.flow(bound=20, ahead=50).run(range(8), lambda: False):
        results.append(result)
        work.passes.append([])
    assert results == [f"done {n}" for n in range(8)]


@pytest.mark.timeout(60)
def test_stages_overlap() -> None:
    """Each stage waits for another one to be at work on another item: in turn they never would."""
    reading, predicting, writing = threading.Event(), threading.Event(), threading.Event()
    work = Work(most=1)

    def read(job: int) -> int | Final[str]:
        if job == 2:
            reading.set()
            assert predicting.wait(20)
        return job

    def predict(group: Sequence[int]) -> list[int | Final[str]]:
        if group[0] == 1:
            predicting.set()
            assert reading.wait(20)
            assert writing.wait(20)
        return list(group)

    def write(predicted: int) -> str:
        if predicted == 0:
            writing.set()
            assert predicting.wait(20)
        return f"done {predicted}"

    work.read, work.predict, work.write = read, predict, write  # type: ignore[method-assign]  # instrumented
    assert len(list(work.flow().run(range(4), lambda: False))) == 4


def test_when_asked_to_stop_it_finishes_what_is_on_the_device_and_drops_what_waits() -> None:
    asked = threading.Event()
    work = Work(most=1)
    predict = work.predict

    def third(group: Sequence[int]) -> list[int | Final[str]]:
        if 2 in group:
            asked.set()
        return predict(group)

    work.predict = third  # type: ignore[method-assign]  # instrumented
    results = list(work.flow(ahead=20).run(range(1000), asked.is_set))
    # Those that were read and skipped need no device, and are told too.
    assert [result for result in results if "skip" not in result] == [
        _expected(n) for n in range(3)
    ]


@pytest.mark.timeout(60)
def test_when_asked_to_stop_only_what_threads_have_at_hand_is_written() -> None:
    asked, begun = threading.Event(), threading.Event()
    work = Work(most=1)
    predict, write = work.predict, work.write

    def tenth(group: Sequence[int]) -> list[int | Final[str]]:
        if 9 in group:
            begun.wait()
            asked.set()
        return predict(group)

    def slow(item: int) -> str:
        begun.set()
        asked.wait()
        return write(item)

    work.predict, work.write = tenth, slow  # type: ignore[method-assign]  # instrumented
    results = list(work.flow(ahead=20).run(range(1000), asked.is_set))
    # Three writers have the first three at hand; 5 and 6 are done without being written.
    assert results[:5] == [_expected(n) for n in (0, 1, 2, 5, 6)]
    assert all("skip" in result for result in results[5:])


@pytest.mark.timeout(60)
def test_an_abandoned_run_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    run = Work(weights=10).flow(bound=10, ahead=8).run(range(100), lambda: False)
    next(run)
    run.close()  # type: ignore[attr-defined]  # a generator
    assert threading.active_count() == before


@pytest.mark.timeout(60)
def test_an_unforeseen_error_comes_out_and_nothing_hangs() -> None:
    work = Work(weights=10)

    def predict(group: Sequence[int]) -> list[int | Final[str]]:
        raise RuntimeError("broken")

    work.predict = predict  # type: ignore[method-assign]  # instrumented
    with pytest.raises(RuntimeError, match="broken"):
        list(work.flow(bound=10, ahead=8).run(range(100), lambda: False))
