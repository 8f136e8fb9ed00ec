"""Deadlines: who waits too long for an acknowledgement is told so."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

from schemas.errors import NotAcknowledgedError
from workers.runtime.actor import Waiter

LOOKS = 50
"""How often it looks within a timeout: nobody waits longer by more than one part in so many."""


def not_acknowledged() -> NotAcknowledgedError:
    return NotAcknowledgedError(
        "the event stream did not confirm in time; send again with the same messageId"
    )


class Deadlines:
    """One timeout for all, so they end in the order in which they began: one timer watches them all."""

    def __init__(self, timeout_s: float, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._timeout_s = timeout_s
        self._clock_s = clock_s
        self._watched: deque[tuple[float, Waiter[None]]] = deque()

    def watch(self, waiter: Waiter[None]) -> None:
        """Fails `waiter` with NotAcknowledgedError unless it is done in time."""
        if not self._watched:
            self._look_later()
        self._watched.append((self._clock_s() + self._timeout_s, waiter))

    def _look_later(self) -> None:
        asyncio.get_running_loop().call_later(self._timeout_s / LOOKS, self._look)

    def _look(self) -> None:
        now_s = self._clock_s()
        while self._watched and (self._watched[0][1].done() or self._watched[0][0] <= now_s):
            _, waiter = self._watched.popleft()
            if not waiter.done():
                waiter.set_exception(not_acknowledged())
        if self._watched:
            self._look_later()
