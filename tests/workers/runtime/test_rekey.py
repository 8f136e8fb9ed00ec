from collections.abc import Iterable
from typing import Any

import pytest

from schemas.errors import EventError, PoisonError
from schemas.frames import FailedEvent
from tests.kinesis import InMemoryKinesis
from tests.workers.counting import Numbered, decode, encode
from tests.workers.crowd import crowd
from workers.runtime.agents import Agents, Decoded, Topic
from workers.runtime.puts import Puts
from workers.runtime.rekey import keyed_entry, rekeyed
from workers.runtime.sink import Sink, StreamOutlet
from workers.runtime.stream import Keyed, Stream
from workers.runtime.table import Table
from workers.runtime.testing import test_context

EVENTS = [Numbered(key, number) for number in range(20) for key in "abcdef"]

numbers = Topic[Numbered](name="events", decode=decode, at_ms=lambda event: event.number)
rounds = rekeyed(numbers, name="rounds", record=lambda event: encode([event]))


def keys(event: Numbered) -> Iterable[str]:
    """Under its number, and those of the first round under no key."""
    return [str(event.number)] if event.number else []


@pytest.fixture
def agents() -> Agents:
    agents = Agents()

    @agents.agent(numbers)
    async def rekey(stream: Stream[Numbered], rounds: Sink[Keyed[Numbered]]) -> None:
        await stream.group_by(keys, rounds)

    return agents


def test_an_event_comes_back_with_its_key_and_its_time() -> None:
    entry = keyed_entry(rounds)(Keyed("k", Numbered("a", 7)))

    assert entry["PartitionKey"] == "k"
    assert rounds.decode(entry["Data"]).events == [(0, Keyed("k", Numbered("a", 7)))]
    assert rounds.at_ms is not None and rounds.at_ms(Keyed("k", Numbered("a", 7))) == 7


def test_a_topic_without_event_time_has_none_either() -> None:
    plain = rekeyed(Topic[Numbered](name="events", decode=decode), name="rounds", record=lambda _: b"")

    assert plain.at_ms is None


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x92\xa1k", encode([Numbered("a", 1)])])
def test_what_is_no_record_of_the_stream_is_poison(data: bytes) -> None:
    with pytest.raises(PoisonError):
        rounds.decode(data)


def test_what_the_first_topic_cannot_decode_fails_here_as_there() -> None:
    failed = FailedEvent(0, b"x", "no event")
    topic = Topic[Any](name="events", decode=lambda data: Decoded([], [failed]))
    poisoned = rekeyed(topic, name="rounds", record=lambda event: b"x")

    assert poisoned.decode(poisoned.encode(Keyed("k", None))) == Decoded([], [failed])
    with pytest.raises(EventError):
        rounds.decode(rekeyed(numbers, name="x", record=lambda _: b"?").encode(Keyed("k", EVENTS[0])))


async def test_events_are_sent_on_under_each_of_their_keys(agents: Agents) -> None:
    async with test_context(agents.agents["rekey"]) as context:
        await context.put(Numbered("a", 0), Numbered("a", 1), Numbered("b", 2))

    assert context.sent["rounds"] == [Keyed("1", Numbered("a", 1)), Keyed("2", Numbered("b", 2))]


async def test_events_of_all_shards_meet_where_their_new_key_is(agents: Agents) -> None:
    first, second = InMemoryKinesis(shards=4), InMemoryKinesis(stream="rounds", shards=3)
    meeting = Agents()

    @meeting.agent(rounds)
    async def meet(stream: Stream[Keyed[Numbered]], met: Table[str, list[str]]) -> None:
        async for keyed in stream:
            met[keyed.key] = sorted({*met[keyed.key], keyed.event.key})

    for event in EVENTS:
        record = {"Data": encode([event]), "PartitionKey": event.key}
        await first.put_records(StreamName=first.stream, Records=[record])
    async with (
        crowd(first, workers=0, agents=agents) as sending,
        crowd(second, workers=0, agents=meeting) as receiving,
    ):
        sending.outlets["rounds"] = StreamOutlet(Puts(second), second.stream, keyed_entry(rounds))
        await sending.hire()
        await receiving.hire()

        whole = {str(number): list("abcdef") for number in range(1, 20)}
        await receiving.until(lambda: receiving.table("met", list[str]) == whole)
