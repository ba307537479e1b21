"""Whether the caller of an endpoint still waits for its answer."""

from __future__ import annotations

from collections.abc import Callable

from gradio.context import LocalContext


def caller_left() -> Callable[[], bool]:
    """A test for the call that is being answered: whether its caller has gone meanwhile.

    Gradio marks the event of a caller who hung up as dead, or forgets it; both are private to its
    queue. A call outside of the queue has no event, and its caller counts as waiting.
    """
    page, number = LocalContext.blocks.get(None), LocalContext.event_id.get(None)
    if page is None or number is None:
        return lambda: False
    events = page._queue.event_ids_to_events
    if number not in events:
        return lambda: False

    def left() -> bool:
        event = events.get(number)
        return event is None or not event.alive

    return left
