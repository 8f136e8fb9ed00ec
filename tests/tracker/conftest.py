"""Fixtures of the tracker's tests."""

from collections.abc import AsyncIterator, Callable

import pytest

from tests.tracker.ports import Clock, tracker_settings
from tests.tracker.server import Serve, Tracker, serving
from tracker.settings import TrackerSettings


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def settings() -> Callable[..., TrackerSettings]:
    return tracker_settings


@pytest.fixture
def serve() -> Serve:
    return serving


@pytest.fixture
async def tracker() -> AsyncIterator[Tracker]:
    async with serving() as tracker:
        yield tracker
