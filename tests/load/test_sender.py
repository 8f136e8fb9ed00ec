"""Against a tracker that serves HTTP, with its streams in memory."""

import asyncio
from typing import Any

from schemas.errors import BufferFullError, MalformedError, TrackerError
from tests.load.events import Events
from tests.load.factories import plan
from tests.load.sender import Sender
from tests.tracker.server import Tracker, serving
from tests.tracker.task import eventually


class Refusals(dict[str, TrackerError]):
    def __init__(self, refused: dict[str, TrackerError], times: int | None) -> None:
        super().__init__(refused)
        self._left = times

    def get(self, visitor: str, default: Any = None) -> Any:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                return default
        return super().get(visitor, default)


def url(tracker: Tracker) -> str:
    return str(tracker.client.base_url)


async def sent(tracker: Tracker, **fields: Any) -> Sender:
    sender = Sender(plan(trackers=[url(tracker)], **fields))
    await sender.run()
    return sender


def refuse(tracker: Tracker, error: TrackerError, *, times: int | None = None) -> None:
    """Of the one visitor that a load has: always, or at first."""
    tracker.set_program(privacy="full")
    tracker.intake.refusals = Refusals({"visitor-0": error}, times)


def ids(tracker: Tracker) -> list[str]:
    return sorted(str(event.message_id) for event in tracker.intake.events)


async def taken(tracker: Tracker) -> bool:
    return bool(tracker.intake.events)


async def test_every_event_is_sent_once_and_acknowledged() -> None:
    async with serving() as tracker:
        sender = await sent(tracker, events_max=100, rate_per_s=1_000, batch_sizes=(1, 9))

    events, tally = Events(plan()), sender.tally
    assert ids(tracker) == [events.message_id(number) for number in range(100)]
    assert (tally.requests, tally.sent, tally.acknowledged, tally.unanswered) == (20, 100, 100, 0)
    assert tally.latency.total == tally.late.total == 20
    assert not tally.errors
    assert not sender.unacknowledged


async def test_each_counts_as_the_ledger_has_it() -> None:
    async with serving() as tracker:
        sender = await sent(tracker, events_max=200, rate_per_s=None, batch_sizes=(10,), wrong_checksums=0.5)

    entries = Events(plan(wrong_checksums=0.5)).entries(range(200))
    expected = {entry.message_id: entry.counts_as != "invalid" for entry in entries}
    assert {str(event.message_id): event.valid for event in tracker.intake.events} == expected
    assert sender.tally.acknowledged == 200


async def test_what_is_not_taken_is_sent_again_with_its_id_and_took_as_long() -> None:
    async with serving() as tracker:
        refuse(tracker, BufferFullError("full"), times=1)
        sender = await sent(tracker, events_max=20, visitors=1, rate_per_s=1_000, batch_sizes=(10,))

    assert len(set(ids(tracker))) == len(ids(tracker)) == 20
    assert sender.tally.errors == {"503 buffer_full": 1}
    assert sender.tally.acknowledged == 20
    assert sender.tally.latency.percentile(1.0) >= 250


async def test_what_is_never_taken_is_given_up_and_its_numbers_are_known() -> None:
    async with serving() as tracker:
        refuse(tracker, BufferFullError("full"))
        sender = await sent(tracker, events_max=3, visitors=1, attempts=2, rate_per_s=1_000)

    assert (sender.tally.lost, sender.tally.acknowledged) == (3, 0)
    assert sender.tally.errors == {"503 buffer_full": 6}
    assert sorted(sender.unacknowledged) == [0, 1, 2]


async def test_what_can_never_be_taken_is_not_sent_again() -> None:
    async with serving() as tracker:
        refuse(tracker, MalformedError("bad"))
        sender = await sent(tracker, events_max=4, visitors=1, rate_per_s=1_000, batch_sizes=(1, 3))

    assert (sender.tally.refused, sender.tally.lost) == (4, 0)
    assert sender.tally.errors == {"400 malformed": 1, "200 malformed": 3}
    assert sorted(sender.unacknowledged) == [0, 1, 2, 3]


async def test_a_tracker_that_is_gone_is_made_up_for_by_another() -> None:
    async with serving() as tracker:
        sender = Sender(plan(trackers=[url(tracker), "http://127.0.0.1:1"], events_max=4, rate_per_s=1_000))
        await sender.run()

    assert sender.tally.acknowledged == 4
    assert sender.tally.errors == {"connection refused": 2}


async def test_a_stop_ends_it_with_an_outcome_for_all_that_was_sent() -> None:
    async with serving() as tracker:
        sender = Sender(plan(trackers=[url(tracker)], rate_per_s=1, duration_s=3_600))
        running = asyncio.create_task(sender.run())
        await eventually(lambda: taken(tracker))
        sender.stop()
        await running

    assert sender.tally.sent == sender.tally.acknowledged == 1
    assert sender.tally.unsent == 0


async def test_what_was_due_and_never_sent_is_told() -> None:
    async with serving() as tracker:
        refuse(tracker, BufferFullError("full"))
        sender = await sent(tracker, visitors=1, connections=1, attempts=4, rate_per_s=100, duration_s=0.05)

    assert (sender.tally.requests, sender.tally.unsent) == (1, 4)
