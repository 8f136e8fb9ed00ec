"""A tracker to abuse; after each test it must still serve."""

from collections.abc import AsyncIterator

import pytest

from tests.abuse.wire import assert_serves
from tests.tracker.server import Tracker, serving

LIMITS = {
    "header_max_bytes": 4_096,
    "request_max_bytes": 20_000,
    "batch_max_items": 50,
    "admin_token": "secret",
}


@pytest.fixture
async def tracker() -> AsyncIterator[Tracker]:
    async with serving(**LIMITS) as tracker:
        yield tracker
        await assert_serves(tracker)
