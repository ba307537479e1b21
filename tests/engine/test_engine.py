"""One engine, many callers: turns, priorities, pauses, order, and failures that stay alone."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pytest

from icm.engine import Engine, Final
from icm.engine.stages import Stages
from icm.errors import DeviceError

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(readers=2, writers=2, bound=1000) as made:
        yield made


class Device:
    """Stages over words that note what the device did; it begins with `open`."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.read: list[str] = []
        self.open = threading.Event()
        self.busy = threading.Event()

    def stages(self, most: int = 1, parallel: int = 1) -> Stages[str, str, str, str]:
        return Stages(
            read=self._read,
            weight=lambda loaded: 1,
            same_pass=lambda first, second: True,
            most=lambda: most,
            predict=self._predict,
            write=str.upper,
            parallel=parallel,
        )

    def _read(self, job: str) -> str | Final[str]:
        self.read.append(job)
        return job

    def _predict(self, group: Sequence[str]) -> Sequence[str | Final[str]]:
        self.busy.set()
        assert self.open.wait(20)
        self.done += group
        return group


@pytest.fixture
def device() -> Iterator[Device]:
    made = Device()
    yield made
    made.open.set()


def _later(work: Callable[[], list[str]]) -> Future[list[str]]:
    """On a thread of its own, which is the caller's."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(work)
    pool.shutdown(wait=False)
    return future


def _until(happened: Callable[[], bool]) -> None:
    tick = threading.Event()
    for _ in range(2000):
        if happened():
            return
        tick.wait(0.01)
    raise AssertionError("waited in vain")


def _names(client: str, count: int) -> list[str]:
    return [f"{client}{number}" for number in range(count)]


def test_a_client_with_three_does_not_wait_for_another_s_thirty_nine(
    engine: Engine, device: Device
) -> None:
    many = _later(lambda: list(engine.run(device.stages(), _names("a", 39), client="a")))
    assert device.busy.wait(20)
    few = _later(lambda: list(engine.run(device.stages(), _names("b", 3), client="b")))
    _until(lambda: "b1" in device.read)  # so the first one is ready
    device.open.set()
    assert few.result(20) == ["B0", "B1", "B2"]
    assert many.result(20) == [name.upper() for name in _names("a", 39)]
    assert device.done.index("b2") < 10
    assert [each for each in device.done if each[0] == "a"] == _names("a", 39)


def test_lines_of_one_client_share_its_turns(engine: Engine, device: Device) -> None:
    runs = [_later(lambda: list(engine.run(device.stages(), _names("a", 20), client="a")))]
    assert device.busy.wait(20)
    runs += [_later(lambda: list(engine.run(device.stages(), _names("A", 20), client="a")))]
    runs += [_later(lambda: list(engine.run(device.stages(), _names("b", 8), client="b")))]
    _until(lambda: "b1" in device.read and "A1" in device.read)
    device.open.set()
    for run in runs:
        run.result(20)
    until_b_is_done = device.done[: device.done.index("b7")]
    assert len(until_b_is_done) < 24  # not two of the other client's for each of its own
    assert 2 < sum(name[0] == "A" for name in until_b_is_done) < 12


def test_what_has_priority_goes_first(engine: Engine, device: Device) -> None:
    many = _later(lambda: list(engine.run(device.stages(), _names("a", 9), client="a")))
    assert device.busy.wait(20)
    calls = [engine.submit(lambda: device.done.append("low"), client="b")]
    calls += [engine.submit(lambda: device.done.append("high"), client="c", priority=1)]
    device.open.set()
    many.result(20)
    assert [call.future.result(20) for call in calls] == [None, None]
    assert device.done[:3] == ["a0", "high", "low"]


def test_places_withdrawal_and_what_a_call_raises(engine: Engine, device: Device) -> None:
    many = _later(lambda: list(engine.run(device.stages(), _names("a", 2), client="a")))
    assert device.busy.wait(20)
    calls = [engine.submit(lambda: 1 // 0, client=name) for name in "bcd"]
    assert [call.place for call in calls] == [1, 2, 3]
    assert calls[1].withdraw()
    assert calls[2].place == 2
    device.open.set()
    assert isinstance(calls[0].future.exception(20), ZeroDivisionError)
    assert calls[1].future.cancelled()
    assert many.result(20) == ["A0", "A1"]
    assert not calls[0].withdraw()


def test_a_paused_run_begins_nothing_and_goes_on(engine: Engine, device: Device) -> None:
    paused = threading.Event()
    device.open.set()
    run = engine.run(device.stages(), _names("a", 30), ahead=2, pause=paused.is_set)
    assert next(run) == "A0"
    paused.set()
    _until(lambda: engine.submit(lambda: True).future.result(20))  # what was begun has ended
    seen = list(device.done)
    assert engine.submit(lambda: "others go on", client="b").future.result(20)
    assert device.done == seen
    paused.clear()
    assert list(run) == [name.upper() for name in _names("a", 30)[1:]]


def test_what_a_paused_run_has_read_ahead_leaves_room_for_others(
    engine: Engine, device: Device
) -> None:
    """Both readers hold pictures for which there is no room until the paused one goes on."""
    paused = threading.Event()
    stages = replace(device.stages(), weight=lambda loaded: 600)
    away = _later(lambda: list(engine.run(stages, _names("a", 9), client="a", pause=paused.is_set)))
    assert device.busy.wait(20)
    _until(lambda: "a2" in device.read)
    paused.set()
    here = _later(lambda: list(engine.run(stages, _names("b", 9), client="b")))
    device.open.set()
    assert here.result(20) == [name.upper() for name in _names("b", 9)]
    assert [name for name in device.done if name[0] == "a"] == ["a0"]
    paused.clear()
    assert away.result(20) == [name.upper() for name in _names("a", 9)]


@pytest.mark.parametrize("bound", [1, 7, 1000])
def test_pauses_that_come_and_go_lose_nothing(device: Device, bound: int) -> None:
    """Whatever has been read, and wherever it waits, when a pause begins or ends."""
    pauses = itertools.chain(
        random.Random(bound).choices((True, False), k=1000), itertools.repeat(False)
    )
    device.open.set()
    weights = {name: 1 + number % 5 for number, name in enumerate(_names("a", 60))}
    stages = replace(device.stages(most=3), weight=weights.__getitem__)
    with Engine(readers=3, writers=2, bound=bound) as engine:
        run = engine.run(stages, list(weights), pause=lambda: next(pauses))
        done = _later(lambda: list(run)).result(50)
    assert done == [name.upper() for name in weights]
    assert device.done == list(weights)
    assert engine._gate._inside == 0


def test_what_is_left_is_dropped_before_it_is_dispatched(engine: Engine, device: Device) -> None:
    """As when a visitor leaves: the one on the device is finished, none of the others begins."""
    left = threading.Event()
    many = _later(lambda: list(engine.run(device.stages(), _names("a", 39), stop=left.is_set)))
    assert device.busy.wait(20)
    left.set()
    device.open.set()
    assert many.result(20) == ["A0"]
    assert device.done == ["a0"]


def test_outcomes_come_as_they_are_there_where_order_does_not_matter(engine: Engine) -> None:
    last = threading.Event()

    def write(job: str) -> str:
        if job == "slow":
            assert last.wait(20)
        return job

    stages: Stages[str, str, str, str] = Stages(
        read=lambda job: job,
        weight=lambda loaded: 1,
        same_pass=lambda first, second: False,
        most=lambda: 1,
        predict=list,
        write=write,
    )
    outcomes = []
    for outcome in engine.run(stages, ["slow", "quick", "quicker"], ordered=False):
        outcomes.append(outcome)
        if len(outcomes) == 2:
            last.set()
    assert sorted(outcomes[:2]) == ["quick", "quicker"]
    assert outcomes[2] == "slow"


def test_what_a_caller_breaks_is_the_caller_s_alone(engine: Engine, device: Device) -> None:
    def broken(job: str) -> str | Final[str]:
        raise RuntimeError("broken")

    device.open.set()
    stages = device.stages()
    device._read = broken  # type: ignore[method-assign]  # instrumented
    with pytest.raises(RuntimeError, match="broken"):
        list(engine.run(device.stages(), _names("a", 20), client="a"))
    assert list(engine.run(stages, _names("b", 3), client="b")) == ["B0", "B1", "B2"]


def test_a_closed_engine_ends_its_runs_and_takes_no_more(device: Device) -> None:
    engine = Engine()
    many = _later(lambda: list(engine.run(device.stages(), _names("a", 39))))
    assert device.busy.wait(20)
    call = engine.submit(lambda: 1)
    engine.close(wait=False)
    assert call.future.cancelled()
    assert not engine.ended(0.05)
    device.open.set()
    assert many.result(20) == []
    assert device.done == ["a0"]
    assert engine.ended(20)
    assert engine.submit(lambda: 1).future.cancelled()


class SideBySide:
    """Stages whose passes wait for a word; it notes how many were at work at once."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.most = 0
        self.open = threading.Semaphore(0)
        self.at_work = 0
        self._lock = threading.Lock()

    def stages(self, parallel: int) -> Stages[str, str, str, str]:
        return Stages(
            read=lambda job: job,
            weight=lambda loaded: 1,
            same_pass=lambda first, second: True,
            most=lambda: 1,
            predict=self._predict,
            write=str.upper,
            parallel=parallel,
        )

    def _predict(self, group: Sequence[str]) -> Sequence[str]:
        with self._lock:
            self.begun += group
            self.at_work += 1
            self.most = max(self.most, self.at_work)
        assert self.open.acquire(timeout=20)
        with self._lock:
            self.at_work -= 1
        return group


@pytest.fixture
def several() -> Iterator[SideBySide]:
    made = SideBySide()
    yield made
    made.open.release(1000)


def test_passes_are_at_work_side_by_side_and_come_in_order(
    engine: Engine, several: SideBySide
) -> None:
    run = _later(lambda: list(engine.run(several.stages(3), _names("a", 20))))
    _until(lambda: len(several.begun) == 3)
    several.open.release(20)
    assert run.result(20) == [name.upper() for name in _names("a", 20)]
    assert several.most == 3


def test_a_pass_that_wants_the_device_alone_gets_it_soon(
    engine: Engine, several: SideBySide
) -> None:
    many = _later(lambda: list(engine.run(several.stages(2), _names("a", 30), client="a")))
    _until(lambda: len(several.begun) == 2)
    at_work: list[int] = []
    call = engine.submit(lambda: at_work.append(several.at_work), client="b")
    several.open.release(1)
    _until(lambda: len(several.begun) == 3)  # whose turn it was before the call came
    several.open.release(1)
    _until(lambda: several.at_work == 1)  # the fourth waits behind the call, which waits for this
    assert not call.future.done()
    several.open.release(1)
    call.future.result(20)
    assert at_work == [0]
    several.open.release(30)
    assert len(many.result(20)) == 30


def test_clients_take_turns_side_by_side(engine: Engine, several: SideBySide) -> None:
    many = _later(lambda: list(engine.run(several.stages(2), _names("a", 30), client="a")))
    _until(lambda: len(several.begun) == 2)
    few = _later(lambda: list(engine.run(several.stages(2), _names("b", 5), client="b")))
    _until(lambda: any(line.client == "b" and line.ready for line in tuple(engine._rotation)))
    for _ in range(35):
        several.open.release()
        threading.Event().wait(0.005)
    assert few.result(20) == [name.upper() for name in _names("b", 5)]
    assert many.result(20) == [name.upper() for name in _names("a", 30)]
    assert several.begun.index("b4") < 18


def test_a_stop_lets_all_that_are_at_work_end(engine: Engine, several: SideBySide) -> None:
    stop = threading.Event()
    run = _later(lambda: list(engine.run(several.stages(3), _names("a", 20), stop=stop.is_set)))
    _until(lambda: len(several.begun) == 3)
    stop.set()
    several.open.release(20)
    assert run.result(20) == ["A0", "A1", "A2"]
    assert sorted(several.begun) == ["a0", "a1", "a2"]


def test_a_stop_leaves_no_gap_in_what_was_finished(several: SideBySide) -> None:
    """One is being written and two wait for the only writer, while the first is being computed."""
    stop, gates = threading.Event(), {name: threading.Event() for name in _names("a", 6)}
    writing = threading.Event()

    def predict(group: Sequence[str]) -> Sequence[str]:
        assert gates[group[0]].wait(20)
        return group

    def write(job: str) -> str:
        writing.set()
        assert gates["a5"].wait(20)
        return job.upper()

    stages = replace(several.stages(4), predict=predict, write=write)
    with Engine(readers=2, writers=1, bound=1000) as engine:
        run = _later(lambda: list(engine.run(stages, _names("a", 6)[:5], stop=stop.is_set)))
        for name in ("a1", "a2", "a3"):
            gates[name].set()
        assert writing.wait(20)
        _until(lambda: len(engine._unwritten) == 2)
        stop.set()
        gates["a0"].set()
        _until(lambda: "a0" in [item.job for _, item in tuple(engine._unwritten)])
        gates["a4"].set()
        gates["a5"].set()
        done = run.result(20)
    assert done == [name.upper() for name in _names("a", len(done))]
    assert "A0" in done


def test_a_closed_engine_drops_what_a_stop_would_have_finished(several: SideBySide) -> None:
    writing, gate = threading.Event(), threading.Event()

    def write(job: str) -> str:
        writing.set()
        assert gate.wait(20)
        return job.upper()

    stop = threading.Event()
    stages = replace(several.stages(3), write=write)
    engine = Engine(readers=2, writers=1)
    run = _later(lambda: list(engine.run(stages, _names("a", 9), stop=stop.is_set)))
    _until(lambda: len(several.begun) == 3)
    stop.set()
    several.open.release(3)
    assert writing.wait(20)
    _until(lambda: len(engine._unwritten) == 2)
    engine.close(wait=False)
    gate.set()
    assert len(run.result(20)) <= 1
    assert engine.ended(20)


def _heavy(read: list[str], write: Callable[[str], str]) -> Stages[str, str, str, str]:
    """Stages whose outcomes are kept, three of which fill the engine's bound; notes reading."""

    def reading(job: str) -> str:
        read.append(job)
        return job

    return Stages(
        read=reading,
        weight=lambda loaded: 400,
        same_pass=lambda first, second: False,
        most=lambda: 1,
        predict=list,
        write=write,
        parallel=4,
        keeps=True,
    )


def test_results_that_nobody_takes_hold_the_reading_back(engine: Engine) -> None:
    read: list[str] = []
    run = engine.run(_heavy(read, str.upper), _names("a", 40))
    assert next(run) == "A0"
    _until(lambda: engine._at_work == 0)
    assert len(read) < 12
    assert list(run) == [name.upper() for name in _names("a", 40)[1:]]


def test_results_that_wait_for_an_earlier_one_hold_the_reading_back(engine: Engine) -> None:
    read: list[str] = []
    gate = threading.Event()

    def write(job: str) -> str:
        assert job != "a0" or gate.wait(20)
        return job.upper()

    run = _later(lambda: list(engine.run(_heavy(read, write), _names("a", 40))))
    _until(lambda: len(read) > 3 and engine._at_work == 1)
    held = len(read)
    gate.set()
    assert run.result(20) == [name.upper() for name in _names("a", 40)]
    assert held <= 1 + 3 + 2 + 2  # the first, those that fill the bound, at work, being read


class Refused:
    """Threads that cannot be started, by the beginning of their names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        self.seen = threading.Event()
        start = threading.Thread.start

        def refuse(thread: threading.Thread) -> None:
            if thread.name.startswith(name):
                self.seen.set()
                raise RuntimeError("can't start new thread")
            start(thread)

        monkeypatch.setattr(threading.Thread, "start", refuse)


@pytest.mark.parametrize(
    ("name", "parallel"),
    [("icm-read", 1), ("icm-device", 1), ("icm-compute", 2), ("icm-write", 1)],
)
def test_a_thread_that_cannot_be_started_fails_the_run_and_not_the_next_one(
    engine: Engine, device: Device, monkeypatch: pytest.MonkeyPatch, name: str, parallel: int
) -> None:
    device.open.set()
    with monkeypatch.context() as patched:
        Refused(patched, name)
        run = _later(lambda: list(engine.run(device.stages(parallel=parallel), _names("a", 20))))
        with pytest.raises(DeviceError, match="can't start new thread"):
            run.result(20)
    _until(lambda: engine._at_work == 0)
    again = _later(lambda: list(engine.run(device.stages(parallel=parallel), _names("b", 20))))
    assert again.result(20) == [name.upper() for name in _names("b", 20)]
    assert len(device.done) == len(set(device.done))  # nothing that was refused was done later


def test_what_others_have_at_hand_is_done_though_one_more_thread_is_refused(
    engine: Engine, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = Refused(monkeypatch, "icm-read_1")
    read = device._read

    def reading(job: str) -> str | Final[str]:
        assert refused.seen.wait(20)
        return read(job)

    device.open.set()
    stages = replace(device.stages(), read=reading)
    run = engine.run(stages, _names("a", 20))
    assert _later(lambda: [next(run)]).result(20) == ["A0"]
    with pytest.raises(DeviceError):
        _later(lambda: [next(run)]).result(20)
    _until(lambda: engine._at_work == 0)
    assert "a1" not in device.read


def test_a_call_for_which_no_thread_can_be_started_is_told(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        Refused(patched, "icm-device")
        call = engine.submit(lambda: 1)
        assert isinstance(call.future.exception(20), DeviceError)
    assert engine.submit(lambda: 2).future.result(20) == 2


_AT_THE_END = """
import threading, time
from concurrent.futures import ThreadPoolExecutor
from icm.engine import Engine
from icm.engine.stages import Stages
from icm.errors import DeviceError

begun = threading.Event()

def until_the_end():
    try:
        while True:  # until the interpreter takes no more work
            ThreadPoolExecutor(1).submit(int).result()
            time.sleep(0.01)
    except RuntimeError:
        return

def predict(group):
    begun.set()
    until_the_end()
    return group

def run():
    stages = Stages(lambda job: job, lambda loaded: 1, lambda a, b: False, lambda: 1, predict, str)
    try:
        print(list(Engine().run(stages, range(9))))
    except DeviceError as error:
        print("ended:", error)

threading.Thread(target=run).start()
begun.wait()
"""


def test_a_run_on_a_thread_of_its_own_ends_with_the_interpreter() -> None:
    command = [sys.executable, "-c", _AT_THE_END]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=50)
    assert ended.stdout.startswith("ended: "), ended.stderr
