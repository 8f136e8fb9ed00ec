"""Outcomes: what became of the events that clients asked for, counted by kind."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from schemas.errors import TrackerError
from schemas.events import Event, kind_of
from tracker.events import Tracked
from tracker.requests import EventRequest
from tracker.sender import Sender

ACCEPTED = "accepted"
UNREAD = "unread"
"""The kind of an item that did not decode."""


class Tracking(Protocol):
    """What is counted: see tracker.tracking.Tracking."""

    async def track(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked: ...

    async def track_all(
        self, items: Sequence[EventRequest | TrackerError], sender: Sender
    ) -> list[Event | TrackerError]: ...


class Outcome(NamedTuple):
    """`accepted`, or the reason why an event does not count or was not taken."""

    kind: str
    outcome: str


class CountedTracking:
    """Tracking as it is, with its outcomes counted since the task started."""

    def __init__(self, tracking: Tracking) -> None:
        self._tracking = tracking
        self.outcomes: Counter[Outcome] = Counter()

    async def track(self, program_id: str, asked: EventRequest, sender: Sender) -> Tracked:
        try:
            tracked = await self._tracking.track(program_id, asked, sender)
        except TrackerError as error:
            self.outcomes[outcome_of(asked, error)] += 1
            raise
        self.outcomes[outcome_of(asked, tracked.event)] += 1
        return tracked

    async def track_all(
        self, items: Sequence[EventRequest | TrackerError], sender: Sender
    ) -> list[Event | TrackerError]:
        results = await self._tracking.track_all(items, sender)
        self.outcomes.update(map(outcome_of, items, results))
        return results


def outcome_of(asked: EventRequest | TrackerError, result: Event | TrackerError) -> Outcome:
    if not isinstance(result, TrackerError):
        return Outcome(kind_of(result), result.reason or ACCEPTED)
    return Outcome(UNREAD if isinstance(asked, TrackerError) else asked.kind, result.reason)
