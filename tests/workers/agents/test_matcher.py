"""`matcher` behind `rekey`, in memory: every conversion finds its click, in whatever order they come."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from schemas.events import Click, Conversion, Event
from schemas.updates import ConversionMatched
from tests.factories import NOW_MS, click, conversion, core_data, view
from workers.agents.app import touches
from workers.agents.matcher import matcher, rekey
from workers.agents.matching import KEPT, Trail, keys_of, with_event
from workers.runtime.agents import Decoded
from workers.runtime.puts import Entry
from workers.runtime.rekey import keyed_entry
from workers.runtime.stream import Keyed
from workers.runtime.testing import test_context
from workers.settings import AgentSettings

PARTITION_KEY_MAX = 256
WINDOW_MS = AgentSettings().matcher_window_ms
LATENESS_MS = WINDOW_MS


async def rekeyed(events: Iterable[Event]) -> list[Keyed[Event]]:
    """What is on the re-keyed stream, as it is read back."""
    async with test_context(rekey, now_ms=NOW_MS) as context:
        await context.put(*events)
        entries = [keyed_entry(touches)(each) for each in context.sent["touches"]]
    return [read(entry) for entry in entries]


def read(entry: Entry) -> Keyed[Event]:
    decoded: Decoded[Keyed[Event]] = touches.decode(entry["Data"])
    ((_, keyed),) = decoded.events
    assert keyed.key == entry["PartitionKey"]
    return keyed


async def matched(*events: Event, window_ms: int = WINDOW_MS) -> list[ConversionMatched]:
    """What is found, in the order in which it is."""
    settings = AgentSettings(matcher_window_ms=window_ms)
    async with test_context(matcher, now_ms=NOW_MS, settings=settings) as context:
        await context.put(*await rekeyed(events))
        assert context.failed == []
        assert context.sent["updates"] == context.sent["matched"]
        found: list[ConversionMatched] = context.sent["matched"]
        return found


def latest(found: Iterable[ConversionMatched]) -> dict[UUID, UUID]:
    """The click of each conversion, once all is stored: that of the latest click."""
    clicks: dict[UUID, ConversionMatched] = {}
    for match in found:
        held = clicks.get(match.conversion)
        if held is None or held.clicked_at_ms < match.clicked_at_ms:
            clicks[match.conversion] = match
    return {conversion: match.click for conversion, match in clicks.items()}


async def test_a_partner_who_knows_the_click_alone_is_matched() -> None:
    clicked = click(click_id="c", visitor="v")
    bought = conversion(click_id="c", visitor=None, received_at_ms=NOW_MS + 1_000)

    assert await matched(clicked, bought) == [
        ConversionMatched(
            program_id="212313",
            conversion=bought.message_id,
            converted_at_ms=NOW_MS + 1_000,
            click=clicked.message_id,
            clicked_at_ms=NOW_MS,
            by="click_id",
        )
    ]


async def test_a_page_that_knows_the_visitor_alone_is_matched() -> None:
    clicked = click(click_id="c", visitor="v")

    (match,) = await matched(clicked, conversion(click_id=None, visitor="v"))

    assert (match.click, match.by) == (clicked.message_id, "visitor")


async def test_the_last_click_before_the_conversion_has_it() -> None:
    first, last, later = (click(visitor="v", received_at_ms=NOW_MS + at_ms) for at_ms in (0, 10, 30))
    bought = conversion(click_id=None, visitor="v", received_at_ms=NOW_MS + 20)

    assert latest(await matched(first, last, later, bought)) == {bought.message_id: last.message_id}


async def test_who_names_a_click_is_not_given_another_of_its_visitor() -> None:
    assert await matched(click(click_id="c", visitor="v"), conversion(click_id="other", visitor="v")) == []


async def test_another_program_is_another_matter() -> None:
    elsewhere = conversion(click_id="c", program=core_data(program_id="other"))

    assert await matched(click(click_id="c"), elsewhere) == []


async def test_what_does_not_count_is_matched_with_nothing() -> None:
    bot, person = click(click_id="a", visitor=None, valid=False), click(click_id="b", visitor=None)

    assert await matched(bot, person, conversion(click_id="a"), conversion(click_id="b", valid=False)) == []


async def test_views_are_not_sent_on() -> None:
    assert await rekeyed([view(visitor="v", click_id="c")]) == []


@pytest.mark.parametrize("window_ms", [1_000, WINDOW_MS, 10 * WINDOW_MS])
async def test_a_click_is_good_for_as_long_as_the_window_and_no_longer(window_ms: int) -> None:
    clicked = click(click_id="c", visitor=None)
    just, past = (conversion(click_id="c", received_at_ms=NOW_MS + window_ms + more_ms) for more_ms in (0, 1))

    found = await matched(clicked, just, past, window_ms=window_ms)

    assert latest(found) == {just.message_id: clicked.message_id}


async def test_a_conversion_that_came_before_its_click_is_matched_when_that_comes() -> None:
    bought = conversion(click_id="c", received_at_ms=NOW_MS + 5)
    clicked = click(click_id="c", visitor=None)

    assert latest(await matched(bought, clicked)) == {bought.message_id: clicked.message_id}


async def test_a_later_click_that_came_late_is_told_anew() -> None:
    first, second = (click(visitor="v", received_at_ms=NOW_MS + at_ms) for at_ms in (0, 10))
    bought = conversion(click_id=None, visitor="v", received_at_ms=NOW_MS + 20)

    found = await matched(first, bought, second)

    assert [match.click for match in found] == [first.message_id, second.message_id]


async def test_what_comes_again_changes_nothing() -> None:
    clicked, bought = click(click_id="c", visitor="v"), conversion(click_id="c")
    again = [replace(each, received_at_ms=NOW_MS + WINDOW_MS - 1) for each in (clicked, bought)]

    found = await matched(clicked, clicked, bought, bought, *again)

    assert len(found) == 1


async def test_a_match_goes_when_its_conversion_does() -> None:
    (match,) = await matched(click(click_id="c", visitor=None), conversion(click_id="c", retention_days=2))

    assert match.expires_at_s == NOW_MS // 1000 + 2 * 86_400


async def test_nothing_is_forgotten_because_nothing_comes() -> None:
    clicked, bought = click(click_id="c", visitor=None), conversion(click_id="c", received_at_ms=NOW_MS + 1)
    async with test_context(matcher, now_ms=NOW_MS) as context:
        await context.put(*await rekeyed([clicked]))
        await context.advance(10 * WINDOW_MS)
        await context.put(*await rekeyed([bought]))

        assert latest(context.sent["matched"]) == {bought.message_id: clicked.message_id}


async def test_old_trails_are_forgotten() -> None:
    long_after_ms = NOW_MS + 2 * WINDOW_MS + WINDOW_MS + LATENESS_MS
    async with test_context(matcher, now_ms=NOW_MS) as context:
        await context.put(*await rekeyed([click(click_id="old"), click(received_at_ms=long_after_ms)]))

        starts = {pane.window.start_ms for pane in context.tables["trails"].open()}
        assert len(starts) == 1


def test_a_trail_keeps_the_newest_of_too_many() -> None:
    trail = Trail()
    for number in range(KEPT + 5):
        trail = with_event(trail, click(received_at_ms=NOW_MS + number))

    assert [touch.at_ms - NOW_MS for touch in trail.clicks] == list(range(5, KEPT + 5))


def test_a_key_is_a_partition_key_whatever_the_client_sends() -> None:
    event = click(click_id="é" * 256, visitor="\U0001f600" * 256, program=core_data(program_id="p" * 64))

    assert all(len(key) <= PARTITION_KEY_MAX for key in keys_of(event))


def expected(events: Sequence[Event]) -> dict[UUID, UUID]:
    """What is to be found, by looking at all clicks for each conversion."""
    found = {}
    clicks = [event for event in events if isinstance(event, Click)]
    for each in (event for event in events if isinstance(event, Conversion)):
        candidates = [click for click in clicks if is_candidate(click, each)]
        if candidates:
            last = max(candidates, key=lambda click: (click.received_at_ms, click.message_id))
            found[each.message_id] = last.message_id
    return found


def is_candidate(clicked: Click, bought: Conversion) -> bool:
    if bought.click_id:
        is_same = clicked.click_id == bought.click_id
    else:
        is_same = bought.visitor is not None and clicked.visitor == bought.visitor
    return is_same and 0 <= bought.received_at_ms - clicked.received_at_ms <= WINDOW_MS


def journeys(chance: random.Random, *, clicks: int, conversions: int, within_ms: int) -> list[Event]:
    """Clicks and conversions of a crowd, some of which match."""

    def fields() -> dict[str, Any]:
        message_id = UUID(int=chance.getrandbits(128), version=4)
        return {"message_id": message_id, "received_at_ms": NOW_MS + chance.randrange(within_ms)}

    made: list[Event] = [
        click(
            **fields(),
            click_id=f"click-{chance.randrange(clicks)}",
            visitor=chance.choice([None, f"visitor-{chance.randrange(clicks // 3)}"]),
        )
        for _ in range(clicks)
    ]
    made += [
        conversion(
            **fields(),
            click_id=chance.choice([None, f"click-{chance.randrange(clicks)}"]),
            visitor=chance.choice([None, f"visitor-{chance.randrange(clicks // 3)}"]),
        )
        for _ in range(conversions)
    ]
    return made


async def test_a_crowd_shuffled_within_the_window_and_partly_sent_twice_is_matched_exactly() -> None:
    chance = random.Random(20261125)
    events = journeys(chance, clicks=10_000, conversions=3_000, within_ms=WINDOW_MS)
    sent = events + chance.sample(events, len(events) // 5)
    chance.shuffle(sent)

    found = latest(await matched(*sent))

    assert found == expected(events)
    assert len(found) > 500


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000))
def test_any_order_and_repetition_finds_the_same(seed: int) -> None:
    chance = random.Random(seed)
    events = journeys(chance, clicks=12, conversions=8, within_ms=LATENESS_MS)
    sent = events + chance.sample(events, 6)
    chance.shuffle(sent)

    assert latest(asyncio.run(matched(*sent))) == expected(events)
