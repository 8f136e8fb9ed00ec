"""Outcomes: what became of the events that clients asked for, counted by kind, and how long it took."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, Protocol

from schemas.errors import TrackerError
from schemas.metrics import ACKNOWLEDGEMENT, Histogram
from tracker.events import Tracked
from tracker.requests import EventRequest
from tracker.sender import Sender
from tracker.tracking import Receipt
from workers.runtime.actor import Waiter

ACCEPTED = "accepted"
UNREAD = "unread"
"""The kind of an item that did not decode."""


class Tracking(Protocol):
    """What is counted: see tracker.tracking.Tracking."""

    async def track(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked: ...

    async def track_all(
        self, items: Iterable[EventRequest | TrackerError], sender: Sender
    ) -> list[Receipt | TrackerError]: ...

    def make(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked | None: ...

    def send(self, tracked: Tracked, waiter: Waiter[None]) -> None: ...


class Outcome(NamedTuple):
    """`accepted`, or the reason why an event does not count or was not taken."""

    kind: str
    outcome: str


class CountedTracking:
    """Tracking as it is, with its outcomes counted, and timed where acknowledged, since the task started."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self.outcomes: Counter[Outcome] = Counter()
        self.acknowledgements = Histogram(ACKNOWLEDGEMENT)

    async def track(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked:
        began_s = time.perf_counter()
        try:
            tracked = await self._tracking.track(program_id, asked, sender)
        except TrackerError as error:
            self.count(asked.kind, error.reason)
            raise
        self.accepted(asked.kind, tracked.event.reason, began_s=began_s)
        return tracked

    async def track_all(
        self, items: Iterable[EventRequest | TrackerError], sender: Sender
    ) -> list[Receipt | TrackerError]:
        kinds: list[str] = []
        began_s = time.perf_counter()
        results = await self._tracking.track_all(_noted(items, kinds), sender)
        taken = sum(not isinstance(result, TrackerError) for result in results)
        self.acknowledgements.observe(time.perf_counter() - began_s, taken)
        reasons = [result.reason for result in results]
        for (kind, reason), count in Counter(zip(kinds, reasons, strict=True)).items():
            self.outcomes[Outcome(kind, reason or ACCEPTED)] += count
        return results

    def make(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked | None:
        """Counts nothing: whoever sends what it made says what came of it, with `accepted` or `count`."""
        return self._tracking.make(program_id, asked, sender)

    def send(self, tracked: Tracked, waiter: Waiter[None]) -> None:
        self._tracking.send(tracked, waiter)

    def accepted(self, kind: str, reason: str | None, *, began_s: float) -> None:
        """An event was acknowledged that was asked for at `began_s` (time.perf_counter)."""
        self.acknowledgements.observe(time.perf_counter() - began_s)
        self.count(kind, reason)

    def count(self, kind: str, reason: str | None) -> None:
        """One more event of this kind: None where it counts."""
        self.outcomes[Outcome(kind, reason or ACCEPTED)] += 1


def _noted(
    items: Iterable[EventRequest | TrackerError], kinds: list[str]
) -> Iterator[EventRequest | TrackerError]:
    for item in items:
        kinds.append(UNREAD if isinstance(item, TrackerError) else item.kind)
        yield item
