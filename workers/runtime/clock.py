"""Time as agents see it: integer milliseconds from a clock that a test may turn itself."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Milliseconds since the epoch."""

    async def sleep_until(self, at_ms: int) -> None:
        """Returns at once for a moment that has passed."""


class WallClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    async def sleep_until(self, at_ms: int) -> None:
        await asyncio.sleep((at_ms - self.now_ms()) / 1000)


class ManualClock:
    """Stands still until it is set, or somebody sleeps: that takes no time here. It never goes back."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        return self._now_ms

    async def sleep_until(self, at_ms: int) -> None:
        self.set(at_ms)
        await asyncio.sleep(0)

    def set(self, now_ms: int) -> None:
        self._now_ms = max(now_ms, self._now_ms)
