from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.facts import FLAGGED_MAX, Facts, flood_reason, is_spent, joined
from tests.factories import NOW_MS, program

LATER_MS = NOW_MS + 60_000

moments = st.integers(NOW_MS - 5, NOW_MS + 5)
facts = st.builds(
    Facts,
    counted=st.integers(0, 9),
    flagged=st.dictionaries(st.sampled_from("abcd"), moments, max_size=4),
    flooded_until_ms=st.just(0) | moments,
)


def both(first: Facts, second: Facts) -> Facts:
    return joined(first, second, now_ms=NOW_MS)


def flag(number: int, until_ms: int = LATER_MS) -> Facts:
    return Facts(flagged={f"visitor-{number}": until_ms})


@given(facts, facts, facts)
def test_facts_are_joined_in_any_order_and_grouping(a: Facts, b: Facts, c: Facts) -> None:
    assert both(a, b) == both(b, a)
    assert both(both(a, b), c) == both(a, both(b, c))
    assert both(both(a, b), b) == both(a, b)


@given(facts, facts)
def test_every_number_only_grows(held: Facts, found: Facts) -> None:
    facts = both(held, found)

    assert facts.counted >= max(held.counted, found.counted)
    assert facts.flooded_until_ms >= max(held.flooded_until_ms, found.flooded_until_ms)
    for each in (held, found):
        lasting = {visitor: until_ms for visitor, until_ms in each.flagged.items() if until_ms > NOW_MS}
        assert all(facts.flagged[visitor] >= until_ms for visitor, until_ms in lasting.items())


def test_flags_that_are_over_are_dropped() -> None:
    held = Facts(flagged={"over": NOW_MS, "lasting": NOW_MS + 1})

    assert both(held, Facts()).flagged == {"lasting": NOW_MS + 1}


def test_as_many_visitors_as_there_is_room_for_pause_nothing() -> None:
    facts = reduce(both, [flag(number) for number in range(FLAGGED_MAX)] * 2)

    assert len(facts.flagged) == FLAGGED_MAX == 64
    assert facts.flooded_until_ms == 0


def test_flags_that_are_over_take_no_room() -> None:
    over = [flag(number, NOW_MS) for number in range(FLAGGED_MAX)]

    facts = reduce(both, [*over, *(flag(100 + number) for number in range(FLAGGED_MAX))])

    assert facts.flooded_until_ms == 0


@given(
    st.lists(
        st.tuples(st.integers(0, FLAGGED_MAX + 5), st.integers(1, 9)), min_size=60, max_size=200
    ).flatmap(st.permutations)
)
def test_a_program_is_paused_while_more_visitors_are_flagged_than_there_is_room_for(
    flags: list[tuple[int, int]],
) -> None:
    longest: dict[int, int] = {}
    for number, ms in flags:
        longest[number] = max(longest.get(number, 0), NOW_MS + ms)

    facts = reduce(both, [flag(number, NOW_MS + ms) for number, ms in flags])

    lasting = sorted(longest.values(), reverse=True)
    assert sorted(facts.flagged.values(), reverse=True) == lasting[:FLAGGED_MAX]
    assert facts.flooded_until_ms == (lasting[FLAGGED_MAX] if len(lasting) > FLAGGED_MAX else 0)


@pytest.mark.parametrize(
    ("budget", "counted", "spent"),
    [(None, 10**9, False), (0, 0, True), (1_000, 999, False), (1_000, 1_000, True), (1_000, 1_001, True)],
)
def test_a_budget_is_spent_by_what_is_counted(budget: int | None, counted: int, spent: bool) -> None:
    assert is_spent(budget, Facts(counted=counted)) is spent


@pytest.mark.parametrize(
    ("visitor", "now_ms", "reason"),
    [
        ("flagged", LATER_MS - 1, "flood"),
        ("flagged", LATER_MS, None),
        ("another", NOW_MS, None),
        (None, NOW_MS, None),
        ("", NOW_MS, None),
    ],
)
def test_events_of_a_flagged_visitor_do_not_count_for_a_while(
    visitor: str | None, now_ms: int, reason: str | None
) -> None:
    flooded = program(flagged={"flagged": LATER_MS})

    assert flood_reason(flooded, visitor=visitor, now_ms=now_ms) == reason


@pytest.mark.parametrize("visitor", ["flagged", "another", None])
@pytest.mark.parametrize(("now_ms", "reason"), [(LATER_MS - 1, "flood"), (LATER_MS, None)])
def test_no_events_of_a_paused_program_count(visitor: str | None, now_ms: int, reason: str | None) -> None:
    paused = program(flooded_until_ms=LATER_MS, flagged={"flagged": NOW_MS + 1})

    assert flood_reason(paused, visitor=visitor, now_ms=now_ms) == reason


def test_where_nothing_floods_everything_counts() -> None:
    assert flood_reason(program(), visitor="v", now_ms=NOW_MS) is None
