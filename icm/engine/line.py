"""A caller's work in an engine, item by item, and whose turn it is."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from icm.engine.stages import Stages


class State(Enum):
    """How far an item is."""

    WAITING = auto()
    READING = auto()
    READ = auto()
    COMPUTING = auto()
    COMPUTED = auto()
    WRITING = auto()
    ENDED = auto()
    DROPPED = auto()


@dataclass(eq=False)
class Item:
    """One thing to do.

    Attributes:
        job: what the caller gave.
        state: how far it is.
        value: what the last stage made of it; the outcome once it has ended.
        weight: its share of the engine's bound.
        size: the same, also when it is over.
        number: its place among the items of its line.
        kept: whether it is written although a stop was asked for: it was on the device then.
        error: what a stage raised, which is the caller's to handle.
    """

    job: Any
    state: State = State.WAITING
    value: Any = None
    weight: int = 0
    size: int = 0
    number: int = 0
    kept: bool = False
    error: BaseException | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is done with it."""
        return self.state in (State.ENDED, State.DROPPED)


@dataclass(eq=False)
class Line:
    """Work of one caller; the engine's lock guards it.

    Attributes:
        stages: what is done with its items.
        client: lines of one client share its turns.
        priority: higher ones go first.
        stop: once it gives true nothing further of it begins; quick.
        items: those whose outcomes the caller has not had, in order.
        unread: of them those whose reading has not begun.
        uncomputed: of them those that the device has not begun, in order.
        pause: while it gives true nothing further of it begins, and what was read ahead is put
            back; quick.
        written: the highest number that a thread has begun to write, -1 before.
        count: how many items it ever had.
        single: whether it leaves by itself, when the device is done with it.
        cut: number of the first of its items that was dropped before it was written; None where
            none was.
    """

    stages: Stages[Any, Any, Any, Any]
    client: str
    priority: int
    stop: Callable[[], bool]
    pause: Callable[[], bool]
    single: bool = False
    items: deque[Item] = field(default_factory=deque)
    unread: deque[Item] = field(default_factory=deque)
    uncomputed: deque[Item] = field(default_factory=deque)
    cut: int | None = None
    written: int = -1
    count: int = 0

    @property
    def goes_on(self) -> bool:
        """Whether more of it may begin now."""
        return not self.stop() and not self.pause()

    def add(self, item: Item) -> None:
        """One more, behind the others; one that is not waiting needs no reading."""
        item.number = self.count
        self.count += 1
        self.items.append(item)
        self.uncomputed.append(item)
        if item.state is State.WAITING:
            self.unread.append(item)

    def skip(self) -> None:
        """Passes over what came to its end without the device."""
        while self.uncomputed and self.uncomputed[0].over:
            self.uncomputed.popleft()

    def put_back(self) -> int:
        """What was read ahead is to be read again; returns its weight.

        The last one first and none before one that is being read: they come through the gate in
        their order again, and the first never waits for room that a later one has.
        """
        freed = 0
        for item in reversed(self.uncomputed):
            if item.state is State.READING:
                break
            if item.state is State.READ:
                freed += item.weight
                self.unread_again(item)
        return freed

    def unread_again(self, item: Item) -> None:
        """One that was read, and none after it, is to be read again."""
        item.state, item.value, item.weight, item.size = State.WAITING, None, 0, 0
        self.unread.appendleft(item)

    def is_last_read(self, item: Item) -> bool:
        """Whether of those after it none has been read, or is being read."""
        later = itertools.takewhile(lambda each: each is not item, reversed(self.uncomputed))
        return all(each.state not in (State.READING, State.READ) for each in later)

    @property
    def alone(self) -> bool:
        """Whether each of its passes has the device to itself."""
        return self.stages.parallel == 1

    @property
    def ready(self) -> bool:
        """Whether its next item has been read."""
        self.skip()
        return bool(self.uncomputed) and self.uncomputed[0].state is State.READ

    def group(self) -> list[Item]:
        """The next item and those that are ready to share its pass; none while it is being read.

        Waiting for more would let the device idle, and could wait for ever where the engine's bound
        is used up by this very group.
        """
        if not self.ready:
            return []
        stages, most = self.stages, self.stages.most()
        group = [self.uncomputed.popleft()]
        while self.uncomputed and len(group) < most:
            following = self.uncomputed[0]
            if following.over:
                self.uncomputed.popleft()
                continue
            ready = following.state is State.READ
            if not ready or not stages.same_pass(group[0].value, following.value):
                break
            group.append(self.uncomputed.popleft())
        return group

    def has_room(self, ahead: int) -> bool:
        """Whether one more may be added; passes that grow need more of them.

        Args:
            ahead: items that may be read before the device takes them.
        """
        self.skip()
        most = max(ahead, 2 * self.stages.most(), self.stages.parallel + 1)
        return len(self.uncomputed) < most and len(self.items) <= 2 * most

    def full(self, bound: int) -> bool:
        """Whether the outcomes that the caller has not had are so large that no more is read.

        What they wait for, an earlier item, has been read before them.

        Args:
            bound: of their sizes together.
        """
        held = (item.size for item in self.items if item.state is State.ENDED)
        return self.stages.keeps and sum(held) >= bound

    def taken(self, *, ordered: bool) -> Item | None:
        """An item that has ended, which the caller has from now on."""
        item = self.ended(ordered=ordered)
        if item is not None:
            self.items.remove(item)
        return item

    def ended(self, *, ordered: bool) -> Item | None:
        """An item that has ended; the foremost alone where order matters."""
        while self.items and self.items[0].state is State.DROPPED:
            self.items.popleft()
        candidates = itertools.islice(self.items, 1) if ordered else self.items
        return next((item for item in candidates if item.state is State.ENDED), None)


class Rotation:
    """Whose turn it is: clients take turns, and so do the lines of each client."""

    def __init__(self) -> None:
        self._clients: OrderedDict[str, deque[Line]] = OrderedDict()

    def join(self, line: Line) -> None:
        """One more line, behind those that are here."""
        self._clients.setdefault(line.client, deque()).append(line)

    def leave(self, line: Line) -> None:
        """A line has come to its end."""
        lines = self._clients.get(line.client, deque())
        if line in lines:
            lines.remove(line)
            if not lines:
                del self._clients[line.client]

    def served(self, line: Line) -> None:
        """A line has had its turn."""
        lines = self._clients.get(line.client)
        if lines and line in lines:
            self._clients.move_to_end(line.client)
            lines.remove(line)
            lines.append(line)

    def place(self, line: Line) -> int:
        """How many have their turn before a line; none for one that is not here.

        Paused lines are passed over.
        """
        before = 0
        for lines in self._clients.values():
            if line in lines:
                ahead = itertools.islice(lines, lines.index(line))
                return before + sum(each.goes_on for each in ahead)
            before += any(each.goes_on for each in lines)
        return 0

    def next_unread(self, bound: int) -> tuple[Line, Item] | None:
        """What is read next: of those who may go first, the one with the least read ahead.

        Args:
            bound: of the sizes of outcomes that a line's caller has not had.
        """
        lines = [line for line in self if line.unread and line.goes_on and not line.full(bound)]
        if not lines:
            return None
        line = min(
            lines, key=lambda each: (-each.priority, len(each.uncomputed) - len(each.unread))
        )
        item = line.unread.popleft()
        item.state = State.READING
        return line, item

    def next_group(self, computing: Sequence[Line]) -> tuple[Line, list[Item]] | None:
        """The items whose turn it is at the device; none while they have to wait for others.

        Args:
            computing: the lines whose passes are at work.
        """
        for line in sorted(self, key=lambda each: -each.priority):
            if not line.goes_on or not line.ready:
                continue
            if len(computing) >= min(each.stages.parallel for each in (*computing, line)):
                return None  # nor may others go before it: it might wait for ever
            if group := line.group():
                for item in group:
                    item.state = State.COMPUTING
                return line, group
        return None

    def __iter__(self) -> Iterator[Line]:
        """All lines, in the order of their turns."""
        for lines in tuple(self._clients.values()):
            yield from tuple(lines)
