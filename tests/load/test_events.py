from collections import Counter
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import msgspec

from cdk.local.audit import Entry
from tests.load.events import Events
from tests.load.factories import plan
from tests.load.plan import Target
from tracker.requests import decode_event, decode_query

PROGRAMS = (Target("p1", "1"), Target("a/b", "2 &=ü"))


def test_an_event_is_the_same_whenever_it_is_made() -> None:
    one, again = Events(plan()), Events(plan())

    assert [one.event(number) for number in range(100)] == [again.event(number) for number in range(100)]
    assert Events(plan(run="0190e8a36a1d")).event(7) != one.event(7)


def test_ids_are_distinct_time_ordered_and_known_as_the_runs_own() -> None:
    events = Events(plan())
    ids = [UUID(events.message_id(number)) for number in range(1_000)]

    assert ids == sorted(set(ids))
    assert {each.version for each in ids} == {7}
    assert all(events.holds(str(each)) for each in ids)
    assert not events.holds("0190e8a3-6a1d-7000-8000-000000000001")


def test_events_are_of_every_program_and_of_the_kinds_of_the_mix() -> None:
    events = Events(plan(programs=PROGRAMS, mix={"view": 3, "click": 1, "conversion": 0}))
    made = [events.event(number) for number in range(4_000)]

    programs, kinds = Counter(each.program_id for each in made), Counter(each.kind for each in made)
    assert programs["p1"] + programs["a/b"] == 4_000
    assert 1_800 < programs["p1"] < 2_200
    assert 2_800 < kinds["view"] < 3_200
    assert kinds.keys() == {"view", "click"}


def test_a_share_of_them_does_not_count_and_the_ledger_knows_which() -> None:
    events = Events(plan(wrong_checksums=0.5))
    counts = Counter(entry.counts_as for entry in events.entries(range(1_000)))

    assert 400 < counts["invalid"] < 600
    for number, entry in enumerate(events.entries(range(1_000))):
        event = events.event(number)
        assert (event.checksum == "wrong") == (entry.counts_as == "invalid")
        assert entry == Entry(event.program_id, event.message_id, entry.counts_as)


def test_one_event_goes_in_a_query_that_the_tracker_reads() -> None:
    events = Events(plan(programs=PROGRAMS[1:]))
    for number in range(50):
        method, path = events.message([number]).line.split()
        address = urlsplit(path)
        asked, event = decode_query(parse_qsl(address.query)), events.event(number)

        assert (method, address.path) == ("GET", "/event/a%2Fb")
        assert (str(asked.message_id), asked.kind, asked.visitor) == (
            event.message_id,
            event.kind,
            event.visitor,
        )
        assert (asked.checksum, str(asked.value or "")) == (event.checksum, event.value or "")


def test_many_go_in_a_batch_that_the_tracker_reads() -> None:
    line, body = Events(plan()).message(range(10))
    items = [decode_event(raw, None) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]

    assert line == "POST /events"
    assert [str(item.message_id) for item in items] == [Events(plan()).message_id(n) for n in range(10)]
