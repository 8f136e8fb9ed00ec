"""An agent is tried in memory, with a clock that goes where its events are, or is turned."""

from referrers import referrers

from tests.factories import NOW_MS, view
from workers.runtime.testing import test_context


async def test_a_minute_is_told_once_it_is_over() -> None:
    async with test_context(referrers, now_ms=NOW_MS) as context:
        await context.put(*(view(referrer="https://news.example/") for _ in range(3)), view())
        assert context.sent["lines"] == []

        await context.advance(70_000)

    (line,) = context.sent["lines"]
    assert "212313 from https://news.example/: 3, 212313 from nowhere: 1" in line
