"""The bench runs; what it measures is for people to read."""

import pytest

from tests.bench.click import Plan, measure, table

pytestmark = pytest.mark.system


async def test_each_mode_is_measured_against_the_bare_route() -> None:
    plan = Plan(rate=20, seconds=1, rounds=2, sink_ms=1)

    measured = await measure(plan)

    assert [each.target for each in measured] == ["bare", "durable", "buffered"]
    assert (measured[0].added_p50_ms, measured[0].added_p99_ms) == (0, 0)
    assert all(0 < each.p50_ms <= each.p99_ms for each in measured)
    assert len(table(plan, measured).splitlines()) == 5
