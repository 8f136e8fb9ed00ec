"""Real processes, against a tracker that serves HTTP with its streams in memory."""

import pytest

from tests.load.events import Events
from tests.load.factories import plan
from tests.load.fleet import Fleet, Progress
from tests.load.plan import LoadError
from tests.tracker.server import Tracker, serving


def url(tracker: Tracker) -> str:
    return str(tracker.client.base_url)


async def test_processes_send_every_event_once_and_say_how_far_they_are() -> None:
    said: list[Progress] = []
    async with serving() as tracker:
        fleet = Fleet(plan(trackers=[url(tracker)], processes=2, rate_per_s=100, events_max=200))
        ended = await fleet.run(said.append)

    events = Events(plan())
    assert sorted(str(each.message_id) for each in tracker.intake.events) == list(
        map(events.message_id, range(200))
    )
    assert ended.tally.acknowledged == ended.tally.latency.total == 200
    assert sorted(fleet.sent()) == list(range(200))
    assert list(fleet.unacknowledged()) == []
    counts = [progress.tally.acknowledged for progress in said]
    assert len(counts) > 1 and counts == sorted(counts)
    assert ended.busy > 0


async def test_a_stop_ends_all_of_them_with_every_event_accounted_for() -> None:
    async with serving() as tracker:
        fleet = Fleet(plan(trackers=[url(tracker)], processes=2, rate_per_s=20, duration_s=3_600.0))
        ended = await fleet.run(lambda progress: fleet.stop())

    assert ended.tally.acknowledged == ended.tally.sent == len(list(fleet.sent())) > 0
    assert len(tracker.intake.events) == ended.tally.sent


async def test_what_was_given_up_is_known_by_its_number() -> None:
    nowhere = plan(trackers=["http://127.0.0.1:1"], attempts=1, rate_per_s=100, events_max=4)
    fleet = Fleet(nowhere)
    ended = await fleet.run(lambda progress: None)

    assert (ended.tally.lost, ended.tally.errors) == (4, {"connection refused": 4})
    assert sorted(fleet.unacknowledged()) == sorted(fleet.sent()) == [0, 1, 2, 3]


async def test_a_process_that_fails_ends_the_load() -> None:
    with pytest.raises(LoadError, match="ended before it was done"):
        await Fleet(plan(rate_per_s=-1.0)).run(lambda progress: None)
