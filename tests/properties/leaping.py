"""An event loop that never waits: where nothing is left to do but wait, its clock leaps ahead.

Minutes of timeouts and backoff take milliseconds, and take the same turns every time.
"""

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any

Ready = list[tuple[selectors.SelectorKey, int]]


class LeapingSelector(selectors.BaseSelector):
    """A selector that turns waiting into time gone by."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._selector = selectors.DefaultSelector()

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._selector.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._selector.unregister(fileobj)

    def select(self, timeout: float | None = None) -> Ready:
        ready = self._selector.select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never comes"
            self.now_s += max(timeout, 0)
        return ready

    def close(self) -> None:
        self._selector.close()

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._selector.get_map()


class LeapingLoop(asyncio.SelectorEventLoop):
    """Give it to asyncio.Runner as its loop_factory."""

    def __init__(self) -> None:
        self._leaping = LeapingSelector()
        super().__init__(self._leaping)

    def time(self) -> float:
        return self._leaping.now_s


async def turns(count: int = 25) -> None:
    """Lets everything that can go on go on, while no time passes."""
    for _ in range(count):
        await asyncio.sleep(0)
