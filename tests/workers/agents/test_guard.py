from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import SettingsError
from schemas.events import Event
from schemas.settings import load
from schemas.updates import VisitorFlagged
from tests.factories import NOW_MS, click, conversion, core_data, view
from workers.agents.guard import (
    BATCH_MS,
    NAME_BYTES,
    Clicks,
    Crowd,
    guard,
    judge,
    name_of,
)
from workers.runtime.table import VALUE_MAX_BYTES, Codec
from workers.runtime.testing import test_context
from workers.settings import GUARD_WATCHED_MOST, AgentSettings

ID = "212313"
DEFAULTS = AgentSettings()
WINDOW_MS = DEFAULTS.guard_window_ms
HIGH = DEFAULTS.guard_high
LOW = DEFAULTS.guard_low
WATCHED_MAX = DEFAULTS.guard_watched_max
START_MS = NOW_MS - NOW_MS % WINDOW_MS


def clicks(count: int, *, window: int = 0, visitor: str | None = "v", **fields: object) -> list[Event]:
    at_ms = START_MS + window * WINDOW_MS
    return [click(received_at_ms=at_ms + number, visitor=visitor, **fields) for number in range(count)]


def flagged(count: int, *, window: int = 0, visitor: str = "v") -> VisitorFlagged:
    until_ms = START_MS + (window + 1) * WINDOW_MS + DEFAULTS.guard_flag_ms
    return VisitorFlagged(program_id=ID, visitor=visitor, until_ms=until_ms, clicks=count)


async def told(
    *events: Event, then: Sequence[Event] = (), settings: AgentSettings = DEFAULTS
) -> list[VisitorFlagged]:
    async with test_context(guard, settings=settings) as context:
        for some in (events, then):
            await context.put(*some)
            await context.advance(BATCH_MS)
    assert context.failed == []
    return context.sent["updates"]


async def test_a_flood_is_told_once_in_a_window() -> None:
    assert await told(*clicks(HIGH - 1)) == []
    assert await told(*clicks(2 * HIGH)) == [flagged(HIGH)]


async def test_a_flood_goes_on_with_fewer_clicks_than_it_began_with() -> None:
    events = clicks(HIGH) + clicks(LOW, window=1) + clicks(LOW, window=2) + clicks(LOW - 1, window=3)

    assert await told(*events, *clicks(LOW, window=4)) == [
        flagged(HIGH),
        flagged(LOW, window=1),
        flagged(LOW, window=2),
    ]


async def test_fewer_clicks_begin_no_flood() -> None:
    assert await told(*clicks(HIGH - 1), *clicks(HIGH - 1, window=1)) == []


async def test_the_marks_are_those_of_the_settings() -> None:
    settings = AgentSettings(guard_window_ms=1_000, guard_high=3, guard_low=2, guard_flag_ms=5_000)
    start_ms = NOW_MS - NOW_MS % 1_000
    first, second = ([click(received_at_ms=at_ms, visitor="v")] * 2 for at_ms in (start_ms, start_ms + 1_000))

    found = await told(*first, click(received_at_ms=start_ms, visitor="v"), *second, settings=settings)

    assert [(each.clicks, each.until_ms - start_ms) for each in found] == [(3, 6_000), (2, 7_000)]


@pytest.mark.parametrize(
    ("variables", "reason"),
    [
        ({"GUARD_FLAG_MS": "10000"}, "GUARD_FLAG_MS is not longer than GUARD_WINDOW_MS"),
        ({"GUARD_LOW_CLICKS": "101"}, "GUARD_LOW_CLICKS is more than GUARD_HIGH_CLICKS"),
        ({"GUARD_WATCHED_MAX": "2001"}, "GUARD_WATCHED_MAX"),
    ],
)
def test_marks_that_make_no_sense_are_refused(variables: dict[str, str], reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        load(AgentSettings, variables)


def test_a_flag_lasts_into_the_window_that_renews_it() -> None:
    assert DEFAULTS.guard_flag_ms > WINDOW_MS


async def test_clicks_count_whatever_a_tracker_made_of_them() -> None:
    assert await told(*clicks(HIGH, valid=False, reason="flood")) == [flagged(HIGH)]


async def test_visitors_and_programs_are_told_apart() -> None:
    other = core_data(program_id="other")

    assert (
        await told(*clicks(HIGH // 2), *clicks(HIGH // 2, visitor="w"), *clicks(HIGH - 1, program=other))
        == []
    )


@pytest.mark.parametrize("visitor", [None, ""])
async def test_events_without_visitor_are_not_judged(visitor: str | None) -> None:
    assert await told(*clicks(HIGH, visitor=visitor)) == []


@pytest.mark.parametrize("make", [view, conversion])
async def test_only_clicks_flood(make: Callable[..., Event]) -> None:
    assert await told(*(make(visitor="v") for _ in range(HIGH))) == []


async def test_clicks_that_come_too_late_are_passed_over() -> None:
    assert await told(*clicks(1, window=3), then=clicks(HIGH)) == []


async def test_what_is_over_is_forgotten() -> None:
    async with test_context(guard) as context:
        await context.put(*clicks(3))
        await context.advance(BATCH_MS)
        assert len(context.tables["crowds"].open()) == 1
        await context.advance(3 * WINDOW_MS)

        assert context.tables["crowds"].open() == []


names = st.sampled_from([f"visitor-{number}" for number in range(12)])


@given(st.lists(names, max_size=300), st.integers(1, 12))
def test_nobody_is_taken_to_have_clicked_more_and_hardly_anybody_less(visitors: list[str], room: int) -> None:
    others = {f"other-{number}".encode(): Clicks(1_000) for number in range(WATCHED_MAX - room)}

    crowd = judge(others, {}, visitors, DEFAULTS).crowd

    assert len(crowd) <= WATCHED_MAX
    for visitor, made in Counter(visitors).items():
        counted = crowd.get(name_of(visitor), Clicks()).count
        assert made - len(visitors) // (room + 1) <= counted <= made


def test_a_flooding_visitor_is_found_in_any_crowd() -> None:
    visitors = [f"visitor-{number // 2}" if number % 50 else "v" for number in range(20 * WATCHED_MAX)]

    assert set(judge({}, {}, visitors, DEFAULTS).flooding) == {"v"}


def test_two_crowds_that_became_one_fit_in_an_entry() -> None:
    most = 2 * GUARD_WATCHED_MOST
    crowd: Crowd = {number.to_bytes(NAME_BYTES): Clicks(2**40, True) for number in range(most)}

    codec: Codec[str, Crowd] = Codec(str, Crowd)
    assert len(codec.value(crowd)) < VALUE_MAX_BYTES


def test_two_crowds_that_became_one_shrink_again() -> None:
    crowd: Crowd = {b"%d" % number: Clicks(1 + number % 3) for number in range(2 * WATCHED_MAX)}

    for newcomer in ("a", "b", "c"):
        crowd = judge(crowd, {}, [newcomer], DEFAULTS).crowd

    assert len(crowd) < WATCHED_MAX
