"""What an engine has computed and not yet begun to write."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from icm.engine.line import Item, Line, State


class Unwritten:
    """Items in the order in which the device was done with them; the engine's lock guards them."""

    def __init__(self) -> None:
        self._items: deque[tuple[Line, Item]] = deque()

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[tuple[Line, Item]]:
        return iter(tuple(self._items))

    def add(self, line: Line, item: Item) -> None:
        """One that the device is done with; after a stop, one that is written all the same."""
        item.state, item.kept = State.COMPUTED, line.stop()
        self._items.append((line, item))

    def next(self) -> tuple[Line, Item]:
        """The foremost, which is being written from now on."""
        line, item = self._items.popleft()
        item.state = State.WRITING
        return line, item

    def dropped(self, unwanted: Callable[[Line], bool], *, also_finished: bool) -> list[Item]:
        """Those of unwanted lines, which are here no longer.

        Args:
            unwanted: whether nothing further of a line is to be written.
            also_finished: whether also those go without which there would be gaps in what is
                written.
        """
        kept: deque[tuple[Line, Item]] = deque()
        gone: list[Item] = []
        for line, item in self._items:
            finished = item.kept or item.number <= line.written
            if unwanted(line) and (also_finished or not finished):
                first = item.number if line.cut is None else line.cut
                line.cut = min(first, item.number)
                gone.append(item)
            else:
                kept.append((line, item))
        self._items = kept
        return gone
