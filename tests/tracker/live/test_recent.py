"""The last quarter of an hour: parts add up, in whatever order they come."""

from itertools import permutations

import pytest

from schemas.minutes import MINUTE_MS, Minute, minute_of
from tests.factories import NOW_MS
from tracker.live.recent import MINUTES, RecentMinutes, starts

START_MS = minute_of(NOW_MS)
FIRST, MORE, OTHER = Minute(views=1), Minute(views=3, visitors=2), Minute(clicks=5)


@pytest.mark.parametrize("order", list(permutations([("a", FIRST), ("a", MORE), ("b", OTHER)])))
def test_a_minute_is_the_sum_of_the_most_that_each_part_has_counted(
    order: tuple[tuple[str, Minute], ...],
) -> None:
    minutes = RecentMinutes()

    taken = [minutes.take("p", START_MS, *each, now_ms=NOW_MS) for each in order]

    assert [each for each in taken if each][-1] == MORE + OTHER


def test_what_is_known_already_is_no_news() -> None:
    minutes = RecentMinutes()
    minutes.take("p", START_MS, "a", MORE, now_ms=NOW_MS)

    assert minutes.take("p", START_MS, "a", MORE, now_ms=NOW_MS) is None
    assert minutes.take("p", START_MS, "a", FIRST, now_ms=NOW_MS) is None


@pytest.mark.parametrize("ago", [MINUTES + 1, -2, 0.5])
def test_what_is_not_a_minute_of_this_time_is_not_taken(ago: float) -> None:
    start_ms = START_MS - int(ago * MINUTE_MS)

    assert RecentMinutes().take("p", start_ms, "a", FIRST, now_ms=NOW_MS) is None


def test_the_next_minute_is_taken_for_clocks_differ() -> None:
    assert RecentMinutes().take("p", START_MS + MINUTE_MS, "a", FIRST, now_ms=NOW_MS) == FIRST


def test_a_minute_is_forgotten_after_a_quarter_of_an_hour() -> None:
    minutes = RecentMinutes()
    minutes.take("p", START_MS, "a", FIRST, now_ms=NOW_MS)
    minutes.take("q", START_MS + MINUTE_MS, "a", FIRST, now_ms=NOW_MS)

    assert list(minutes.expire(now_ms=NOW_MS + MINUTES * MINUTE_MS)) == []
    assert list(minutes.expire(now_ms=NOW_MS + (MINUTES + 1) * MINUTE_MS)) == [("p", START_MS)]


def test_sixteen_minutes_are_kept_with_the_one_that_is_being_counted() -> None:
    assert list(starts(NOW_MS)) == [START_MS - ago * MINUTE_MS for ago in range(15, -1, -1)]
